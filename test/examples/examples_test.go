// Package examples runs every example end to end and looks at what it made: files and rows, not
// exit codes.
package examples

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"baton/internal/store/storetest/pgtest"
	"baton/test/harness"
)

func TestMain(m *testing.M) {
	os.Exit(harness.Main(func() int { return pgtest.Main(m) }))
}

// out is where the examples write, as their files say.
const out = "/tmp/baton-examples"

// scenarios are the examples; one that has none fails the test.
var scenarios = map[string]func(*testing.T, *world){
	"daily-etl":   dailyETL,
	"word-count":  wordCount,
	"booking":     booking,
	"http-health": httpHealth,
	"dates":       dates,
	"sql-report":  sqlReport,
	"timeouts":    timeouts,
	"payments":    payments,
	"access-log":  accessLog,
	"cleanup":     cleanup,
	"nightly":     nightly,
}

// world is a server with all examples applied, writing below out instead of /tmp.
type world struct {
	*harness.Server
	files string // a copy of examples/
	out   string
}

func TestExamples(t *testing.T) {
	t.Parallel()
	w := &world{Server: harness.Start(t), files: t.TempDir(), out: t.TempDir()}
	names := w.copy(t)
	for name := range scenarios {
		if !slices.Contains(names, name) {
			t.Errorf("there is no example %s", name)
		}
	}
	args := []string{"apply"}
	for _, name := range names {
		args = append(args, "-f", filepath.Join(w.files, name, "workflow.yaml"))
	}
	if first := w.Must(t, args...); strings.Contains(first, "unchanged") {
		t.Errorf("the first apply:\n%s", first)
	}
	for line := range strings.Lines(w.Must(t, args...)) {
		if !strings.HasSuffix(strings.TrimSpace(line), "unchanged") {
			t.Errorf("applied again: %s", line)
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, ok := scenarios[name]
			if !ok {
				t.Fatal("this example has no test")
			}
			run(t, w)
		})
	}
}

// copy writes the examples with another place for what they make, and returns their names.
func (w *world) copy(t *testing.T) []string {
	t.Helper()
	root := filepath.Join(harness.Root(), "examples")
	var names []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if filepath.Base(path) == "workflow.yaml" {
			names = append(names, filepath.Dir(rel))
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		to := filepath.Join(w.files, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, []byte(strings.ReplaceAll(string(raw), out, w.out)), info.Mode())
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// run runs an example to the state that is expected.
func (w *world) run(t *testing.T, name, state string, args ...string) harness.Instance {
	t.Helper()
	run := w.Run(t, "examples/"+name, args...)
	if run.State != state {
		for _, row := range run.Tasks {
			if row.State == "failed" {
				t.Logf("log of %s:\n%s", row.Name, w.Logs(t, run.ID, row.Name))
			}
		}
		t.Fatalf("the run is %s, not %s: %v", run.State, state, run.States())
	}
	return run
}

func (w *world) read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.out, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// query returns the rows of a SQLite file as text, columns separated by |.
func (w *world) query(t *testing.T, file, query string) string {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.out, file))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return rowsOf(t, db, query)
}

func rowsOf(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = fmt.Sprint(v)
		}
		lines = append(lines, strings.Join(texts, "|"))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

func output(t *testing.T, run harness.Instance, name string) string {
	t.Helper()
	return harness.Task{Outputs: run.Outputs}.Output(name)
}

func dailyETL(t *testing.T, w *world) {
	good := w.run(t, "daily-etl", "succeeded", "--data-time", "2026-03-02")
	if s := good.States(); s["report"] != "succeeded" || s["set-aside"] != "skipped" || s["nothing"] != "skipped" {
		t.Errorf("a good day: %v", s)
	}
	again := w.run(t, "daily-etl", "succeeded", "--data-time", "2026-03-02")
	bad := w.run(t, "daily-etl", "succeeded", "--data-time", "2026-03-03")
	if s := bad.States(); s["set-aside"] != "succeeded" || s["report"] != "skipped" {
		t.Errorf("a bad day: %v", s)
	}
	none := w.run(t, "daily-etl", "succeeded", "--data-time", "2020-01-01")
	if s := none.States(); s["nothing"] != "succeeded" || s["report"] != "skipped" {
		t.Errorf("a day without orders: %v", s)
	}
	same(t, "orders", w.query(t, "daily-etl/shop.db", "select day, count(*) from orders group by day"), "2026-03-01|62")
	same(t, "days set aside", w.query(t, "daily-etl/shop.db", "select * from set_aside"), "2026-03-02|19")
	revenue := w.query(t, "daily-etl/shop.db", "select round(sum(quantity * price), 2) from orders")
	same(t, "output revenue", output(t, again, "revenue"), revenue)
	report := strings.Split(strings.TrimSpace(strings.ReplaceAll(w.read(t, "daily-etl/report-2026-03-01.csv"), "\r", "")), "\n")
	if len(report) != 4 || report[0] != "region,orders,pieces,revenue" {
		t.Errorf("report: %q", report)
	}
}

