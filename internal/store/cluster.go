// Several masters: who else there is, who was declared dead, and whose work is handed to whom.

package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"baton/internal/flow"
)

// Peers returns the other masters that are not done with: those that may commit, and dead ones that
// own something still which this version can drive. What a dead one owns is looked at each time: a row
// may come to it after all others were handed on, by a claim or a handing out that was under way, or
// from a registry that shows it for longer than it lives. (No column says that a dead one is done with;
// fence.released is not used any more.)
func (m *Master) Peers(ctx context.Context, me int64) ([]flow.Peer, error) {
	out, err := all(ctx, m.DB, m.read(forEngine), func(s scanner) (p flow.Peer, err error) {
		return p, s.Scan(&p.Incarnation, &p.Name, &p.Address, &p.Fenced, &p.Stale, &p.Owns)
	}, `
		SELECT n.incarnation, n.name, n.address, f.epoch > 1, n.lease_until <= baton_now(), `+ownsDrivable+` IS NOT NULL
		FROM node n JOIN fence f ON f.incarnation = n.incarnation
		WHERE n.incarnation <> $1 AND n.role IN ('master', 'standalone')
			AND (f.epoch = 1 OR `+ownsDrivable+` IS NOT NULL)
		ORDER BY n.incarnation`, me, flow.EngineVersion)
	return out, m.wrap("read the other masters", err)
}

// Condemn fences a dead incarnation and records who declared it so, and why. The first to do it
// wins; the others learn that it was done.
func (m *Master) Condemn(ctx context.Context, dead, witness int64, why string) (bool, error) {
	won, err := m.raise(ctx, dead)
	if err != nil || !won {
		return won, m.wrap("fence", err)
	}
	return true, m.wrap("record a failover", m.record(ctx, dead, witness, why))
}

// record notes a failover. It is history: what is not recorded happened all the same. Who owns no runs, as
// no worker does, has nothing left to hand on. An api has no work at all, and dies unsung.
func (m *Master) record(ctx context.Context, dead, witness int64, why string) error {
	return m.statement(ctx, forEngine, func(q querier) error {
		_, err := exec(ctx, m.DB, q, `
			INSERT INTO failover (incarnation, role, name, witness, reason, fenced_at, released_at)
			SELECT n.incarnation, n.role, n.name, $2, $3, baton_now(), CASE WHEN `+ownsSomething+` IS NULL THEN baton_now() ELSE 0 END
			FROM node n WHERE n.incarnation = $1 AND n.role <> 'api'
			ON CONFLICT (incarnation) DO NOTHING`, dead, witness, flow.Text(why, flow.MaxReason))
		return err
	})
}

// alive returns those of masters that may commit. One may be fenced a moment later: what it was given
// then is found by Peers.
func (m *Master) alive(ctx context.Context, masters []int64) ([]int64, error) {
	return all(ctx, m.DB, m.read(forEngine), scalar[int64], `
		SELECT incarnation FROM fence WHERE incarnation IN (`+list(masters)+`) AND epoch = 1 ORDER BY incarnation`)
}

// list is numbers of ours for an IN.
func list(numbers []int64) string {
	texts := make([]string, 0, len(numbers))
	for _, n := range numbers {
		texts = append(texts, strconv.FormatInt(n, 10))
	}
	return strings.Join(texts, ", ")
}

// HandOut gives up to n instances of a fenced incarnation that were never taken without a commit to those
// of its heirs that may commit, each to the one whose slot it is. It returns those of me, which is one of
// them, and how many the others got. flow.ErrFenced: me is not alive.
func (m *Master) HandOut(ctx context.Context, me, dead int64, heirs []int64, n int) (mine []flow.ID, others int, err error) {
	type handed struct {
		id    flow.ID
		owner int64
	}
	if heirs, err = m.alive(ctx, heirs); err != nil {
		return nil, 0, m.wrap("hand out", err)
	}
	if !slices.Contains(heirs, me) {
		return nil, 0, m.wrap("hand out", flow.ErrFenced)
	}
	var rows []handed
	err = m.statement(ctx, forEngine, func(q querier) error {
		rows, err = all(ctx, m.DB, q, func(s scanner) (h handed, err error) { return h, s.Scan(&h.id, &h.owner) }, `
			WITH left_behind AS (
				SELECT id FROM instance
				WHERE owner = $1 AND owner > 0 AND takes = 0 AND engine <= $3
					AND (SELECT epoch FROM fence WHERE incarnation = $1) > 1
				ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
			)
			UPDATE instance SET owner = `+heirOf(heirs)+`, seq = seq + 1, takes = takes + 1
			WHERE id = ANY(ARRAY(SELECT id FROM left_behind))
			RETURNING id, owner`, dead, min(n, claimLimit), flow.EngineVersion)
		return err
	})
	for _, h := range rows {
		if h.owner == me {
			mine = append(mine, h.id)
		} else {
			others++
		}
	}
	slices.Sort(mine)
	if err == nil && len(rows) > 0 {
		err = m.handedOn(ctx, dead, len(rows))
	}
	return mine, others, m.wrap("hand out", err)
}

