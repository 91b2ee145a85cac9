// Commands and the inbox.

package storetest

import (
	"fmt"
	"sync"

	"baton/internal/flow"
)

func (w *world) keyed(key string, at flow.Time) flow.Command {
	return flow.Command{ID: w.id(), Project: w.wf.ProjectID, Workflow: w.wf.ID, Version: 1, Priority: flow.PriorityHigh, Key: key, Start: []byte(`{}`), Zone: "UTC", At: at}
}

func (w *world) submitKeyed(c flow.Command, digest string) (flow.ID, bool) {
	w.Helper()
	id, existing, err := w.db.Submit(w.ctx, c, digest)
	w.ok(err)
	return id, existing
}

func testSubmit(w *world) {
	first := w.keyed("k", now)
	id, existing := w.submitKeyed(first, "d1")
	w.same([]any{first.ID, false}, []any{id, existing})
	id, existing = w.submitKeyed(w.keyed("k", now), "d1")
	w.same([]any{first.ID, true}, []any{id, existing})
	_, _, err := w.db.Submit(w.ctx, w.keyed("k", now), "d2")
	w.same(flow.CodeConflict, flow.CodeOf(err))
	other := w.keyed("k", now)
	w.apply(workflow("p", "other", "a"))
	other.Workflow = must(w.db.Workflow(w.ctx, "p", "other", 0))(w).ID
	id, existing = w.submitKeyed(other, "d2")
	w.same([]any{other.ID, false}, []any{id, existing}, "a key is a workflow's own")
	w.same(2, len(must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)))
	bad := w.keyed("", now)
	bad.Start = []byte(`{"trigger":"moon"}`)
	_, _, err = w.db.Submit(w.ctx, bad, "")
	w.same(flow.CodeBadRequest, flow.CodeOf(err))
}

func testKeyOutlives(w *world) {
	first := w.keyed("k", now)
	w.submitKeyed(first, "d")
	w.committed(w.begin(first, 1))
	id, existing := w.submitKeyed(w.keyed("k", now+1), "d")
	w.same([]any{first.ID, true}, []any{id, existing}, "after its command was taken")
	late := w.keyed("k", now+1e6*3600*24*30)
	id, existing = w.submitKeyed(late, "d2")
	w.same([]any{late.ID, false}, []any{id, existing}, "after a month it is a new one")
}

func testOrderedCommands(w *world) {
	told, quiet := w.submit(), w.submit()
	first, second := w.order(told.ID, "a", flow.VerbPause), w.order(told.ID, "b", flow.VerbStop)
	check := func(cmds []flow.Command, what string) {
		w.Helper()
		w.same(2, len(cmds), what)
		for _, c := range cmds {
			var got []flow.ID
			for _, item := range c.Inbox {
				w.same(told.ID, item.Instance, what)
				got = append(got, item.ID)
			}
			if want := []flow.ID{first, second}; c.ID == told.ID {
				w.same(want, got, what)
			} else {
				w.same(0, len(got), what)
			}
		}
	}
	check(must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w), "read")
	check(must(w.m.TryCommands(w.ctx, w.me, 0, quiet.ID, 10, nil))(w), "tried")
}

func testSubmitRace(w *world) {
	var mu sync.Mutex
	ids := map[flow.ID]int{}
	fresh := 0
	var group sync.WaitGroup
	for range 16 {
		c := w.keyed("same", now)
		group.Go(func() {
			id, existing, err := w.db.Submit(w.ctx, c, "d")
			if err != nil {
				w.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[id]++
			if !existing {
				fresh++
			}
		})
	}
	group.Wait()
	w.same([]int{1, 1}, []int{len(ids), fresh})
	w.same(1, len(must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)))
}

func testCommandOrder(w *world) {
	var want []flow.Command
	for _, p := range []flow.Priority{flow.PriorityLow, flow.PriorityHighest, flow.PriorityMedium, flow.PriorityHighest} {
		c := w.keyed("", now)
		c.Priority = p
		w.submitKeyed(c, "")
		want = append(want, c)
	}
	got := must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)
	w.same([]flow.Command{want[1], want[3], want[2], want[0]}, got)
	w.same([]flow.Command{want[3], want[2]}, must(w.m.Commands(w.ctx, 2, []flow.ID{want[1].ID, 5}, flow.Turn{}))(w))
}

