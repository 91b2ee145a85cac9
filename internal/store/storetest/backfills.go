// Backfills: written as a whole, advanced by whoever comes first, through every fate of their runs.

package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"baton/internal/flow"
)

const day = flow.Time(24 * 60 * 60 * 1_000_000)

// plan writes a backfill of n dates.
func (w *world) plan(n int, change func(*flow.Backfill)) flow.ID {
	w.Helper()
	b := flow.Backfill{ID: w.id(), Project: w.wf.ProjectID, Workflow: w.wf.ID, Zone: "Asia/Shanghai", Parallel: 1, CreatedAt: now}
	b.Start = flow.Start{Params: map[string]string{"a": "b"}, Schedule: "nightly"}
	if change != nil {
		change(&b)
	}
	var dates []flow.Time
	for i := range n {
		dates = append(dates, day*flow.Time(i+1))
	}
	if b.Descending {
		slices.Reverse(dates)
	}
	id, existing, err := w.db.CreateBackfill(w.ctx, b, nil, items(dates...), "", "", w.id)
	w.ok(err)
	w.same(false, existing)
	w.same(b.ID, id)
	return id
}

// items are dates of a backfill's own workflow.
func items(dates ...flow.Time) []flow.BackfillItem {
	out := make([]flow.BackfillItem, len(dates))
	for i, at := range dates {
		out[i].DataTime = at
	}
	return out
}

// stands is a backfill in a line: its state, and of each date the day and how it stands.
func (w *world) stands(id flow.ID) string {
	w.Helper()
	b := must(w.db.Backfill(w.ctx, id))(w)
	out := []string{b.State.String()}
	for _, i := range b.Items {
		state := "-"
		if i.State != 0 {
			state = i.State.String()
		}
		out = append(out, fmt.Sprintf("%d:%s", i.DataTime/day, state))
	}
	return strings.Join(out, " ")
}

// advance has a master look at a backfill, as it does when runs of it have ended.
func (w *world) advance(id flow.ID, runs ...flow.ID) flow.Advanced {
	w.Helper()
	ids := make([]flow.ID, 20)
	for i := range ids {
		ids[i] = w.id()
	}
	return must(w.m.AdvanceBackfills(w.ctx, w.me, []flow.ID{id}, runs, 0, ids, now+1))(w)
}

// item is a date of a backfill, by its place.
func (w *world) item(id flow.ID, n int) flow.BackfillItem {
	w.Helper()
	return must(w.db.Backfill(w.ctx, id))(w).Items[n]
}

// took makes the run of a date of its command, as a master does.
func (w *world) took(id flow.ID, n int) flow.Change {
	w.Helper()
	run := w.item(id, n).Instance
	for _, c := range must(w.m.Commands(w.ctx, 100, nil, flow.Turn{}))(w) {
		if c.ID == run {
			ch := w.begin(c, 0)
			ch.Instance.Trigger, ch.Instance.DataTime = flow.TriggerBackfill, w.item(id, n).DataTime
			w.committed(ch)
			return ch
		}
	}
	w.Fatalf("date %d has no command", n)
	return flow.Change{}
}

// ends has the run of a date end so, and the backfill go on.
func (w *world) ends(id flow.ID, n int, state flow.InstanceState) {
	w.Helper()
	ch := w.took(id, n)
	w.turns(ch, state)
	w.advance(id, ch.Instance.ID)
}

// turns has a run change its state once more.
func (w *world) turns(ch flow.Change, state flow.InstanceState) flow.Change {
	w.Helper()
	up := next(w.load(ch.Instance.ID).Instance)
	up.Instance.State, up.Instance.Reason = state, "because"
	if state.Ended() {
		up.Instance.EndedAt = now
	}
	w.committed(up)
	return up
}

func (w *world) tell(id flow.ID, o flow.BackfillOrder) error {
	return w.db.OrderBackfill(w.ctx, id, o, w.id, now+2)
}

