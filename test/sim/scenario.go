// Scenario: random workflows, starts and interference.

package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"baton/internal/flow"
	"baton/internal/task"
	"baton/internal/task/hosted"
)

// simTask is a task type of a simulation; the worker's host runs it.
type simTask struct{}

// simCall is one that runs inside the worker and ends with it.
type simCall struct{ simTask }

func (simCall) Name() string { return "call" }

func (simCall) Run(context.Context, *task.Attempt) (task.Outputs, error) {
	panic("the worker's host runs it")
}

func (simTask) Name() string                        { return "sim" }
func (simTask) Schema() task.Schema                 { return task.Schema{} }
func (simTask) Check(json.RawMessage) []*flow.Error { return nil }

func types() *task.Set {
	return task.NewSet(simTask{}, simCall{}, hosted.Wait(), hosted.SubWorkflow(), hosted.Dependent(), hosted.Map(), hosted.Loop())
}

// workflow makes a random definition: up to twelve tasks, needing earlier ones.
func (w *World) workflow(id flow.ID) flow.Definition {
	def := flow.Definition{ID: id, ProjectID: 1, Project: "sim", Name: fmt.Sprintf("w%d", id), Version: 1}
	def.Workflow = flow.Workflow{Project: "sim", Name: def.Name}
	if w.rng.IntN(4) == 0 {
		def.Workflow.Failure = flow.FailureEnd
	}
	if w.rng.IntN(4) == 0 {
		def.Workflow.Execution = flow.Execution{Limit: 1 + w.rng.IntN(2), Over: []flow.Over{"", "", flow.OverDiscard, flow.OverStopOldest}[w.rng.IntN(4)]}
	}
	if w.rng.IntN(4) == 0 {
		def.Workflow.Rate = flow.Rate{Starts: 1 + w.rng.IntN(3), Per: flow.Duration(time.Duration(1+w.rng.IntN(8000)) * time.Millisecond)}
	}
	if def.Workflow.Turns().Waits() && w.rng.IntN(2) == 0 {
		fallback := "a"
		def.Workflow.Params = []flow.Param{{Name: "region", Default: &fallback}}
		def.Workflow.Execution.Key, def.Workflow.Rate.Key = "${region}", "${region}"
	}
	for i := range 1 + w.rng.IntN(12) {
		def.Workflow.Tasks = append(def.Workflow.Tasks, w.task(id, fmt.Sprintf("t%d", i), def.Workflow.Tasks))
	}
	for i := range max(0, w.rng.IntN(6)-3) {
		t := w.task(id, fmt.Sprintf("f%d", i), def.Workflow.Finally)
		t.Compensate = nil
		def.Workflow.Finally = append(def.Workflow.Finally, t)
	}
	return def
}

