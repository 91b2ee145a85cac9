// Ownership: parked instances are claimed, those of the dead taken over.

package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"baton/internal/flow"
)

const claimLimit = 500

// claimSQL takes what is due and what has news. SKIP LOCKED: claimers never wait for each other
// and never get the same row. A quarantined run (8) is left alone until a person says something:
// whatever else is news for it waits.
const claimSQL = `
	WITH due AS (
		SELECT id FROM (
			SELECT id FROM instance
			WHERE parked_until > 0 AND parked_until <= $2 AND engine <= $4
			ORDER BY parked_until LIMIT $3 FOR UPDATE SKIP LOCKED) AS woken
		UNION
		SELECT id FROM (
			SELECT i.id FROM instance i
			WHERE i.owner = 0 AND i.engine <= $4 AND i.id = ANY(ARRAY(SELECT instance_id FROM inbox WHERE state = 0))
				AND (i.state <> 8 OR EXISTS (SELECT 1 FROM inbox b WHERE b.instance_id = i.id AND b.state = 0 AND b.kind = 'verb'))
			ORDER BY i.id LIMIT $3 FOR UPDATE OF i SKIP LOCKED) AS addressed
	)
	UPDATE instance SET owner = $1, seq = seq + 1, takes = takes + 1
	WHERE id = ANY(ARRAY(SELECT id FROM due LIMIT $3))
		AND EXISTS (SELECT 1 FROM fence WHERE incarnation = $1 AND epoch = 1)
	RETURNING id`

// Claim makes owner the owner of parked instances that are due.
func (m *Master) Claim(ctx context.Context, owner int64, now flow.Time, n int) (ids []flow.ID, err error) {
	err = m.statement(ctx, forEngine, func(q querier) error {
		ids, err = all(ctx, m.DB, q, scanID, claimSQL, owner, now, min(n, claimLimit), flow.EngineVersion)
		return err
	})
	slices.Sort(ids)
	return ids, m.wrap("claim", err)
}

// Owned returns the instances an incarnation holds, page by page: what a claim whose answer was
// lost has taken is among them.
func (m *Master) Owned(ctx context.Context, owner int64, after flow.ID, n int) ([]flow.ID, error) {
	ids, err := all(ctx, m.DB, m.read(forEngine), scanID, `
		SELECT id FROM instance WHERE owner = $1 AND owner > 0 AND id > $2 ORDER BY id LIMIT $3`, owner, int64(after), n)
	return ids, m.wrap("read owned instances", err)
}

// NextWake returns the earliest wake of a parked instance.
func (m *Master) NextWake(ctx context.Context) (flow.Time, error) {
	ts, err := all(ctx, m.DB, m.read(forEngine), scalar[flow.Time], `
		SELECT parked_until FROM instance WHERE parked_until > 0 AND engine <= $1
		ORDER BY parked_until LIMIT 1`, flow.EngineVersion)
	if err != nil || len(ts) == 0 {
		return 0, m.wrap("next wake", err)
	}
	return ts[0], nil
}

// Waiting looks for everything a master polls for. Each part ends at the first row it finds.
func (m *Master) Waiting(ctx context.Context, owner int64) (flow.Waiting, error) {
	w, err := one(ctx, m.DB, m.read(forEngine), scanWaiting, `
		SELECT
			(SELECT id FROM command ORDER BY priority, id + 0 LIMIT 1) IS NOT NULL,
			(SELECT b.id FROM inbox b
				WHERE b.state = 0 AND (SELECT i.owner FROM instance i WHERE i.id = b.instance_id) = $1
				ORDER BY b.id LIMIT 1) IS NOT NULL,
			(SELECT b.id FROM inbox b
				WHERE b.state = 0 AND (
					SELECT CASE WHEN i.engine <= $2 AND (i.state <> 8 OR b.kind = 'verb') THEN i.owner ELSE -1 END
					FROM instance i WHERE i.id = b.instance_id) = 0
				ORDER BY b.id LIMIT 1) IS NOT NULL,
			COALESCE((SELECT parked_until FROM instance WHERE parked_until > 0 AND engine <= $2
				ORDER BY parked_until LIMIT 1), 0),
			(SELECT i.id FROM instance i WHERE i.state = 2 ORDER BY i.trigger, (0 + i.id) LIMIT 1) IS NOT NULL,
			(SELECT f.id FROM backfill f WHERE f.state <= 3 ORDER BY f.id LIMIT 1) IS NOT NULL,
			(SELECT id FROM pool_claim WHERE given_at = 0 ORDER BY project_id, pool, key LIMIT 1) IS NOT NULL,
			COALESCE((SELECT next_at FROM timing WHERE next_at > 0 ORDER BY next_at LIMIT 1), 0), baton_now(),
			(SELECT f.row_id FROM follow f LIMIT 1) IS NOT NULL,
			(SELECT k.trigger_id FROM trigger_mark k WHERE k.fresh ORDER BY k.trigger_id LIMIT 1) IS NOT NULL,
			(SELECT o.trigger_id FROM trigger_outside o LIMIT 1) IS NOT NULL,
			`+drainedKeys, owner, flow.EngineVersion)
	return w, m.wrap("look what waits", err)
}

