// What keeps a store small and honest.

package storetest

import (
	"sync"

	"baton/internal/flow"
)

func testPrune(w *world) {
	ended := func(at flow.Time) flow.Change {
		ch := w.run(2)
		up := next(ch.Instance)
		up.Instance.State, up.Instance.Owner, up.Instance.EndedAt = flow.InstanceFailed, 0, at
		up.Past = []flow.AttemptRow{ch.NewTasks[0].Attempt}
		up.Past[0].State = flow.AttemptFailed
		up.Alerts = []flow.Alert{{ID: w.id(), Instance: ch.Instance.ID, Project: ch.Instance.Project, At: now}}
		w.order(ch.Instance.ID, "", "done")
		w.committed(up)
		return up
	}
	before := now + 1000
	old := []flow.Change{ended(now), ended(now + 1), ended(now + 2)}
	consume := func(c flow.Change) { // the order that was given it
		ids := w.claim(w.me, 500)
		for _, id := range ids {
			i := w.load(id).Instance
			up := next(i)
			up.Instance.Owner = 0
			for _, item := range must(w.m.Inbox(w.ctx, w.me, 100, nil))(w) {
				if item.Instance == id {
					up.Inbox = append(up.Inbox, item.ID)
				}
			}
			w.committed(up)
		}
	}
	if n := must(w.db.Prune(w.ctx, before, 10))(w); n != 0 {
		w.Errorf("pruned %d runs with an order waiting", n)
	}
	consume(old[0])
	young, live := ended(before), w.run(1)
	consume(young)
	parent := w.run(1)
	child := w.begin(w.submit(), 0)
	child.Instance.Parent, child.Instance.State, child.Instance.Owner, child.Instance.EndedAt = parent.Instance.ID, flow.InstanceFailed, 0, now
	w.committed(child)
	key := w.keyed("k", now)
	w.submitKeyed(key, "d")
	done := w.begin(key, 0)
	done.Instance.Key, done.Instance.State, done.Instance.Owner, done.Instance.EndedAt = "k", flow.InstanceSucceeded, 0, now
	w.committed(done)

	w.same(2, must(w.db.Prune(w.ctx, before, 2))(w))
	w.same(2, must(w.db.Prune(w.ctx, before, 10))(w))
	w.same(0, must(w.db.Prune(w.ctx, before, 10))(w))
	for _, c := range old {
		id := c.Instance.ID
		w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.Instance(w.ctx, id))))
		w.same(0, len(must(w.db.Tasks(w.ctx, id))(w))+len(must(w.db.Attempts(w.ctx, id, ""))(w))+
			len(must(w.db.Alerts(w.ctx, flow.AlertFilter{Instance: id}))(w).Items)+len(must(w.db.Outcomes(w.ctx, id))(w)))
	}
	for _, c := range []flow.Change{young, live, parent, child} {
		must(w.db.Instance(w.ctx, c.Instance.ID))(w)
	}
	w.same(2, len(must(w.db.Tasks(w.ctx, young.Instance.ID))(w)))
	again := w.keyed("k", now)
	id, existing := w.submitKeyed(again, "d")
	w.same([]any{again.ID, false}, []any{id, existing}, "the key of a run that is gone is free")
}

