package store_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
)

// A history: schedules of 40 workflows in 4 projects, a run every half hour, one in 50 started by
// hand, one in 200 failed, data times a little before. One in ten is a backfill of a day 100 days
// before. One project and one workflow are rare.
const (
	every         = 30 * 60_000 // ms
	fillInstances = `
	INSERT INTO instance (
		id, project_id, workflow_id, version, state, prior, seq, owner, engine,
		wake_at, run_times, dry_run, fail_fast, undo, warned, due, priority,
		data_time, zone, trigger, key, reason, spec, params, outputs, holds, parent_id,
		parent_row, submitted_at, started_at, ended_at, paused_at, paused_for)
	SELECT ((%[2]d + n * %[3]d - 1735689600000) * 4194304) + 1, CASE WHEN n %% 5000 = 7 THEN 9 ELSE 1 + n %% 4 END, CASE WHEN n %% 5000 = 7 THEN 99 ELSE 1 + n %% 40 END, 1,
		CASE WHEN n %% 200 = 3 THEN 10 WHEN n %% 1000 = 4 THEN 9 ELSE 11 END, 0, 20, 0, 1,
		0, 1, FALSE, FALSE, FALSE, FALSE, FALSE, 3,
		(%[2]d + n * %[3]d) * 1000 - CASE WHEN n %% 10 = 9 THEN 8640000000000 ELSE 3600000000 END, 'UTC',
		CASE WHEN n %% 50 = 1 THEN 1 WHEN n %% 10 = 9 THEN 3 ELSE 2 END, '', '', '{}', '{"day":"2026-01-01"}', '', '', 0,
		0, (%[2]d + n * %[3]d) * 1000, 1, 1, 0, 0
	FROM %[1]s`
)

// listFilters are filters of every kind over a history of that many runs.
func listFilters(rows int) []flow.RunFilter {
	const hour = flow.Time(3600e6)
	at := storetest.Now - flow.Time(rows)*every*1000
	middle := at + flow.Time(rows/2)*every*1000
	return []flow.RunFilter{
		{},
		{Project: "p1"},
		{Project: "rare"},
		{Workflow: "w7", Project: "p3"},
		{Workflow: "w7"},
		{Workflow: "rare"},
		{Workflow: "twice"},
		{States: []flow.InstanceState{flow.InstanceFailed}},
		{States: []flow.InstanceState{flow.InstanceFailed, flow.InstanceStopped}, Project: "p1"},
		{States: []flow.InstanceState{flow.InstanceRunning}},
		{States: []flow.InstanceState{flow.InstancePaused}, Workflow: "w7"},
		{Trigger: flow.TriggerManual},
		{Trigger: flow.TriggerTrigger},
		{Trigger: flow.TriggerManual, Project: "p2", States: []flow.InstanceState{flow.InstanceFailed}},
		{Since: storetest.Now - hour, Project: "p1"},
		{Since: storetest.Now + hour},
		{Until: at + hour},
		{Since: middle, Until: middle + hour, States: []flow.InstanceState{flow.InstanceFailed}},
		{DataFrom: middle, DataTo: middle + 24*hour},
		{DataFrom: middle, DataTo: middle + 24*hour, Workflow: "w7"},
		{DataFrom: middle, DataTo: middle + 24*hour, Workflow: "twice"},
		{DataFrom: middle, DataTo: middle + 24*hour, Trigger: flow.TriggerBackfill},
		{DataFrom: middle, DataTo: middle + 24*hour, Trigger: flow.TriggerTrigger, Workflow: "w8"},
		{DataFrom: at, DataTo: at + 24*hour, Project: "p1"},
		{DataFrom: middle, DataTo: middle + 720*hour},
		{DataFrom: middle, DataTo: middle + 720*hour, Project: "p1"},
		{DataFrom: middle, DataTo: middle + 720*hour, Project: "rare"},
		{DataFrom: middle, DataTo: middle + 720*hour, States: []flow.InstanceState{flow.InstanceSucceeded}},
		{DataFrom: middle, DataTo: middle + 720*hour, States: []flow.InstanceState{flow.InstanceFailed}, Project: "p1"},
		{DataFrom: middle, Workflow: "w7"},
		{DataFrom: middle},
		{DataFrom: storetest.Now - 720*hour, Trigger: flow.TriggerBackfill}, // none
		{DataTo: at + 24*hour},
		{DataTo: at + 24*hour, Workflow: "w9"},
		{DataTo: at + 24*hour, Cursor: store.FirstID(middle)},
		{DataFrom: middle, Since: middle, Until: middle + 48*hour},
	}
}

// BenchmarkLists shows the slowest first page of filters beside a long history, BATON_BENCH_RUNS
// runs of it (200,000 unless said).
func BenchmarkLists(b *testing.B) {
	rows, _ := strconv.Atoi(os.Getenv("BATON_BENCH_RUNS"))
	if rows == 0 {
		rows = 200_000
	}
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			db := kind.open(b)
			fill(b, db, kind.name, rows)
			for _, f := range listFilters(rows) {
				f.Limit = 50
				name := strings.NewReplacer("{", "", "}", "", " ", ",").Replace(fmt.Sprintf("%+v", f))
				b.Run(name, func(b *testing.B) {
					var worst time.Duration
					for range b.N {
						begun := time.Now()
						if _, err := db.Instances(b.Context(), f); err != nil {
							b.Fatal(err)
						}
						worst = max(worst, time.Since(begun))
					}
					b.ReportMetric(float64(worst.Microseconds()), "worst-us")
				})
			}
		})
	}
}

// fill writes a history that ends now.
func fill(t testing.TB, db *store.DB, kind string, rows int) {
	t.Helper()
	var docs []flow.Document
	for n := 1; n <= 40; n++ {
		docs = append(docs, flow.Document{Workflow: &flow.Workflow{Project: fmt.Sprint("p", 1+n%4), Name: fmt.Sprint("w", n)}})
	}
	for n := 1; n <= 2; n++ {
		docs = append(docs, flow.Document{Workflow: &flow.Workflow{Project: fmt.Sprint("p", n), Name: "twice"}})
	}
	if _, err := db.Apply(t.Context(), docs, storetest.Now); err != nil {
		t.Fatal(err)
	}
	series := fmt.Sprintf("generate_series(1::bigint, %d) AS n", rows)
	if kind == "sqlite" {
		series = fmt.Sprintf("(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d) SELECT n FROM c)", rows)
	}
	for _, text := range []string{
		"INSERT INTO project (id, name) VALUES (9, 'rare')",
		"INSERT INTO workflow (id, project_id, name, version) VALUES (99, 9, 'rare', 1)",
		fmt.Sprintf(fillInstances, series, storetest.Now.Std().UnixMilli()-int64(rows)*every, every),
	} {
		if err := db.WriterExec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
}
