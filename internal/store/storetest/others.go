// What one run does to others: it begins them, and tells them.

package storetest

import (
	"encoding/json"
	"fmt"

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

	def, there, err := w.m.Lookup(w.ctx, "p", "w", listener.Instance.ID)
	w.ok(err)
	w.same([]any{w.wf.ID, true}, []any{def.ID, there})
	_, there, err = w.m.Lookup(w.ctx, "p", "nirgends", waiting.ID)
	w.same(flow.CodeNotFound, flow.CodeOf(err), err)
	w.same(true, there, "the run is there, whatever became of its workflow")
	_, there, err = w.m.Lookup(w.ctx, "p", "w", 12345)
	w.ok(err)
	w.same(false, there)

	bad := next(w.load(parent.Instance.ID).Instance)
	bad.Commands = []flow.Command{w.child(parent.Instance.ID, at)}
	bad.Commands[0].Start = []byte("{")
	w.same([]flow.Fate{flow.Poison}, fates(w.commit(bad)))
}