func scanWaiting(s scanner) (flow.Waiting, error) {
	var w flow.Waiting
	var draining string
	err := s.Scan(&w.Commands, &w.Inbox, &w.Addressed, &w.NextWake, &w.Queued, &w.Backfills, &w.Pooled, &w.NextFire, &w.Now, &w.Followed, &w.Marked, &w.Outside, &draining)
	w.Draining = drainedList(draining)
	return w, err
}

const takeOverSQL = `
	WITH left_behind AS (
		SELECT id FROM instance
		WHERE owner = $2 AND owner > 0 AND takes = $4 AND engine <= $5
			AND (SELECT epoch FROM fence WHERE incarnation = $2) > 1
			AND (SELECT epoch FROM fence WHERE incarnation = $1) = 1
		ORDER BY id LIMIT $3 FOR UPDATE
	)
	UPDATE instance SET owner = $1, seq = seq + 1, takes = takes + 1
	WHERE id = ANY(ARRAY(SELECT id FROM left_behind))
	RETURNING id`

// TakeOver hands instances of a fenced incarnation to owner: fenced first, for what a living one takes
// after that would be left behind. flow.ErrFenced: so is owner, which gets nothing. Those that were handed on too often are
// quarantined when all others are in hands, so that they are not the death of this owner too.
func (m *Master) TakeOver(ctx context.Context, owner, dead int64, now flow.Time, takes, n int) (ids []flow.ID, left int, err error) {
	n = min(n, claimLimit)
	err = m.statement(ctx, forEngine, func(q querier) error {
		ids, err = all(ctx, m.DB, q, scanID, takeOverSQL, owner, dead, n, takes, flow.EngineVersion)
		return err
	})
	slices.Sort(ids)
	if err == nil && len(ids) > 0 {
		err = m.handedOn(ctx, dead, len(ids))
	}
	if err != nil || len(ids) == n {
		return ids, takes, m.wrap("take over", err)
	}
	if alive, err := m.alive(ctx, []int64{owner}); err != nil || len(alive) == 0 {
		return ids, takes, m.wrap("take over", cmp.Or(err, flow.ErrFenced))
	}
	if left, err = m.leftBehind(ctx, dead, now); err != nil {
		return ids, takes, m.wrap("take over", err)
	}
	return ids, left, nil
}

// leftBehind returns the least takes of what a dead incarnation holds, -1 when nothing is left that this
// version can drive but what was quarantined.
func (m *Master) leftBehind(ctx context.Context, dead int64, now flow.Time) (int, error) {
	left, err := one(ctx, m.DB, m.read(forEngine), scalar[int], `
		SELECT COALESCE(min(takes), -1) FROM instance WHERE owner = $1 AND owner > 0 AND engine <= $2`, dead, flow.EngineVersion)
	if err != nil || left >= 0 && left < flow.MaxTakes {
		return left, err
	}
	if left >= flow.MaxTakes {
		if err := m.quarantineDeadly(ctx, dead, now); err != nil {
			return 0, err
		}
	}
	return -1, m.statement(ctx, forEngine, func(q querier) error {
		_, err := exec(ctx, m.DB, q, `
			UPDATE failover SET released_at = baton_now()
			WHERE incarnation = $1 AND released_at = 0
				AND NOT EXISTS (SELECT 1 FROM instance WHERE owner = $1 AND owner > 0)`, dead)
		return err
	})
}

func (m *Master) quarantineDeadly(ctx context.Context, dead int64, now flow.Time) error {
	for {
		ids, err := all(ctx, m.DB, m.read(forEngine), scanID, `
			SELECT id FROM instance WHERE owner = $1 AND owner > 0 AND takes >= $2 AND engine <= $3
			ORDER BY id LIMIT 100`, dead, flow.MaxTakes, flow.EngineVersion)
		if err != nil || len(ids) == 0 {
			return err
		}
		reason := fmt.Sprintf("%s: %d masters in a row ended while they drove this run, the last two while they did nothing else; `baton release` tries again, `baton stop` ends the run", flow.ReasonQuarantine, flow.MaxTakes)
		for _, id := range ids {
			if err := m.quarantine(ctx, dead, id, reason, now); err != nil {
				return err
			}
		}
	}
}
