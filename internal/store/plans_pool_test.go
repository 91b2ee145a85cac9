// The plans of what gives slots.

package store_test

import (
	"maps"
	"testing"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
)

// To give slots reads the first that wait and those that hold some, beside any number that wait.
func TestSlotPlansPostgres(t *testing.T) {
	t.Parallel()
	db, seen := traced(t)
	storetest.NewWorld(t, db)
	const many = 20_000
	for _, text := range []string{
		"INSERT INTO pool (project_id, name, body, slots, closed) SELECT id, 'dw', '{}', 2, FALSE FROM project",
		`INSERT INTO pool_claim (id, instance_id, task_id, project_id, pool, key, slots, priority, created_at, given_at)
			SELECT g, 1, g, p.id, 'dw', '', 1, 1 + g % 5, g, CASE WHEN g <= 2 THEN 1 ELSE 0 END FROM generate_series(1, 20000) g, project p`,
		`INSERT INTO pool_claim (id, instance_id, task_id, project_id, pool, key, slots, priority, created_at, given_at)
			SELECT 20000 + g, 1, 20000 + g, p.id, 'other', 'k' || g, 1, 3, g, 1 FROM generate_series(1, 20000) g, project p`,
		`INSERT INTO task (instance_id, id, name, type, state, valid, run_times, reason, next_check, held, kill, warned, compensates, eligible_at, started_at, ended_at,
				outputs, number, infra, token, session, worker, attempt_state, confirmed, ref, cause, class, exit_code, refused, granted_at, attempt_started_at, beat_at,
				attempt_ended_at, cpu_used, memory_peak, claim, given)
			SELECT 1, g, 't', 't', 2, TRUE, 1, 'pool', 0, FALSE, 0, 0, 0, 0, 0, 0, '', 0, 0, 0, 0, '', 0, FALSE, '', '', '', 0, FALSE, 0, 0, 0, 0, 0, 0, g, g <= 2 FROM generate_series(1, 20000) g`,
	} {
		if err := db.WriterExec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	project, err := db.Project(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			if err := db.WriterExec(t.Context(), "ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		clear(seen.args)
		got, err := db.Master().GiveSlots(t.Context(), []flow.PoolKey{{Project: project.ID, Pool: "dw"}}, flow.PoolKey{})
		if err != nil || len(got.Runs) > 0 {
			t.Fatal(got, err)
		}
		if _, err := db.Master().Waiting(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		looked := rowsRead(t, db, maps.Clone(seen.args), "pool_claim")
		for plan, n := range looked {
			if n > 1100 { // the first of each of five priorities, and each again by its id
				t.Errorf("analyzed: %t: %d wait, %.0f claims are read:\n%s", analyzed, many, n, plan)
			}
		}
		if len(looked) < 3 {
			t.Errorf("%d statements read claims", len(looked))
		}
	}
}

// rowsRead is how many rows of a table each statement that reads it has read, by its plan.
func rowsRead(t *testing.T, db *store.DB, seen map[string][]any, table string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	explained(t, db, seen, table, func(text string, read float64, plan []byte) { out[text+"\n"+string(plan)] = read })
	return out
}
