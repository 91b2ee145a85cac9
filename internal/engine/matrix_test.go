// Every (state × event) pair, against committed tables: testdata/matrix/task.txt says what becomes
// of a task, testdata/matrix/run.txt of a run. No pair panics.

package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
)

// situation brings a fresh world into a state.
type situation struct {
	name   string
	define string
	enter  func(w *world)
}

// happening is an event of the matrix; task is the one that it is about.
type happening struct {
	name string
	do   func(w *world, task string)
}

func verbHappening(name string) happening {
	return happening{"verb " + name, func(w *world, task string) {
		v := flow.Verb{Name: strings.TrimSuffix(name, " compensate"), Compensate: strings.HasSuffix(name, " compensate")}
		if strings.HasPrefix(name, "task.") {
			v.Task = task
		}
		w.verb(v)
	}}
}

func resultHappening(name string, res flow.Result) happening {
	return happening{"ended " + name, func(w *world, task string) {
		row := w.s.Rows[w.row(task)]
		res := res
		res.Token, res.ExitCode, res.Ended = row.Attempt.Token, flow.NoExit, w.now
		w.apply(Ended{Task: row.ID, Result: res})
	}}
}

// attemptHappenings are what dispatch and workers say about a task's current attempt.
func attemptHappenings() []happening {
	on := func(name string, ev func(row flow.TaskRow, r int32) Event) happening {
		return happening{name, func(w *world, task string) {
			r := w.row(task)
			w.apply(ev(w.s.Rows[r], r))
		}}
	}
	return []happening{
		on("placed", func(_ flow.TaskRow, r int32) Event { return Placed{Row: r, Session: 1, Worker: "w2"} }),
		on("stuck", func(_ flow.TaskRow, r int32) Event {
			return Stuck{Row: r, Reason: "no_worker: nobody", Next: epoch.Add(time.Hour)}
		}),
		on("started", func(row flow.TaskRow, _ int32) Event {
			return Started{Task: row.ID, Token: row.Attempt.Token, At: epoch}
		}),
		resultHappening("succeeded", flow.Result{State: flow.AttemptSucceeded, Confirmed: true}),
		resultHappening("failed", flow.Result{State: flow.AttemptFailed, Class: flow.ClassUser, Cause: "exit:1", Confirmed: true}),
		resultHappening("failed, infrastructure", flow.Result{State: flow.AttemptFailed, Class: flow.ClassInfrastructure, Confirmed: true}),
		resultHappening("killed", flow.Result{State: flow.AttemptKilled, Confirmed: true}),
		resultHappening("lost", flow.Result{State: flow.AttemptLost}),
		resultHappening("void", flow.Result{State: flow.AttemptVoid}),
		on("refused", func(row flow.TaskRow, _ int32) Event {
			return Refused{Task: row.ID, Token: row.Attempt.Token, Reason: "full"}
		}),
		on("lost", func(row flow.TaskRow, _ int32) Event {
			return Lost{Task: row.ID, Token: row.Attempt.Token, Reason: "its lease ended"}
		}),
		on("suspected", func(row flow.TaskRow, _ int32) Event { return Suspected{Task: row.ID, Token: row.Attempt.Token} }),
		on("rebound", func(row flow.TaskRow, _ int32) Event {
			return Rebound{Task: row.ID, Token: row.Attempt.Token, Session: 2}
		}),
		on("alive", func(row flow.TaskRow, _ int32) Event { return Alive{Task: row.ID, Token: row.Attempt.Token} }),
		on("ended with another token", func(row flow.TaskRow, _ int32) Event {
			return Ended{Task: row.ID, Result: flow.Result{Token: row.Attempt.Token + 100, State: flow.AttemptSucceeded}}
		}),
	}
}

func commonHappenings() []happening {
	hs := []happening{
		{"due an hour later", func(w *world, _ string) { w.now = w.now.Add(time.Hour); w.apply(Due{}) }},
		{"begin", func(w *world, _ string) { w.apply(Begin{}) }},
	}
	for _, v := range []string{"pause", "resume", "stop", "stop compensate", "recover", "rerun", "release"} {
		hs = append(hs, verbHappening(v))
	}
	for _, v := range allVerbs {
		if strings.HasPrefix(v, "task.") && v != "task.dance" {
			hs = append(hs, verbHappening(v))
		}
	}
	return hs
}

const (
	matrixTask   = "a | %sretry 1 delay 10s | timeout queue 5m run 10m\nb <- a\nz\n"
	matrixSimple = "a | at_most_once | retry 1 delay 10s | timeout queue 5m run 10m\nb <- a\nz\n"
)

