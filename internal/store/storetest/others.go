// What one run does to others: it begins them, and tells them.

package storetest

import (
	"encoding/json"
	"fmt"
	"slices"

	"baton/internal/flow"
)

// child is the order that begins a run for another.
func (w *world) child(parent flow.ID, dataTime flow.Time) flow.Command {
	w.Helper()
	c := w.command()
	var err error
	c.Start, err = json.Marshal(flow.Start{Trigger: flow.TriggerSubWorkflow, DataTime: dataTime, Parent: parent, ParentRow: parent + 1, Within: []flow.ID{w.wf.ID}})
	w.ok(err)
	return c
}

func (w *world) news(to flow.ID, text string) flow.InboxItem {
	id := w.id()
	return flow.InboxItem{ID: id, Instance: to, Kind: flow.InboxChild, Dedup: "news:" + id.String(), Payload: []byte(fmt.Sprintf(`{"reason":%q}`, text)), At: now}
}

// testOthers: what a change begins and tells is written with it or not at all, one or many.
func testOthers(w *world) {
	parent, listener := w.run(0), w.run(0)
	waiting := w.submit()
	at := now.Add(-3600e9)
	for n := range 3 {
		ch := next(w.load(parent.Instance.ID).Instance)
		gone := next(w.load(listener.Instance.ID).Instance)
		gone.Instance.Seq += 7
		var begun []flow.Command
		for range n + 1 {
			begun = append(begun, w.child(parent.Instance.ID, at))
			ch.News = append(ch.News, w.news(listener.Instance.ID, "hear"))
			gone.Commands = append(gone.Commands, w.child(parent.Instance.ID, at))
			gone.News = append(gone.News, w.news(parent.Instance.ID, "never"))
		}
		ch.Commands = begun
		ch.News = append(ch.News, w.news(waiting.ID, "before it began"), w.news(12345, "to nobody"))
		w.same([]flow.Fate{flow.Committed, flow.Gone}, fates(w.commit(ch, gone)))
		for _, c := range gone.Commands {
			w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.Instance(w.ctx, c.ID))))
		}
		for _, c := range begun {
			run := must(w.db.Instance(w.ctx, c.ID))(w)
			w.same([]any{flow.InstanceSubmitted, flow.TriggerSubWorkflow, at, c.Start}, []any{run.State, run.Trigger, run.DataTime, run.Spec})
		}
	}
	heard := 0
	for _, item := range must(w.m.Inbox(w.ctx, w.me, 100, nil))(w) {
		if string(item.Payload) != `{"reason":"hear"}` || item.Instance != listener.Instance.ID {
			w.Errorf("%+v", item)
		}
		heard++
	}
	w.same(1+2+3, heard)
	told := 0
	for _, c := range must(w.m.Commands(w.ctx, 100, nil, flow.Turn{}))(w) {
		told += len(c.Inbox)
	}
	w.same(3, told, "what was said before it began goes with the command")
	w.same(0, must(w.db.Stray(w.ctx))(w))

	ask := func(workflow string, child flow.ID) flow.Found {
		return must(w.m.Lookup(w.ctx, flow.Lookup{Project: "p", Workflow: workflow, Child: child}))(w)
	}
	found := ask("w", listener.Instance.ID)
	w.same([]any{w.wf.ID, true}, []any{found.Definition.ID, found.Child})
	found = ask("nirgends", waiting.ID)
	w.same([]any{flow.ID(0), true, `there is no workflow "nirgends" in project "p"`}, []any{found.Definition.ID, found.Child, found.Missing}, "the run is there, whatever became of its workflow")
	w.same(false, ask("w", 12345).Child)

	// What is begun may be told something by the same change: what it was begun for may be over already.
	both := next(w.load(parent.Instance.ID).Instance)
	child := w.child(parent.Instance.ID, at)
	both.Commands, both.News = []flow.Command{child}, []flow.InboxItem{w.news(child.ID, "stop"), w.news(listener.Instance.ID, "hear"), w.news(12345, "to nobody")}
	w.committed(both)
	told = 0
	for _, c := range must(w.m.Commands(w.ctx, 100, nil, flow.Turn{}))(w) {
		if c.ID == child.ID {
			told = len(c.Inbox)
		}
	}
	w.same(1, told, "what is told by the change that begins it goes with the command")
	w.same(0, must(w.db.Stray(w.ctx))(w))

	bad := next(w.load(parent.Instance.ID).Instance)
	bad.Commands = []flow.Command{w.child(parent.Instance.ID, at)}
	bad.Commands[0].Start = []byte("{")
	w.same([]flow.Fate{flow.Poison}, fates(w.commit(bad)))
}

// followed is what a row of a run follows.
func (w *world) followed(run flow.ID, row flow.ID, task string, from, to flow.Time) flow.Follow {
	return flow.Follow{Workflow: w.wf.ID, Instance: run, Row: row, Task: task, Span: flow.Span{From: from, To: to}}
}

