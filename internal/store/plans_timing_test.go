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
)

// passes is how many rows of a table a plan has read, those in vain included.
func (n planNode) passes(table string) float64 {
	sum := 0.0
	if n.Relation == table && n.Type != "ModifyTable" {
		sum = (n.Rows + n.Filtered + n.Checked) * n.Loops
	}
	for _, below := range n.Plans {
		sum += below.passes(table)
	}
	return sum
}

// explained runs the statements that read a table once more, with the plans that PostgreSQL keeps, and tells of each how many rows
// of it were read. What they change is taken back. It returns how many there were.
func explained(t *testing.T, db *store.DB, texts map[string][]any, table string, tell func(text string, read float64, plan []byte)) int {
	t.Helper()
	looked := 0
	err := db.Hot(t.Context(), func(c *pgx.Conn) error {
		for text, args := range texts {
			if !strings.Contains(text, table) {
				continue
			}
			looked++
			if _, err := c.Exec(t.Context(), "BEGIN; PREPARE asked AS "+text, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("%w\n%s", err, text)
			}
			var values []string
			for _, a := range args {
				values = append(values, literal(a))
			}
			call := "asked"
			if len(values) > 0 {
				call += "(" + strings.Join(values, ", ") + ")"
			}
			var plan []byte
			if err := c.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE "+call, pgx.QueryExecModeSimpleProtocol).Scan(&plan); err != nil {
				return fmt.Errorf("%w\n%s", err, text)
			}
			if _, err := c.Exec(t.Context(), "ROLLBACK; DEALLOCATE asked", pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
			var nodes []struct{ Plan planNode }
			if err := json.Unmarshal(plan, &nodes); err != nil {
				return err
			}
			tell(text, nodes[0].Plan.passes(table), plan)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return looked
}

// To look at what is due reads what is due, beside any number of schedules that are not.
func TestDuePlansPostgres(t *testing.T) {
	t.Parallel()
	db, seen := traced(t)
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
		looked := explained(t, db, maps.Clone(seen.args), "timing", func(text string, read float64, plan []byte) {
			if read > 100 {
				t.Errorf("analyzed: %t: none of %d is due, %.0f are read:\n%s\n%s", analyzed, later, read, text, plan)
			}
		})
		if looked != 2 {
			t.Errorf("%d statements read timings, want 2", looked)
		}
	}
}

// A date of a long backfill begins without a look at those that are through, and those that are left.
func TestBackfillPlansPostgres(t *testing.T) {
	t.Parallel()
	db, seen := traced(t)
	w := storetest.NewWorld(t, db)
	w.LongBackfill(10_000)
	if err := db.WriterExec(t.Context(), "UPDATE backfill_item SET state = 11 WHERE state = 0 AND position <= 5000"); err != nil {
		t.Fatal(err)
	}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			if err := db.WriterExec(t.Context(), "ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		clear(seen.args)
		w.Advance()
		looked := explained(t, db, maps.Clone(seen.args), "backfill_item", func(text string, read float64, plan []byte) {
			if read > 20 {
				t.Errorf("analyzed: %t: %.0f rows are read:\n%s\n%s", analyzed, read, text, plan)
			}
		})
		if looked < 3 {
			t.Errorf("%d statements read dates", looked)
		}
	}
}
