// Runs that people rerun together with those that depend on them, and the check that none of these sees what the one before
// it came to the last time.

package sim

import (
	"encoding/json"
	"time"

	"baton/internal/flow"
)

// Two workflows, of which the second depends on the first.
const (
	originWorkflow flow.ID = 97
	heirWorkflow   flow.ID = 98
)

// together is an order to rerun two runs.
type together struct {
	heir                   flow.ID // the run
	originOrder, heirOrder flow.ID
}

// rerunTogether starts runs of both for the same data time, and has people rerun them together.
func (w *World) rerunTogether() {
	define := func(id flow.ID, name string, t flow.Task) {
		t.Name = "t0"
		w.store.defs[id] = flow.Definition{ID: id, ProjectID: 1, Project: "sim", Name: name, Version: 1, Workflow: flow.Workflow{Project: "sim", Name: name, Tasks: []flow.Task{t}}}
	}
	define(originWorkflow, "origin", flow.Task{Type: "sim"})
	define(heirWorkflow, "heir", flow.Task{
		Type: flow.TypeDependent, Timeout: flow.Timeout{Run: flow.Duration(40 * time.Second)}, With: json.RawMessage(`{"all": [{"workflow": "origin", "window": "same"}]}`),
	})
	for n := range w.rng.IntN(3) {
		var pair [2]*accepted
		w.after(time.Duration(w.rng.Int64N(int64(w.cfg.Starts))), func() {
			for i, workflow := range []flow.ID{originWorkflow, heirWorkflow} {
				pair[i] = &accepted{id: w.store.ids.Next(w.now)}
				w.store.submit(flow.Command{
					ID: pair[i].id, Project: 1, Workflow: workflow, Version: 1, Priority: flow.PriorityMedium, At: w.now,
					Start: spec(flow.Start{DataTime: start.Add(time.Duration(n) * time.Minute)}),
				})
				w.fired = append(w.fired, pair[i])
			}
			w.after(w.delay(time.Millisecond), w.poke)
			for range 3 {
				w.after(time.Duration(w.rng.Int64N(int64(20*time.Second))), func() { w.rerunBoth(pair) })
			}
		})
	}
}

// rerunBoth orders both at once, if both are at rest.
func (w *World) rerunBoth(pair [2]*accepted) {
	for _, a := range pair {
		in := w.store.instances[a.id]
		if in == nil {
			return
		}
		if d := (flow.Downstream{ID: a.id, State: in.Instance.State}); d.LeftAlone() != "" {
			return
		}
	}
	payload, err := json.Marshal(flow.Verb{Name: flow.VerbRerun})
	if err != nil {
		panic(err) // a struct of texts
	}
	var orders [2]flow.ID
	for i, a := range pair {
		id := w.store.ids.Next(w.now)
		w.store.order(flow.InboxItem{ID: id, Instance: a.id, Kind: flow.InboxVerb, Dedup: flow.DownstreamKey + id.String(), Payload: payload, At: w.now})
		a.verbs = append(a.verbs, id)
		orders[i] = id
	}
	w.store.together = append(w.store.together, together{pair[1].id, orders[0], orders[1]})
	w.log("runs %d and %d are to be rerun", pair[0].id, pair[1].id)
	w.after(w.delay(time.Millisecond), w.poke)
}

// aboutToRerun tells whether an order to rerun a run with others waits.
func (s *Store) aboutToRerun(id flow.ID) bool {
	for _, t := range s.together {
		for _, order := range [2]flow.ID{t.originOrder, t.heirOrder} {
			if it, waits := s.inbox[order]; waits && it.Instance == id {
				return true
			}
		}
	}
	return false
}

// checkTogether: a run that was rerun with the one before it is content with that one only when that has begun anew.
func (s *Store) checkTogether(in *flow.Loaded) {
	for _, t := range s.together {
		if t.heir != in.Instance.ID {
			continue
		}
		_, before := s.inbox[t.originOrder]
		_, self := s.inbox[t.heirOrder]
		for _, row := range in.Tasks {
			if before && !self && row.Valid && row.State == flow.TaskSucceeded {
				s.violation("run %d was rerun, and has seen what the run before it came to the last time", in.Instance.ID)
			}
		}
	}
}
