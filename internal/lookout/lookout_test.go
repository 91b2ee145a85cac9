package lookout_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"baton/internal/flow"
	"baton/internal/lookout"
	"baton/internal/lookout/files"
	"baton/internal/lookout/postgres"
	"baton/internal/store"
	"baton/internal/store/storetest/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// world is a store in which masters look out.
type world struct {
	t  *testing.T
	db *store.DB
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return worldOn(t, "sqlite:"+filepath.Join(t.TempDir(), "baton.db"))
}

func worldOn(t *testing.T, dsn string) *world {
	t.Helper()
	db, err := store.Open(t.Context(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t, db}
}

// master is one that looks out until it is stopped.
type master struct {
	incarnation int64
	hints       chan struct{}
	ordered     chan struct{}
	stop        func()
}

// faulty is a store that does not write what happened outside: from one time on, and so often.
type faulty struct {
	lookout.Store
	from, times int64
	asked       atomic.Int64
}

var errAway = errors.New("the store is away")

func (f *faulty) StartOutside(ctx context.Context, owner int64, d flow.OutsideDecision, now flow.Time) (bool, error) {
	if n := f.asked.Add(1); n >= f.from && n < f.from+f.times {
		return false, errAway
	}
	return f.Store.StartOutside(ctx, owner, d, now)
}

// master begins to look out as a new incarnation; the same home takes the place of the one before.
func (w *world) master(home string, dial lookout.Dial) *master {
	w.t.Helper()
	return w.masterBy(home, dial, w.db.Master())
}

func (w *world) masterBy(home string, dial lookout.Dial, by lookout.Store) *master {
	w.t.Helper()
	s := w.db.Master()
	lease, err := s.Register(w.t.Context(), flow.Node{Role: flow.RoleMaster, Name: home, Home: home, Engine: flow.EngineVersion})
	if err != nil {
		w.t.Fatal(err)
	}
	m := &master{incarnation: lease.Incarnation, hints: make(chan struct{}, 1), ordered: make(chan struct{}, 1)}
	l := lookout.New(lookout.Config{
		Owner: lease.Incarnation, Store: by, Dial: dial, Find: files.Find, Hints: m.hints, Log: slog.New(slog.DiscardHandler),
		Ordered: func() {
			select {
			case m.ordered <- struct{}{}:
			default:
			}
		},
	})
	ctx, cancel := context.WithCancel(w.t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		l.Run(ctx)
	}()
	m.stop = func() {
		cancel()
		<-over
	}
	w.t.Cleanup(m.stop)
	return m
}

func (m *master) hint() {
	select {
	case m.hints <- struct{}{}:
	default:
	}
}

func (w *world) apply(triggers ...flow.Trigger) {
	w.t.Helper()
	_, err := w.db.Apply(w.t.Context(), []flow.Document{{Workflow: &flow.Workflow{
		Project: "p", Name: "w", Tasks: []flow.Task{{Name: "a", Type: "noop"}}, Triggers: triggers,
	}}}, flow.At(time.Now()))
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) source(dsn string) {
	w.t.Helper()
	if _, err := w.db.Apply(w.t.Context(), []flow.Document{{DataSource: &flow.DataSource{Project: "p", Name: "dw", Type: "postgres", DSN: dsn}}}, flow.At(time.Now())); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for something to be so, and has the masters look what there is meanwhile.
func (w *world) until(what string, so func() bool, masters ...*master) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		for _, m := range masters {
			m.hint()
		}
		select {
		case <-tick.C:
		case <-w.t.Context().Done():
			w.t.Fatalf("%s: never; triggers %+v, starts %v", what, w.triggers(), w.starts())
		}
	}
}

// clockGoesOn waits until what was written is older than the clock of a file system may be behind.
func (w *world) clockGoesOn() {
	w.t.Helper()
	began := time.Now()
	w.until("the clock of the file system goes on", func() bool { return time.Since(began) > 100*time.Millisecond })
}

