// Triggers: the store's model of them, edits while they hear, and the check that every end counted once.

package sim

import (
	"fmt"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/master"
)

// heard is a trigger as the store has it.
type heard struct {
	flow.TriggerStanding
	fresh bool           // somebody has to look
	ends  map[string]int // that there ever were, by source
	runs  []flow.ID
}

// find is where a mark is, -1 if it is not there any more.
func (h *heard) find(m flow.Mark) int {
	return slices.IndexFunc(h.Marks, func(k flow.Mark) bool { return k.Source == m.Source && k.Instance == m.Instance && k.Seq == m.Seq })
}

// endsOf looks whether a change says rightly that the run comes to its end.
func (s *Store) endsOf(before flow.Instance, ch flow.Change) {
	now := ch.Instance
	if now.State.Ended() && !before.State.Ended() && !ch.Ended {
		s.violation("run %d came to its end, and the change does not say so", now.ID)
	}
	if ch.Ended && (!now.State.Ended() || before.State.Ended() && before.EndedAt == now.EndedAt && before.RunTimes == now.RunTimes) {
		s.violation("run %d is said to come to its end, and is %s since %s", now.ID, now.State, now.EndedAt)
	}
}

// mark has the triggers that wait for what ends hear it, and returns which did.
func (s *Store) mark(ch flow.Change) (marked []flow.ID) {
	if !ch.Ended || ch.Instance.DryRun {
		return nil
	}
	for _, id := range sorted(s.triggers) {
		h := s.triggers[id]
		for _, source := range h.Body.After.Sources() {
			if source.Workflow != s.defs[ch.Instance.Workflow].Name || source.States()>>ch.Instance.State&1 == 0 {
				continue
			}
			i := ch.Instance
			h.Marks = append(h.Marks, flow.Mark{Source: source.Key(), Instance: i.ID, Seq: i.Seq, State: i.State, DataTime: i.DataTime, EndedAt: i.EndedAt})
			h.Newest, h.fresh = max(h.Newest, i.EndedAt), true
			h.ends[source.Key()]++
			marked = append(marked, id)
		}
	}
	return marked
}

// marks is what masters ask for.
func (s *Store) marks(e master.ReadMarks) (out []flow.TriggerStanding, next flow.ID) {
	for _, id := range sorted(s.triggers) {
		h := s.triggers[id]
		named := slices.Contains(e.Triggers, id)
		if !named && (len(e.Triggers) > 0 || id <= e.After || !h.fresh) {
			continue
		}
		t := h.TriggerStanding
		t.Marks = slices.Clone(t.Marks)
		if out = append(out, t); !named { // a short page, so that there are several
			return out, id
		}
	}
	return out, 0
}

// startTriggered writes decisions, each only if nobody has decided meanwhile.
func (s *Store) startTriggered(owner int64, decisions []flow.TriggerDecision) ([]bool, error) {
	if s.fenced[owner] {
		return nil, flow.ErrFenced
	}
	written := make([]bool, len(decisions))
	for i, d := range decisions {
		h := s.triggers[d.Trigger]
		if h.Revision != d.Revision || slices.ContainsFunc(d.Gone, func(m flow.Mark) bool { return h.find(m) < 0 }) {
			continue
		}
		written[i] = true
		for _, m := range d.Gone {
			h.Marks = slices.Delete(h.Marks, h.find(m), h.find(m)+1)
		}
		h.fresh = slices.ContainsFunc(h.Marks, func(m flow.Mark) bool {
			return !slices.ContainsFunc(d.Waiting, func(k flow.Mark) bool { return k.Source == m.Source && k.Instance == m.Instance && k.Seq == m.Seq })
		})
		for _, c := range d.Commands {
			c.Version = 1
			s.submit(c)
			h.runs = append(h.runs, c.ID)
			s.w.fired = append(s.w.fired, &accepted{id: c.ID})
			s.w.log("trigger %d starts %d", d.Trigger, c.ID)
		}
	}
	return written, nil
}

// listen makes triggers that start the last workflow, and has people change them meanwhile: only their revision, so that
// each end counts.
func (w *World) listen() {
	for n := range w.cfg.Triggers {
		id := flow.ID(n + 1)
		body := flow.Trigger{Name: fmt.Sprintf("t%d", n), Window: flow.Duration(1000 * time.Hour), After: &flow.After{}}
		var sources []flow.Source
		for k := range 1 + w.rng.IntN(2) {
			state := []flow.SourceState{"", flow.SourceEnded, flow.SourceEnded, flow.SourceFailed}[w.rng.IntN(4)]
			sources = append(sources, flow.Source{Project: "sim", Workflow: fmt.Sprintf("w%d", 100+(n+k)%4), State: state})
		}
		if w.rng.IntN(2) == 0 {
			body.After.Any = sources
		} else {
			body.After.All = sources
		}
		h := &heard{ends: map[string]int{}}
		h.ID, h.Revision, h.Project, h.Workflow, h.ProjectName, h.Body = id, 1, 1, lastWorkflow, "sim", body
		w.store.triggers[id] = h
		for range w.rng.IntN(3) {
			w.after(time.Duration(w.rng.Int64N(int64(w.cfg.Starts+5*time.Second))), func() { h.Revision++ })
		}
	}
}

// heardAll tells whether every end was looked at.
func (w *World) heardAll() bool {
	for _, h := range w.store.triggers {
		if h.fresh {
			return false
		}
	}
	return true
}

// checkTriggers: each full set started one run, and nothing else did.
func (w *World) checkTriggers(say func(string, ...any)) {
	for _, id := range sorted(w.store.triggers) {
		h := w.store.triggers[id]
		want := 0
		for i, source := range h.Body.After.Sources() {
			switch n := h.ends[source.Key()]; {
			case len(h.Body.After.Any) > 0:
				want += n
			case i == 0:
				want = n
			default:
				want = min(want, n)
			}
		}
		if len(h.runs) != want {
			say("trigger %d (%+v) started %d runs for %v: there should be %d", id, *h.Body.After, len(h.runs), h.ends, want)
		}
		for _, run := range h.runs {
			if w.store.instances[run] == nil {
				say("trigger %d: run %d is lost", id, run)
			}
		}
	}
}
