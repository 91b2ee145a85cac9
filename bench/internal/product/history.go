// A store with a long history: runs that ended, written by SQL as copies of a real one.

package product

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// The history's workflows: each project has as many.
const (
	historyProjects = 4
	historyFlows    = 20
	historySteps    = 10
)

// ids are 41 bits of milliseconds since 2025, 10 of a node, 12 of a sequence.
const (
	idEpochMillis = 1735689600000
	idShift       = 22
	historyNode   = 1021 << 12 // no live node has this number
)

// History is what was written.
type History struct {
	Runs     int
	From, To time.Time // when the oldest and the newest run were submitted
	step     time.Duration
}

// Rows are those of runs and tasks.
func (h History) Rows() int { return h.Runs * (1 + historySteps) }

// At is when the run with a number was submitted.
func (h History) At(n int) time.Time { return h.From.Add(time.Duration(n) * h.step) }

// ID is the id of the run with a number.
func (h History) ID(n int) int64 {
	return (h.At(n).UnixMicro()/1000-idEpochMillis)<<idShift | historyNode
}

// Number is that of the run with an id.
func (h History) Number(id int64) int {
	at := time.UnixMilli(id>>idShift + idEpochMillis)
	return int((at.Sub(h.From) + h.step/2) / h.step)
}

// RunsBefore counts the runs submitted before a time.
func (h History) RunsBefore(t time.Time) int { return int((t.Sub(h.From) + h.step - 1) / h.step) }

func historyProject(k int) string { return fmt.Sprintf("project-%d", k%historyProjects) }
func historyFlow(k int) string    { return fmt.Sprintf("flow-%02d", k) }

// template makes the workflows of a history and one real run, whose rows are copied.
func template(ctx context.Context, binary, data, store string) error {
	s, err := Start(ctx, binary, data, store)
	if err != nil {
		return err
	}
	defer s.Stop()
	for k := range historyFlows {
		if err := s.Apply(ctx, historyProject(k), Chain(historyFlow(k), historySteps)); err != nil {
			return err
		}
	}
	if err := s.Apply(ctx, "default", Chain("template", historySteps)); err != nil {
		return err
	}
	_, err = s.Run(ctx, "template")
	return err
}

