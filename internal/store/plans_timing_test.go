// The plans of what looks at schedules that are due.

package store_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"baton/internal/store"
	"baton/internal/store/storetest"
	"baton/internal/store/storetest/pgtest"
)

// of is how many rows of a table a plan has read, those in vain included.
func (n planNode) of(table string) float64 {
	sum := 0.0
	if n.Relation == table {
		sum = (n.Rows + n.Filtered + n.Checked) * n.Loops
	}
	for _, below := range n.Plans {
		sum += below.of(table)
	}
	return sum
}

// rowsRead runs the statements that were seen and name a table once more, by the plan that PostgreSQL keeps for them,
// and returns how many rows of it each has read.
func rowsRead(t *testing.T, db *store.DB, seen map[string][]any, table string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	err := db.Keyed(t.Context(), func(c *pgx.Conn) error {
		for text, args := range seen {
			if !strings.Contains(text, table) {
				continue
			}
			if _, err := c.Exec(t.Context(), "PREPARE looked AS "+text, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("%w\n%s", err, text)
			}
			var values []string
			for _, a := range args {
				values = append(values, literal(a))
			}
			call := "looked"
			if len(values) > 0 {
				call += "(" + strings.Join(values, ", ") + ")"
			}
			var plan []byte
			if err := c.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE "+call, pgx.QueryExecModeSimpleProtocol).Scan(&plan); err != nil {
				return fmt.Errorf("%w\n%s", err, text)
			}
			if _, err := c.Exec(t.Context(), "DEALLOCATE looked"); err != nil {
				return err
			}
			var explained []struct{ Plan planNode }
			if err := json.Unmarshal(plan, &explained); err != nil {
				return err
			}
			out[text+"\n"+string(plan)] = explained[0].Plan.of(table)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// To look at what is due reads what is due, beside any number of schedules that are not.
func TestDuePlansPostgres(t *testing.T) {
	t.Parallel()
	seen := &statements{args: map[string][]any{}}
	db, err := store.OpenTraced(t.Context(), pgtest.New(t), seen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	storetest.NewWorld(t, db)
	const later = 20_000
	for _, text := range []string{
		"INSERT INTO schedule (project_id, workflow_id, name, position, body, revision, enabled) SELECT project_id, id, 'later' || g, g, '{}', 1, TRUE FROM generate_series(1, 20000) g, (SELECT * FROM workflow LIMIT 1) w",
		"INSERT INTO timing (schedule_id, revision, body, after_time, next_at) SELECT id, 1, '{}', 1, baton_now() + 3600000000 + id FROM schedule",
	} {
		if err := db.WriterExec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			if err := db.WriterExec(t.Context(), "ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		clear(seen.args)
		due, err := db.Master().Due(t.Context(), 1000, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if due.Next <= due.Now {
			t.Errorf("the next is due at %s, now is %s", due.Next, due.Now)
		}
		looked := rowsRead(t, db, maps.Clone(seen.args), "timing")
		for plan, n := range looked {
			if n > 100 {
				t.Errorf("analyzed: %t: none of %d is due, %.0f are read:\n%s", analyzed, later, n, plan)
			}
		}
		if len(looked) != 2 {
			t.Errorf("%d statements read timings, want 2", len(looked))
		}
	}
}
