// Slots: one transaction at a time gives those of a pool to the tasks that wait for them.

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"baton/internal/flow"
)

const (
	// slotsAtOnce bounds the claims that one decision gives slots to.
	slotsAtOnce = 100
	// poolsAtOnce bounds the keys that are looked at when none is named.
	poolsAtOnce = 50
)

// GiveSlots gives slots of pools that are free to those that wait for them. The lock on the pool makes one writer of
// all; commits, which claim and give back, do not take it. Who is given some finds it in its inbox, once. With no key
// named, those are looked at that something waits for, some at a time, after one: then also what holds slots and has no
// attempt any more is found, which no master leaves behind.
func (m *Master) GiveSlots(ctx context.Context, keys []flow.PoolKey, after flow.PoolKey) (out flow.SlotsGiven, err error) {
	sweep := len(keys) == 0
	if sweep {
		if keys, err = m.waitedFor(ctx, after); err != nil {
			return out, m.wrap("look for slots", err)
		}
		if len(keys) == poolsAtOnce {
			out.Next = keys[len(keys)-1]
		}
	}
	out.Again, err = apart(ctx, m, keys, flow.PoolKey.Named, func(q querier, k flow.PoolKey) ([]flow.Claim, error) {
		return m.giveSlots(ctx, q, k, sweep)
	}, func(_ flow.PoolKey, given []flow.Claim) (more bool) {
		for _, c := range given {
			out.Runs = append(out.Runs, c.Instance)
		}
		return len(given) >= slotsAtOnce
	})
	return out, m.wrap("give slots", err)
}

// waitedFor finds what is waited for after a key: one step along the index for each.
func (m *Master) waitedFor(ctx context.Context, after flow.PoolKey) ([]flow.PoolKey, error) {
	var out []flow.PoolKey
	for len(out) < poolsAtOnce {
		next, err := one(ctx, m.DB, m.read(forEngine), func(s scanner) (k flow.PoolKey, err error) { return k, s.Scan(&k.Project, &k.Pool, &k.Key) }, `
			SELECT project_id, pool, key FROM pool_claim
			WHERE given_at = 0 AND (project_id, pool, key) > ($1, $2, $3) ORDER BY project_id, pool, key LIMIT 1`, after.Project, after.Pool, after.Key)
		if errors.Is(err, sql.ErrNoRows) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, next)
		after = next
	}
	return out, nil
}

const claimColumnsSQL = "c.id, c.instance_id, c.task_id, c.project_id, c.pool, c.key, c.slots, c.priority, c.created_at"

func scanClaim(s scanner) (flow.Claim, error) {
	var c flow.Claim
	err := s.Scan(claimFields(&c)...)
	return c, err
}

func claimFields(c *flow.Claim) []any {
	return []any{&c.ID, &c.Instance, &c.Task, &c.Project, &c.Pool, &c.Key, &c.Slots, &c.Priority, &c.At}
}

// giveSlots decides about one key. What is held is summed up when the lock on the pool is taken: who gave slots before
// has written that, and what is given back meanwhile only makes room.
func (m *Master) giveSlots(ctx context.Context, q querier, key flow.PoolKey, sweep bool) ([]flow.Claim, error) {
	var pool flow.Pool
	err := q.QueryRowContext(ctx, m.text("SELECT slots, closed FROM pool WHERE project_id = $1 AND name = $2 FOR UPDATE"), key.Project, key.Pool).Scan(&pool.Slots, &pool.Closed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // what waits for it says so
	}
	if err != nil || pool.Closed || pool.Slots == 0 {
		return nil, err
	}
	if sweep {
		if err := m.sweepSlots(ctx, q, key); err != nil {
			return nil, err
		}
	}
	waiting, err := all(ctx, m.DB, q, scanClaim, waitingClaimsSQL, key.Project, key.Pool, key.Key, pool.Slots, slotsAtOnce)
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	if waiting, err = m.wanted(ctx, q, waiting); err != nil {
		return nil, err
	}
	held, err := one(ctx, m.DB, q, scalar[int], "SELECT CAST(COALESCE(sum(slots), 0) AS BIGINT) FROM pool_claim WHERE project_id = $1 AND pool = $2 AND key = $3 AND given_at > 0",
		key.Project, key.Pool, key.Key)
	if err != nil {
		return nil, err
	}
	now, err := one(ctx, m.DB, q, scalar[flow.Time], "SELECT baton_now()")
	if err != nil {
		return nil, err
	}
	given := pool.Give(held, waiting, now)
	given = given[:min(len(given), slotsAtOnce)]
	if len(given) == 0 {
		return nil, nil
	}
	if _, err := exec(ctx, m.DB, q, "UPDATE pool_claim SET given_at = $2 WHERE id = ANY($1)", m.list(claimIDs(given)), now); err != nil {
		return nil, err
	}
	return given, m.tellSlots(ctx, q, given, now)
}

