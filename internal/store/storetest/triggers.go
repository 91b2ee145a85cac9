// Triggers: who is marked by the commit that ends a run, and the one decision about it.

package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"baton/internal/flow"
)

// source is the world's own workflow, ended so.
func source(state flow.SourceState) flow.Source {
	return flow.Source{Project: "p", Workflow: "w", State: state}
}

// triggered is a workflow with triggers.
func triggered(name string, triggers ...flow.Trigger) flow.Document {
	d := workflow("p", name, "t")
	d.Workflow.Triggers = triggers
	return d
}

func after(name string, all ...flow.Source) flow.Trigger {
	return flow.Trigger{Name: name, After: &flow.After{All: all}}
}

// marked ends runs of the world's workflow in one commit, one in each state, and returns which triggers were marked.
func (w *world) marked(states ...flow.InstanceState) []flow.ID {
	w.Helper()
	var changes []flow.Change
	for range states {
		changes = append(changes, next(w.run(0).Instance))
	}
	for i, state := range states {
		ch := &changes[i]
		ch.Instance.State, ch.Instance.EndedAt, ch.Ended = state, now+flow.Time(i), state.Ended()
		ch.Instance.Outputs = []byte(`{"n":"7"}`)
	}
	res := must(w.m.Commit(w.ctx, flow.Batch{Owner: w.me, Epoch: w.epoch, Changes: changes}))(w)
	for _, f := range fates(res.Changes) {
		w.same(flow.Committed, f)
	}
	return res.Marked
}

// standings are what triggers have heard, those of which something is new when none is named.
func (w *world) standings(ids ...flow.ID) []flow.TriggerStanding {
	w.Helper()
	list, _, err := w.m.Marks(w.ctx, ids, 0)
	w.ok(err)
	return list
}

// fired is a decision that takes all marks of a standing and starts one run.
func (w *world) fired(t flow.TriggerStanding) flow.TriggerDecision {
	run := w.id()
	start, err := json.Marshal(flow.Start{Trigger: flow.TriggerTrigger, DataTime: now, By: t.Body.Name})
	w.ok(err)
	return flow.TriggerDecision{
		Trigger: t.ID, Revision: t.Revision, Gone: t.Marks,
		Starts:   []flow.TriggerStart{{ID: w.id(), Trigger: t.ID, Project: t.Project, Workflow: t.Workflow, State: flow.StartFired, Cause: "w succeeded", Instance: run, At: now}},
		Commands: []flow.Command{{ID: run, Project: t.Project, Workflow: t.Workflow, Priority: flow.PriorityMedium, Start: start, Zone: "UTC", At: now}},
	}
}

func (w *world) decide(d flow.TriggerDecision) bool {
	w.Helper()
	return must(w.m.StartTriggered(w.ctx, w.me, []flow.TriggerDecision{d}))(w)[0]
}

