// What scripts and random runs do not show: inputs that are refused, what a master asks beside
// Apply.

package engine

import (
	"encoding/json"
	"strings"
	"testing"

	"baton/internal/flow"
)

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for name, def := range map[string]string{
		"circle":                  "a <- b\nb <- a\n",
		"needs nothing there":     "a <- x\n",
		"twice":                   "a\na\n",
		"arm to nowhere":          "a | case true -> x\n",
		"broken when":             "a | when (\n",
		"broken case":             "a | case ( -> b\nb\n",
		"broken join":             "a\nb <- a | join a.dances\n",
		"join of a stranger":      "a\nb <- a | join c.failed\nc\n",
		"condition of a stranger": "a\nb <- a | if c.failed -> d | else -> e\nc\nd\ne\n",
		"broken retry":            "a | retry 1 if moon\n",
		"broken template":         "a | text ${\n",
		"broken env":              "a | env X = ${\n",
		"broken parameter":        "a | param x = ${\n",
		"broken output":           ".output x = ${\na\n",
		"broken global":           ".param n integer = x\na\n",
		"mode of substitution":    "a | substitute magic\n",
		"output name in a script": "a\nb <- a | run echo ${a.count}\n",
	} {
		w, err := define(def)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := Compile(flow.Definition{Name: "wf", Workflow: w}, testTypes); err == nil {
			t.Errorf("%s: it compiles", name)
		}
	}
	unknown := flow.Workflow{Tasks: []flow.Task{{Name: "a", Type: "dance"}}}
	if _, err := Compile(flow.Definition{Name: "wf", Workflow: unknown}, testTypes); err == nil || !strings.Contains(err.Error(), `"dance"`) {
		t.Errorf("an unknown type: %v", err)
	}
}

func plan(t *testing.T, text string) *Plan {
	t.Helper()
	def, err := define(text)
	if err != nil {
		t.Fatal(err)
	}
	return compileTest(t, def)
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	p := plan(t, "a\n")
	for name, inst := range map[string]flow.Instance{
		"no start":      {ID: 1},
		"broken start":  {ID: 1, Spec: []byte("{")},
		"broken holds":  {ID: 1, Spec: []byte("{}"), Holds: []byte("{")},
		"broken params": {ID: 1, Spec: []byte("{}"), Params: []byte("[]")},
		"unknown task":  {ID: 1, Spec: []byte(`{"tasks":["x"]}`)},
	} {
		if _, err := Load(p, flow.Loaded{Instance: inst}); err == nil {
			t.Errorf("%s: it loads", name)
		}
	}
	if _, err := New(p, flow.Command{ID: 1, Start: []byte("{")}); err == nil {
		t.Error("a broken command begins")
	}
}

// A task may bear the name that a compensation would have.
func TestTaskNamedLikeACompensation(t *testing.T) {
	t.Parallel()
	def, err := define("a | compensate undo\na:compensate\nb <- a, a:compensate\n")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, def, flow.Start{})
	w.apply(Begin{})
	for r := range int32(2) {
		w.apply(Placed{Row: r, Session: 1, Worker: "w1"})
		w.apply(Ended{Task: w.s.Rows[r].ID, Result: flow.Result{Token: w.s.Rows[r].Attempt.Token, State: flow.AttemptSucceeded}})
	}
	w.apply(Placed{Row: 2, Session: 1, Worker: "w1"})
	w.apply(Ended{Task: w.s.Rows[2].ID, Result: flow.Result{Token: w.s.Rows[2].Attempt.Token, State: flow.AttemptFailed}})
	undo := w.s.Rows[3]
	if undo.Name != "a:compensate" || undo.Compensates != w.s.Rows[0].ID {
		t.Fatalf("%+v", undo)
	}
	w.apply(Placed{Row: 3, Session: 1, Worker: "w1"})
	if o, err := w.s.Order(3); err != nil || !strings.Contains(string(o.Options), "undo") {
		t.Fatalf("%s, %v", o.Options, err)
	}
	w.apply(Ended{Task: undo.ID, Result: flow.Result{Token: w.s.Rows[3].Attempt.Token, State: flow.AttemptSucceeded}})
	if w.inst.State != flow.InstanceFailed {
		t.Fatalf("%s", w.inst.State)
	}
}

// A command that could not be carried out was made a quarantined run; released, it begins.
func TestReleaseOfWhatNeverBegan(t *testing.T) {
	t.Parallel()
	def, err := define(".param day = $[yyyyMMdd]\na | text ${day}\n")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, def, flow.Start{})
	w.inst = w.s.Inst
	w.inst.Params = nil
	w.quarantine("taken three times")
	if o := w.verb(flow.Verb{Name: flow.VerbRelease}); !o.Applied || w.inst.State != flow.InstanceRunning {
		t.Fatalf("%s: %s", w.inst.State, o.Reason)
	}
	if w.inst.StartedAt != w.now || string(w.inst.Params) != `{"day":"20260301"}` {
		t.Fatalf("started %s, params %s", w.inst.StartedAt, w.inst.Params)
	}

	// Of a compensation that was interrupted by a quarantine, the end is remembered all the same.
	w = newWorld(t, chainOf(2, "shell"), flow.Start{})
	w.apply(Begin{})
	w.s.Inst.State, w.s.Inst.Undo = flow.InstanceCompensating, true
	if end, reason := w.s.decidedEnd(); end != flow.InstanceStopped || reason != flow.ReasonStopped {
		t.Fatalf("%s (%s)", end, reason)
	}
	w.s.Inst.Undo, w.s.Inst.Due = false, true
	if end, reason := w.s.decidedEnd(); end != flow.InstanceFailed || reason != flow.ReasonTimeout {
		t.Fatalf("%s (%s)", end, reason)
	}
}

