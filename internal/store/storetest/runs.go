// Runs as people read them.

package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"baton/internal/flow"
)

func testRun(w *world) {
	_, err := w.db.Instance(w.ctx, w.id())
	w.same(flow.CodeNotFound, flow.CodeOf(err))
	c := w.submit()
	got := must(w.db.Instance(w.ctx, c.ID))(w)
	w.same(flow.Run{Instance: flow.Instance{
		ID: c.ID, Project: c.Project, Workflow: c.Workflow, Version: c.Version, State: flow.InstanceSubmitted, RunTimes: 1,
		Priority: c.Priority, DataTime: now, Zone: c.Zone, Trigger: flow.TriggerManual, Reason: flow.ReasonSubmitted, Spec: c.Start, SubmittedAt: now,
	}, ProjectName: "p", WorkflowName: "w"}, got, "waiting")
	ch := w.begin(c, 1)
	w.committed(ch)
	w.same(flow.Run{Instance: ch.Instance, ProjectName: "p", WorkflowName: "w", OwnerName: "home-1"}, must(w.db.Instance(w.ctx, c.ID))(w), "begun")
	child := w.begin(w.submit(), 0)
	child.Instance.Parent, child.Instance.ParentRow = c.ID, ch.NewTasks[0].ID
	w.committed(child)
	w.same("t0", must(w.db.Instance(w.ctx, child.Instance.ID))(w).ParentTask)
	w.same([]flow.TaskRow{}, must(w.db.Tasks(w.ctx, child.Instance.ID))(w))
}

func testAttempts(w *world) {
	ch := w.run(3)
	for no := int32(1); no <= 2; no++ {
		up := next(ch.Instance)
		for k := range ch.NewTasks[:2] {
			row := &ch.NewTasks[k]
			past := row.Attempt
			past.State = flow.AttemptLost
			up.Past = append(up.Past, past)
			row.Attempt.Number, row.Attempt.Token = no+1, past.Token+1000
			up.Tasks = append(up.Tasks, flow.TaskUpdate{Row: *row, Sources: 1 << flow.TaskDispatched})
		}
		w.committed(up)
		ch.Instance = up.Instance
	}
	show := func(as []flow.NamedAttempt) (out []string) {
		for _, a := range as {
			out = append(out, fmt.Sprint(a.TaskName, a.Number))
		}
		return out
	}
	w.same([]string{"t01", "t02", "t03", "t11", "t12", "t13", "t21"}, show(must(w.db.Attempts(w.ctx, ch.Instance.ID, ""))(w)))
	w.same([]string{"t11", "t12", "t13"}, show(must(w.db.Attempts(w.ctx, ch.Instance.ID, "t1"))(w)))
	w.same(3, len(must(w.db.Tasks(w.ctx, ch.Instance.ID))(w)))
}

// history makes runs of every kind and returns them as they must be listed.
func (w *world) history(n int) []flow.Run {
	w.Helper()
	w.apply(workflow("p", "w2", "a"), workflow("q", "w", "a"), workflow("q", "v", "a"))
	defs := must(w.db.Workflows(w.ctx, "", 10, "", ""))(w)
	triggers := []string{flow.TriggerManual, flow.TriggerSchedule, flow.TriggerBackfill, flow.TriggerSubWorkflow, flow.TriggerTrigger}
	random := rand.New(rand.NewPCG(1, 2))
	var out []flow.Run
	var batch []flow.Change
	for k := range n {
		d := defs[random.IntN(len(defs))]
		at := now + flow.Time(k)*60e6
		c := flow.Command{ID: w.ids.Next(at), Project: d.ProjectID, Workflow: d.ID, Version: 1, Priority: flow.PriorityMedium, Zone: "UTC", At: at}
		trigger := triggers[random.IntN(5)]
		c.Start = fmt.Appendf(nil, `{"trigger":%q}`, trigger)
		_, _, err := w.db.Submit(w.ctx, c, "")
		w.ok(err)
		if k%20 == 19 { // some wait
			out = append(out, must(w.db.Instance(w.ctx, c.ID))(w))
			continue
		}
		ch := w.begin(c, 0)
		i := &ch.Instance
		i.Trigger, i.State, i.DataTime = trigger, flow.InstanceState(1+random.IntN(11)), at-flow.Time(random.IntN(100))*3600e6
		if i.State.Ended() {
			i.Owner, i.EndedAt = 0, at
		}
		batch = append(batch, ch)
		r := flow.Run{Instance: *i, ProjectName: d.Project, WorkflowName: d.Name}
		if i.Owner != 0 {
			r.OwnerName = "home-1"
		}
		out = append(out, r)
	}
	w.committed(batch...)
	slices.Reverse(out)
	return out
}

func matches(f flow.RunFilter, r flow.Run) bool {
	return (f.Project == "" || r.ProjectName == f.Project) && (f.Workflow == "" || r.WorkflowName == f.Workflow) &&
		(len(f.States) == 0 || slices.Contains(f.States, r.State)) && (f.Trigger == "" || r.Trigger == f.Trigger) &&
		(f.Since == 0 || r.SubmittedAt >= f.Since) && (f.Until == 0 || r.SubmittedAt < f.Until) &&
		(f.DataFrom == 0 || r.DataTime >= f.DataFrom) && (f.DataTo == 0 || r.DataTime < f.DataTo)
}