func testDedup(w *world) {
	ch := w.run(1)
	id := w.order(ch.Instance.ID, "verb:1", flow.VerbPause)
	w.same(id, w.order(ch.Instance.ID, "verb:1", flow.VerbPause))
	up := next(ch.Instance)
	up.Inbox = []flow.ID{id}
	up.Outcomes = []flow.Outcome{{Inbox: id, Instance: ch.Instance.ID, Verb: flow.VerbPause, Reason: "no", At: now}}
	w.committed(up)
	w.same(id, w.order(ch.Instance.ID, "verb:1", flow.VerbPause), "after it was consumed")
	w.same([]flow.InboxItem{}, must(w.m.Inbox(w.ctx, w.me, 10, nil))(w))
	_, err := w.db.Order(w.ctx, flow.InboxItem{ID: w.id(), Instance: w.id(), Dedup: "x", At: now})
	w.same(flow.CodeNotFound, flow.CodeOf(err))
	a, b := w.order(ch.Instance.ID, "", "a"), w.order(ch.Instance.ID, "", "b")
	if a == b {
		w.Error("items without a key are not the same")
	}
}

func testOutcomes(w *world) {
	ch := w.run(1)
	up := next(ch.Instance)
	for k := range 4 {
		id := w.order(ch.Instance.ID, fmt.Sprint(k), flow.VerbStop)
		up.Inbox = append(up.Inbox, id)
		if k != 2 {
			up.Outcomes = append(up.Outcomes, flow.Outcome{Inbox: id, Instance: ch.Instance.ID, Verb: flow.VerbStop, Applied: k == 0, Reason: fmt.Sprint("r", k), By: "me", At: now})
		}
	}
	w.same((*flow.Outcome)(nil), must(w.db.Outcome(w.ctx, up.Inbox[0]))(w))
	given := must(w.db.Given(w.ctx, ch.Instance.ID))(w)
	if len(given) != 4 || given[0].Inbox != up.Inbox[0] || given[3].Name != flow.VerbStop || given[0].At != now {
		w.Errorf("given: %+v", given)
	}
	w.committed(up)
	w.same([]flow.Given{}, must(w.db.Given(w.ctx, ch.Instance.ID))(w), "what was carried out waits no more")
	w.same(up.Outcomes, must(w.db.Outcomes(w.ctx, ch.Instance.ID))(w))
	w.same(&up.Outcomes[1], must(w.db.Outcome(w.ctx, up.Inbox[1]))(w))
}

func testInboxOfCommand(w *world) {
	c := w.submit()
	id := w.order(c.ID, "early", flow.VerbStop)
	w.same([]flow.InboxItem{}, must(w.m.Inbox(w.ctx, w.me, 10, nil))(w))
	w.committed(w.begin(c, 1))
	got := must(w.m.Inbox(w.ctx, w.me, 10, nil))(w)
	if len(got) != 1 || got[0].ID != id || got[0].Dedup != "early" || got[0].Kind != flow.InboxVerb || len(got[0].Payload) == 0 {
		w.Errorf("%+v", got)
	}
}

func testInboxOwner(w *world) {
	mine := w.run(1).Instance.ID
	a, b, c := w.order(mine, "a", ""), w.order(mine, "b", ""), w.order(mine, "c", "")
	w.order(w.parked(flow.InstancePaused, 0).Instance.ID, "d", "")
	ids := func(items []flow.InboxItem) (out []flow.ID) {
		for _, i := range items {
			out = append(out, i.ID)
		}
		return out
	}
	w.same([]flow.ID{a, b, c}, ids(must(w.m.Inbox(w.ctx, w.me, 10, nil))(w)))
	w.same([]flow.ID{a, c}, ids(must(w.m.Inbox(w.ctx, w.me, 2, []flow.ID{b}))(w)))
}
