// A store with a master that lives in it, and short ways to make rows.

package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"baton/internal/flow"
	"baton/internal/store"
)

// now is the time of everything in these tests; ids are made of it.
const now flow.Time = 1_790_000_000_000_000

type world struct {
	testing.TB
	ctx   context.Context //nolint:containedctx // a test's
	db    *store.DB
	m     *store.Master
	ids   *flow.IDSource
	me    int64 // a registered incarnation
	epoch int64
	wf    flow.Definition
}

func newWorld(t testing.TB, open Open) *world {
	t.Helper()
	w := &world{TB: t, ctx: t.Context(), db: open(t), ids: flow.NewIDSource(7, 0)}
	w.m = w.db.Master()
	w.me, w.epoch = w.register("home-1")
	w.apply(workflow("p", "w", "a", "b"))
	w.wf = must(w.db.Workflow(w.ctx, "p", "w", 0))(t)
	return w
}

// same fails the test where two values differ.
func (w *world) same(want, got any, what ...any) {
	w.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		w.Errorf("%s(-want +got)\n%s", fmt.Sprintln(what...), d)
	}
}

// must unwraps a result or ends the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) register(home string) (incarnation, epoch int64) {
	w.Helper()
	l := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleMaster, Name: home, Home: home, Engine: flow.EngineVersion}))(w)
	return l.Incarnation, l.Epoch
}

func workflow(project, name string, tasks ...string) flow.Document {
	wf := &flow.Workflow{Project: project, Name: name}
	for _, t := range tasks {
		wf.Tasks = append(wf.Tasks, flow.Task{Name: t, Type: "noop"})
	}
	return flow.Document{Workflow: wf}
}

func (w *world) apply(docs ...flow.Document) []flow.Applied {
	w.Helper()
	return must(w.db.Apply(w.ctx, docs, now))(w)
}

func (w *world) id() flow.ID { return w.ids.Next(now) }

// submit records a command of the world's workflow.
func (w *world) submit() flow.Command {
	w.Helper()
	c := w.command()
	_, _, err := w.db.Submit(w.ctx, c, "digest")
	w.ok(err)
	return c
}

func (w *world) command() flow.Command {
	return flow.Command{ID: w.id(), Project: w.wf.ProjectID, Workflow: w.wf.ID, Version: w.wf.Version, Priority: flow.PriorityMedium, Start: []byte(`{"trigger":"manual"}`), Zone: "UTC", At: now}
}

// begin is the change that turns a command into a running instance with n granted tasks.
func (w *world) begin(c flow.Command, n int) flow.Change {
	i := flow.Instance{
		ID: c.ID, Project: c.Project, Workflow: c.Workflow, Version: c.Version, State: flow.InstanceRunning, Seq: 1, Owner: w.me,
		Engine: flow.EngineVersion, RunTimes: 1, Priority: c.Priority, DataTime: c.At, Zone: c.Zone, Trigger: flow.TriggerManual,
		Spec: c.Start, Params: []byte(`{"k":"v"}`), SubmittedAt: c.At, StartedAt: now,
	}
	ch := flow.Change{Instance: i, Command: c.ID}
	for k := range n {
		t := w.task(i.ID, fmt.Sprint("t", k))
		ch.NewTasks = append(ch.NewTasks, t)
		ch.Grants = append(ch.Grants, t.ID)
	}
	return ch
}

func (w *world) task(instance flow.ID, name string) flow.TaskRow {
	id := w.id()
	return flow.TaskRow{
		ID: id, Instance: instance, Name: name, Type: "noop", State: flow.TaskDispatched, Valid: true, RunTimes: 1,
		Reason: flow.ReasonDispatched, EligibleAt: now,
		Attempt: flow.AttemptRow{Task: id, Number: 1, Session: 99, Worker: "worker-1", State: flow.AttemptGranted, ExitCode: flow.NoExit, GrantedAt: now},
	}
}

// next is the following change of an instance as it stands after one.
func next(i flow.Instance) flow.Change {
	i.Seq++
	return flow.Change{Instance: i}
}

// end makes the update that ends a task row.
func end(t flow.TaskRow, token int64) flow.TaskUpdate {
	t.State, t.Reason, t.EndedAt = flow.TaskSucceeded, "", now+5
	t.Attempt.Token, t.Attempt.State, t.Attempt.ExitCode, t.Attempt.EndedAt = token, flow.AttemptSucceeded, 0, now+5
	t.Attempt.CPU, t.Attempt.Memory = 1500, 7<<20
	t.Outputs = []byte(`{"rows":"7"}`)
	return flow.TaskUpdate{Row: t, Sources: flow.TaskMachine.Sources(flow.TaskSucceeded)}
}

func (w *world) commit(changes ...flow.Change) []flow.ChangeResult {
	w.Helper()
	return must(w.m.Commit(w.ctx, flow.Batch{Owner: w.me, Epoch: w.epoch, Changes: changes}))(w).Changes
}

// committed commits changes that must all be written, and returns their results.
func (w *world) committed(changes ...flow.Change) []flow.ChangeResult {
	w.Helper()
	rs := w.commit(changes...)
	for n, r := range rs {
		if r.Fate != flow.Committed {
			w.Fatalf("change %d: fate %d, %v", n, r.Fate, r.Err)
		}
	}
	return rs
}

// run submits and begins an instance with n granted tasks.
func (w *world) run(n int) flow.Change {
	w.Helper()
	ch := w.begin(w.submit(), n)
	r := w.committed(ch)[0]
	for k := range ch.NewTasks {
		ch.NewTasks[k].Attempt.Token = r.Tokens[k]
	}
	return ch
}

func (w *world) load(id flow.ID) flow.Loaded {
	w.Helper()
	ls := must(w.m.Load(w.ctx, w.me, []flow.ID{id}))(w)
	if len(ls) != 1 {
		w.Fatalf("load %s: %d instances", id, len(ls))
	}
	return ls[0]
}

func (w *world) order(instance flow.ID, dedup, verb string) flow.ID {
	w.Helper()
	payload, err := json.Marshal(flow.Verb{Name: verb, By: "me"})
	w.ok(err)
	return must(w.db.Order(w.ctx, flow.InboxItem{ID: w.id(), Instance: instance, Kind: flow.InboxVerb, Dedup: dedup, Payload: payload, At: now}))(w)
}