func testBackfill(w *world) {
	if must(w.m.Waiting(w.ctx, w.me))(w).Backfills {
		w.Error("there is none")
	}
	id := w.plan(3, func(b *flow.Backfill) { b.Descending, b.Parallel = true, 2 })
	if !must(w.m.Waiting(w.ctx, w.me))(w).Backfills {
		w.Error("there is one")
	}
	w.same("running 3:submitted 2:submitted 1:-", w.stands(id), "the first begin in the transaction that makes it")
	commands := must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)
	w.same(2, len(commands))
	first := commands[0]
	w.same(fmt.Sprintf(`{"params":{"a":"b"},"data_time":%q,"trigger":"backfill","schedule":"nightly","backfill":"%d"}`, (3*day).String(), id), string(first.Start))
	w.same(flow.Command{ID: w.item(id, 0).Instance, Project: w.wf.ProjectID, Workflow: w.wf.ID, Version: 1, Priority: flow.PriorityMedium, Start: first.Start, Zone: "Asia/Shanghai", At: now}, first)
	w.same(0, w.advance(id).Started, "two go on")
	w.ends(id, 1, flow.InstanceSucceeded)
	w.same("running 3:submitted 2:succeeded 1:submitted", w.stands(id))
	w.ends(id, 0, flow.InstanceFailed)
	w.same("running 3:failed 2:succeeded 1:submitted", w.stands(id))
	w.ends(id, 2, flow.InstanceSucceeded)
	w.same("failed 3:failed 2:succeeded 1:succeeded", w.stands(id))
	got := must(w.db.Backfill(w.ctx, id))(w)
	w.same("dates: 1 of 3 dates did not succeed", got.Reason)
	w.same(now+1, got.EndedAt)
	w.same([]flow.Time{day, 3 * day}, []flow.Time{got.From, got.To})
	w.same(flow.BackfillCounts{Succeeded: 2, Failed: 1}, got.Counts)
	w.same("because", got.Items[0].Reason)
	if must(w.m.Waiting(w.ctx, w.me))(w).Backfills {
		w.Error("it has ended")
	}

	// A person recovers what failed: the backfill has succeeded then.
	run := w.load(got.Items[0].Instance).Instance
	up := next(run)
	up.Instance.State, up.Instance.RunTimes, up.Instance.EndedAt = flow.InstanceRunning, 2, 0
	w.committed(up)
	w.advance(id, run.ID)
	w.same("failed 3:running 2:succeeded 1:succeeded", w.stands(id))
	w.turns(up, flow.InstanceSucceeded)
	w.advance(id, run.ID)
	w.same("succeeded 3:succeeded 2:succeeded 1:succeeded", w.stands(id))

	list := must(w.db.Backfills(w.ctx, flow.BackfillFilter{Project: "p", Workflow: "w"}))(w).Items
	w.same(1, len(list))
	w.same(flow.BackfillCounts{Succeeded: 3}, list[0].Counts)
	w.same([]flow.Time{day, 3 * day}, []flow.Time{list[0].From, list[0].To})
	other := w.plan(1, nil)
	w.same(id, must(w.db.Backfills(w.ctx, flow.BackfillFilter{Instance: run.ID}))(w).Items[0].ID)
	w.same(0, len(must(w.db.Backfills(w.ctx, flow.BackfillFilter{Instance: 1}))(w).Items))
	w.same(other, must(w.db.Backfills(w.ctx, flow.BackfillFilter{States: []flow.BackfillState{flow.BackfillRunning}}))(w).Items[0].ID)
	p := must(w.db.Backfills(w.ctx, flow.BackfillFilter{Project: "p", Limit: 1}))(w)
	w.same(other, p.Next)
	w.same(id, must(w.db.Backfills(w.ctx, flow.BackfillFilter{Limit: 1, Cursor: p.Next}))(w).Items[0].ID)
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.Backfill(w.ctx, 1))))
	w.same(flow.CodeNotFound, flow.CodeOf(w.tell(1, flow.BackfillOrder{Verb: flow.VerbStop})))
}