// testTriggerMarks: the commit that ends a run marks who waits for that end, and nobody else.
func testTriggerMarks(w *world) {
	w.same(0, len(w.marked(flow.InstanceSucceeded)), "nobody waits")
	w.apply(triggered("after", after("good", source("")), after("bad", source(flow.SourceFailed)), after("any", source(flow.SourceEnded))),
		triggered("other", after("elsewhere", flow.Source{Project: "q", Workflow: "w"}), after("of another", flow.Source{Project: "p", Workflow: "later"})))
	w.same(2, len(w.marked(flow.InstanceSucceeded)), "good and any")
	w.same(3, len(w.marked(flow.InstanceSucceeded, flow.InstanceFailed, flow.InstanceStopped)))
	w.same(0, len(w.marked(flow.InstancePaused)))
	again := next(w.run(0).Instance)
	again.Instance.State, again.Instance.EndedAt = flow.InstanceSucceeded, now
	w.same(0, len(must(w.m.Commit(w.ctx, flow.Batch{Owner: w.me, Epoch: w.epoch, Changes: []flow.Change{again}}))(w).Marked), "it had ended before")
	dry := next(w.run(0).Instance)
	dry.Instance.State, dry.Instance.EndedAt, dry.Ended, dry.Instance.DryRun = flow.InstanceSucceeded, now, true, true
	gone := next(w.run(0).Instance)
	gone.Instance.State, gone.Ended = flow.InstanceSucceeded, true
	gone.Instance.Seq += 3
	w.same(0, len(must(w.m.Commit(w.ctx, flow.Batch{Owner: w.me, Epoch: w.epoch, Changes: []flow.Change{dry, gone}}))(w).Marked))

	got := map[string]int{}
	for _, t := range w.standings() {
		got[t.Body.Name] = len(t.Marks)
	}
	w.same(map[string]int{"good": 2, "bad": 1, "any": 4}, got)
	other, _ := w.register("home-2")
	late := next(w.run(0).Instance)
	w.same(true, must(w.m.Waiting(w.ctx, other))(w).Marked)
	late.Instance.State, late.Instance.EndedAt, late.Ended = flow.InstanceFailed, now, true
	w.same(2, len(must(w.m.Commit(w.ctx, flow.Batch{Owner: w.me, Epoch: w.epoch, Changes: []flow.Change{late}}))(w).Marked))

	w.apply(triggered("after"), triggered("other"))
	w.same(0, len(w.standings()), "what is not waited for any more is forgotten")
	w.same(0, len(w.marked(flow.InstanceSucceeded)))
}

// testTriggerStart: a decision takes its marks once, and orders its runs.
func testTriggerStart(w *world) {
	w.apply(triggered("after", flow.Trigger{Name: "t", After: &flow.After{All: []flow.Source{source("")}}, Params: []flow.Pair{{Name: "a", Value: "b"}}}))
	w.marked(flow.InstanceSucceeded, flow.InstanceSucceeded)
	t := w.standings()[0]
	w.same([]any{2, `{"n":"7"}`, now + 1, "p"}, []any{len(t.Marks), string(t.Marks[0].Outputs), t.Newest, t.ProjectName})
	partial := w.fired(t)
	partial.Gone, partial.Waiting = t.Marks[:1], t.Marks[1:]
	w.same(true, w.decide(partial))
	w.same(false, w.decide(w.fired(t)), "one of them was taken")
	w.same(0, len(w.standings()), "nothing is new")
	left := w.standings(t.ID)[0]
	w.same(1, len(left.Marks))
	w.same(true, w.decide(w.fired(left)))
	w.same(false, w.decide(w.fired(left)))
	_, err := w.m.StartTriggered(w.ctx, 12345, []flow.TriggerDecision{w.fired(left)})
	w.same(true, err != nil, "who is not alive orders nothing")

	starts := must(w.db.Starts(w.ctx, flow.StartFilter{Project: "p", Workflow: "after", Trigger: "t"}))(w).Items
	w.same(2, len(starts))
	run := must(w.db.Instance(w.ctx, starts[0].Instance))(w)
	w.same([]any{"after", flow.TriggerTrigger, flow.InstanceSubmitted, now}, []any{run.WorkflowName, run.Trigger, run.State, run.DataTime})
	w.same(1, len(must(w.db.Starts(w.ctx, flow.StartFilter{Instance: run.ID}))(w).Items))
	w.same(0, len(must(w.db.Starts(w.ctx, flow.StartFilter{Project: "q"}))(w).Items))
	rows := must(w.db.Triggers(w.ctx, "p", "after", 10, 0))(w).Items
	w.same([]any{1, true, starts[0].ID}, []any{len(rows), rows[0].Enabled, rows[0].Last.ID})
}