// handedOn counts what was handed on of a dead incarnation, for people.
func (m *Master) handedOn(ctx context.Context, dead int64, n int) error {
	return m.statement(ctx, forEngine, func(q querier) error {
		_, err := exec(ctx, m.DB, q, "UPDATE failover SET instances = instances + $2, released_at = 0 WHERE incarnation = $1", dead, n)
		return err
	})
}

// heirOf is the expression for the heir of the instance id. The heirs are numbers of ours.
func heirOf(heirs []int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CASE "+flow.SlotSQL, len(heirs))
	for i, h := range heirs {
		fmt.Fprintf(&b, " WHEN %d THEN %d", i, h)
	}
	b.WriteString(" END")
	return b.String()
}

// EndSession declares a worker's session lost if nobody renewed its lease in time, by the clock of
// the store: it is fenced, so that it cannot be renewed any more. over tells whether it is lost,
// whoever declared it; if it is not, left is when its lease will be over unless it is renewed.
//
// What is asked now may reach the store much later, through a network that was cut meanwhile, and then
// nobody expects it any more: so it counts for no longer than within from this call, by the clock of the
// store, which is read first.
func (m *Master) EndSession(ctx context.Context, session, witness int64, why string, within time.Duration) (over bool, left time.Duration, err error) {
	began := time.Now()
	now, err := one(ctx, m.DB, m.read(forEngine), scalar[int64], "SELECT baton_now()")
	if err != nil {
		return false, 0, m.wrap("end a session", err)
	}
	latest := now + (within - time.Since(began)).Microseconds()
	var ended int64
	err = m.statement(ctx, forEngine, func(q querier) error {
		ended, err = exec(ctx, m.DB, q, `
			UPDATE fence SET epoch = epoch + 1
			WHERE incarnation = $1 AND epoch = 1
				AND (SELECT lease_until FROM node WHERE incarnation = $1) <= baton_now() AND baton_now() <= $2`, session, latest)
		return err
	})
	if err != nil {
		return false, 0, m.wrap("end a session", err)
	}
	if ended == 1 {
		return true, 0, m.wrap("record a failover", m.record(ctx, session, witness, why))
	}
	lefts, err := all(ctx, m.DB, m.read(forEngine), scalar[int64], `
		SELECT n.lease_until - baton_now() FROM fence f JOIN node n ON n.incarnation = f.incarnation
		WHERE f.incarnation = $1 AND f.epoch = 1`, session)
	if err != nil || len(lefts) == 0 {
		return err == nil, 0, m.wrap("end a session", err)
	}
	return false, max(time.Duration(lefts[0])*time.Microsecond, 0), nil
}

// Failovers lists nodes that were declared dead, newest first.
func (db *DB) Failovers(ctx context.Context, limit int) ([]flow.Failover, error) {
	out, err := all(ctx, db, db.read(forAPI), func(s scanner) (f flow.Failover, err error) {
		return f, s.Scan(&f.Incarnation, &f.Role, &f.Name, &f.Witness, &f.WitnessName, &f.Reason, &f.Instances, &f.FencedAt, &f.ReleasedAt)
	}, `
		SELECT f.incarnation, f.role, f.name, f.witness, COALESCE(n.name, ''), f.reason, f.instances, f.fenced_at, f.released_at
		FROM failover f LEFT JOIN node n ON n.incarnation = f.witness
		ORDER BY f.fenced_at DESC LIMIT $1`, pageLimit(limit))
	return out, db.wrap("read failovers", err)
}