// listed is what a list shows of a run.
func listed(r flow.Run) flow.Run {
	return flow.Run{
		Instance: flow.Instance{
			ID: r.ID, Version: r.Version, State: r.State, RunTimes: r.RunTimes, DryRun: r.DryRun, Priority: r.Priority,
			DataTime: r.DataTime, Trigger: r.Trigger, Key: r.Key, Reason: r.Reason, Params: r.Params, Outputs: r.Outputs,
			Parent: r.Parent, SubmittedAt: r.SubmittedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt,
		},
		ProjectName: r.ProjectName, WorkflowName: r.WorkflowName, OwnerName: r.OwnerName, ParentTask: r.ParentTask,
	}
}

func testFilters(w *world) {
	runs := w.history(240)
	random := rand.New(rand.NewPCG(3, 4))
	maybe := func(n int) bool { return random.IntN(n) == 0 }
	for range 150 {
		f := flow.RunFilter{Limit: 1 + random.IntN(40)}
		if maybe(2) {
			f.Project = []string{"p", "q", "none"}[random.IntN(3)]
		}
		if maybe(3) {
			f.Workflow = []string{"w", "v", "none"}[random.IntN(3)]
		}
		for maybe(2) && len(f.States) < 4 {
			f.States = append(f.States, flow.InstanceState(1+random.IntN(11)))
		}
		if maybe(3) {
			f.Trigger = runs[random.IntN(len(runs))].Trigger
		}
		if maybe(3) {
			f.Since = now + flow.Time(random.IntN(240))*60e6
		}
		if maybe(3) {
			f.Until = now + flow.Time(random.IntN(240))*60e6
		}
		if maybe(3) {
			f.DataFrom = now - flow.Time(random.IntN(100))*3600e6
		}
		if maybe(3) {
			f.DataTo = now - flow.Time(random.IntN(60))*3600e6
		}
		var want []flow.Run
		for _, r := range runs {
			if matches(f, r) {
				want = append(want, listed(r))
			}
		}
		var got []flow.Run
		for page := (flow.Page[flow.Run]{}); ; {
			f.Cursor = page.Next
			page = must(w.db.Instances(w.ctx, f))(w)
			if len(page.Items) > f.Limit || page.Next != 0 && len(page.Items) != f.Limit {
				w.Fatalf("a page of %d with limit %d, next %s", len(page.Items), f.Limit, page.Next)
			}
			got = append(got, page.Items...)
			if page.Next == 0 {
				break
			}
		}
		w.same(want, got, f)
	}
}

// testPaging: pages stay complete and without doubles while runs are submitted and begun.
func testPaging(w *world) {
	var old []flow.ID
	for range 60 {
		old = append(old, w.run(0).Instance.ID)
	}
	var waiting []flow.Command
	for range 30 {
		c := w.submit()
		old, waiting = append(old, c.ID), append(waiting, c)
	}
	slices.Reverse(old)
	var group sync.WaitGroup
	group.Go(func() {
		for _, c := range waiting { // they move from one table to the other under the reader
			w.submit()
			if rs, err := w.m.Commit(w.ctx, flow.Batch{Owner: w.me, Epoch: w.epoch, Changes: []flow.Change{w.begin(c, 0)}}); err != nil || rs.Changes[0].Fate != flow.Committed {
				w.Errorf("%v %v", rs, err)
			}
		}
	})
	for range 10 {
		var seen []flow.ID
		f := flow.RunFilter{Project: "p", Limit: 7, Cursor: old[0] + 1}
		for {
			page, err := w.db.Instances(w.ctx, f)
			w.ok(err)
			for _, r := range page.Items {
				seen = append(seen, r.ID)
			}
			if f.Cursor = page.Next; f.Cursor == 0 {
				break
			}
		}
		w.same(old, seen)
	}
	group.Wait()
	var all []flow.ID
	for page := (flow.Page[flow.Run]{}); ; {
		page = must(w.db.Commands(w.ctx, 7, page.Next))(w)
		for _, r := range page.Items {
			all = append(all, r.ID)
		}
		if page.Next == 0 {
			break
		}
	}
	w.same(30, len(all))
}

func testAlerts(w *world) {
	var want []flow.Alert
	w.apply(workflow("q", "w", "a"))
	q := must(w.db.Workflow(w.ctx, "q", "w", 0))(w)
	for k := range 12 {
		ch := w.run(0)
		a := flow.Alert{ID: w.id(), Kind: flow.AlertRunFailed, Project: ch.Instance.Project, Instance: ch.Instance.ID, Workflow: "w", Message: "m", At: now}
		if k%3 == 0 {
			a.Project = q.ProjectID
		}
		up := next(ch.Instance)
		up.Alerts = []flow.Alert{a}
		w.committed(up)
		want = append(want, a)
	}
	slices.Reverse(want)
	list := func(f flow.AlertFilter) (out []flow.Alert) {
		for {
			page := must(w.db.Alerts(w.ctx, f))(w)
			out = append(out, page.Items...)
			if f.Cursor = page.Next; f.Cursor == 0 {
				return out
			}
		}
	}
	w.same(want, list(flow.AlertFilter{Limit: 5}))
	w.same(4, len(list(flow.AlertFilter{Limit: 3, Project: "q", Workflow: "w"})))
	w.same(want[3:4], list(flow.AlertFilter{Instance: want[3].Instance}))
	w.same(0, len(list(flow.AlertFilter{Project: "none"})))
}
