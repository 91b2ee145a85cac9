// Upkeep: old runs are deleted, and rows that nobody will look at again are counted.

package store

import (
	"context"

	"baton/internal/flow"
)

// Prune deletes ended runs in one short transaction. A run with an order waiting stays, and so
// does a child for as long as its parent may ask for it.
func (db *DB) Prune(ctx context.Context, before flow.Time, n int) (int, error) {
	var pruned int
	err := db.write(ctx, forAPI, func(q querier) error {
		ids, err := all(ctx, db, q, scanID, `
			SELECT i.id FROM instance i
			WHERE i.id < $3 AND i.state >= 9 AND i.owner = 0 AND i.ended_at < $1
				AND NOT EXISTS (SELECT 1 FROM inbox b WHERE b.instance_id = i.id AND b.state = 0)
				AND NOT EXISTS (SELECT 1 FROM instance p WHERE p.id = i.parent_id AND p.state < 9)
			ORDER BY i.id LIMIT $2 FOR UPDATE OF i SKIP LOCKED`, before, min(max(n, 0), claimLimit), firstID(before.Add(idSkew)))
		if err != nil {
			return err
		}
		pruned = len(ids)
		list := db.list(ids)
		for _, query := range []string{
			// A backfill tells how its dates ended, also when their runs are gone.
			`UPDATE backfill_item SET
				state = (SELECT i.state FROM instance i WHERE i.id = backfill_item.instance_id),
				reason = (SELECT i.reason FROM instance i WHERE i.id = backfill_item.instance_id)
				WHERE instance_id > 0 AND instance_id = ANY($1)`,
			`DELETE FROM idempotency WHERE (project_id, workflow_id, key) IN (
				SELECT i.project_id, i.workflow_id, i.key FROM instance i WHERE i.id = ANY($1) AND i.key <> '')
				AND instance_id = ANY($1)`,
			"DELETE FROM attempt WHERE instance_id = ANY($1)",
			"DELETE FROM task WHERE instance_id = ANY($1)",
			"DELETE FROM pool_claim WHERE instance_id = ANY($1)",
			"DELETE FROM inbox WHERE instance_id = ANY($1)",
			"DELETE FROM alert WHERE instance_id = ANY($1)",
			"DELETE FROM fire WHERE instance_id = ANY($1)",
			"DELETE FROM trigger_start WHERE instance_id > 0 AND instance_id = ANY($1)",
			"DELETE FROM follow WHERE instance_id = ANY($1)",
			"DELETE FROM instance WHERE id = ANY($1)",
		} {
			if _, err := exec(ctx, db, q, query, list); err != nil {
				return err
			}
		}
		// Of what was not fired no run tells.
		if _, err := exec(ctx, db, q, `
			DELETE FROM fire WHERE id IN (SELECT id FROM fire WHERE id < $1 AND instance_id = 0 ORDER BY id LIMIT $2)`,
			firstID(before.Add(-idSkew)), claimLimit); err != nil {
			return err
		}
		if _, err := exec(ctx, db, q, `
			DELETE FROM trigger_start WHERE id IN (SELECT id FROM trigger_start WHERE id < $1 AND instance_id = 0 ORDER BY id LIMIT $2)`,
			firstID(before.Add(-idSkew)), claimLimit); err != nil {
			return err
		}
		if err := db.pruneBackfill(ctx, q, before); err != nil {
			return err
		}
		// Of keys of which nothing has begun since: what begins does it for its own.
		if _, err := exec(ctx, db, q, `
			DELETE FROM turn WHERE (workflow_id, key, given_at, instance_id) IN (
				SELECT workflow_id, key, given_at, instance_id FROM turn WHERE expires_at < baton_now() ORDER BY expires_at LIMIT $1)`, claimLimit); err != nil {
			return err
		}
		_, err = exec(ctx, db, q, `
			DELETE FROM idempotency WHERE (project_id, workflow_id, key) IN (
				SELECT project_id, workflow_id, key FROM idempotency WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`,
			before, claimLimit)
		return err
	})
	if err != nil {
		return 0, db.wrap("prune", err)
	}
	return pruned, nil
}

// straySQL counts what nobody will ever look at again. Not counted are: what a master owns (its
// death is noticed by its lease), what waits for a person (paused, quarantined with
// its reason, a run that waits its turn, a task that is held or unknown), what a live attempt will end, a task
// that waits in the engine for a person or another run, and rows of runs that are over.
// CROSS JOIN: SQLite keeps the order. The other way round it reads every task there ever was.
const straySQL = `
	SELECT
		(SELECT count(*) FROM instance i
		 WHERE i.state < 9 AND i.owner = 0
			AND CASE i.state
				WHEN 5 THEN FALSE
				WHEN 2 THEN i.reason = '' -- its turn is looked for again and again
				WHEN 8 THEN i.reason = ''
				ELSE i.wake_at = 0 AND NOT EXISTS (
					SELECT 1 FROM task t
					WHERE t.instance_id = i.id AND t.valid AND (t.state = 6 OR t.state < 7 AND t.held OR t.state = 4 AND t.attempt_state = 0 AND t.reason <> '' AND NOT (` + overBelow + `)
						OR t.state = 2 AND t.claim > 0 AND NOT t.given)) END -- slots are looked for again and again
			AND NOT EXISTS (SELECT 1 FROM inbox b WHERE b.instance_id = i.id AND b.state = 0))
	+
		(SELECT count(*) FROM instance i CROSS JOIN task t
		 WHERE i.state < 9 AND i.state <> 8
			AND t.instance_id = i.id AND t.valid AND t.state < 7 AND t.state NOT IN (5, 6)
			AND t.reason = '' AND t.next_check = 0
			AND NOT (t.state IN (3, 4) AND t.attempt_state IN (1, 2, 3)))`

// overBelow: the run that a task waits for has ended, or is not there.
const overBelow = `t.type = '` + flow.TypeSubWorkflow + `' AND t.ref <> ''
	AND NOT EXISTS (SELECT 1 FROM instance c WHERE c.id = CAST(t.ref AS BIGINT) AND c.state < 9)
	AND NOT EXISTS (SELECT 1 FROM command c WHERE c.id = CAST(t.ref AS BIGINT))`

// Stray counts non-terminal rows that have neither a reason nor a next check.
func (db *DB) Stray(ctx context.Context) (int, error) {
	n, err := one(ctx, db, db.read(forAPI), scalar[int], straySQL)
	return n, db.wrap("count strays", err)
}