// starts are the causes of what became of events, the oldest first; of one that was skipped, in brackets.
func (w *world) starts() (out []string) {
	w.t.Helper()
	page, err := w.db.Starts(context.WithoutCancel(w.t.Context()), flow.StartFilter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range page.Items {
		cause := s.TriggerName + ": " + s.Cause
		if s.State == flow.StartSkipped {
			cause = "[" + cause + "]"
		}
		out = append([]string{cause}, out...)
	}
	return out
}

func (w *world) triggers() (out map[string]flow.TriggerRow) {
	w.t.Helper()
	page, err := w.db.Triggers(context.WithoutCancel(w.t.Context()), "p", "w", 100, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	out = map[string]flow.TriggerRow{}
	for _, r := range page.Items {
		out[r.Trigger.Name] = r
	}
	return out
}

func (w *world) looks(name string) func() bool {
	return func() bool { r := w.triggers()[name]; return r.LookedAt != 0 && r.Problem == "" }
}

func (w *world) problem(name, part string) func() bool {
	return func() bool { return strings.Contains(w.triggers()[name].Problem, part) }
}

func arrival(name, pattern string, settled time.Duration) flow.Trigger {
	s := flow.Duration(settled)
	return flow.Trigger{Name: name, File: &flow.Arrival{Path: pattern, Every: flow.Duration(10 * time.Millisecond), Settled: &s}}
}

// write makes a file at once, as those do who move it there.
func write(t *testing.T, path, text string) {
	t.Helper()
	part := filepath.Join(t.TempDir(), "part")
	if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(part, path); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// onBoth runs a test with each store.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, worldOn(t, pgtest.New(t)))
	})
}

// A file that comes starts a run once, whoever looks and however it came; one that was there before does not.
func TestFiles(t *testing.T) { onBoth(t, testFiles) }

func testFiles(t *testing.T, w *world) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "old.csv"), "x")
	before := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "old.csv"), before, before); err != nil {
		t.Fatal(err)
	}
	w.clockGoesOn()
	w.apply(arrival("came", filepath.Join(dir, "*.csv"), 0), arrival("deep", filepath.Join(dir, "**", "*.txt"), 0))
	m := w.master("one", nil)
	w.until("a first look", w.looks("came"), m)
	w.until("a first look", w.looks("deep"), m)
	before1 := "[came: 1 files were there before]"
	expect(t, w.starts(), before1)

	write(t, filepath.Join(dir, ".a"), "abc")
	if err := os.Chtimes(filepath.Join(dir, ".a"), before, before); err != nil { // as rsync leaves it
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, ".a"), filepath.Join(dir, "a.csv")); err != nil {
		t.Fatal(err)
	}
	a := "came: file " + filepath.Join(dir, "a.csv") + " (3 bytes)"
	w.until("a file", func() bool { return len(w.starts()) == 2 }, m)
	expect(t, w.starts(), before1, a)
	<-m.ordered
	if err := os.MkdirAll(filepath.Join(dir, "x", "y"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "x", "y", "b.txt"), "b")
	w.until("a file below", func() bool { return len(w.starts()) == 3 }, m)

	// Another master goes on, and counts what came meanwhile.
	m.stop()
	write(t, filepath.Join(dir, "c.csv"), "cc")
	if err := os.Remove(filepath.Join(dir, "a.csv")); err != nil {
		t.Fatal(err)
	}
	m = w.master("one", nil)
	w.until("what came while nobody looked", func() bool { return len(w.starts()) == 4 }, m)
	write(t, filepath.Join(dir, "a.csv"), "abcd")
	w.until("the same name again", func() bool { return len(w.starts()) == 5 }, m)
	expect(t, w.starts(), before1, a, "deep: file "+filepath.Join(dir, "x/y/b.txt")+" (1 bytes)",
		"came: file "+filepath.Join(dir, "c.csv")+" (2 bytes)", "came: file "+filepath.Join(dir, "a.csv")+" (4 bytes)")
}