// All of it or nothing, and with a key once.
func testBackfillIsWhole(w *world) {
	b := flow.Backfill{ID: w.id(), Project: w.wf.ProjectID, Workflow: w.wf.ID, Zone: "UTC", Parallel: 2, CreatedAt: now}
	taken := w.submit().ID
	ids := []flow.ID{w.id(), taken} // the second cannot be ordered: the transaction fails at its last statement
	give := func() flow.ID { id := ids[0]; ids = ids[1:]; return id }
	if _, _, err := w.db.CreateBackfill(w.ctx, b, nil, items(day, 2*day), "k", "d", give); err == nil {
		w.Error("an id was given twice, and it was taken")
	}
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.Backfill(w.ctx, b.ID))))
	w.same(1, len(must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)))

	id, existing, err := w.db.CreateBackfill(w.ctx, b, nil, items(day, 2*day), "k", "d", w.id)
	w.ok(err)
	w.same(false, existing)
	again := b
	again.ID = w.id()
	same, existing, err := w.db.CreateBackfill(w.ctx, again, nil, items(3*day), "k", "d", w.id)
	w.ok(err)
	w.same(id, same)
	w.same(true, existing)
	_, _, err = w.db.CreateBackfill(w.ctx, again, nil, items(3*day), "k", flow.BackfillDigest+"other", w.id)
	w.same(flow.CodeConflict, flow.CodeOf(err))
	w.same(3, len(must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)))
}

// However many masters come at once, no date begins twice, and no more at a time than may.
// testBackfillRace: again and again, for a race that is there shows itself now and then.
func testBackfillRace(w *world) {
	const rounds, parallel = 12, 3
	id := w.plan((rounds+2)*parallel, func(b *flow.Backfill) { b.Parallel = parallel })
	for round := range rounds {
		for n := range parallel {
			w.turns(w.took(id, round*parallel+n), flow.InstanceSucceeded)
		}
		var g errgroup.Group
		var started atomic.Int64
		for range 8 {
			ids := []flow.ID{w.id(), w.id(), w.id(), w.id()}
			g.Go(func() error {
				a, err := w.m.AdvanceBackfills(w.ctx, w.me, []flow.ID{id}, nil, 0, ids, now)
				started.Add(int64(a.Started))
				return err
			})
		}
		w.ok(g.Wait())
		w.same(int64(parallel), started.Load(), "round", round)
		w.same(parallel, len(must(w.m.Commands(w.ctx, 100, nil, flow.Turn{}))(w)))
		w.same(flow.BackfillCounts{Waiting: (rounds - round) * parallel, Going: parallel, Succeeded: (round + 1) * parallel}, must(w.db.Backfill(w.ctx, id))(w).Counts)
	}
}

func testBackfillHalts(w *world) {
	id := w.plan(5, func(b *flow.Backfill) { b.Parallel, b.Halt = 2, true })
	w.ends(id, 0, flow.InstanceFailed)
	w.same("running 1:failed 2:submitted 3:- 4:- 5:-", w.stands(id))
	w.ends(id, 1, flow.InstanceSucceeded)
	w.same("failed 1:failed 2:succeeded 3:- 4:- 5:-", w.stands(id))
	w.same(flow.CodeConflict, flow.CodeOf(w.tell(id, flow.BackfillOrder{Verb: flow.VerbResume})), "its failure is not mended")

	// The one that failed is recovered, and the backfill resumed.
	run := w.load(w.item(id, 0).Instance).Instance
	up := next(run)
	up.Instance.State, up.Instance.RunTimes, up.Instance.EndedAt = flow.InstanceRunning, 2, 0
	w.committed(up)
	w.turns(up, flow.InstanceSucceeded) // and nobody told the backfill
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbResume}))
	w.same("running 1:succeeded 2:succeeded 3:submitted 4:submitted 5:-", w.stands(id))
	w.ends(id, 2, flow.InstanceStopped)
	w.ends(id, 3, flow.InstanceSucceeded)
	w.same("failed 1:succeeded 2:succeeded 3:stopped 4:succeeded 5:-", w.stands(id))
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbResume, OnFailure: flow.OnFailureContinue}))
	w.same("running 1:succeeded 2:succeeded 3:stopped 4:succeeded 5:submitted", w.stands(id))
	w.ends(id, 4, flow.InstanceSucceeded)
	w.same("failed 1:succeeded 2:succeeded 3:stopped 4:succeeded 5:succeeded", w.stands(id))
}