// However many masters decide at once, each end is taken once.
func testTriggerRace(w *world) {
	w.apply(triggered("after", after("t", source(""))))
	for range 5 {
		w.marked(flow.InstanceSucceeded, flow.InstanceSucceeded)
	}
	var g errgroup.Group
	var mu sync.Mutex
	won := 0
	t := w.standings()[0]
	for range 8 {
		d := w.fired(t)
		g.Go(func() error {
			written, err := w.m.StartTriggered(w.ctx, w.me, []flow.TriggerDecision{d})
			mu.Lock()
			defer mu.Unlock()
			if err == nil && written[0] {
				won++
			}
			return err
		})
	}
	w.ok(g.Wait())
	w.same(1, won)
	w.same(1, len(must(w.db.Starts(w.ctx, flow.StartFilter{}))(w).Items))
}

// testTriggersApplied: a trigger is as its file says, unless a verb said otherwise, and a change of it makes no version.
func testTriggersApplied(w *world) {
	shown := func() string {
		w.Helper()
		var out strings.Builder
		for _, r := range must(w.db.Triggers(w.ctx, "p", "after", 10, 0))(w).Items {
			fmt.Fprintf(&out, "%s revision %d enabled %t overridden %t; ", r.Trigger.Name, r.Revision, r.Enabled, r.Overridden)
		}
		return out.String()
	}
	one, two := after("one", source("")), after("two", source(""))
	two.Disabled = true
	w.same("created", w.apply(triggered("after", one, two))[0].Change)
	w.same("one revision 1 enabled true overridden false; two revision 1 enabled false overridden false; ", shown())
	w.same("unchanged", w.apply(triggered("after", one, two))[0].Change)
	w.same(1, len(w.marked(flow.InstanceSucceeded)))

	one.Window = flow.Duration(3600e9)
	applied := w.apply(triggered("after", one, two))[0]
	w.same([]any{"updated", int32(1)}, []any{applied.Change, applied.Version})
	w.same(1, len(w.standings()[0].Marks), "what was heard stays")
	stale := w.fired(w.standings()[0])
	w.same(2, must(w.db.EnableTriggers(w.ctx, "p", "after", "", false))(w))
	w.same(0, len(w.marked(flow.InstanceSucceeded)))
	w.same(false, w.decide(stale))
	w.same(1, must(w.db.EnableTriggers(w.ctx, "p", "after", "two", true))(w))
	w.same(0, must(w.db.EnableTriggers(w.ctx, "p", "after", "three", true))(w))
	w.same("one revision 3 enabled false overridden true; two revision 3 enabled true overridden true; ", shown())
	w.same("unchanged", w.apply(triggered("after", one, two))[0].Change)
	w.same(flow.Overrides{Schedules: map[string]bool{}, Triggers: map[string]bool{"one": false, "two": true}}, must(w.db.Overrides(w.ctx, "p", "after"))(w))
	w.same(1, len(w.marked(flow.InstanceSucceeded)), "two")
	w.same(1, len(w.standings()[0].Marks), "what came while it was off it has not heard")

	reset := triggered("after", one, two)
	reset.Reset = true
	w.apply(reset)
	w.same("one revision 4 enabled true overridden false; two revision 4 enabled false overridden false; ", shown())
	w.same(0, len(must(w.db.Overrides(w.ctx, "p", "after"))(w).Triggers))
	w.same([]string{"one", "two"}, w.namesOf("after"))
	w.apply(triggered("after", two))
	w.same([]string{"two"}, w.namesOf("after"))
	w.apply(triggered("after", two, one))
	w.same([]string{"two", "one"}, w.namesOf("after"))
	w.same(1, len(w.marked(flow.InstanceSucceeded)), "one, which is back")
}

func (w *world) namesOf(workflow string) (names []string) {
	w.Helper()
	def := must(w.db.Workflow(w.ctx, "p", workflow, 0))(w)
	for _, t := range must(w.db.TriggersOf(w.ctx, def.ID))(w) {
		names = append(names, t.Name)
	}
	return names
}

