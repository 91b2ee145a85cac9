package store_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"baton/internal/store"
	"baton/internal/store/storetest"
)

const (
	planRuns = 30_000
	// mostRead is what one statement of a list may read of them: the entries that it may read without
	// asking (see fewInState), or a page of each stream.
	mostRead = 20_001
)

// Lists by data time show the same whichever way they go.
func TestListByDay(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			db := kind.open(t)
			db.ListByDay()
			storetest.Filters(t, db)
		})
	}
}

// planNode is a node of PostgreSQL's EXPLAIN.
type planNode struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Filtered float64 `json:"Rows Removed by Filter"`
	Checked  float64 `json:"Rows Removed by Index Recheck"`
	Loops    float64 `json:"Actual Loops"`
	Plans    []planNode
}

// read is how many rows of runs a plan has read, those in vain included.
func (n planNode) read() float64 {
	sum := 0.0
	if n.Relation == "instance" {
		sum = (n.Rows + n.Filtered + n.Checked) * n.Loops
	}
	for _, below := range n.Plans {
		sum += below.read()
	}
	return sum
}

func literal(v any) string {
	switch v := v.(type) {
	case []int64:
		return "'{" + strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ","), "[]") + "}'"
	case string:
		return "'" + v + "'"
	}
	return fmt.Sprint(v)
}

// A list reads a page beside any history, with the plan that PostgreSQL keeps for every filter of
// its form.
func TestListPlansPostgres(t *testing.T) {
	t.Parallel()
	db, seen := traced(t)
	fill(t, db, "postgres", planRuns)
	for _, analyzed := range []bool{false, true} { // autovacuum comes later than the first lists
		if analyzed {
			if err := db.WriterExec(t.Context(), "ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		known := map[string]bool{}
		for _, f := range listFilters(planRuns) {
			clear(seen.args)
			if _, err := db.Instances(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			texts := maps.Clone(seen.args)
			err := db.Keyed(t.Context(), func(c *pgx.Conn) error {
				for text, args := range texts {
					if known[text] || !strings.Contains(text, "instance") {
						continue
					}
					known[text] = true
					if _, err := c.Exec(t.Context(), "PREPARE list AS "+text, pgx.QueryExecModeSimpleProtocol); err != nil {
						return fmt.Errorf("%w\n%s", err, text)
					}
					var values []string
					for _, a := range args {
						values = append(values, literal(a))
					}
					call := "list"
					if len(values) > 0 {
						call += "(" + strings.Join(values, ", ") + ")"
					}
					var plan []byte
					if err := c.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE "+call, pgx.QueryExecModeSimpleProtocol).Scan(&plan); err != nil {
						return fmt.Errorf("%w\n%s", err, text)
					}
					if _, err := c.Exec(t.Context(), "DEALLOCATE list"); err != nil {
						return err
					}
					var explained []struct{ Plan planNode }
					if err := json.Unmarshal(plan, &explained); err != nil {
						return err
					}
					if n := explained[0].Plan.read(); n > mostRead {
						t.Errorf("%+v (analyzed: %t) reads %.0f rows:\n%s\n%s", f, analyzed, n, text, plan)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

var (
	// reading is a step of a plan of SQLite: how, of which table or what stands for it, by what.
	reading = regexp.MustCompile(`^(SCAN|SEARCH) (\S+)(?: USING (.*))?$`)
	ofRuns  = regexp.MustCompile(`INDEX (instance_\w+) \((.*)\)`)
	// listIndexes are how lists may use them: with a range of ids in one stream, for the next day
	// that has runs, and to count no more than a few.
	listIndexes = map[string]*regexp.Regexp{
		"instance_workflow":     regexp.MustCompile(`^workflow_id=\?( AND state=\?( AND <expr>=\?( AND <expr>>\? AND <expr><\?)?)?)?$`),
		"instance_project":      regexp.MustCompile(`^project_id=\?( AND state=\?( AND <expr>=\?( AND <expr>>\? AND <expr><\?)?)?)?$`),
		"instance_state":        regexp.MustCompile(`^state=\?( AND trigger=\?( AND <expr>>\? AND <expr><\?)?)?$`),
		"instance_day":          regexp.MustCompile(`^<expr>(=\? AND trigger=\? AND <expr>)?>\? AND <expr><\?$`),
		"instance_workflow_day": regexp.MustCompile(`^workflow_id=\?( AND <expr>(=\? AND <expr>)?>\? AND <expr><\?)?$`),
	}
)

// TestListPlansSQLite is the same where the plans are always made without statistics.
func TestListPlansSQLite(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	fill(t, db, "sqlite", 1000)
	known := map[string]bool{}
	for _, f := range listFilters(1000) {
		if _, err := db.Instances(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		for _, text := range db.SQLiteTexts() {
			if known[text] || !strings.Contains(text, "instance c") {
				continue
			}
			known[text] = true
			for _, line := range sqlitePlan(t, db, text) {
				if m := ofRuns.FindStringSubmatch(line); m != nil && (listIndexes[m[1]] == nil || !listIndexes[m[1]].MatchString(m[2])) {
					t.Errorf("%+v: %s in\n%s", f, line, text)
				}
			}
		}
	}
	if len(known) < 20 {
		t.Errorf("only %d statements were looked at", len(known))
	}
}

// TestPlansOnSQLite: no statement reads all of a table that grows with the history.
func TestPlansOnSQLite(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	w := storetest.NewWorld(t, db)
	w.Upkeep()
	w.Everything() // it ends with w fenced
	explained := 0
	for _, text := range db.SQLiteTexts() {
		sqlitePlan(t, db, text)
		explained++
	}
	if explained < 30 {
		t.Errorf("only %d statements were looked at", explained)
	}
}

var (
	parameter = regexp.MustCompile(`\$\d+`)
	// grows are the tables that grow with the history, and what stands for them in statements.
	grows = regexp.MustCompile(`(?:FROM|JOIN|UPDATE|INTO) (instance|task|attempt|inbox|alert|idempotency|backfill_item)(?: (?:AS )?([a-z]))?\b`)
)

// sqlitePlan explains a statement and complains of what reads a table or an index as a whole.
func sqlitePlan(t *testing.T, db *store.DB, text string) []string {
	t.Helper()
	for _, begin := range []string{"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA"} {
		if strings.HasPrefix(strings.TrimSpace(text), begin) {
			return nil
		}
	}
	text = strings.ReplaceAll(text, "baton_now()", "1")
	args := map[string]bool{}
	for _, p := range parameter.FindAllString(text, -1) {
		args[p] = true
	}
	plan, err := db.SQLitePlan(t.Context(), text, len(args))
	if err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	names := map[string]bool{}
	for _, m := range grows.FindAllStringSubmatch(text, -1) {
		names[m[1]], names[m[2]] = true, true
	}
	for _, line := range plan {
		m := reading.FindStringSubmatch(line)
		if m == nil || m[1] == "SEARCH" || !names[m[2]] {
			continue
		}
		if strings.Contains(m[3], "inbox_pending") || strings.Contains(text, "FROM "+m[2]+" ORDER BY id DESC LIMIT") {
			continue // what waits is few, and so is what a limit leaves of the primary key
		}
		t.Errorf("%s in\n%s\n%s", line, text, strings.Join(plan, "\n"))
	}
	return plan
}