// task makes a random task of a workflow, needing some of those before it.
func (w *World) task(id flow.ID, name string, before []flow.Task) flow.Task {
	t := flow.Task{Name: name, Type: "sim"}
	for _, u := range before {
		if w.rng.IntN(3) == 0 && len(t.Needs) < 4 {
			t.Needs = append(t.Needs, u.Name)
		}
	}
	if w.rng.IntN(3) == 0 {
		t.Type = "call"
	}
	if w.rng.IntN(6) == 0 && len(t.Needs) > 0 {
		t.Join = flow.JoinAllDone
	}
	if w.rng.IntN(2) == 0 {
		t.Retry = flow.Retry{Times: 1 + w.rng.IntN(2), Delay: flow.Duration(time.Duration(w.rng.IntN(3)) * 200 * time.Millisecond)}
	}
	if w.rng.IntN(6) == 0 {
		t.Delivery = flow.AtMostOnce
		t.Retry = flow.Retry{}
	}
	if w.rng.IntN(6) == 0 {
		t.Delay = flow.Duration(300 * time.Millisecond)
	}
	if w.rng.IntN(12) == 0 {
		t.Delay = flow.Duration(40 * time.Second) // long enough to be parked
	}
	if w.rng.IntN(8) == 0 {
		t.Timeout = flow.Timeout{Run: flow.Duration(500 * time.Millisecond)}
	}
	if w.rng.IntN(8) == 0 {
		t.Compensate = &flow.Compensation{Type: "sim"}
	}
	if w.rng.IntN(6) == 0 {
		t.WorkerGroup = "w0" // which one worker serves
	}
	t.Pool = w.pooled()
	switch w.rng.IntN(16) {
	case 0:
		t = flow.Task{Name: t.Name, Needs: t.Needs, Join: t.Join, Type: flow.TypeWait, With: json.RawMessage(fmt.Sprintf(`{"for": "%dms"}`, w.rng.IntN(8000)))}
		if w.rng.IntN(2) == 0 {
			t.With = json.RawMessage(fmt.Sprintf(`{"event": "e%d"}`, w.rng.IntN(2)))
		}
	case 1, 2:
		if id < lastWorkflow { // a later one, so that none contains itself
			child := int(id) + 1 + w.rng.IntN(int(lastWorkflow-id))
			t = flow.Task{Name: t.Name, Needs: t.Needs, Join: t.Join, Timeout: t.Timeout, Type: flow.TypeSubWorkflow, With: json.RawMessage(fmt.Sprintf(`{"workflow": "w%d"}`, child))}
		}
	}
	if w.rng.IntN(16) == 0 {
		other := 100 + w.rng.IntN(int(lastWorkflow)-99)
		t = flow.Task{Name: t.Name, Needs: t.Needs, Join: t.Join, Type: flow.TypeDependent, Timeout: flow.Timeout{Run: flow.Duration(40 * time.Second)}}
		t.With = json.RawMessage(fmt.Sprintf(`{"any": [{"workflow": "w%d", "window": %q}, {"workflow": "w%d", "window": "same"}], "on_failure": %q}`,
			other, []string{"currentHour", "today", "last1Days"}[w.rng.IntN(3)], int(lastWorkflow), []string{"wait", "fail"}[w.rng.IntN(2)]))
	}
	if !flow.Hosted(t.Type) && w.rng.IntN(8) == 0 {
		t = w.fan(t)
	}
	return t
}

// mapped is what every map goes over.
const mapped = 5

// fan makes a map or a loop of a task: it is then what is done with each item.
func (w *World) fan(t flow.Task) flow.Task {
	inner := flow.Task{Type: t.Type, Retry: t.Retry, Delivery: t.Delivery, WorkerGroup: t.WorkerGroup, Timeout: t.Timeout, Pool: t.Pool}
	out := flow.Task{Name: t.Name, Needs: t.Needs, Join: t.Join, Compensate: t.Compensate, Inner: &inner}
	if w.rng.IntN(4) == 0 {
		out.Timeout = flow.Timeout{Run: flow.Duration(30 * time.Second)}
	}
	if w.rng.IntN(3) == 0 {
		out.Type = flow.TypeLoop
		out.With = json.RawMessage(fmt.Sprintf(`{"until": "loop.index >= %d", "delay": "%dms"}`, w.rng.IntN(3), w.rng.IntN(3)*400))
		return out
	}
	out.Type = flow.TypeMap
	out.With = json.RawMessage(fmt.Sprintf(`{"over": [1, 2, 3, 4, %d], "parallel": %d, "allow_failed": "%d%%"}`, mapped, 1+w.rng.IntN(mapped), w.rng.IntN(3)*20))
	return out
}

// lastWorkflow is the last of those that play makes.
const lastWorkflow flow.ID = 104

// accepted is a start that was acknowledged to its caller.
type accepted struct {
	id     flow.ID
	verbs  []flow.ID
	poison bool // it can only end in quarantine
}

// When the master dies of a run.
const (
	deadlyCommand = "taking its command"
	deadlyRun     = "reading it"
)

