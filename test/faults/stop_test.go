package faults

import (
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"baton/test/harness"
)

// An administrator stops the server while tasks run, and starts it again.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, "--drain-timeout", "0")
	s.Apply(t, `
name: keep
params: {go: ""}
tasks:
  plain: {run: &wait "echo begin; while [ ! -e \"$go\" ]; do sleep 0.05; done; echo end"}
  once: {delivery: at_most_once, run: *wait}
  after: {needs: [plain], run: echo after}
---
name: held
tasks: {a: {run: echo a}}
`)
	held := s.Begin(t, "held", "--tasks", "a")
	run := s.Begin(t, "keep", "-p", "go="+filepath.Join(s.Dir, "go"))
	running := func(task string) func() bool {
		return func() bool { return s.Baton(t, "logs", run.ID, task).Stdout == "begin\n" }
	}
	harness.Eventually(t, "both run", func() bool { return running("plain")() && running("once")() })
	began := time.Now()
	s.Stop(t)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	s.Start(t)
	harness.Eventually(t, "the plain task runs again", running("plain"))
	now := s.Instance(t, run.ID)
	if once := now.Task(t, "once"); once.State != "unknown" || !strings.Contains(once.Reason, "baton task succeed") {
		t.Errorf("once: %s (%s)", once.State, once.Reason)
	}
	if begun := s.Attempts(t, run.ID, "once"); len(begun) != 1 || begun[0].State != "unknown" {
		t.Errorf("attempts of once: %+v", begun)
	}
	tries := s.Attempts(t, run.ID, "plain")
	if len(tries) != 2 || tries[0].State != "lost" || tries[0].Class != "infrastructure" || tries[1].Infra != 1 {
		t.Errorf("attempts of plain: %+v", tries) // a class of its own: the retries of the user are untouched
	}
	write(t, s, "go", "")
	s.Must(t, "task", "succeed", run.ID, "once")
	if end := until(t, s, run.ID, "succeeded"); end.Task(t, "after").State != "succeeded" {
		t.Errorf("%v", end.States())
	}
	until(t, s, held.ID, "succeeded")
	raw, err := os.ReadFile(s.LogFile())
	if err != nil || strings.Contains(string(raw), "WARN") || strings.Contains(string(raw), "ERROR") {
		t.Errorf("%v: a stop and a start are nothing to warn of:\n%s", err, raw)
	}
}

const ledgered = `
name: load
params: {ledger: "", nap: "0.2"}
tasks:
  a:
    run: &say |
      echo "begin $BATON_TASK_INSTANCE_ID $BATON_FENCE" >> "$ledger"
      sleep "$nap"
      echo "end $BATON_TASK_INSTANCE_ID $BATON_FENCE" >> "$ledger"
  once: {needs: [a], delivery: at_most_once, run: *say}
  b: {needs: [a], run: *say}
  c: {needs: [once, b], join: all_done, run: *say}
`

// ledger is what the tasks themselves wrote, outside of Baton.
type ledger struct {
	begins map[string][]int64 // by row, the tokens in order
	ends   map[string]map[int64]bool
}

func readLedger(t *testing.T, path string) ledger {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l := ledger{map[string][]int64{}, map[string]map[int64]bool{}}
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			t.Fatalf("ledger: %q", line)
		}
		token, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if f[0] == "begin" {
			l.begins[f[1]] = append(l.begins[f[1]], token)
		} else {
			if l.ends[f[1]] == nil {
				l.ends[f[1]] = map[int64]bool{}
			}
			l.ends[f[1]][token] = true
		}
	}
	return l
}

// check joins the ledger with what the server says of a run.
func (l ledger) check(t *testing.T, run harness.Instance) {
	t.Helper()
	for _, row := range run.Tasks {
		begins := l.begins[row.ID]
		for i := 1; i < len(begins); i++ {
			if begins[i] <= begins[i-1] {
				t.Errorf("run %s: %s began with token %d after %d", run.ID, row.Name, begins[i], begins[i-1])
			}
		}
		if row.Name == "once" && len(begins) > 1 {
			t.Errorf("run %s: a row of once began %d times", run.ID, len(begins))
		}
		if row.State == "succeeded" && !l.ends[row.ID][row.Token] {
			t.Errorf("run %s: %s succeeded with token %d, of which the ledger knows no end", run.ID, row.Name, row.Token)
		}
	}
}

// starter asks for runs, each under its own key until it is accepted.
type starter struct {
	t    *testing.T
	c    *harness.Client
	body map[string]any
	mu   sync.Mutex
	ids  map[string]string
	last int
}

// start returns whether the server accepted one more.
func (a *starter) start() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := "k" + strconv.Itoa(a.last)
	var run harness.Instance
	status := a.c.Call(http.MethodPost, "/instances", a.body, &run, key)
	if status == 0 || status >= 500 {
		return false // perhaps accepted, perhaps not: the same key asks again
	}
	if status >= 300 {
		a.t.Errorf("start of %s: status %d", key, status)
		return false
	}
	a.ids[key], a.last = run.ID, a.last+1
	return true
}

// settle waits for the end of a run and does what only a person can do.
func (a *starter) settle(id string) harness.Instance {
	var run harness.Instance
	harness.Eventually(a.t, "run "+id+" succeeds", func() bool {
		if status := a.c.Call(http.MethodGet, "/instances/"+id, nil, &run); status == http.StatusNotFound {
			a.t.Fatalf("run %s was accepted and is lost", id)
		} else if status != http.StatusOK {
			return false
		}
		for _, row := range run.Tasks {
			if row.State == "unknown" && row.Valid {
				a.c.Call(http.MethodPost, "/instances/"+id+"/tasks/"+row.Name+"/succeed", map[string]any{}, nil)
			}
		}
		switch run.State {
		case "quarantined": // three deaths of the server in a row while it was driven
			a.c.Call(http.MethodPost, "/instances/"+id+"/release", map[string]any{}, nil)
		case "failed": // a worker lost six times
			a.c.Call(http.MethodPost, "/instances/"+id+"/recover", map[string]any{}, nil)
		}
		return run.State == "succeeded"
	})
	return run
}

func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	s := harness.Start(t)
	s.Apply(t, ledgered)
	path := filepath.Join(s.Dir, "ledger")
	a := &starter{t: t, c: s.Client(t), ids: map[string]string{}, body: map[string]any{
		"workflow": "load", "project": "default", "params": map[string]string{"ledger": path},
	}}
	for range 10 {
		death := time.NewTimer(time.Duration(random.IntN(600)) * time.Millisecond)
		began := a.last
		for alive := true; alive; {
			select {
			case <-death.C:
				alive = false
			default:
				alive = a.last-began > 5 || a.start()
				if a.last-began > 5 { // enough work; the rest of its life it only drives
					<-death.C
					alive = false
				}
			}
		}
		s.Kill()
		s.Start(t)
	}
	for !a.start() {
		t.Log("not accepted yet")
	}
	var runs []harness.Instance
	for _, id := range a.ids {
		runs = append(runs, a.settle(id))
	}
	var all harness.List[harness.Instance]
	a.c.Call(http.MethodGet, "/instances?limit=500", nil, &all)
	if len(all.Items) != len(a.ids) {
		t.Errorf("%d runs were accepted, %d exist", len(a.ids), len(all.Items))
	}
	l := readLedger(t, path)
	tries := 0
	for _, run := range runs {
		l.check(t, run)
	}
	for _, begins := range l.begins {
		tries += len(begins)
	}
	t.Logf("%d runs, %d rows, %d begins", len(runs), len(l.begins), tries)
	healthy(t, s)
}
