// How a backfill goes on: one transaction at a time that decides which of its dates begin.

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// dateRow is a date of a backfill, as JSON.
type dateRow struct {
	Position int    `json:"position"`
	Part     int    `json:"part"`
	Level    int    `json:"level"`
	Data     int64  `json:"data"`
	Instance int64  `json:"instance"`
	State    uint8  `json:"state"`
	Reason   string `json:"reason"`
	// How its run is ordered.
	Workflow int64  `json:"workflow"`
	Start    string `json:"start"`
	Zone     string `json:"zone"`
}

// reopen has dates looked at again that had ended: those whose run goes on, for a person has recovered it, and those
// of the runs that are named. Of runs that go on only those are read that backfills of its workflows began.
func (db *DB) reopen(ctx context.Context, q querier, b *flow.Backfill, runs []flow.ID) error {
	if len(runs) > 0 {
		_, err := exec(ctx, db, q, `
			UPDATE backfill_item SET state = 1, reason = ''
			WHERE instance_id > 0 AND instance_id = ANY($2) AND backfill_id + 0 = $1 AND state + 0 > 1
				AND (SELECT i.id FROM instance i WHERE i.id = backfill_item.instance_id) IS NOT NULL`, b.ID, db.list(runs))
		if err != nil {
			return err
		}
	}
	workflows := []flow.ID{b.Workflow}
	if b.Cascaded > 0 {
		parts, err := db.parts(ctx, q, b.ID)
		if err != nil {
			return err
		}
		for _, p := range parts {
			workflows = append(workflows, p.Workflow)
		}
	}
	for _, w := range workflows {
		if _, err := exec(ctx, db, q, reopenSQL, b.ID, w, flow.MaxBackfillDates); err != nil {
			return err
		}
	}
	return nil
}

// reopenSQL reads the runs that go on by a stream of the index for each state.
var reopenSQL = func() string {
	var parts []string
	for st := flow.InstanceSubmitted; st <= flow.InstanceQuarantined; st++ {
		parts = append(parts, fmt.Sprintf(`SELECT * FROM (
			SELECT i.id FROM instance i WHERE i.workflow_id = $2 AND i.state = %d AND i.trigger + 0 = %d ORDER BY i.id + 0 LIMIT $3) AS s%d`,
			st, slices.Index(triggers[:], flow.TriggerBackfill), st))
	}
	return `
		WITH going AS (` + strings.Join(parts, " UNION ALL ") + `)
		UPDATE backfill_item SET state = 1, reason = ''
		WHERE instance_id > 0 AND instance_id = ANY(ARRAY(SELECT id FROM going)) AND backfill_id + 0 = $1 AND state + 0 > 1`
}()

// advanced tells what advancing one backfill came to.
type advanced struct {
	started int
	more    bool // there is more to decide at once
}

// advance decides about a backfill whose row is locked: what is read then nobody else changes for the worse, since its
// runs begin by this alone and all that ends meanwhile makes room. next gives ids, 0 when there are none left.
func (db *DB) advance(ctx context.Context, q querier, b *flow.Backfill, next func() flow.ID, now flow.Time) (advanced, error) {
	x := advancing{DB: db, q: q, b: b, now: now}
	if err := x.look(ctx, false); err != nil {
		return advanced{}, err
	}
	step := b.Next(x.stand)
	did, err := x.begin(ctx, x.waiting[:min(step.Start, len(x.waiting))], next)
	if err != nil || step.State == b.State && step.Reason == b.Reason {
		return did, err
	}
	if step.State.Ended() && step.State != b.State {
		b.EndedAt = now
	}
	b.State, b.Reason = step.State, step.Reason
	_, err = exec(ctx, db, q, "UPDATE backfill SET state = $2, reason = $3, ended_at = $4 WHERE id = $1", b.ID, b.State, flow.Text(b.Reason, flow.MaxReason), b.EndedAt)
	return did, err
}

// advancing is one decision about a backfill.
type advancing struct {
	*DB
	q       querier
	b       *flow.Backfill
	now     flow.Time
	stand   flow.BackfillStand
	waiting []dateRow // that are next, in order
	going   []flow.Seat
	levels  []int // of those that go on
}