// A run that was recovered goes on beside no more than may, although nobody told its backfill.
func testBackfillCountsRecovered(w *world) {
	id := w.plan(4, nil)
	w.ends(id, 0, flow.InstanceFailed)
	w.same("running 1:failed 2:submitted 3:- 4:-", w.stands(id))
	up := next(w.load(w.item(id, 0).Instance).Instance)
	up.Instance.State, up.Instance.RunTimes, up.Instance.EndedAt = flow.InstanceRunning, 2, 0
	w.committed(up)
	w.ends(id, 1, flow.InstanceSucceeded)
	w.same("running 1:running 2:succeeded 3:- 4:-", w.stands(id), "one goes on, and one at a time may")
	up = w.turns(up, flow.InstanceSucceeded)
	w.advance(id, up.Instance.ID)
	w.same("running 1:succeeded 2:succeeded 3:submitted 4:-", w.stands(id))

	up = next(up.Instance) // and one that had succeeded is done again
	up.Instance.State, up.Instance.RunTimes, up.Instance.EndedAt = flow.InstanceQueued, 3, 0
	w.committed(up)
	w.ends(id, 2, flow.InstanceSucceeded)
	w.same("running 1:queued 2:succeeded 3:succeeded 4:-", w.stands(id))
}

// One that cannot be decided about holds up no other, and is named: an error says that all failed.
func testBackfillsApart(w *world) {
	stuck, ending := w.plan(2, nil), w.plan(1, nil)
	w.turns(w.took(stuck, 0), flow.InstanceSucceeded)
	last := w.turns(w.took(ending, 0), flow.InstanceSucceeded).Instance.ID
	taken := []flow.ID{w.submit().ID} // of another run: nothing can begin with it
	got := must(w.m.AdvanceBackfills(w.ctx, w.me, []flow.ID{stuck, ending}, []flow.ID{last}, 0, taken, now))(w)
	w.same(flow.Advanced{Again: []flow.ID{stuck}}, got)
	w.same("succeeded 1:succeeded", w.stands(ending))
	w.same("running 1:succeeded 2:-", w.stands(stuck))
	if _, err := w.m.AdvanceBackfills(w.ctx, w.me, []flow.ID{stuck}, nil, 0, taken, now); err == nil {
		w.Error("nothing could be done, and nobody hears of it")
	}
}

func testBackfillPauses(w *world) {
	id := w.plan(3, nil)
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbPause}))
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbPause}))
	w.ends(id, 0, flow.InstanceSucceeded)
	w.same("paused 1:succeeded 2:- 3:-", w.stands(id))
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbResume}))
	w.same("running 1:succeeded 2:submitted 3:-", w.stands(id))
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbPause}))
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbStop}))
	w.same(flow.CodeConflict, flow.CodeOf(w.tell(id, flow.BackfillOrder{Verb: flow.VerbPause})))
	w.same("stopping 1:succeeded 2:submitted 3:-", w.stands(id))
}