// heard are the rows that were told since the last call, in order.
func (w *world) heard() []flow.ID {
	w.Helper()
	var out []flow.ID
	for _, item := range must(w.m.Inbox(w.ctx, w.me, 1000, nil))(w) {
		if item.Kind != flow.InboxUpstream {
			continue
		}
		var n flow.UpstreamNews
		w.ok(json.Unmarshal(item.Payload, &n))
		out = append(out, n.Row)
		up := next(w.load(item.Instance).Instance)
		up.Inbox = []flow.ID{item.ID}
		w.committed(up)
	}
	slices.Sort(out)
	return out
}

// end commits the end of a run and its tasks and tells whether somebody was told.
func (w *world) endRun(run flow.ID, state flow.InstanceState, followed bool, names ...string) bool {
	w.Helper()
	up := next(w.load(run).Instance)
	up.Instance.State, up.Instance.EndedAt, up.Instance.Outputs = state, now, []byte(`{"of":"run"}`)
	for _, name := range names {
		t := w.task(run, name)
		t.State, t.Reason, t.EndedAt, t.Outputs = flow.TaskSucceeded, "", now, []byte(`{"of":"task"}`)
		up.NewTasks = append(up.NewTasks, t)
	}
	res := must(w.m.Commit(w.ctx, flow.Batch{Owner: w.me, Epoch: w.epoch, Changes: []flow.Change{up}, Followed: followed}))(w)
	w.same([]flow.Fate{flow.Committed}, fates(res.Changes))
	return res.Told
}

// testFollowers: who follows what ends is told in that commit, and nobody else.
func testFollowers(w *world) {
	waiter := w.run(0)
	w.same(false, must(w.m.Waiting(w.ctx, w.me))(w).Followed)
	up := next(waiter.Instance)
	rows := make([]flow.ID, 4)
	for i := range rows {
		rows[i] = w.id()
	}
	me := waiter.Instance.ID
	up.Follows = []flow.Follow{
		w.followed(me, rows[0], "", now, now+1),      // this time
		w.followed(me, rows[1], "t", now-10, now+10), // a task of it
		w.followed(me, rows[2], "", now+1, now+1000), // another time
		w.followed(me, rows[3], "", -1<<63, 1<<63-1), // whatever it is for
		w.followed(me, rows[0], "", now, now+1),      // once more
	}
	gone := next(w.run(0).Instance)
	gone.Instance.Seq += 3
	gone.Follows = []flow.Follow{w.followed(gone.Instance.ID, w.id(), "", -1<<63, 1<<63-1)}
	w.same([]flow.Fate{flow.Committed, flow.Gone}, fates(w.commit(up, gone)))
	w.same(true, must(w.m.Waiting(w.ctx, w.me))(w).Followed)

	one := w.run(1)
	w.same(true, w.endRun(one.Instance.ID, flow.InstanceRunning, true, "t"), "a task ends")
	w.same([]flow.ID{rows[1]}, w.heard())
	w.same(false, w.endRun(one.Instance.ID, flow.InstanceRunning, true, "u"), "another task")
	w.same(false, w.endRun(one.Instance.ID, flow.InstanceFailed, false), "who does not know that somebody follows")
	w.same(true, w.endRun(one.Instance.ID, flow.InstanceFailed, true, "v", "w"), "the run ends")
	w.same([]flow.ID{rows[0], rows[1], rows[3]}, w.heard())

	up = next(w.load(me).Instance)
	up.Unfollow = []flow.ID{rows[0], rows[1]}
	w.committed(up)
	w.same(true, w.endRun(w.run(0).Instance.ID, flow.InstanceSucceeded, true))
	w.same([]flow.ID{rows[3]}, w.heard())

	// An event is for those that wait for it, and for nobody later.
	up = next(w.load(me).Instance)
	ear := w.id()
	up.Follows = []flow.Follow{{Instance: me, Row: ear, Task: flow.EventKey("p", "loaded"), Span: flow.Span{From: 0, To: 1}}}
	w.committed(up)
	w.same(0, must(w.db.SendEvent(w.ctx, "q", "loaded", nil, w.id, now))(w), "of another project")
	w.same(1, must(w.db.SendEvent(w.ctx, "p", "loaded", map[string]string{"rows": "7"}, w.id, now))(w))
	for _, item := range must(w.m.Inbox(w.ctx, w.me, 1000, nil))(w) {
		w.same(fmt.Sprintf(`{"row":"%d","params":{"rows":"7"}}`, ear), string(item.Payload))
		up = next(w.load(me).Instance)
		up.Inbox, up.Unfollow = []flow.ID{item.ID}, []flow.ID{ear}
		w.committed(up)
	}
	w.same(0, must(w.db.SendEvent(w.ctx, "p", "loaded", nil, w.id, now))(w))

	// Many in one commit, by one run and by many, each told once for each end.
	up = next(w.load(me).Instance)
	var want []flow.ID
	for range 300 {
		row := w.id()
		want = append(want, row)
		up.Follows = append(up.Follows, w.followed(me, row, "", now, now+1))
	}
	w.committed(up)
	w.same(true, w.endRun(w.run(0).Instance.ID, flow.InstanceSucceeded, true))
	w.same(append([]flow.ID{rows[3]}, want...), w.heard())
}