func wordCount(t *testing.T, w *world) {
	run := w.run(t, "word-count", "succeeded")
	top := strings.Fields(w.read(t, "word-count/top.txt"))
	if len(top) != 10 || top[1] != "the" || output(t, run, "most") != "the" {
		t.Errorf("top words: %v, outputs %s", top, run.Outputs)
	}
	var sum int
	for _, book := range []string{"alice", "moby-dick", "two-cities"} {
		counts := harness.Decode[map[string]int](t, string(run.Task(t, book).Outputs["counts"]))
		for _, n := range counts {
			sum += n
		}
	}
	same(t, "words", output(t, run, "words"), fmt.Sprint(sum))
	total := run.Task(t, "total")
	for _, book := range []string{"alice", "moby-dick", "two-cities"} {
		if row := run.Task(t, book); row.EndedAt.After(*total.StartedAt) {
			t.Errorf("total began before %s ended", book)
		}
	}
}

func booking(t *testing.T, w *world) {
	run := w.run(t, "booking", "failed")
	same(t, "ledger", strings.ReplaceAll(w.read(t, "booking/ledger"), run.ID, "R"),
		"hotel booked by run R\nflight booked by run R\nflight cancelled by run R\nhotel cancelled by run R\n")
	if attempts := w.Attempts(t, run.ID, "flight"); len(attempts) != 2 || attempts[0].Cause != "exit:75" || attempts[1].State != "succeeded" || attempts[1].Token <= attempts[0].Token {
		t.Errorf("flight: %+v", attempts)
	}
	if attempts := w.Attempts(t, run.ID, "charge"); len(attempts) != 1 || attempts[0].Cause != "exit:1" {
		t.Errorf("charge is not tried again when the card is declined: %+v", attempts)
	}
	if s := run.States(); s["hotel:compensate"] != "succeeded" || s["flight:compensate"] != "succeeded" {
		t.Errorf("compensations: %v", s)
	}
	good := w.run(t, "booking", "succeeded", "-p", "card=good")
	if !strings.HasSuffix(w.read(t, "booking/ledger"), "card charged by run "+good.ID+"\n") {
		t.Errorf("ledger:\n%s", w.read(t, "booking/ledger"))
	}
}

func httpHealth(t *testing.T, w *world) {
	run := w.run(t, "http-health", "succeeded", "-p", "server="+w.URL)
	same(t, "answer", run.Task(t, "alive").Output("answer"), "ok")
	report := w.read(t, "http-health/report.txt")
	if !strings.HasPrefix(report, "healthy: "+w.URL+" (Baton") {
		t.Errorf("report: %q", report)
	}
	dead := w.run(t, "http-health", "succeeded", "-p", "server=http://127.0.0.1:1")
	if s := dead.States(); s["alive"] != "failed" || s["unhealthy"] != "succeeded" || s["healthy"] == "succeeded" {
		t.Errorf("a dead server: %v", s)
	}
	same(t, "report", w.read(t, "http-health/report.txt"), "UNHEALTHY: http://127.0.0.1:1\n")
}

func dates(t *testing.T, w *world) {
	run := w.run(t, "dates", "succeeded", "--data-time", "2024-03-01 00:30:00")
	type plan struct {
		Table, Yesterday string
		HourAgo          string `json:"hour_ago"`
		Partitions       []string
	}
	p := harness.Decode[plan](t, w.read(t, "dates/plan-2024-03-01.json"))
	if p.Table != "orders_202402" || p.Yesterday != "2024-02-29" || p.HourAgo != "2024022923" || len(p.Partitions) != 29 {
		t.Errorf("plan: %+v", p)
	}
	same(t, "output", output(t, run, "partitions"), "29")
	same(t, "log", w.Logs(t, run.ID, "show"), "drop table if exists orders_202402_old; -- planned on 2024/03/01\n")
}

func sqlReport(t *testing.T, w *world) {
	run := w.run(t, "sql-report", "succeeded")
	same(t, "outputs", output(t, run, "short")+" "+output(t, run, "pieces"), "3 174")
	order := w.read(t, "sql-report/order.md")
	want := "- [ ] Matcha 30g (M-30): 9 left\n- [ ] Teapot, cast iron (P-1): 3 left\n- [ ] Strainer; fine (S-2): 0 left\n"
	if !strings.HasSuffix(order, want) {
		t.Errorf("order.md:\n%s", order)
	}
	same(t, "booked", w.query(t, "sql-report/stock.db", "select run, fence from booked"), fmt.Sprintf("%s|%d", run.ID, run.Task(t, "delivery").Token))
	w.run(t, "sql-report", "succeeded")
	same(t, "after the second run", w.query(t, "sql-report/stock.db", "select count(*), (select count(*) from booked) from stock"), "5|2")
}