// An end that is committed after apply answered is heard, whoever commits it: also by a master that was at it all the
// while, and did not know that somebody waits.
func testTriggerGap(w *world) {
	const masters, ends = 4, 12
	type busy struct {
		me, epoch int64
		runs      []flow.Change
	}
	var all []busy
	for i := range masters {
		b := busy{}
		b.me, b.epoch = w.register(fmt.Sprint("busy-", i))
		for range ends {
			ch := w.begin(w.submit(), 0)
			ch.Instance.Owner = b.me
			must(w.m.Commit(w.ctx, flow.Batch{Owner: b.me, Epoch: b.epoch, Changes: []flow.Change{ch}}))(w)
			up := next(ch.Instance)
			up.Instance.State, up.Instance.EndedAt, up.Ended = flow.InstanceSucceeded, now, true
			b.runs = append(b.runs, up)
		}
		all = append(all, b)
	}
	applied := make(chan struct{})
	var g errgroup.Group
	var mu sync.Mutex
	certain, marked := 0, 0
	for _, b := range all {
		g.Go(func() error {
			for _, ch := range b.runs {
				sure := false
				select {
				case <-applied:
					sure = true
				default:
				}
				res, err := w.m.Commit(w.ctx, flow.Batch{Owner: b.me, Epoch: b.epoch, Changes: []flow.Change{ch}})
				if err != nil {
					return err
				}
				mu.Lock()
				marked += len(res.Marked)
				if sure {
					certain++
					if len(res.Marked) == 0 {
						w.Errorf("the end of %s was committed after apply answered, and is not heard", ch.Instance.ID)
					}
				}
				mu.Unlock()
			}
			return nil
		})
	}
	w.apply(triggered("after", after("t", source(""))))
	close(applied)
	w.ok(g.Wait())
	w.same(1, len(w.marked(flow.InstanceSucceeded)))
	if found := len(w.standings()[0].Marks); found != marked+1 || certain > marked {
		w.Errorf("%d marks, %d were told, %d are certain", found, marked, certain)
	}
}

// testTriggerEvents: an event with a key starts one run, however many bring it at once.
func testTriggerEvents(w *world) {
	w.apply(triggered("hooked", flow.Trigger{Name: "push", Webhook: &flow.Webhook{Secret: flow.Secret{Env: "HOOK"}}}))
	t := must(w.db.TriggerNamed(w.ctx, "p", "hooked", "push"))(w)
	w.same([]any{"p", true, "HOOK"}, []any{t.ProjectName, t.Enabled, t.Body.Webhook.Secret.Env})
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.TriggerNamed(w.ctx, "p", "hooked", "pull"))))
	event := func(key string) (flow.ID, bool, error) {
		d := w.fired(t)
		d.Starts[0].Key = key
		return w.db.StartByEvent(w.ctx, d.Starts[0], d.Commands[0])
	}
	var g errgroup.Group
	var mu sync.Mutex
	runs, first := map[flow.ID]bool{}, 0
	for range 8 {
		d := w.fired(t)
		d.Starts[0].Key = "delivery-1"
		g.Go(func() error {
			id, existing, err := w.db.StartByEvent(w.ctx, d.Starts[0], d.Commands[0])
			mu.Lock()
			defer mu.Unlock()
			runs[id] = true
			if !existing {
				first++
			}
			return err
		})
	}
	w.ok(g.Wait())
	w.same([]any{1, 1}, []any{len(runs), first})
	for range 2 {
		_, existing, err := event("")
		w.ok(err)
		w.same(false, existing)
	}
	w.same(3, len(must(w.db.Starts(w.ctx, flow.StartFilter{Trigger: "push"}))(w).Items))
	must(w.db.EnableTriggers(w.ctx, "p", "hooked", "push", false))(w)
	_, _, err := event("")
	w.same(flow.CodeConflict, flow.CodeOf(err))
}