// look finds out how the dates stand, those that have not begun and those that failed only as far as it matters
// unless all is asked for, and keeps how runs ended.
func (x *advancing) look(ctx context.Context, exact bool) error {
	if err := x.lookAtRuns(ctx); err != nil {
		return err
	}
	var err error
	x.waiting, err = all(ctx, x.DB, x.q, func(s scanner) (d dateRow, err error) {
		return d, s.Scan(&d.Position, &d.Part, &d.Level, &d.Data)
	}, `
		SELECT position, part, level, data_time FROM backfill_item WHERE backfill_id = $1 AND state = 0 ORDER BY position LIMIT $2`, x.b.ID, x.b.Parallel)
	if err != nil {
		return err
	}
	x.stand.Left = len(x.waiting)
	if exact = exact || len(x.going) == 0; exact || x.b.Halt {
		if err := x.lookAtFailed(ctx); err != nil {
			return err
		}
	}
	x.hold()
	if exact && x.stand.Left == x.b.Parallel {
		x.stand.Left, err = one(ctx, x.DB, x.q, scalar[int], "SELECT count(*) FROM backfill_item WHERE backfill_id = $1 AND state = 0", x.b.ID)
	}
	return err
}

// hold finds out which of the dates that are next may not begin yet.
func (x *advancing) hold() {
	next := make([]int, len(x.waiting))
	for i, d := range x.waiting {
		next[i] = d.Level
	}
	x.stand.Held = flow.HeldDates(next, x.levels)
	x.waiting = x.waiting[:len(next)-x.stand.Held]
}

// begun is a date whose run was going on when it was looked at last.
type begun struct {
	dateRow
	times int32
	now   flow.InstanceState // 0: there is no such run
}

// lookAtRuns counts the runs that go on, and writes down how others ended.
func (x *advancing) lookAtRuns(ctx context.Context) error {
	open, err := all(ctx, x.DB, x.q, func(s scanner) (r begun, err error) {
		return r, s.Scan(&r.Position, &r.Level, &r.Instance, &r.now, &r.times, &r.Reason)
	}, `
		SELECT t.position, t.level, t.instance_id,
			COALESCE((SELECT i.state FROM instance i WHERE i.id = t.instance_id), (SELECT 1 FROM command c WHERE c.id = t.instance_id), 0),
			COALESCE((SELECT i.run_times FROM instance i WHERE i.id = t.instance_id), 1),
			COALESCE((SELECT i.reason FROM instance i WHERE i.id = t.instance_id), '')
		FROM backfill_item t WHERE t.backfill_id = $1 AND t.state = 1 ORDER BY t.position`, x.b.ID)
	if err != nil {
		return err
	}
	var ended []dateRow
	for _, r := range open {
		switch {
		case r.now == 0:
			r.State, r.Reason = uint8(flow.InstanceFailed), "gone: its run is not kept any more"
			ended = append(ended, r.dateRow)
		case r.now.Ended():
			r.State = uint8(r.now)
			ended = append(ended, r.dateRow)
		default:
			x.going = append(x.going, flow.Seat{ID: flow.ID(r.Instance), Times: r.times, State: r.now})
			x.levels = append(x.levels, r.Level)
		}
	}
	x.stand.Going = len(x.going)
	return x.set(ctx, ended)
}

// lookAtFailed counts the dates that did not succeed, by how their runs stand now.
func (x *advancing) lookAtFailed(ctx context.Context) error {
	type group struct {
		level int
		state flow.InstanceState
		n     int
	}
	groups, err := all(ctx, x.DB, x.q, func(s scanner) (g group, err error) { return g, s.Scan(&g.level, &g.state, &g.n) }, `
		SELECT f.level, f.state, count(*) FROM (
			SELECT t.level, COALESCE((SELECT i.state FROM instance i WHERE i.id = t.instance_id), t.state) AS state
			FROM backfill_item t WHERE t.backfill_id = $1 AND t.state IN (9, 10)) AS f
		GROUP BY f.level, f.state`, x.b.ID)
	for _, g := range groups {
		switch {
		case !g.state.Ended():
			x.stand.Going += g.n
			x.levels = append(x.levels, g.level)
		case g.state != flow.InstanceSucceeded:
			x.stand.Failed += g.n
		}
	}
	return err
}