// A file that is being written is not whole yet.
func TestFileSettles(t *testing.T) {
	t.Parallel()
	w, dir := newWorld(t), t.TempDir()
	w.apply(arrival("came", filepath.Join(dir, "*"), 400*time.Millisecond))
	m := w.master("one", nil)
	w.until("a first look", w.looks("came"), m)
	text := ""
	w.until("many writes", func() bool {
		text += "x"
		write(t, filepath.Join(dir, "a"), text)
		return len(text) > 60
	}, m)
	whole := "came: file " + filepath.Join(dir, "a") + " (" + strconv.Itoa(len(text)) + " bytes)"
	w.until("the whole file", func() bool { return slices.Contains(w.starts(), whole) }, m)
}

// Two masters that both believe that they look start one run of a file.
func TestTwoMasters(t *testing.T) { onBoth(t, testTwoMasters) }

func testTwoMasters(t *testing.T, w *world) {
	dir := t.TempDir()
	w.apply(arrival("came", filepath.Join(dir, "*"), 0))
	one, two := w.master("one", nil), w.master("two", nil)
	w.until("a first look", w.looks("came"), one, two)
	for i := range 5 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), "x")
		w.until("a file", func() bool { return len(w.starts()) == i+1 }, one, two)
	}
	// Whoever of them looks is fenced while it does not know.
	for _, m := range []*master{one, two} {
		if _, err := w.db.Master().Condemn(t.Context(), m.incarnation, m.incarnation, "test"); err != nil {
			t.Fatal(err)
		}
	}
	three := w.master("three", nil)
	for i := range 5 {
		write(t, filepath.Join(dir, fmt.Sprint("more", i)), "x")
		w.until("a file", func() bool { return len(w.starts()) == i+6 }, one, two, three)
	}
	if n := len(w.starts()); n != 10 {
		t.Errorf("%d starts of 10 files", n)
	}
}

// What cannot be looked at is told where people look, and is looked at when it can be.
func TestCannotLook(t *testing.T) {
	t.Parallel()
	w, dir := newWorld(t), t.TempDir()
	w.apply(arrival("came", filepath.Join(dir, "in", "*"), 0), notify("told", "orders", ""))
	m := w.master("one", postgres.Dial)
	w.until("a reason", w.problem("came", "in cannot be read on the master's host: no such file or directory"), m)
	w.until("a reason", w.problem("told", `its project has no data source "dw"; apply one`), m)
	w.source("postgres://127.0.0.1:1/none?connect_timeout=1")
	w.until("a reason", w.problem("told", "data source dw: failed to connect"), m)
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.until("a look", w.looks("came"), m)
	write(t, filepath.Join(dir, "in", "a"), "x")
	w.until("a file", func() bool { return len(w.starts()) == 1 }, m)
}

func notify(name, channel string, missed flow.MissedPolicy) flow.Trigger {
	return flow.Trigger{
		Name: name, Notify: &flow.Notify{DataSource: "dw", Channel: channel, Missed: missed},
		Params: []flow.Pair{{Name: "id", Value: `${{ payload?.id ?? "all" }}`}},
	}
}

func send(t *testing.T, dsn, channel, payload string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), "SELECT pg_notify($1, $2)", channel, payload); err != nil {
		t.Fatal(err)
	}
}