// testSpans: windows that begin at the same moment are followed each.
func testSpans(w *world) {
	waiter := w.run(0).Instance
	up := next(waiter)
	row := w.id()
	up.Follows = []flow.Follow{
		w.followed(waiter.ID, row, "", now, now+10),
		w.followed(waiter.ID, row, "", now, now+1000),
		w.followed(waiter.ID, row, "", now, now+1000),
	}
	w.committed(up)
	c := w.submit()
	b := w.begin(c, 0)
	b.Instance.DataTime = now + 500
	w.committed(b)
	w.same(true, w.endRun(c.ID, flow.InstanceSucceeded, true))
	w.same([]flow.ID{row}, w.heard())
}

// testCrowd: however many follow an end, each is told.
func testCrowd(w *world) {
	const many = 6000
	waiter := w.run(0).Instance
	for range many / 500 {
		up := next(waiter)
		for range 500 {
			up.Follows = append(up.Follows, w.followed(waiter.ID, w.id(), "", now, now+1))
		}
		w.committed(up)
		waiter = up.Instance
	}
	for ends := range 2 { // one straight after the other
		w.same(true, w.endRun(w.run(0).Instance.ID, flow.InstanceSucceeded, true))
		w.same((ends+1)*many, len(must(w.m.Inbox(w.ctx, w.me, 3*many, nil))(w)))
	}
}

// testUpstreams: of the runs for a window the last one counts that ran the wanted task.
func testUpstreams(w *world) {
	day := flow.Time(24 * 3600e6)
	monday := now - now%day
	begin := func(at flow.Time, state flow.InstanceState, tasks ...string) flow.ID {
		c := w.submit()
		ch := w.begin(c, 0)
		ch.Instance.DataTime = at
		w.committed(ch)
		w.endRun(c.ID, state, false, tasks...)
		return c.ID
	}
	ask := func(u flow.Upstream) flow.FoundUpstream {
		w.Helper()
		u.Project = "p"
		if u.Workflow == "" {
			u.Workflow = "w"
		}
		return must(w.m.Lookup(w.ctx, flow.Lookup{Instance: 1, Upstreams: []flow.Upstream{u}}))(w).Upstreams[0]
	}
	today := []flow.Span{{From: monday - day, To: monday}, {From: monday, To: monday + day}}
	w.same(flow.FoundUpstream{}, ask(flow.Upstream{Workflow: "nirgends", Windows: today}))
	w.same(flow.FoundUpstream{Workflow: w.wf.ID, Runs: make([]flow.FoundRun, 2)}, ask(flow.Upstream{Windows: today}))

	early := begin(monday+10, flow.InstanceSucceeded, "a")
	late := begin(monday+20, flow.InstanceFailed, "b")
	begin(monday+day, flow.InstanceSucceeded, "a") // tomorrow
	got := ask(flow.Upstream{Windows: today, Own: true})
	w.same([]any{flow.ID(0), late, flow.InstanceFailed, true}, []any{got.Runs[0].ID, got.Runs[1].ID, got.Runs[1].State, got.Earlier})
	got = ask(flow.Upstream{Windows: today, Task: "a"})
	w.same([]any{early, flow.TaskSucceeded, `{"of":"task"}`}, []any{got.Runs[1].ID, got.Runs[1].Task, string(got.Runs[1].Outputs)}, "the last one did not run the task")
	got = ask(flow.Upstream{Windows: []flow.Span{{From: monday + 10, To: monday + 11}}})
	w.same([]any{early, `{"of":"run"}`}, []any{got.Runs[0].ID, string(got.Runs[0].Outputs)})
	// Of two for the same time the one submitted last counts; one that still runs may come to the task.
	again := begin(monday+20, flow.InstanceRunning)
	w.same(again, ask(flow.Upstream{Windows: today}).Runs[1].ID)
	w.same([]any{again, flow.TaskState(0)}, []any{ask(flow.Upstream{Windows: today, Task: "b"}).Runs[1].ID, ask(flow.Upstream{Windows: today, Task: "b"}).Runs[1].Task})
	// What nobody has taken yet is a run that has not ended; a dry run is none.
	c := w.command()
	c.Start = []byte(fmt.Sprintf(`{"data_time":%q}`, (monday + 30).String()))
	_, _, err := w.db.Submit(w.ctx, c, "digest")
	w.ok(err)
	got = ask(flow.Upstream{Windows: today, Task: "a"})
	w.same([]any{c.ID, flow.InstanceSubmitted}, []any{got.Runs[1].ID, got.Runs[1].State})
	// In DolphinScheduler's way: what ended last in the window, whatever it was for.
	got = ask(flow.Upstream{Match: flow.MatchLatestEnd, Windows: []flow.Span{{From: now, To: now + 1}, {From: now - 10, To: now}}})
	if got.Runs[0].ID == 0 || got.Runs[1].ID != 0 {
		w.Errorf("%+v", got.Runs)
	}
}
