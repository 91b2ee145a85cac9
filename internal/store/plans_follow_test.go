// The plans of what follows and waits for a workflow.

package store_test

import (
	"fmt"
	"maps"
	"testing"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
	"baton/internal/store/storetest/pgtest"
)

// traced is a store on PostgreSQL whose statements are seen.
func traced(t *testing.T) (*store.DB, *statements) {
	t.Helper()
	seen := &statements{args: map[string][]any{}}
	db, err := store.OpenTraced(t.Context(), pgtest.New(t), seen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, seen
}

func written(t *testing.T, db *store.DB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := db.WriterExec(t.Context(), text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
}

// analyzedToo does something with the plans of a store without statistics, and of one that has them: they come later
// than the first rows.
func analyzedToo(t *testing.T, db *store.DB, do func(analyzed bool)) {
	t.Helper()
	do(false)
	written(t, db, "ANALYZE")
	do(true)
}

// An end reads those who follow it, beside any number who follow another task or another time.
func TestFollowPlansPostgres(t *testing.T) {
	t.Parallel()
	db, seen := traced(t)
	w := storetest.NewWorld(t, db)
	run := w.Run(0).Instance
	for _, text := range []string{
		"SELECT %d, g, 't', %d + g, %d + g + 1, g FROM generate_series(1, 20000) g",              // other times
		"SELECT %d, 20000 + g, 'u' || g, %d + g, %d + g + 1, g FROM generate_series(1, 20000) g", // of other tasks too
		"SELECT %d, 50000 + g, '', %d - g + 1, %d + g, g FROM generate_series(1, 3) g",           // its own
	} {
		written(t, db, "INSERT INTO follow (workflow_id, row_id, task, from_time, to_time, instance_id) "+fmt.Sprintf(text, run.Workflow, run.DataTime, run.DataTime))
	}
	analyzedToo(t, db, func(analyzed bool) {
		for _, task := range []string{"", "t"} {
			clear(seen.args)
			if told := w.Ends(run, task); told != (task == "") {
				t.Fatalf("task %q: told: %t", task, told)
			}
			// As it was, so that the statement does the same once more.
			written(t, db, fmt.Sprintf("UPDATE instance SET seq = %d WHERE id = %d", run.Seq, run.ID), "DELETE FROM task", "DELETE FROM inbox")
			looked := explained(t, db, maps.Clone(seen.args), "follow", func(text string, read float64, plan []byte) {
				if read > 10 {
					t.Errorf("analyzed: %t: %.0f of 40,003 followers are read:\n%s\n%s", analyzed, read, text, plan)
				}
			})
			if looked != 1 {
				t.Errorf("%d statements read followers", looked)
			}
		}
	})
}

// What waits to begin of a workflow is found beside any number that wait to begin of another.
func TestCommandPlansPostgres(t *testing.T) {
	t.Parallel()
	db, seen := traced(t)
	w := storetest.NewWorld(t, db)
	run := w.Run(0).Instance
	written(t, db, `INSERT INTO command (id, project_id, workflow_id, version, priority, key, start, zone, trigger, data_time, dry_run, submitted_at)
		SELECT g, 1, 999, 1, 3, '', '{}', '', 1, g, FALSE, g FROM generate_series(1, 50000) g`,
		fmt.Sprintf("UPDATE instance SET state = 2 WHERE id = %d", run.ID))
	analyzedToo(t, db, func(analyzed bool) {
		clear(seen.args)
		if _, err := db.Master().Admit(t.Context(), []flow.TurnKey{{Workflow: run.Workflow}}, flow.TurnKey{}); err != nil {
			t.Fatal(err)
		}
		written(t, db, "DELETE FROM inbox")
		if _, err := db.Master().Lookup(t.Context(), flow.Lookup{Instance: 1, Upstreams: []flow.Upstream{{Project: "p", Workflow: "w", Windows: []flow.Span{{From: 1, To: 2}}}}}); err != nil {
			t.Fatal(err)
		}
		n := explained(t, db, maps.Clone(seen.args), "command", func(text string, read float64, plan []byte) {
			if read > 10 {
				t.Errorf("analyzed: %t: %.0f of 50,000 commands of another workflow are read:\n%s\n%s", analyzed, read, text, plan)
			}
		})
		if n != 2 {
			t.Errorf("%d statements read commands", n)
		}
	})
}

// Which run ended last in a window is found without all runs ever.
func TestLatestEndPlansPostgres(t *testing.T) {
	t.Parallel()
	db, seen := traced(t)
	fill(t, db, "postgres", planRuns)
	written(t, db, "UPDATE instance SET workflow_id = (SELECT id FROM workflow WHERE name = 'w5'), project_id = (SELECT project_id FROM workflow WHERE name = 'w5')")
	window := flow.Span{From: storetest.Now.Add(-3600e9), To: storetest.Now}
	analyzedToo(t, db, func(analyzed bool) {
		clear(seen.args)
		found, err := db.Master().Lookup(t.Context(), flow.Lookup{Instance: 1, Upstreams: []flow.Upstream{{Project: "p2", Workflow: "w5", Match: flow.MatchLatestEnd, Windows: []flow.Span{window}}}})
		if err != nil || found.Upstreams[0].Workflow == 0 {
			t.Fatal(found, err)
		}
		n := explained(t, db, maps.Clone(seen.args), "instance", func(text string, read float64, plan []byte) {
			if read > 2000 {
				t.Errorf("analyzed: %t: %.0f of %d runs are read:\n%s\n%s", analyzed, read, planRuns, text, plan)
			}
		})
		if n == 0 {
			t.Error("no statement read runs")
		}
	})
}
