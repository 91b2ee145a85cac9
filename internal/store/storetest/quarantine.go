// A quarantined run that cannot be driven: who may wake it, and what becomes of orders to it.

package storetest

import (
	"encoding/json"

	"baton/internal/flow"
)

func testQuarantinedVerbs(w *world) {
	ch := w.run(2)
	id := ch.Instance.ID
	pause := w.order(id, "pause", flow.VerbPause)
	w.ok(w.m.Quarantine(w.ctx, w.me, id, "bad row", now))
	w.refused(pause, "bad row") // it may be the cause

	// News wait for a person; what a person says does not.
	must(w.db.Order(w.ctx, flow.InboxItem{ID: w.id(), Instance: id, Kind: flow.InboxResult, Dedup: "result", Payload: []byte(`{}`), At: now}))(w)
	w.same([]flow.ID{}, w.claim(w.me, 5), "claimed for a result")
	release := w.order(id, "release", flow.VerbRelease)
	w.same([]flow.ID{id}, w.claim(w.me, 5))
	w.ok(w.m.Quarantine(w.ctx, w.me, id, "still bad", now))
	w.refused(release, "still bad")
	w.same([]flow.ID{}, w.claim(w.me, 5), "claimed without an order")
	w.same("still bad", must(w.db.Instance(w.ctx, id))(w).Reason)
	w.same(1, len(must(w.db.Alerts(w.ctx, flow.AlertFilter{Instance: id}))(w).Items))

	stop := w.order(id, "stop", flow.VerbStop)
	w.same([]flow.ID{id}, w.claim(w.me, 5))
	w.ok(w.m.Quarantine(w.ctx, w.me, id, "for ever bad", now))
	if o := must(w.db.Outcome(w.ctx, stop))(w); o == nil || !o.Applied {
		w.Errorf("stop of a run that cannot be driven: %+v", o)
	}
	r := must(w.db.Instance(w.ctx, id))(w)
	if r.State != flow.InstanceStopped || r.EndedAt == 0 || r.Owner != 0 || r.Reason != flow.ReasonQuarantine {
		w.Errorf("stopped: %+v", r.Instance)
	}
	// An ended run stays ended, whatever comes.
	must(w.db.Order(w.ctx, flow.InboxItem{ID: w.id(), Instance: id, Kind: flow.InboxResult, Dedup: "late", Payload: []byte(`{}`), At: now}))(w)
	rerun := w.order(id, "rerun", flow.VerbRerun)
	w.same([]flow.ID{id}, w.claim(w.me, 5))
	w.ok(w.m.Quarantine(w.ctx, w.me, id, "bad", now))
	w.refused(rerun, "bad")
	w.same(flow.InstanceStopped, must(w.db.Instance(w.ctx, id))(w).State)
	w.same([]flow.ID{}, w.claim(w.me, 5))
	for _, row := range must(w.db.Tasks(w.ctx, id))(w) {
		if !row.State.Ended() || row.EndedAt == 0 {
			w.Errorf("a task of a stopped run is %s", row.State)
		}
	}
}

func (w *world) refused(item flow.ID, why string) {
	w.Helper()
	if o := must(w.db.Outcome(w.ctx, item))(w); o == nil || o.Applied || o.Reason != "the run cannot be driven: "+why {
		w.Errorf("outcome %+v, want a refusal because of %q", o, why)
	}
}

