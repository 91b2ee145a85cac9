// The plans of what gives turns.

package store_test

import (
	"maps"
	"testing"

	"baton/internal/flow"
	"baton/internal/store/storetest"
)

// To give turns reads the first that wait for a key and those that go on with it, beside any number that wait for
// another one or go on with others.
func TestTurnPlansPostgres(t *testing.T) {
	t.Parallel()
	db, seen := traced(t)
	storetest.NewWorld(t, db)
	const runs = `INSERT INTO instance (id, project_id, workflow_id, version, state, prior, seq, owner, engine, wake_at, run_times, dry_run, fail_fast,
			undo, warned, due, priority, data_time, zone, trigger, key, reason, spec, params, outputs, holds, parent_id, parent_row,
			submitted_at, started_at, ended_at, paused_at, paused_for, told_until, turn_key)
		SELECT `
	const rest = ` 0, 1, 0, 1, 0, 1, FALSE, FALSE, FALSE, FALSE, FALSE, 3, 1, '', 1 + g % 5, '', 'turn', '{}', '{}', '', '', 0, 0, 1, 0, 0, 0, 0, 0, `
	for _, text := range []string{
		"UPDATE workflow SET run_limit = 1, run_key = '${k}', rate_starts = 10, rate_per = 60000000",
		runs + "g, w.project_id, w.id, 1, 2, " + rest + "'a' FROM generate_series(1, 100000) g, workflow w",
		runs + "200000 + g, w.project_id, w.id, 1, 3, " + rest + "'k' || g FROM generate_series(1, 20000) g, workflow w",
		runs + "300000 + g, w.project_id, w.id, 1, 3, " + rest + "'a' FROM generate_series(1, 1) g, workflow w",
		runs + "400000 + g, w.project_id, w.id, 1, 2, " + rest + "'b' FROM generate_series(1, 1) g, workflow w",
		`INSERT INTO turn (workflow_id, key, given_at, instance_id, expires_at)
			SELECT w.id, 'a', g, 300001, 1000000 + g FROM generate_series(1, 20000) g, workflow w`,
	} {
		if err := db.WriterExec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	def, err := db.Workflow(t.Context(), "p", "w", 0)
	if err != nil {
		t.Fatal(err)
	}
	key := func(k string) []flow.TurnKey { return []flow.TurnKey{{Workflow: def.ID, Key: k}} }
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			if err := db.WriterExec(t.Context(), "ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		clear(seen.args)
		if got, err := db.Master().Admit(t.Context(), key("a"), flow.TurnKey{}); err != nil || got.Given > 0 {
			t.Fatal(got, err)
		}
		got, err := db.Master().Admit(t.Context(), nil, flow.TurnKey{})
		if want := map[bool]int{false: 1, true: 0}[analyzed]; err != nil || got.Given != want {
			t.Fatal(got, err)
		}
		if _, err := db.Turn(t.Context(), 100_000); err != nil {
			t.Fatal(err)
		}
		texts := maps.Clone(seen.args)
		for _, table := range []string{"instance", "turn"} {
			for plan, n := range rowsRead(t, db, texts, table) {
				if n > 250 {
					t.Errorf("analyzed: %t: %.0f rows of %s are read:\n%s", analyzed, n, table, plan)
				}
			}
		}
	}
}
