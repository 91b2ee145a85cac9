package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
	"baton/internal/store/storetest/pgtest"
)

func connect(t *testing.T, dsn, name string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = name
	c, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// waitForLock returns when a backend with this name waits for a lock.
func waitForLock(t *testing.T, c *pgx.Conn, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := 0; n == 0; {
		err := c.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 AND wait_event_type = 'Lock'", name).Scan(&n)
		if err != nil {
			t.Fatalf("nobody waits for a lock: %v", err)
		}
	}
}

// A master that was frozen in the middle of a commit holds its fence row. Whoever fences it ends
// its backend and goes on.
func TestFenceEndsAFrozenMaster(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	w := storetest.NewWorld(t, open(t, dsn))
	ch := w.Run(1)
	frozen := connect(t, dsn, fmt.Sprint("baton/", w.Me))
	tx, err := frozen.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT epoch FROM fence WHERE incarnation = $1 FOR SHARE", w.Me); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE instance SET seq = seq + 1 WHERE id = $1", ch.Instance.ID); err != nil {
		t.Fatal(err)
	}
	survivor := open(t, dsn)
	heir := storetest.Join(t, survivor, "heir")
	begun := time.Now()
	won, err := survivor.Master().Fence(t.Context(), w.Me)
	if err != nil || !won {
		t.Fatal(won, err)
	}
	if d := time.Since(begun); d > 2*time.Second {
		t.Errorf("fencing took %s", d)
	}
	if err := tx.Commit(t.Context()); err == nil {
		t.Error("the frozen transaction was committed")
	}
	ids, _, err := survivor.Master().TakeOver(t.Context(), heir.Me, w.Me, storetest.Now, 0, 10)
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	if got := heir.Load(ids[0]).Instance.Seq; got != ch.Instance.Seq+1 {
		t.Errorf("seq %d: what was not committed counts", got)
	}
	_, err = w.Commit(storetest.Next(ch.Instance))
	if flow.CodeOf(err) == flow.CodeUnavailable { // its own idle connections were ended as well
		_, err = w.Commit(storetest.Next(ch.Instance))
	}
	if !errors.Is(err, flow.ErrFenced) {
		t.Errorf("commit of the fenced: %v", err)
	}
}

// Every database counts its incarnations from one, so a name says nothing beyond its database:
// fencing a master of one cluster ends nothing of another on the same server.
func TestFenceSparesOtherDatabases(t *testing.T) {
	t.Parallel()
	dsn, elsewhere := pgtest.New(t), pgtest.New(t)
	w := storetest.NewWorld(t, open(t, dsn))
	name := fmt.Sprint("baton/", w.Me)
	frozen := connect(t, dsn, name)
	tx, err := frozen.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT epoch FROM fence WHERE incarnation = $1 FOR SHARE", w.Me); err != nil {
		t.Fatal(err)
	}
	namesake := connect(t, elsewhere, name)
	work, err := namesake.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := work.Exec(t.Context(), "LOCK TABLE fence IN ROW SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	survivor := open(t, dsn)
	storetest.Join(t, survivor, "heir")
	if won, err := survivor.Master().Fence(t.Context(), w.Me); err != nil || !won {
		t.Fatal(won, err)
	}
	if err := tx.Commit(t.Context()); err == nil {
		t.Error("the frozen transaction was committed")
	}
	if err := work.Commit(t.Context()); err != nil {
		t.Errorf("a master of another database was cut off: %v", err)
	}
}

// A commit whose connection is lost in the middle is an error, whatever became of it; loading
// again tells.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	w := storetest.NewWorld(t, open(t, dsn))
	ch := w.Run(1)
	other := connect(t, dsn, "test")
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT 1 FROM instance WHERE id = $1 FOR UPDATE", ch.Instance.ID); err != nil {
		t.Fatal(err)
	}
	up := storetest.Next(ch.Instance)
	failed := make(chan error, 1)
	go func() {
		_, err := w.Commit(up)
		failed <- err
	}()
	name := fmt.Sprint("baton/", w.Me)
	waitForLock(t, other, name)
	if _, err := other.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1", name); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil || errors.Is(err, flow.ErrFenced) || flow.CodeOf(err) != flow.CodeUnavailable {
		t.Errorf("commit on a lost connection: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.Load(ch.Instance.ID).Instance.Seq; got != ch.Instance.Seq {
		t.Errorf("seq %d, want %d", got, ch.Instance.Seq)
	}
	if rs, err := w.Commit(up); err != nil || rs[0].Fate != flow.Committed {
		t.Errorf("again: %v %v", rs, err)
	}
}