func TestGroupAndPriority(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		def      string
		start    flow.Start
		group    string
		priority flow.Priority
	}{
		{"a\n", flow.Start{}, "default", flow.PriorityMedium},
		{".group dw\n.priority low\na\n", flow.Start{}, "dw", flow.PriorityLow},
		{".group dw\n.priority low\na\n", flow.Start{WorkerGroup: "spare", Priority: flow.PriorityHigh}, "spare", flow.PriorityHigh},
		{".group dw\na | group gpu | priority highest\n", flow.Start{WorkerGroup: "spare", Priority: flow.PriorityLow}, "gpu", flow.PriorityHighest},
	} {
		def, err := define(c.def)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, def, c.start)
		w.apply(Begin{})
		if g, p := w.s.Group(0), w.s.Priority(0); g != c.group || p != c.priority {
			t.Errorf("%q, started with %+v: group %s, priority %s", c.def, c.start, g, p)
		}
	}
}

// Options of any shape are rendered; what holds no reference is passed on byte by byte.
func TestOptions(t *testing.T) {
	t.Parallel()
	for with, want := range map[string]string{
		`{"text": "plain",  "script": 1}`:                     `{"text": "plain",  "script": 1}`,
		`{"text":"${day}"}`:                                   `{"text":"20260301"}`,
		`{"text":"q\"${day}\"","script":"echo $day"}`:         `{"script":"echo $day","text":"q\"20260301\""}`,
		`{"text":["${day}",{"b":"${day}","a":[1,"x"]},null]}`: `{"text":["20260301",{"a":[1,"x"],"b":"20260301"},null]}`,
		`{"text":"${{ 1 + 1 }}"}`:                             `{"text":"2"}`,
		`{"script":"d=$[yyyyMMdd] $((1+1)) ${HOME}"}`:         `{"script":"d=20260301 $((1+1)) ${HOME}"}`,
	} {
		def, err := define(".param day = $[yyyyMMdd]\na\n")
		if err != nil {
			t.Fatal(err)
		}
		def.Tasks[0].With = json.RawMessage(with)
		w := newWorld(t, def, flow.Start{})
		w.apply(Begin{})
		w.place("a")
		o, err := w.s.Order(0)
		if err != nil || string(o.Options) != want {
			t.Errorf("%s\n got %s\nwant %s (%v)", with, o.Options, want, err)
		}
		// A new owner renders the same order.
		again, err := w.load().Order(0)
		if err != nil || string(again.Options) != want {
			t.Errorf("%s, loaded again\n got %s (%v)", with, again.Options, err)
		}
	}
}

func TestExplainTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chainOf(2, "shell"), flow.Start{})
	w.apply(Begin{})
	if e, err := ExplainTask(w.s, "t1", w.now); err != nil || !strings.Contains(e.Reason, "waits for t0") {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := ExplainTask(w.s, "x", w.now); flow.CodeOf(err) != flow.CodeNotFound {
		t.Errorf("%v", err)
	}
}

// Times of a worker's clock are brought into the bounds of ours.
func TestForeignClocks(t *testing.T) {
	t.Parallel()
	for _, skew := range []flow.Time{-3_600_000_000, 3_600_000_000} {
		w := newWorld(t, chainOf(1, "shell"), flow.Start{})
		w.apply(Begin{})
		w.now += 1_000_000
		w.place("t0")
		w.now += 1_000_000
		row := w.s.Rows[0]
		w.apply(Started{Task: row.ID, Token: row.Attempt.Token, At: w.now + skew})
		w.now += 1_000_000
		w.end("t0", flow.Result{State: flow.AttemptSucceeded, Started: w.now + skew, Ended: w.now + skew})
		row = w.rows[0]
		a := row.Attempt
		if a.StartedAt < a.GrantedAt || a.EndedAt < a.StartedAt || a.EndedAt > w.now || row.StartedAt > row.EndedAt {
			t.Errorf("skew %d: granted %d started %d ended %d, row %d to %d", skew, a.GrantedAt, a.StartedAt, a.EndedAt, row.StartedAt, row.EndedAt)
		}
	}
}

// A worker that is stopped in order, however often, never fails a task: the budget is for losses.
func TestOrderlyStopsAreNoLosses(t *testing.T) {
	t.Parallel()
	for cause, want := range map[string]flow.TaskState{flow.ReasonWorkerStop: flow.TaskQueued, flow.ReasonWorkerLost: flow.TaskFailed} {
		w := newWorld(t, chainOf(1, "shell"), flow.Start{})
		w.apply(Begin{})
		for range 10 {
			if w.s.Rows[0].State != flow.TaskQueued {
				break
			}
			w.place("t0")
			w.start("t0")
			w.end("t0", flow.Result{State: flow.AttemptLost, Class: flow.ClassInfrastructure, Cause: cause, Confirmed: true})
		}
		if got := w.s.Rows[0].State; got != want {
			t.Errorf("%s: the task is %s, want %s", cause, got, want)
		}
	}
}
