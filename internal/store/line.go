// Lines: the runs that wait for each other, read as they stand.

package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// lineOf reads the runs with one key of a workflow; all of them, where its rule has no key.
type lineOf struct {
	db   *DB
	q    querier
	rule flow.TurnRule
	flow.TurnKey
}

// args are the workflow, a bound of the rows, and the key where the condition has one.
func (l lineOf) args(most int) []any {
	args := []any{l.Workflow, most}
	if l.keyed() && l.Key != "" {
		args = append(args, l.Key)
	}
	return args
}

func (l lineOf) keyed() bool { return l.rule.Key() != "" }

// ofKey is the condition on i. Runs of versions without a key share the empty one, and are not in the index of the others.
func (l lineOf) ofKey() string {
	switch {
	case !l.keyed():
		return " AND i.workflow_id = $1"
	case l.Key == "":
		return " AND i.workflow_id = $1 AND i.turn_key = ''"
	default:
		return " AND i.workflow_id = $1 AND i.turn_key = $3 AND i.turn_key <> ''"
	}
}

// ofKeyByID is the same for runs that are found by their ids: no other index serves it, which would read all that wait.
func (l lineOf) ofKeyByID() string {
	return strings.NewReplacer("i.workflow_id", "i.workflow_id + 0", "i.turn_key", "i.turn_key || ''").Replace(l.ofKey())
}

// toldNow are the runs that were told something which they have not taken in. What was taken in has changed their
// state: a queued run that is not among them was told nothing.
const toldNow = "ARRAY(SELECT b.instance_id FROM inbox b WHERE b.state = 0 AND b.kind = 'admission'"

// going reads those that go on, in order of submission: as many as matter.
func (l lineOf) going(ctx context.Context) ([]flow.Seat, error) {
	if l.rule.Execution.Limit == 0 {
		return nil, nil
	}
	return all(ctx, l.db, l.q, scanSeat, `
		SELECT id, run_times, state FROM (
			SELECT * FROM (
				SELECT i.id, i.run_times, i.state FROM instance i WHERE i.state IN (3, 4, 5, 6, 7, 8)`+l.ofKey()+` ORDER BY i.id + 0 LIMIT $2) AS going
			UNION ALL SELECT * FROM (
				SELECT i.id, i.run_times, i.state FROM instance i
				WHERE i.id = ANY(`+toldNow+` AND b.dedup LIKE '`+string(flow.OrderAdmit)+`:%')) AND i.state + 0 = 2`+l.ofKeyByID()+`) AS told) AS a
		ORDER BY id LIMIT $2`, l.args(l.rule.Execution.Limit+admitAtOnce)...)
}

// waiting reads the queued runs that were told nothing, in order of submission: the first of them, or the newest, where
// those go on.
func (l lineOf) waiting(ctx context.Context) ([]flow.Seat, error) {
	newest := l.rule.Execution.Over == flow.OverStopOldest && l.rule.Execution.Limit > 0
	waiting, err := all(ctx, l.db, l.q, scanSeat, l.waitingSQL(newest), l.args(admitAtOnce)...)
	if newest {
		slices.Reverse(waiting)
	}
	return waiting, err
}

// waitingSQL reads no more than is asked for: with a key its own stretch of an index, otherwise a stream of the index
// for each trigger, merged.
func (l lineOf) waitingSQL(newest bool) string {
	way := ""
	if newest {
		way = " DESC"
	}
	stream := func(more string) string {
		return `SELECT i.id, i.run_times, i.state FROM instance i
			WHERE i.state = 2` + l.ofKey() + more + ` AND NOT (i.id = ANY(` + toldNow + `)))
			ORDER BY i.id + 0` + way + ` LIMIT $2`
	}
	if l.keyed() {
		return stream("")
	}
	var parts []string
	for code := 1; code < len(triggers); code++ {
		parts = append(parts, fmt.Sprintf("SELECT * FROM (%s) AS t%d", stream(fmt.Sprintf(" AND i.trigger + 0 = %d", code)), code))
	}
	return "SELECT id, run_times, state FROM (" + strings.Join(parts, " UNION ALL ") + ") AS w ORDER BY id" + way + " LIMIT $2"
}

// at is the key under which starts are kept.
func (l lineOf) at() string {
	if l.keyed() {
		return l.Key
	}
	return ""
}

// starts reads when the last runs began, oldest first: as many as the rate has.
func (l lineOf) starts(ctx context.Context) ([]flow.Time, error) {
	if l.rule.Rate.Starts == 0 {
		return nil, nil
	}
	starts, err := all(ctx, l.db, l.q, scalar[flow.Time], "SELECT given_at FROM turn WHERE workflow_id = $1 AND key = $2 ORDER BY given_at DESC LIMIT $3",
		l.Workflow, l.at(), l.rule.Rate.Starts)
	slices.Reverse(starts)
	return starts, err
}

// began notes the turns that are given, and forgets those that the rate does not see any more.
func (l lineOf) began(ctx context.Context, orders []flow.Order, now flow.Time) error {
	var runs []flow.ID
	for _, o := range orders {
		if o.Kind == flow.OrderAdmit {
			runs = append(runs, o.ID)
		}
	}
	if l.rule.Rate.Starts == 0 || len(runs) == 0 {
		return nil
	}
	per := l.rule.Rate.Per.Std()
	if _, err := exec(ctx, l.db, l.q, "DELETE FROM turn WHERE workflow_id = $1 AND key = $2 AND given_at <= $3", l.Workflow, l.at(), now.Add(-per)); err != nil {
		return err
	}
	_, err := exec(ctx, l.db, l.q, `
		INSERT INTO turn (workflow_id, key, given_at, instance_id, expires_at)
		SELECT i.workflow_id, $1, CAST($2 AS BIGINT), i.id, CAST($3 AS BIGINT) FROM instance i WHERE i.id = ANY($4)
		ON CONFLICT DO NOTHING`, l.at(), now, now.Add(per), l.db.list(runs))
	return err
}