// poisonous is a workflow that the engine refuses.
const poisonous flow.ID = 99

// play submits runs and lets people interfere.
func (w *World) play() []*accepted {
	w.makePools()
	for id := flow.ID(100); id <= lastWorkflow; id++ {
		w.store.defs[id] = w.workflow(id)
	}
	w.store.defs[poisonous] = flow.Definition{ID: poisonous, ProjectID: 1, Project: "sim", Name: "poison", Version: 1, Workflow: flow.Workflow{
		Project: "sim", Name: "poison", Tasks: []flow.Task{{Name: "t0", Type: "unheard-of"}},
	}}
	runs := make([]*accepted, w.cfg.Runs)
	for i := range runs {
		a := &accepted{}
		runs[i] = a
		w.after(time.Duration(w.rng.Int64N(int64(w.cfg.Starts))), func() {
			a.id = w.store.ids.Next(w.now)
			workflow := flow.ID(100 + w.rng.IntN(5))
			if a.poison = w.chance(w.cfg.Poison); a.poison {
				workflow = poisonous
				w.store.poison[a.id] = true
			}
			if !a.poison && w.chance(w.cfg.Deadly) {
				a.poison, w.store.poison[a.id] = true, true
				w.store.deadly[a.id] = []string{deadlyCommand, deadlyRun}[w.rng.IntN(2)]
			}
			w.store.submit(flow.Command{
				ID: a.id, Project: 1, Workflow: workflow, Version: 1, Priority: flow.Priority(w.rng.IntN(6)),
				Start: spec(w.startOf(workflow)), At: w.now,
			})
			w.log("run %d is accepted", a.id)
			if w.rng.IntN(4) > 0 {
				w.after(w.delay(time.Millisecond), func() { w.poke() }) // or the poll finds it
			}
			if w.chance(w.cfg.Verbs) && !a.poison {
				w.interfere(a)
			}
		})
	}
	return runs
}

// startOf is an order to run a workflow, one of two regions if it has any.
func (w *World) startOf(workflow flow.ID) flow.Start {
	if w.store.rule(workflow).Key() == "" {
		return flow.Start{}
	}
	return flow.Start{Params: map[string]string{"region": []string{"a", "b"}[w.rng.IntN(2)]}}
}

func (w *World) poke() {
	for _, m := range w.masters {
		if m.up && w.rng.IntN(8) > 0 {
			m.step(pokedEvent())
		}
	}
}

// interfere gives verbs to a run, as people do: any, at any time.
func (w *World) interfere(a *accepted) {
	for range 1 + w.rng.IntN(4) {
		w.after(time.Duration(w.rng.Int64N(int64(4*time.Second))), func() {
			verbs := []string{
				flow.VerbPause, flow.VerbResume, flow.VerbStop, flow.VerbRecover, flow.VerbRerun, flow.VerbTaskRetry, flow.VerbTaskSkip,
				flow.VerbTaskSucceed, flow.VerbTaskKill, flow.VerbTaskHold, flow.VerbTaskRelease, flow.VerbTaskStart,
			}
			w.order(a, flow.Verb{Name: verbs[w.rng.IntN(len(verbs))], Task: []string{"t0", "t1", "t2", "t3", "t4", "t5", "f0", "f1"}[w.rng.IntN(8)], Compensate: w.rng.IntN(3) == 0})
		})
	}
}

func (w *World) order(a *accepted, v flow.Verb) {
	payload, err := json.Marshal(v)
	if err != nil {
		panic(err) // a struct of texts
	}
	id := w.store.ids.Next(w.now)
	w.store.order(flow.InboxItem{ID: id, Instance: a.id, Kind: flow.InboxVerb, Payload: payload, At: w.now})
	a.verbs = append(a.verbs, id)
	w.log("verb %s %s for %d", v.Name, v.Task, a.id)
	w.after(w.delay(time.Millisecond), w.poke)
}