// The same file against PostgreSQL: only the data source differs, as its first lines say.
func TestSQLReportOnPostgres(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	source, err := json.Marshal(map[string]any{"kind": "DataSource", "project": "examples", "name": "stock", "type": "postgres", "dsn": u.String()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Server: harness.Start(t), files: t.TempDir(), out: t.TempDir()}
	w.copy(t)
	raw, err := os.ReadFile(filepath.Join(w.files, "sql-report", "workflow.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, workflow, found := strings.Cut(string(raw), "\n---\n")
	if !found {
		t.Fatal("the example has no data source of its own any more")
	}
	w.Apply(t, string(source)+"\n---\n"+workflow)
	run := w.run(t, "sql-report", "succeeded", "-p", "minimum=100")
	same(t, "outputs", output(t, run, "short")+" "+output(t, run, "pieces"), "4 174")
	if order := w.read(t, "sql-report/order.md"); !strings.Contains(order, "4 of the articles run short; 174 pieces") {
		t.Errorf("order.md:\n%s", order)
	}
}

func timeouts(t *testing.T, w *world) {
	run := w.run(t, "timeouts", "succeeded")
	same(t, "download", w.read(t, "timeouts/download.txt"), "contents from works.example\n")
	attempts := w.Attempts(t, run.ID, "download")
	if len(attempts) != 2 || attempts[0].Cause != "timeout" {
		t.Errorf("attempts: %+v", attempts)
	}
	if row := run.Task(t, "checksum"); row.State != "succeeded" || row.Attempt != 1 || row.Output("rounds") == "" {
		t.Errorf("checksum: %+v", row)
	}
	alerts := harness.Decode[harness.List[harness.Alert]](t, w.Must(t, "get", "alerts", "--instance", run.ID, "-o", "json")).Items
	if len(alerts) != 1 || alerts[0].Kind != "task_timeout" || alerts[0].Task != "checksum" {
		t.Errorf("alerts: %+v", alerts)
	}
}

func payments(t *testing.T, w *world) {
	run := w.run(t, "payments", "succeeded", "--key", "2026-03")
	ledger := "select count(*), sum(cents), min(token), max(token) from paid"
	want := fmt.Sprintf("8|%s|%d|%d", strings.ReplaceAll(output(t, run, "total"), ".", ""), run.Task(t, "pay").Token, run.Task(t, "pay").Token)
	same(t, "ledger", w.query(t, "payments/ledger.db", ledger), want)
	same(t, "fence", w.query(t, "payments/ledger.db", "select token from fence"), fmt.Sprint(run.Task(t, "audit").Token))
	if log := w.Logs(t, run.ID, "audit"); !strings.HasPrefix(log, "refused: token ") {
		t.Errorf("log of audit: %q", log)
	}
	if again := w.run(t, "payments", "succeeded", "--key", "2026-03"); again.ID != run.ID {
		t.Errorf("the same key made another run: %s, then %s", run.ID, again.ID)
	}
	same(t, "ledger after the second order", w.query(t, "payments/ledger.db", ledger), want)
}

func accessLog(t *testing.T, w *world) {
	run := w.run(t, "access-log", "succeeded")
	raw, err := os.ReadFile(filepath.Join(w.files, "access-log", "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	failures := 0
	for _, line := range lines {
		if fields := strings.Fields(line); fields[8] >= "500" {
			failures++
		}
	}
	same(t, "outputs", output(t, run, "requests")+" "+output(t, run, "failures"), fmt.Sprintf("%d %d", len(lines), failures))
	page := w.read(t, "access-log/page.md")
	if !strings.HasPrefix(page, fmt.Sprintf("%d of %d requests failed\n", failures, len(lines))) || !strings.Contains(page, "203.0.113.66") {
		t.Errorf("page:\n%s", page)
	}
	if n := strings.Count(w.read(t, "access-log/paths.txt"), "\n"); n != 3 {
		t.Errorf("%d paths, want 3", n)
	}
}

func nightly(t *testing.T, w *world) {
	w.run(t, "nightly", "succeeded", "--data-time", "2026-10-10")
	w.read(t, "nightly/settle-2026-10-09")
	var page struct {
		Items []struct {
			Name string `json:"name"`
			Next []struct {
				Time    string  `json:"time"`
				Skipped bool    `json:"skipped"`
				Reason  *string `json:"reason"`
			} `json:"next"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(w.Must(t, "get", "schedules", "examples/nightly", "--next", "300", "-o", "json")), &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Items) != 2 || page.Items[0].Name != "settle" {
		t.Fatalf("%+v", page)
	}
	for _, n := range page.Items[0].Next {
		if !strings.HasSuffix(n.Time, "T02:30:00+08:00") || n.Skipped != (n.Reason != nil) {
			t.Errorf("%+v", n)
		}
	}
	for _, n := range page.Items[1].Next {
		if n.Skipped {
			t.Errorf("a heartbeat has no calendar: %+v", n)
		}
	}
}

func cleanup(t *testing.T, w *world) {
	scratch := func() []string {
		found, err := filepath.Glob(filepath.Join(w.out, "cleanup", "scratch.*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	w.run(t, "cleanup", "succeeded")
	same(t, "published", w.read(t, "cleanup/published"), "1\n2\n3\n")
	broken := w.run(t, "cleanup", "failed", "-p", "rows=broken")
	if s := broken.States(); s["import"] != "failed" || s["clean"] != "succeeded" || s["publish"] != "" {
		t.Errorf("a broken import: %v", s)
	}
	if left := scratch(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