// waitingClaimsSQL reads those that wait for a key and could get slots, the first of each priority: what has waited
// long counts for more, and is the first of its own. A claim that is being withdrawn just now is passed over; nobody
// is waited for who may wait for this. What nobody drives (a quarantined run, 8) gets none.
var waitingClaimsSQL = func() string {
	var parts []string
	for p := flow.PriorityHighest; p <= flow.PriorityLowest; p++ {
		parts = append(parts, fmt.Sprintf(`SELECT * FROM (
			SELECT %s FROM pool_claim c
			WHERE c.project_id = $1 AND c.pool = $2 AND c.key = $3 AND c.given_at = 0 AND c.priority = %d AND c.slots <= $4
				AND COALESCE((SELECT i.state FROM instance i WHERE i.id = c.instance_id), 0) <> 8
			ORDER BY c.created_at, c.id LIMIT $5 FOR UPDATE OF c SKIP LOCKED) AS p%d`, claimColumnsSQL, p, p))
	}
	return strings.Join(parts, " UNION ALL ")
}()

// rowWants tells whether the row of a claim is still about it.
const rowWants = `COALESCE((SELECT t.claim = c.id AND t.valid AND t.state IN (2, 3, 4) FROM task t WHERE t.instance_id = c.instance_id AND t.id = c.task_id), FALSE)`

// wanted leaves those whose row still waits; what no row knows of is deleted, or it would hold its slots for ever.
func (m *Master) wanted(ctx context.Context, q querier, waiting []flow.Claim) ([]flow.Claim, error) {
	stale, err := all(ctx, m.DB, q, scanID, "SELECT c.id FROM pool_claim c WHERE c.id = ANY($1) AND NOT "+rowWants, m.list(claimIDs(waiting)))
	if err != nil || len(stale) == 0 {
		return waiting, err
	}
	if _, err := exec(ctx, m.DB, q, "DELETE FROM pool_claim WHERE id = ANY($1)", m.list(stale)); err != nil {
		return nil, err
	}
	gone := map[flow.ID]bool{}
	for _, id := range stale {
		gone[id] = true
	}
	var out []flow.Claim
	for _, c := range waiting {
		if !gone[c.ID] {
			out = append(out, c)
		}
	}
	return out, nil
}

// sweepSlots takes slots back from what has no attempt and will have none with them: rows that say nothing of the claim,
// and rows of quarantined runs (8) that were not sent to a worker yet, which claim anew when a person releases the run.
func (m *Master) sweepSlots(ctx context.Context, q querier, key flow.PoolKey) error {
	stale, err := all(ctx, m.DB, q, scanID, `
		SELECT c.id FROM pool_claim c
		WHERE c.project_id = $1 AND c.pool = $2 AND c.key = $3 AND c.given_at > 0 AND (NOT `+rowWants+`
			OR COALESCE((SELECT t.state FROM task t WHERE t.instance_id = c.instance_id AND t.id = c.task_id), 0) = 2
				AND COALESCE((SELECT i.state FROM instance i WHERE i.id = c.instance_id), 8) = 8)
		ORDER BY c.id LIMIT $4 FOR UPDATE OF c SKIP LOCKED`, key.Project, key.Pool, key.Key, claimLimit)
	if err != nil || len(stale) == 0 {
		return err
	}
	_, err = exec(ctx, m.DB, q, "DELETE FROM pool_claim WHERE id = ANY($1)", m.list(stale))
	return err
}

// tellSlots puts it into the inboxes.
func (m *Master) tellSlots(ctx context.Context, q querier, given []flow.Claim, now flow.Time) error {
	tokens, err := m.nextTokens(ctx, q, len(given))
	if err != nil {
		return err
	}
	items := make([]flow.InboxItem, len(given))
	for i, c := range given {
		items[i] = c.Item(storeID(now, tokens[i]), now)
	}
	_, err = m.putAll(ctx, q, items)
	return err
}

func claimIDs(claims []flow.Claim) []flow.ID {
	out := make([]flow.ID, len(claims))
	for i, c := range claims {
		out[i] = c.ID
	}
	return out
}