// Age writes a history of runs over the last 300 days into a new store, which no server uses
// meanwhile.
func Age(ctx context.Context, binary, data, store string, runs int) (h History, err error) {
	if err := template(ctx, binary, data, store); err != nil {
		return h, err
	}
	span := 300 * 24 * time.Hour
	h = History{Runs: runs, From: time.Now().Add(-span - time.Hour).Truncate(time.Second)}
	h.step = (span / time.Duration(runs)).Truncate(time.Millisecond)
	h.To = h.At(runs - 1)
	driver, name := "pgx", store
	if store == "" {
		driver, name = "sqlite", "file:"+filepath.Join(data, "baton.db")+"?_pragma=busy_timeout(5000)&_pragma=synchronous(OFF)&_pragma=cache_size(-200000)"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return h, fmt.Errorf("open the store: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	w := &historian{History: h, db: db, sqlite: store == ""}
	return h, w.write(ctx)
}

type historian struct {
	History
	db        *sql.DB
	sqlite    bool
	template  int64
	submitted int64
	tasks     []int64 // ids of the template's
}

func (w *historian) write(ctx context.Context) error {
	if err := w.learn(ctx); err != nil {
		return err
	}
	if _, err := w.db.ExecContext(ctx, "CREATE TABLE bench_flow AS SELECT row_number() OVER (ORDER BY id) - 1 AS k, id, project_id FROM workflow WHERE name LIKE 'flow-%'"); err != nil {
		return fmt.Errorf("number the workflows: %w", err)
	}
	instance, err := w.copy(ctx, "instance", "t.id = $1 AND f.k = g.n % "+fmt.Sprint(historyFlows), "CROSS JOIN bench_flow f", map[string]string{
		"id": w.id(), "workflow_id": "f.id", "project_id": "f.project_id",
		// One in a hundred failed, one in a thousand was stopped, whichever the workflow.
		"state":        "CASE WHEN (g.n * 7919) % 101 = 5 THEN 10 WHEN (g.n * 7919) % 1009 = 7 THEN 9 ELSE 11 END",
		"trigger":      "CASE WHEN g.n % 10 < 3 THEN 1 WHEN g.n % 10 < 9 THEN 2 WHEN g.n % 3 = 0 THEN 3 ELSE 4 END",
		"data_time":    w.at() + " - CASE WHEN g.n % 10 = 9 THEN 8640000000000 ELSE 86400000000 END", // backfills go back 100 days
		"submitted_at": w.moved("submitted_at"), "started_at": w.moved("started_at"), "ended_at": w.moved("ended_at"),
	})
	if err != nil {
		return err
	}
	number := "CASE t.id"
	for i, id := range w.tasks {
		number += fmt.Sprintf(" WHEN %d THEN %d", id, i+1)
	}
	overrides := map[string]string{"instance_id": w.id(), "id": w.id() + " + " + number + " END"}
	for _, c := range []string{"eligible_at", "started_at", "ended_at", "granted_at", "attempt_started_at", "beat_at", "attempt_ended_at"} {
		overrides[c] = w.moved(c)
	}
	task, err := w.copy(ctx, "task", "t.instance_id = $1", "", overrides)
	if err != nil {
		return err
	}
	indexes, err := w.dropIndexes(ctx)
	if err != nil {
		return err
	}
	if err := w.chunks(ctx, instance, task); err != nil {
		return err
	}
	after := append(indexes,
		"INSERT INTO alert (id, kind, project_id, instance_id, task, workflow, message, created_at) "+
			"SELECT i.id + 100, 'failed', i.project_id, i.id, '', w.name, 'the run failed', i.ended_at FROM instance i JOIN workflow w ON w.id = i.workflow_id WHERE i.state = 10",
		"DROP TABLE bench_flow",
	)
	if w.sqlite {
		after = append(after, "PRAGMA wal_checkpoint(TRUNCATE)")
	} else {
		// As autovacuum would have done over the months.
		after = append(after, "VACUUM ANALYZE instance", "VACUUM ANALYZE task", "VACUUM ANALYZE alert", "CHECKPOINT")
	}
	for _, q := range after {
		if _, err := w.db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("finish the history: %s: %w", q, err)
		}
	}
	return nil
}

// dropIndexes drops those of runs and returns how they are made again: to sort a million entries
// once takes a fraction of the time.
func (w *historian) dropIndexes(ctx context.Context) (again []string, err error) {
	query := "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = 'instance' AND indexname <> 'instance_pkey'"
	if w.sqlite {
		query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'instance' AND sql IS NOT NULL"
	}
	rows, err := w.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("indexes of runs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var names []string
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, fmt.Errorf("indexes of runs: %w", err)
		}
		names, again = append(names, name), append(again, text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("indexes of runs: %w", err)
	}
	for _, name := range names {
		if _, err := w.db.ExecContext(ctx, "DROP INDEX "+name); err != nil {
			return nil, fmt.Errorf("drop %s: %w", name, err)
		}
	}
	return again, nil
}

func (w *historian) learn(ctx context.Context) (err error) {
	if err := w.db.QueryRowContext(ctx, "SELECT id, submitted_at FROM instance ORDER BY id DESC LIMIT 1").Scan(&w.template, &w.submitted); err != nil {
		return fmt.Errorf("read the template: %w", err)
	}
	rows, err := w.db.QueryContext(ctx, "SELECT id FROM task WHERE instance_id = $1 ORDER BY id", w.template)
	if err != nil {
		return fmt.Errorf("read the template: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("read the template: %w", err)
		}
		w.tasks = append(w.tasks, id)
	}
	return rows.Err()
}

func (w *historian) at() string {
	return fmt.Sprintf("(%d + g.n * %d)", w.From.UnixMicro(), w.step.Microseconds())
}

func (w *historian) id() string {
	return fmt.Sprintf("((((%s / 1000) - %d) << %d) | %d)", w.at(), idEpochMillis, idShift, historyNode)
}

func (w *historian) moved(column string) string {
	return fmt.Sprintf("CASE WHEN t.%s = 0 THEN 0 ELSE t.%[1]s - %d + %s END", column, w.submitted, w.at())
}

// copy is the statement that copies the template's rows of a table for the numbers $2 to $3. All
// columns that have no other value here are the template's own, also those that are yet to come.
func (w *historian) copy(ctx context.Context, table, where, join string, overrides map[string]string) (_ string, err error) {
	query := "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 AND is_generated = 'NEVER' ORDER BY ordinal_position"
	if w.sqlite {
		query = "SELECT name FROM pragma_table_info($1)" // leaves generated columns out
	}
	rows, err := w.db.QueryContext(ctx, query, table)
	if err != nil {
		return "", fmt.Errorf("columns of %s: %w", table, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var columns, values []string
	for rows.Next() {
		var c string
		if err := rows.Scan(&c); err != nil {
			return "", fmt.Errorf("columns of %s: %w", table, err)
		}
		v, ok := overrides[c]
		if !ok {
			v = "t." + c
		}
		columns, values = append(columns, c), append(values, v)
	}
	for c := range overrides {
		if !slices.Contains(columns, c) {
			return "", fmt.Errorf("table %s has no column %s any more: adapt bench to the schema", table, c)
		}
	}
	return fmt.Sprintf(`INSERT INTO %[1]s (%[2]s)
		WITH RECURSIVE g(n) AS (SELECT CAST($2 AS bigint) UNION ALL SELECT n + 1 FROM g WHERE n < $3)
		SELECT %[3]s FROM g CROSS JOIN %[1]s t %[4]s WHERE %[5]s`, table, strings.Join(columns, ", "), strings.Join(values, ", "), join, where), rows.Err()
}

const chunk = 10_000 // runs a transaction

func (w *historian) chunks(ctx context.Context, statements ...string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	if w.sqlite {
		g.SetLimit(1)
		w.db.SetMaxOpenConns(1)
	}
	for from := 0; from < w.Runs; from += chunk {
		last := min(from+chunk, w.Runs) - 1
		g.Go(func() error {
			tx, err := w.db.BeginTx(ctx, nil)
			if err != nil {
				return fmt.Errorf("write history: %w", err)
			}
			for _, q := range statements {
				if _, err := tx.ExecContext(ctx, q, w.template, from, last); err != nil {
					return errors.Join(fmt.Errorf("write history: %w", err), tx.Rollback())
				}
			}
			return tx.Commit()
		})
	}
	return g.Wait()
}