// Each notification starts a run of every trigger that listens, in the order in which they were sent.
func TestNotifications(t *testing.T) {
	t.Parallel()
	w, dsn := newWorld(t), pgtest.Empty(t)
	w.source(dsn)
	w.apply(notify("one", "Orders", ""), notify("two", "Orders", ""), notify("other", "stock", ""))
	m := w.master("one", postgres.Dial)
	for _, name := range []string{"one", "two", "other"} {
		w.until("somebody listens", w.looks(name), m)
	}
	const n = 120
	for i := range n {
		send(t, dsn, "Orders", fmt.Sprintf(`{"id": %d}`, i))
	}
	send(t, dsn, "orders", "nobody listens to that")
	send(t, dsn, "stock", `{"id": "x"}`)
	w.until("all", func() bool { return len(w.starts()) == 2*n+1 }, m)
	next := map[string]int{}
	for _, s := range w.starts() {
		name, cause, _ := strings.Cut(s, ": notification of process ")
		_, payload, _ := strings.Cut(cause, ": ")
		if want := fmt.Sprintf(`{"id": %d}`, next[name]); name != "other" && payload != want {
			t.Fatalf("%s, want %s", s, want)
		}
		next[name]++
	}
	page, err := w.db.Starts(t.Context(), flow.StartFilter{Trigger: "other"})
	if err != nil {
		t.Fatal(err)
	}
	run, err := w.db.Instance(t.Context(), page.Items[0].Instance)
	if err != nil {
		t.Fatal(err)
	}
	var start flow.Start
	if err := json.Unmarshal(run.Spec, &start); err != nil || start.Params["id"] != "x" {
		t.Errorf("%s, %v", run.Spec, err)
	}

	// One that is new listens, one that is gone does not, and what the others heard is not heard again.
	w.apply(notify("one", "Orders", ""), notify("late", "news", ""))
	w.until("somebody listens", w.looks("late"), m)
	for _, channel := range []string{"stock", "news", "Orders"} {
		send(t, dsn, channel, `{"id": "y"}`)
	}
	w.until("all", func() bool { return len(w.starts()) == 2*n+3 }, m)
}

// A time in which nobody listened is recorded, or made up for by one run: the database was away, or the master.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := pgtest.Start(t)
	w.source(server.DSN())
	w.apply(notify("plain", "orders", ""), notify("again", "orders", flow.MissedOnce))
	m := w.master("one", postgres.Dial)
	w.until("somebody listens", w.looks("plain"), m)
	w.until("somebody listens", w.looks("again"), m)
	send(t, server.DSN(), "orders", `{"id": 1}`)
	w.until("a run each", func() bool { return len(w.starts()) == 2 }, m)

	server.Kill(t)
	w.until("a reason", w.problem("plain", "data source dw"), m)
	server.Start(t)
	w.until("the gap", func() bool { return len(w.starts()) == 4 }, m)
	w.until("somebody listens", w.looks("plain"), m)

	m.stop()
	m = w.master("one", postgres.Dial)
	w.until("the gap", func() bool { return len(w.starts()) == 6 }, m)
	send(t, server.DSN(), "orders", `{"id": 2}`)
	w.until("a run each", func() bool { return len(w.starts()) == 8 }, m)
	count := map[string]int{}
	for _, s := range w.starts() {
		kind := s[:strings.Index(s, ": ")+2] + strings.Join(strings.Fields(s[strings.Index(s, ": ")+2:])[:2], " ")
		count[kind]++
	}
	want := map[string]int{"[plain: perhaps nobody": 2, "again: perhaps nobody": 2, "plain: notification of": 2, "again: notification of": 2}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("%v\n%s", count, strings.Join(w.starts(), "\n"))
	}
}

// Behind a pooler that pools transactions no notification comes: that is told, and not waited for.
func TestPooler(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source(pgtest.Pooled(t, pgtest.Empty(t)))
	w.apply(notify("told", "orders", ""))
	w.until("a reason", w.problem("told", "notifications do not come through: is there a pooler"), w.master("one", postgres.Dial))
}