func testBackfillStops(w *world) {
	id := w.plan(4, func(b *flow.Backfill) { b.Parallel = 3 })
	w.ends(id, 0, flow.InstanceSucceeded)
	running := w.took(id, 1)
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbStop, By: "anna"}))
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbStop, By: "anna"}))
	w.same("stopping 1:succeeded 2:running 3:submitted 4:submitted", w.stands(id))
	given := must(w.db.Given(w.ctx, running.Instance.ID))(w)
	w.same(1, len(given), "the run that goes on is told once")
	w.same(flow.Verb{Name: flow.VerbStop, By: "anna", Times: 1}, given[0].Verb)
	for _, c := range must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w) {
		w.same(1, len(c.Inbox), "and what no master has taken")
	}
	w.turns(running, flow.InstanceStopped)
	w.advance(id, running.Instance.ID)
	w.ends(id, 2, flow.InstanceStopped)
	w.same("stopping 1:succeeded 2:stopped 3:stopped 4:submitted", w.stands(id))
	w.ends(id, 3, flow.InstanceStopped)
	w.same("stopped 1:succeeded 2:stopped 3:stopped 4:stopped", w.stands(id))
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbStop}))
	w.same(flow.CodeConflict, flow.CodeOf(w.tell(id, flow.BackfillOrder{Verb: flow.VerbResume})))

	idle := w.plan(2, nil)
	w.ok(w.tell(idle, flow.BackfillOrder{Verb: flow.VerbPause}))
	w.ends(idle, 0, flow.InstanceSucceeded)
	w.ok(w.tell(idle, flow.BackfillOrder{Verb: flow.VerbStop}))
	w.same("stopped 1:succeeded 2:-", w.stands(idle), "nothing went on")
}

// How dates ended outlives their runs, and old backfills go as old runs do.
func testBackfillPrune(w *world) {
	id := w.plan(3, nil)
	ch := w.took(id, 0)
	up := w.turns(ch, flow.InstanceFailed) // and no master has told the backfill
	up = next(up.Instance)
	up.Instance.Owner = 0
	w.committed(up)
	w.same(1, must(w.db.Prune(w.ctx, now+1, 10))(w))
	w.same("running 1:failed 2:- 3:-", w.stands(id))
	w.same("because", w.item(id, 0).Reason)
	w.same(ch.Instance.ID, w.item(id, 0).Instance)
	w.same(1, w.advance(id).Started)
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbStop}))
	w.ends(id, 1, flow.InstanceStopped)
	w.same("stopped 1:failed 2:stopped 3:-", w.stands(id))
	must(w.db.Prune(w.ctx, now, 10))(w)
	w.same("stopped 1:failed 2:stopped 3:-", w.stands(id))
	must(w.db.Prune(w.ctx, now+10, 10))(w)
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.Backfill(w.ctx, id))))
	w.same(flow.Advanced{}, w.advance(id), "it is gone")
}

// The ids that a master brings bound what it begins; who is fenced begins nothing.
func testBackfillBounds(w *world) {
	id := w.plan(6, func(b *flow.Backfill) { b.Parallel = 3 })
	for n := range 3 {
		w.turns(w.took(id, n), flow.InstanceSucceeded)
	}
	a := must(w.m.AdvanceBackfills(w.ctx, w.me, []flow.ID{id}, nil, 0, []flow.ID{w.id(), w.id()}, now))(w)
	w.same(flow.Advanced{Started: 2, Again: []flow.ID{id}}, a)
	a = must(w.m.AdvanceBackfills(w.ctx, w.me, nil, nil, 0, []flow.ID{w.id(), w.id()}, now))(w)
	w.same(flow.Advanced{Started: 1}, a, "with none named it is found")
	w.turns(w.took(id, 3), flow.InstanceSucceeded)
	must(w.m.Fence(w.ctx, w.me))(w)
	if _, err := w.m.AdvanceBackfills(w.ctx, w.me, []flow.ID{id}, nil, 0, []flow.ID{w.id()}, now); err == nil {
		w.Error("a fenced master began a date")
	}
	w.same(flow.BackfillCounts{Waiting: 1, Going: 2, Succeeded: 3}.Going, must(w.db.Backfill(w.ctx, id))(w).Counts.Going)
}
