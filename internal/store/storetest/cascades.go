// Backfills that run the workflows which depend on theirs, too.

package storetest

import (
	"fmt"

	"baton/internal/flow"
)

// cascade writes a backfill of two dates, one of each of two workflows that depend on it, and one of a third behind them.
func (w *world) cascade(change func(*flow.Backfill)) flow.ID {
	w.Helper()
	b := flow.Backfill{ID: w.id(), Project: w.wf.ProjectID, Workflow: w.wf.ID, Zone: "Asia/Shanghai", Parallel: 2, CreatedAt: now}
	b.Start = flow.Start{Schedule: "nightly", Priority: flow.PriorityHigh}
	if change != nil {
		change(&b)
	}
	parts := []flow.BackfillPart{b.Own()}
	for i, level := range []int{1, 1, 2} {
		name := fmt.Sprintf("after%d", i+1)
		w.apply(workflow("q", name, "a"))
		def := must(w.db.Workflow(w.ctx, "q", name, 0))(w)
		parts = append(parts, flow.BackfillPart{
			Level: level, Workflow: def.ID, Zone: "UTC", Dates: 1, Start: flow.Start{Priority: flow.PriorityHigh, Params: map[string]string{"n": fmt.Sprint(i)}},
		})
	}
	parts = append(parts, flow.BackfillPart{Level: 2, Workflow: w.wf.ID, Zone: "UTC", Reason: "unknown: its windows"})
	id, _, err := w.db.CreateBackfill(w.ctx, b, parts, []flow.BackfillItem{
		{DataTime: day}, {DataTime: 2 * day}, {Part: 1, Level: 1, DataTime: 3 * day}, {Part: 2, Level: 1, DataTime: 3 * day}, {Part: 3, Level: 2, DataTime: 4 * day},
	}, "", "", w.id)
	w.ok(err)
	return id
}

// A level begins when all dates of the levels before it have ended, and each date is a run of its own workflow.
func testBackfillLevels(w *world) {
	id := w.cascade(nil)
	w.same("running 1:submitted 2:submitted 3:- 3:- 4:-", w.stands(id))
	w.ends(id, 0, flow.InstanceSucceeded)
	w.same("running 1:succeeded 2:submitted 3:- 3:- 4:-", w.stands(id), "a place is free, and the level goes on")
	got := must(w.db.Backfill(w.ctx, id))(w)
	w.same("level: the dates of the next level begin when all before them have ended", got.Reason)
	w.ends(id, 1, flow.InstanceFailed)
	w.same("running 1:succeeded 2:failed 3:submitted 3:submitted 4:-", w.stands(id))

	got = must(w.db.Backfill(w.ctx, id))(w)
	w.same("", got.Reason)
	w.same(3, got.Cascaded)
	w.same([]flow.Time{day, 2 * day}, []flow.Time{got.From, got.To})
	w.same(flow.BackfillCounts{Waiting: 1, Going: 2, Succeeded: 1, Failed: 1}, got.Counts)
	w.same(5, len(got.Parts))
	w.same("p/w 2", fmt.Sprintf("%s/%s %d", got.Parts[0].ProjectName, got.Parts[0].WorkflowName, got.Parts[0].Dates))
	w.same(flow.BackfillCounts{Succeeded: 1, Failed: 1}, got.Parts[0].Counts)
	w.same("q/after2 1", fmt.Sprintf("%s/%s %d", got.Parts[2].ProjectName, got.Parts[2].WorkflowName, got.Parts[2].Dates))
	w.same(flow.BackfillCounts{Going: 1}, got.Parts[2].Counts)
	w.same("unknown: its windows", got.Parts[4].Reason)
	w.same(flow.BackfillItem{Part: 3, Level: 2, DataTime: 4 * day}, got.Items[4])
	for _, c := range must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w) {
		of := got.Parts[1]
		if c.ID == got.Items[3].Instance {
			of = got.Parts[2]
		}
		w.same(of.Workflow, c.Workflow)
		w.same("UTC", c.Zone)
		w.same(flow.PriorityHigh, c.Priority)
		w.same(fmt.Sprintf(`{"params":{"n":%q},"data_time":%q,"priority":"high","trigger":"backfill","backfill":"%d"}`, of.Start.Params["n"], (3*day).String(), id), string(c.Start))
	}
	w.same(3, must(w.db.Backfills(w.ctx, flow.BackfillFilter{Project: "p"}))(w).Items[0].Cascaded)

	// What a person takes up again of an earlier level holds up a later one.
	w.ends(id, 2, flow.InstanceSucceeded)
	run := w.load(got.Items[1].Instance).Instance
	up := next(run)
	up.Instance.State, up.Instance.RunTimes, up.Instance.EndedAt = flow.InstanceRunning, 2, 0
	w.committed(up)
	w.advance(id, run.ID)
	w.ends(id, 3, flow.InstanceSucceeded)
	w.same("running 1:succeeded 2:running 3:succeeded 3:succeeded 4:-", w.stands(id))
	w.turns(up, flow.InstanceSucceeded)
	w.advance(id, run.ID)
	w.same("running 1:succeeded 2:succeeded 3:succeeded 3:succeeded 4:submitted", w.stands(id))
	w.ends(id, 4, flow.InstanceSucceeded)
	w.same("succeeded 1:succeeded 2:succeeded 3:succeeded 3:succeeded 4:succeeded", w.stands(id))
}

// Halting, pausing and stopping are of all levels.
func testBackfillLevelsSteered(w *world) {
	id := w.cascade(func(b *flow.Backfill) { b.Halt = true })
	w.ends(id, 0, flow.InstanceSucceeded)
	w.ends(id, 1, flow.InstanceFailed)
	w.same("failed 1:succeeded 2:failed 3:- 3:- 4:-", w.stands(id))
	w.same("on_failure: 1 of 5 dates did not succeed, so 3 were left out; `baton backfill --resume "+id.String()+"` goes on when it is recovered, or with --on-failure continue", must(w.db.Backfill(w.ctx, id))(w).Reason)
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbResume, OnFailure: flow.OnFailureContinue}))
	w.same("running 1:succeeded 2:failed 3:submitted 3:submitted 4:-", w.stands(id), "a level that has failed has ended")
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbPause}))
	w.ends(id, 2, flow.InstanceSucceeded)
	w.ends(id, 3, flow.InstanceSucceeded)
	w.same("paused 1:succeeded 2:failed 3:succeeded 3:succeeded 4:-", w.stands(id))
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbResume}))
	w.ok(w.tell(id, flow.BackfillOrder{Verb: flow.VerbStop}))
	w.ends(id, 4, flow.InstanceStopped)
	w.same("stopped 1:succeeded 2:failed 3:succeeded 3:succeeded 4:stopped", w.stands(id))
	must(w.db.Prune(w.ctx, now+10, 10))(w)
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.Backfill(w.ctx, id))))
}