// What cannot be driven cannot say how it stands: the store tells who waits for it, and stops what it began.
func testQuarantineTold(w *world) {
	above, below, run := w.run(1), w.run(1), w.begin(w.command(), 2)
	c := w.submit()
	run.Instance.ID, run.Command = c.ID, c.ID
	run.Instance.Parent, run.Instance.ParentRow = above.Instance.ID, above.NewTasks[0].ID
	for i := range run.NewTasks {
		run.NewTasks[i].Instance = c.ID
	}
	sub := &run.NewTasks[1]
	sub.Type, sub.State, sub.Attempt = flow.TypeSubWorkflow, flow.TaskRunning, flow.AttemptRow{Ref: below.Instance.ID.String()}
	run.Grants = run.Grants[:1]
	waits := w.run(1)
	run.Follows = []flow.Follow{w.followed(c.ID, sub.ID, "", 0, now+1)}
	w.commit(run)
	next := waits
	next.Command, next.NewTasks, next.Grants = 0, nil, nil
	next.Instance.Seq++
	next.Follows = []flow.Follow{w.followed(waits.Instance.ID, waits.NewTasks[0].ID, "", 0, now+1)}
	w.commit(next)

	told := func(to flow.ID, kind flow.InboxKind) (out []string) {
		for _, item := range must(w.m.Inbox(w.ctx, w.me, 1000, nil))(w) {
			if item.Instance == to && item.Kind == kind {
				out = append(out, string(item.Payload))
			}
		}
		return out
	}
	news := func(row flow.ID, state flow.InstanceState, reason string) string {
		raw, err := json.Marshal(flow.ChildNews{Child: c.ID, Row: row, State: state, Reason: reason})
		w.ok(err)
		return string(raw)
	}
	w.apply(triggered("after", after("any", source(flow.SourceEnded))))
	first := news(above.NewTasks[0].ID, flow.InstanceQuarantined, "bad")
	w.ok(w.m.Quarantine(w.ctx, w.me, c.ID, "bad", now))
	w.same([]string{first}, told(above.Instance.ID, flow.InboxChild))
	w.same(0, len(told(below.Instance.ID, flow.InboxVerb)), "it may be released")

	// An order of the run above is answered, to the row that gave it.
	raw, err := json.Marshal(flow.Verb{Name: flow.VerbStop, By: "run", Parent: 77})
	w.ok(err)
	must(w.db.Order(w.ctx, flow.InboxItem{ID: w.id(), Instance: c.ID, Kind: flow.InboxVerb, Dedup: "stop", Payload: raw, At: now}))(w)
	w.same([]flow.ID{c.ID}, w.claim(w.me, 5))
	w.ok(w.m.Quarantine(w.ctx, w.me, c.ID, "for ever bad", now))
	w.same([]string{first, news(77, flow.InstanceStopped, flow.ReasonQuarantine)}, told(above.Instance.ID, flow.InboxChild))
	w.same(1, len(told(below.Instance.ID, flow.InboxVerb)), "what it began is stopped")
	w.same(1, len(told(waits.Instance.ID, flow.InboxUpstream)), "who follows it looks")
	w.same(1, len(w.standings()), "a trigger that waits for it is marked")
	w.same([]flow.ID{}, w.claim(w.me, 5))
	w.same(false, must(w.db.Instance(w.ctx, c.ID))(w).EndedAt == 0)
}

// A run that cannot even begin keeps who began it: once released it can tell.
func testQuarantinedChild(w *world) {
	above := w.run(1)
	c := w.command()
	raw, err := json.Marshal(flow.Start{Trigger: flow.TriggerSubWorkflow, Parent: above.Instance.ID, ParentRow: above.NewTasks[0].ID})
	w.ok(err)
	c.Start = raw
	_, _, err = w.db.Submit(w.ctx, c, "digest")
	w.ok(err)
	w.ok(w.m.QuarantineCommand(w.ctx, c.ID, "no such version", now))
	r := must(w.db.Instance(w.ctx, c.ID))(w)
	w.same([]flow.ID{above.Instance.ID, above.NewTasks[0].ID}, []flow.ID{r.Parent, r.ParentRow})
	items := must(w.m.Inbox(w.ctx, w.me, 1000, nil))(w)
	w.same(1, len(items))
	w.same([]any{above.Instance.ID, flow.InboxChild}, []any{items[0].Instance, items[0].Kind})
}