func taskSituations() []situation {
	plain := fmt.Sprintf(matrixTask, "")
	fail := flow.Result{State: flow.AttemptFailed, Class: flow.ClassUser, Cause: "exit:1", ExitCode: 1, Confirmed: true}
	kill := flow.Result{State: flow.AttemptKilled, Confirmed: true}
	dispatched := func(w *world) { w.place("a") }
	running := func(w *world) { w.place("a"); w.start("a") }
	return []situation{
		{"waiting: delay", strings.Replace(plain, "a |", "a | delay 1m |", 1), func(*world) {}},
		{"waiting: retry", plain, func(w *world) { running(w); w.end("a", fail) }},
		{"waiting: held", plain, func(w *world) { w.verb(flow.Verb{Name: flow.VerbTaskHold, Task: "a"}) }},
		{"queued", plain, func(*world) {}},
		{"queued: waits for its pool", strings.Replace(plain, "a |", "a | pool dw |", 1), func(*world) {}},
		{"queued: has its slots", strings.Replace(plain, "a |", "a | pool dw |", 1), func(w *world) { w.apply(w.slots(w.row("a"))) }},
		{"queued: worker lost", plain, func(w *world) {
			running(w)
			w.apply(Lost{Task: w.s.Rows[0].ID, Token: w.s.Rows[0].Attempt.Token, Reason: "gone"})
		}},
		{"dispatched", plain, dispatched},
		{"running", plain, running},
		{"running: suspect", plain, func(w *world) {
			running(w)
			w.apply(Suspected{Task: w.s.Rows[0].ID, Token: w.s.Rows[0].Attempt.Token})
		}},
		{"running: being killed", plain, func(w *world) { running(w); w.verb(flow.Verb{Name: flow.VerbTaskKill, Task: "a"}) }},
		{"running: timed out", plain, func(w *world) { running(w); w.now = w.now.Add(10 * time.Minute); w.apply(Due{}) }},
		{"paused", plain, func(w *world) { w.verb(flow.Verb{Name: flow.VerbPause}) }},
		{"unknown", matrixSimple, func(w *world) {
			running(w)
			w.apply(Lost{Task: w.s.Rows[0].ID, Token: w.s.Rows[0].Attempt.Token, Reason: "gone"})
		}},
		{"succeeded", plain, func(w *world) { running(w); w.end("a", flow.Result{State: flow.AttemptSucceeded}) }},
		{"forced_success", plain, func(w *world) { w.verb(flow.Verb{Name: flow.VerbTaskSucceed, Task: "a"}) }},
		{"skipped: by hand", plain, func(w *world) { w.verb(flow.Verb{Name: flow.VerbTaskSkip, Task: "a"}) }},
		{"skipped: disabled", strings.Replace(plain, "a |", "a | disabled |", 1), func(*world) {}},
		{"skipped: not taken", strings.Replace(plain, "a |", "a | when false |", 1), func(*world) {}},
		{"failed", strings.Replace(plain, "retry 1 delay 10s", "retry 0", 1), func(w *world) { running(w); w.end("a", fail) }},
		{"killed", plain, func(w *world) { running(w); w.verb(flow.Verb{Name: flow.VerbTaskKill, Task: "a"}); w.end("a", kill) }},
		{"killed: not confirmed", plain, func(w *world) {
			running(w)
			w.verb(flow.Verb{Name: flow.VerbTaskKill, Task: "a"})
			w.apply(Lost{Task: w.s.Rows[0].ID, Token: w.s.Rows[0].Attempt.Token, Reason: "gone"})
		}},
	}
}

func runSituations() []situation {
	const two = "a | compensate undo\nb <- a\n"
	running := func(w *world) { w.place("a"); w.start("a") }
	verb := func(w *world, name string) { w.verb(flow.Verb{Name: name}) }
	fail := flow.Result{State: flow.AttemptFailed, Class: flow.ClassUser, Cause: "exit:1"}
	good := flow.Result{State: flow.AttemptSucceeded}
	return []situation{
		{"submitted", two, nil},
		{"running", two, running},
		{"running: failure end", ".failure end\na\nb\n", func(w *world) { w.place("b"); running(w); w.end("a", fail) }},
		{"running: timed out", ".timeout run 1m\na\nb\n", func(w *world) { running(w); w.now = w.now.Add(time.Minute); w.apply(Due{}) }},
		{"pausing", two, func(w *world) { running(w); verb(w, flow.VerbPause) }},
		{"paused", two, func(w *world) { verb(w, flow.VerbPause) }},
		{"stopping", two, func(w *world) { running(w); verb(w, flow.VerbStop) }},
		{"compensating", two, func(w *world) { running(w); w.end("a", good); w.place("b"); w.end("b", fail); w.place("a:compensate") }},
		{"quarantined", two, func(w *world) { running(w); w.quarantine("poison") }},
		{"stopped", two, func(w *world) { verb(w, flow.VerbStop) }},
		{"failed", "a\nb <- a\n", func(w *world) { running(w); w.end("a", fail) }},
		{"succeeded", "a\n", func(w *world) { running(w); w.end("a", good) }},
	}
}