func testStray(w *world) {
	count := func(want int, what string) {
		w.Helper()
		w.same(want, must(w.db.Stray(w.ctx))(w), what)
	}
	w.parked(flow.InstanceRunning, now)
	w.parked(flow.InstancePaused, 0)
	w.parked(flow.InstanceSucceeded, 0)
	held := w.run(1)
	w.ok(w.m.Quarantine(w.ctx, w.me, held.Instance.ID, "because", now))
	ch := w.run(3)
	count(0, "all have a reason")
	lost := w.parked(flow.InstanceRunning, 0)
	count(1, "a run that nobody will look at")
	w.order(lost.Instance.ID, "x", flow.VerbStop)
	count(0, "an order wakes it")
	up := next(ch.Instance)
	for k, state := range []flow.TaskState{flow.TaskQueued, flow.TaskWaiting, flow.TaskRunning} {
		row := ch.NewTasks[k]
		row.State, row.Reason = state, ""
		row.NextCheck = flow.Time(k) // the second one is looked at again, the third has a live attempt
		up.Tasks = append(up.Tasks, flow.TaskUpdate{Row: row, Sources: 1 << flow.TaskDispatched})
	}
	up.Tasks[2].Row.NextCheck = 0
	w.committed(up)
	count(1, "a task that nobody will look at")

	waitsFor := func(child flow.ID) {
		run := w.begin(w.submit(), 1)
		run.Instance.Owner, run.Grants = 0, nil
		row := &run.NewTasks[0]
		row.Type, row.State, row.Reason, row.Attempt = flow.TypeSubWorkflow, flow.TaskRunning, "child: waits", flow.AttemptRow{Ref: child.String()}
		w.committed(run)
	}
	waitsFor(ch.Instance.ID)
	count(1, "the run that it waits for goes on")
	waitsFor(w.parked(flow.InstanceSucceeded, 0).Instance.ID)
	count(2, "a task that waits for a run which has ended")
}

func testUntaken(w *world) {
	first, _ := w.submit(), w.submit()
	tell := func(before flow.Time) {
		w.Helper()
		w.ok(w.db.AlertUntaken(w.ctx, before, flow.AlertNoMaster, "no master is there", now))
	}
	alerts := func() []flow.Alert { return must(w.db.Alerts(w.ctx, flow.AlertFilter{}))(w).Items }
	tell(first.At)
	w.same(0, len(alerts()), "it is too young")
	var wg sync.WaitGroup
	for range 4 { // of several apis
		wg.Go(func() { tell(first.At + 1) })
	}
	wg.Wait()
	got := alerts()
	w.same(1, len(got), "of the oldest, once")
	want := flow.Alert{ID: got[0].ID, Kind: flow.AlertNoMaster, Project: first.Project, Instance: first.ID, Workflow: got[0].Workflow, Message: "no master is there", At: now}
	w.same(want, got[0])
	w.committed(w.begin(first, 0))
	tell(first.At + 1)
	w.same(2, len(alerts()), "another one is the oldest")
}

func testSettings(w *world) {
	if v := must(w.db.Setting(w.ctx, "lease"))(w); v != "10s" {
		w.Errorf("the lease of a new store is %q, not what it was opened with", v)
	}
	w.same("", must(w.db.Setting(w.ctx, "x"))(w))
	w.ok(w.db.SetSetting(w.ctx, "x", "1"))
	w.ok(w.db.SetSetting(w.ctx, "x", "2"))
	w.same("2", must(w.db.Setting(w.ctx, "x"))(w))
	w.same("10s", must(w.db.Setting(w.ctx, "lease"))(w))
	w.same(flow.CodeBadRequest, flow.CodeOf(w.db.SetSetting(w.ctx, "lease", "soon")))
	w.ok(w.db.SetSetting(w.ctx, "lease", "60s"))
	w.same(flow.CodeBadRequest, flow.CodeOf(w.db.SetSetting(w.ctx, "balance", "best")))
	l := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Name: "n", Home: "n"}))(w)
	n := must(w.db.Nodes(w.ctx, flow.RoleWorker))(w)[0]
	if n.Incarnation != l.Incarnation || n.LeaseUntil.Sub(n.StartedAt).Seconds() < 59 {
		w.Errorf("%+v", n)
	}
	w.ok(w.db.CreateToken(w.ctx, "admin", "abc", now))
	w.same("admin", must(w.db.TokenName(w.ctx, "abc"))(w))
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.TokenName(w.ctx, "def"))))
	w.ok(w.db.CreateToken(w.ctx, "admin", "ghi", now))
	w.ok(w.db.CreateToken(w.ctx, "ann", "jkl", now))
	w.same([]string{"admin", "ann"}, must(w.db.TokenNames(w.ctx))(w), "each once")
	w.ok(w.db.Ping(w.ctx))
}