// Whoever may not log in is told so, and the password nowhere.
func TestPassword(t *testing.T) {
	w, dsn := newWorld(t), pgtest.Empty(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User("stranger")
	t.Setenv("LOOKOUT_PASSWORD", "hunter2")
	for secret, want := range map[flow.Secret]string{
		{Env: "LOOKOUT_PASSWORD"}: `role "stranger" does not exist`,
		{Env: "LOOKOUT_NOTHING"}:  "the master has no environment variable LOOKOUT_NOTHING",
	} {
		_, err := w.db.Apply(t.Context(), []flow.Document{{DataSource: &flow.DataSource{Project: "p", Name: "dw", Type: "postgres", DSN: u.String(), Password: &secret}}}, flow.At(time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		w.apply(notify("told", "orders", ""))
		m := w.master("one", postgres.Dial)
		w.until("a reason", w.problem("told", want), m)
		if strings.Contains(w.triggers()["told"].Problem, "hunter2") {
			t.Error(w.triggers()["told"].Problem)
		}
		m.stop()
	}
}

// A master that dies within its first look of many files leaves it to the next one.
func TestFirstLookIsCutShort(t *testing.T) {
	t.Parallel()
	w, dir := newWorld(t), t.TempDir()
	for i := range 5_010 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.clockGoesOn()
	w.apply(arrival("came", filepath.Join(dir, "*"), 0))
	m := w.masterBy("one", nil, &faulty{Store: w.db.Master(), from: 2, times: 1})
	w.until("a first look", w.looks("came"), m)
	expect(t, w.starts(), "[came: 10 files were there before]")
}

// A pattern that finds a file in many ways finds it once.
func TestFoundInManyWays(t *testing.T) {
	t.Parallel()
	w, dir := newWorld(t), t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "x", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.apply(arrival("came", filepath.Join(dir, "**/x/**/*.csv"), 0))
	m := w.master("one", nil)
	w.until("a first look", w.looks("came"), m)
	write(t, filepath.Join(dir, "x", "x", "f.csv"), "f")
	write(t, filepath.Join(dir, "x", "g.csv"), "g")
	w.until("both", func() bool { return len(w.starts()) == 2 }, m)
}

// One thing that cannot be told of holds up nothing else.
func TestOneBadFile(t *testing.T) {
	t.Parallel()
	w, dir := newWorld(t), t.TempDir()
	w.apply(arrival("came", filepath.Join(dir, "*"), 0))
	m := w.master("one", nil)
	w.until("a first look", w.looks("came"), m)
	write(t, filepath.Join(dir, "bad\xff"), "x")
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "good"), "x")
	w.until("both", func() bool { return len(w.starts()) == 2 }, m)
	got := w.starts()
	slices.Sort(got)
	expect(t, got, "[came: file "+filepath.Join(dir, "bad\uFFFD")+" (1 bytes)]", "came: file "+filepath.Join(dir, "good")+" (1 bytes)")
}

// A trigger that comes to wait for something else begins anew: what was known of what it waited for before says nothing.
func TestOtherSource(t *testing.T) {
	t.Parallel()
	w, dir := newWorld(t), t.TempDir()
	for _, name := range []string{"a", "c"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "c", "old"), "x")
	w.clockGoesOn()
	w.apply(arrival("x", filepath.Join(dir, "a", "*"), 0))
	m := w.master("one", postgres.Dial)
	w.until("a look", w.looks("x"), m)
	w.apply(arrival("x", filepath.Join(dir, "b", "*"), 0)) // which is not mounted yet
	w.until("a reason", w.problem("x", "no such file"), m)
	m.stop()
	if at := w.triggers()["x"].LookedAt; at != 0 {
		t.Errorf("somebody looked at %s", at)
	}
	if err := os.Rename(filepath.Join(dir, "c"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	m = w.master("one", postgres.Dial)
	w.until("a look", w.looks("x"), m)
	expect(t, w.starts(), "[x: 1 files were there before]")

	w.source("postgres://127.0.0.1:1/none?connect_timeout=1")
	w.apply(notify("x", "orders", ""))
	w.until("a reason", w.problem("x", "data source dw"), m)
	write(t, filepath.Join(dir, "b", "new"), "x")
	m.stop()
	if r := w.triggers()["x"]; r.LookedAt != 0 || r.Problem == "" || len(w.starts()) != 1 {
		t.Errorf("%+v, %v", r, w.starts())
	}
}

// A gap is told of also when the master dies that was about to write it.
func TestGapThatWasNotWritten(t *testing.T) {
	t.Parallel()
	w, dsn := newWorld(t), pgtest.Empty(t)
	w.source(dsn)
	w.apply(notify("told", "orders", ""))
	m := w.master("one", postgres.Dial)
	w.until("somebody listens", w.looks("told"), m)
	m.stop()
	heard := w.triggers()["told"].LookedAt
	away := &faulty{Store: w.db.Master(), from: 1, times: 1 << 30}
	m = w.masterBy("one", postgres.Dial, away)
	w.until("it tries", func() bool { return away.asked.Load() > 1 }, m)
	m.stop()
	if at := w.triggers()["told"].LookedAt; at != heard {
		t.Fatalf("somebody listened until %s; until %s is all written", at, heard)
	}
	m = w.master("one", postgres.Dial)
	w.until("the gap", func() bool { return len(w.starts()) == 1 }, m)
	if from := "perhaps nobody listened from " + heard.Std().UTC().Format("2006-01-02T15:04:05Z"); !strings.Contains(w.starts()[0], from) {
		t.Errorf("%v, want %s", w.starts(), from)
	}
}

// A data source that is changed is listened to anew; what was heard of it stays.
func TestOtherDataSource(t *testing.T) {
	t.Parallel()
	w, dsn := newWorld(t), pgtest.Empty(t)
	w.source(dsn)
	w.apply(notify("told", "orders", ""))
	away := &faulty{Store: w.db.Master(), from: 1, times: 1}
	m := w.masterBy("one", postgres.Dial, away)
	w.until("somebody listens", w.looks("told"), m)
	send(t, dsn, "orders", `{"id": 1}`)
	w.until("it tries", func() bool { return away.asked.Load() > 0 }, m)
	w.source(dsn + "&application_name=other")
	w.until("both", func() bool { return len(w.starts()) == 2 }, m)
	got := w.starts()
	slices.Sort(got)
	if !strings.Contains(got[0], "perhaps nobody listened") || !strings.HasSuffix(got[0], ": the data source was changed]") || !strings.Contains(got[1], `{"id": 1}`) {
		t.Errorf("%v", got)
	}
}

// What a database sends in letters of its own arrives in ours, and channels may be written in them.
func TestEncodings(t *testing.T) {
	t.Parallel()
	w, dsn := newWorld(t), pgtest.Encoded(t, "LATIN1")
	w.source(dsn)
	w.apply(notify("ours", "bestellungen-ä", ""), notify("never", "订单", ""))
	m := w.master("one", postgres.Dial)
	w.until("somebody listens", w.looks("ours"), m)
	w.until("a reason", w.problem("never", "listen to channel 订单"), m)
	send(t, dsn+"&client_encoding=UTF8", "bestellungen-ä", `{"id": "Müller"}`)
	w.until("a run", func() bool { return len(w.starts()) == 1 }, m)
	if got := w.starts()[0]; !strings.Contains(got, "Müller") {
		t.Error(got)
	}
}

// Where notifications never cease, until when all was heard goes on all the same.
func TestBusyChannel(t *testing.T) {
	t.Parallel()
	w, dsn := newWorld(t), pgtest.Empty(t)
	w.source(dsn)
	w.apply(notify("told", "orders", ""))
	m := w.master("one", postgres.Dial)
	w.until("somebody listens", w.looks("told"), m)
	first, sent := w.triggers()["told"].LookedAt, 0
	w.until("it goes on", func() bool {
		sent++
		send(t, dsn, "orders", fmt.Sprintf(`{"id": %d}`, sent))
		return w.triggers()["told"].LookedAt > first
	}, m)
	m.stop()
	m = w.master("one", postgres.Dial)
	w.until("the gap", func() bool { return len(w.starts()) == sent+1 }, m)
}