func TestTaskMatrix(t *testing.T) {
	t.Parallel()
	matrix(t, "task", taskSituations(), append(attemptHappenings(), commonHappenings()...))
}

func TestRunMatrix(t *testing.T) {
	t.Parallel()
	matrix(t, "run", runSituations(), commonHappenings())
}

func matrix(t *testing.T, name string, situations []situation, happenings []happening) {
	t.Helper()
	var out strings.Builder
	for _, s := range situations {
		fmt.Fprintf(&out, "# %s\n", s.name)
		for _, h := range happenings {
			def, err := define(s.define)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(cell{t, s.name + " × " + h.name}, def, flow.Start{})
			if s.enter != nil {
				w.apply(Begin{})
				s.enter(w)
			}
			before := standings(w)
			w.change = flow.Change{}
			h.do(w, "a")
			fmt.Fprintf(&out, "%-26s %s\n", h.name, outcomeOf(w, before))
		}
		out.WriteByte('\n')
	}
	golden(t, "testdata/matrix/"+name+".txt", out.String())
}

// cell names the pair that failed.
type cell struct {
	*testing.T
	name string
}

func (c cell) Fatalf(format string, args ...any) {
	c.Helper()
	c.T.Fatalf(c.name+": "+format, args...)
}

// standings are the states of the run and of every valid row.
func standings(w *world) map[string]string {
	out := map[string]string{"run": w.s.Inst.State.String()}
	for r := range w.s.Rows {
		row := &w.s.Rows[r]
		if !row.Valid {
			continue
		}
		text := row.State.String()
		if row.State.Ended() && row.Reason != "" {
			text += "(" + row.Reason + ")"
		} else if code, _, ok := strings.Cut(row.Reason, ":"); ok && code != text {
			text += "(" + code + ")"
		}
		if row.Attempt.Number > 0 || row.Attempt.Token > 0 {
			text += fmt.Sprintf(" #%d %s", row.Attempt.Number, row.Attempt.State)
		}
		if row.Attempt.Refused {
			text += " refused"
		}
		if row.Held {
			text += " held"
		}
		out[row.Name] = text
	}
	return out
}

// outcomeOf prints what changed, or that nothing did, or why a verb was refused.
func outcomeOf(w *world, before map[string]string) string {
	var parts []string
	after := standings(w)
	for _, name := range []string{"run", "a", "b", "z", "a:compensate"} {
		if after[name] != before[name] {
			parts = append(parts, fmt.Sprintf("%s: %s", name, after[name]))
		}
	}
	for _, o := range w.change.Outcomes {
		if !o.Applied {
			parts = append(parts, "refused: "+o.Reason)
		}
	}
	for _, a := range w.change.Alerts {
		parts = append(parts, "alert "+a.Kind)
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, "; ")
}

// golden compares a text with a committed file; -update writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; look at it with -update and git diff\n%s", file, firstDiff(string(want), got))
	}
}

// A run that waits its turn behind others of its workflow cannot come about by events of this
// engine version; its verbs must do what they say all the same.
func TestQueuedRun(t *testing.T) {
	t.Parallel()
	for verb, want := range map[string]flow.InstanceState{flow.VerbStop: flow.InstanceStopped, flow.VerbPause: flow.InstanceQueued, flow.VerbResume: flow.InstanceQueued, flow.VerbRecover: flow.InstanceQueued} {
		w := newWorld(t, flow.Workflow{Tasks: []flow.Task{{Name: "a", Type: "shell", With: json.RawMessage(`{}`)}}}, flow.Start{})
		w.s.Inst.State = flow.InstanceQueued
		w.verb(flow.Verb{Name: verb})
		if w.inst.State != want {
			t.Errorf("%s: %s, want %s", verb, w.inst.State, want)
		}
	}
}