// A commit that waits behind a fencer sees its epoch, and writes nothing.
func TestCommitBehindAFencer(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	w := storetest.NewWorld(t, open(t, dsn))
	ch := w.Run(1)
	fencer := connect(t, dsn, "test")
	tx, err := fencer.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE fence SET epoch = epoch + 1 WHERE incarnation = $1", w.Me); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := w.Commit(storetest.Next(ch.Instance))
		result <- err
	}()
	waitForLock(t, fencer, fmt.Sprint("baton/", w.Me))
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, flow.ErrFenced) {
		t.Errorf("commit behind a fencer: %v", err)
	}
	if got := w.Load(ch.Instance.ID).Instance.Seq; got != ch.Instance.Seq {
		t.Errorf("seq %d", got)
	}
}

// statements collects the texts that a store runs.
type statements struct {
	mu   sync.Mutex
	args map[string][]any
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.args[d.SQL] = d.Args
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

var (
	wholeTable = regexp.MustCompile(`Seq Scan on \w+|Hash Join|Merge Join`)
	indexNode  = regexp.MustCompile(`Index (?:Only )?Scan (?:Backward )?using (\w+)|Bitmap Index Scan on (\w+)`)
)

// wholeScan finds what reads a whole table, or a whole index: that is the same in disguise. A
// node and its fence are few, and so is what is owned and what waits.
func wholeScan(lines []string, leading map[string]string) string {
	if found := wholeTable.FindString(strings.Join(lines, "\n")); found != "" {
		return found
	}
	for n, line := range lines {
		m := indexNode.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		index := m[1] + m[2]
		if slices.Contains([]string{"command_turn", "inbox_pending", "instance_owner", "node_pkey", "node_home", "fence_pkey"}, index) {
			continue
		}
		// Read in order up to a limit: just the beginning of it.
		if n > 0 && strings.Contains(lines[n-1], "Limit") {
			continue
		}
		bounded := false
		for _, below := range lines[n+1:] {
			if strings.Contains(below, "->") || strings.HasPrefix(strings.TrimSpace(below), "CTE") {
				break
			}
			bounded = bounded || strings.Contains(below, "Index Cond") && strings.Contains(below, leading[index])
		}
		if !bounded {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// leadingColumns returns the first column of every index.
func leadingColumns(t *testing.T, c *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := c.Query(t.Context(), `
		SELECT x.relname, a.attname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]`)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var index, column string
	if _, err := pgx.ForEachRow(rows, []any{&index, &column}, func() error { out[index] = column; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// The plans of masters' statements, made on empty and analyzed tables, where a planner likes to
// read whole tables, use indexes all the same.
func TestPlansOnEmptyTables(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	seen := &statements{args: map[string][]any{}}
	db, err := store.OpenTraced(t.Context(), dsn, seen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := storetest.NewWorld(t, db)
	seen.args = map[string][]any{} // only what follows counts
	w.Everything()

	clean := connect(t, dsn, "test")
	if _, err := clean.Exec(t.Context(), "TRUNCATE instance, task, attempt, inbox, alert, command, node, fence, idempotency, backfill, backfill_item"); err != nil {
		t.Fatal(err)
	}
	if _, err := clean.Exec(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	leading, explained := leadingColumns(t, clean), 0
	texts := maps.Clone(seen.args) // explaining is seen too
	err = db.Hot(t.Context(), func(c *pgx.Conn) error {
		for text, args := range texts {
			if !strings.Contains(text, "instance") && !strings.Contains(text, "command") {
				continue
			}
			for kind, explain := range map[string]func() (pgx.Rows, error){
				"custom": func() (pgx.Rows, error) { return c.Query(t.Context(), "EXPLAIN "+text, args...) },
				"generic": func() (pgx.Rows, error) {
					if _, err := c.Exec(t.Context(), fmt.Sprintf("PREPARE plan%d AS %s", explained, text), pgx.QueryExecModeSimpleProtocol); err != nil {
						return nil, err
					}
					nulls := strings.TrimSuffix(strings.Repeat("NULL,", len(args)), ",")
					if len(args) > 0 {
						nulls = "(" + nulls + ")"
					}
					return c.Query(t.Context(), fmt.Sprintf("EXPLAIN EXECUTE plan%d%s", explained, nulls), pgx.QueryExecModeSimpleProtocol)
				},
			} {
				rows, err := explain()
				if err != nil {
					return fmt.Errorf("%w\n%s", err, text)
				}
				lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
				if err != nil {
					return fmt.Errorf("%w\n%s", err, text)
				}
				if found := wholeScan(lines, leading); found != "" {
					t.Errorf("%s in the %s plan of\n%s\n%s", found, kind, text, strings.Join(lines, "\n"))
				}
			}
			explained++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if explained < 15 {
		t.Errorf("only %d statements were looked at", explained)
	}
}