// set writes what became of dates.
func (x *advancing) set(ctx context.Context, rows []dateRow) error {
	if len(rows) == 0 {
		return nil
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = exec(ctx, x.DB, x.q, `
		UPDATE backfill_item SET state = u.state, instance_id = u.instance, reason = u.reason
		FROM `+x.records("$1", "position int, instance bigint, state int, reason text")+`
		WHERE backfill_item.backfill_id = $2 AND backfill_item.position = u.position`, string(raw), x.b.ID)
	return err
}

// begin orders the runs of dates. One that cannot be ordered says why, and is not tried again.
func (x *advancing) begin(ctx context.Context, dates []dateRow, next func() flow.ID) (advanced, error) {
	var did advanced
	for i := range dates {
		id := next()
		if id == 0 {
			dates, did.more = dates[:i], true
			break
		}
		dates[i].Instance, dates[i].State = int64(id), 1
	}
	if len(dates) == 0 {
		return did, nil
	}
	if err := x.prepare(ctx, dates); err != nil {
		return did, err
	}
	ordered, err := x.order(ctx, dates)
	if err != nil {
		return did, err
	}
	did.started = len(ordered)
	for i := range dates {
		if d := &dates[i]; !slices.Contains(ordered, flow.ID(d.Instance)) {
			did.more = true
			d.Instance, d.State, d.Reason = 0, uint8(flow.InstanceFailed), "refused: the workflow does not exist any more"
		}
	}
	return did, x.set(ctx, dates)
}

// prepare finds out what is run for dates, and how it is started.
func (x *advancing) prepare(ctx context.Context, dates []dateRow) error {
	parts := []flow.BackfillPart{x.b.Own()}
	if slices.ContainsFunc(dates, func(d dateRow) bool { return d.Part > 0 }) {
		more, err := x.parts(ctx, x.q, x.b.ID)
		if err != nil {
			return err
		}
		parts = append(parts, more...)
	}
	for i := range dates {
		d := &dates[i]
		if d.Part >= len(parts) {
			return fmt.Errorf("date %d is of part %d, and there are %d", d.Position, d.Part, len(parts))
		}
		p := parts[d.Part]
		p.Start.DataTime, p.Start.Trigger, p.Start.Backfill = flow.Time(d.Data), flow.TriggerBackfill, x.b.ID
		body, err := json.Marshal(p.Start)
		if err != nil {
			return err
		}
		d.Workflow, d.Start, d.Zone = int64(p.Workflow), string(body), p.Zone
	}
	return nil
}

// order writes the commands of dates and returns those that it wrote.
func (x *advancing) order(ctx context.Context, dates []dateRow) ([]flow.ID, error) {
	code, err := triggerCode(flow.TriggerBackfill)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(dates)
	if err != nil {
		return nil, err
	}
	return all(ctx, x.DB, x.q, scanID, `
		INSERT INTO command (id, project_id, workflow_id, version, priority, key, start, zone, trigger, data_time, dry_run, submitted_at)
		SELECT u.instance, (SELECT w.project_id FROM workflow w WHERE w.id = u.workflow), u.workflow, (SELECT w.version FROM workflow w WHERE w.id = u.workflow),
			CASE WHEN CAST($2 AS BIGINT) > 0 THEN CAST($2 AS BIGINT) ELSE (SELECT CASE WHEN w.priority > 0 THEN w.priority ELSE 3 END FROM workflow w WHERE w.id = u.workflow) END,
			'', u.start, u.zone, CAST($3 AS BIGINT), u.data, FALSE, CAST($4 AS BIGINT)
		FROM `+x.records("$1", "instance bigint, workflow bigint, start text, zone text, data bigint")+`
		WHERE (SELECT w.id FROM workflow w WHERE w.id = u.workflow) IS NOT NULL
		RETURNING id`, string(raw), x.b.Start.Priority, code, x.now)
}

// stop orders the runs that go on to end.
func (x *advancing) stop(ctx context.Context, by string, next func() flow.ID) error {
	var items []flow.InboxItem
	for _, o := range x.b.Stops(x.going, by) {
		items = append(items, o.Item(next(), x.now))
	}
	_, err := x.putAll(ctx, x.q, items)
	return err
}
