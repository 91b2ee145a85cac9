// A quarantined run that cannot be driven: who may wake it, and what becomes of orders to it.

package storetest

import "baton/internal/flow"

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
