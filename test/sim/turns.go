// Turns: the store's model of who may go on, and the check that no more do than may.

package sim

import (
	"encoding/json"
	"fmt"
	"slices"

	"baton/internal/flow"
)

// active tells whether a run takes a place of its workflow.
func active(in *flow.Loaded) bool {
	st := in.Instance.State
	return st >= flow.InstanceRunning && !st.Ended()
}

// admit gives the turns of workflows, as the real store does: with none named, of all of which a run waits.
func (s *Store) admit(workflows []flow.ID) (out flow.Admitted) {
	if len(workflows) == 0 {
		for _, id := range sorted(s.instances) {
			if in := s.instances[id].Instance; in.State == flow.InstanceQueued {
				workflows = append(workflows, in.Workflow)
			}
		}
		slices.Sort(workflows)
		workflows = slices.Compact(workflows)
	}
	for _, w := range workflows {
		out.Given += s.admitOne(w, s.defs[w].Workflow.Execution)
	}
	return out
}

func (s *Store) admitOne(workflow flow.ID, e flow.Execution) (given int) {
	var on, waiting []flow.Instance
	for _, id := range sorted(s.instances) {
		in := s.instances[id]
		_, admitted := s.dedup[turnKey("admit", in.Instance)]
		_, discarded := s.dedup[turnKey("discard", in.Instance)]
		queued := in.Instance.State == flow.InstanceQueued
		switch {
		case in.Instance.Workflow != workflow:
		case active(in), queued && admitted:
			on = append(on, in.Instance)
		case queued && !discarded:
			waiting = append(waiting, in.Instance)
		}
	}
	if first := s.firstCommand(workflow); first != 0 { // it goes before what was submitted later
		waiting = slices.DeleteFunc(waiting, func(in flow.Instance) bool { return in.ID > first && in.RunTimes == 1 })
	}
	free := e.Limit - len(on)
	tell := func(kind flow.InboxKind, what string, to flow.Instance, payload any) {
		raw, err := json.Marshal(payload)
		if err != nil {
			panic(err) // a struct of texts
		}
		if _, known := s.dedup[turnKey(what, to)]; known {
			return
		}
		given++
		s.order(flow.InboxItem{ID: s.ids.Next(s.w.now), Instance: to.ID, Kind: kind, Dedup: turnKey(what, to), Payload: raw, At: s.w.now})
	}
	switch e.Over {
	case flow.OverStopOldest:
		keep := waiting[max(len(waiting)-e.Limit, 0):]
		for _, in := range waiting[:len(waiting)-len(keep)] {
			tell(flow.InboxAdmission, "discard", in, flow.Admission{Discard: true})
		}
		for i, in := range keep {
			if i < free {
				tell(flow.InboxAdmission, "admit", in, flow.Admission{})
			}
		}
		for _, in := range on[:min(len(on), max(len(on)+len(keep)-e.Limit, 0))] {
			if in.State == flow.InstanceQuarantined {
				continue // an order would have it read again, which may be what ends masters
			}
			tell(flow.InboxVerb, "oust", in, flow.Verb{Name: flow.VerbStop})
		}
	default:
		for i, in := range waiting {
			if i < free {
				tell(flow.InboxAdmission, "admit", in, flow.Admission{})
			} else if e.Over == flow.OverDiscard {
				tell(flow.InboxAdmission, "discard", in, flow.Admission{Discard: true})
			}
		}
	}
	return given
}

// firstCommand is the oldest start of a workflow that no master has taken, 0 for none.
func (s *Store) firstCommand(workflow flow.ID) flow.ID {
	for _, id := range sorted(s.commands) {
		if s.commands[id].Workflow == workflow {
			return id
		}
	}
	return 0
}

func turnKey(what string, in flow.Instance) string {
	return fmt.Sprintf("%s:%d:%d", what, in.ID, in.RunTimes)
}

// checkTurn: a run that begins is one of no more than may go on.
func (s *Store) checkTurn(before, now flow.Instance) {
	limit := s.defs[now.Workflow].Workflow.Execution.Limit
	if limit == 0 || before.State != flow.InstanceQueued || now.State != flow.InstanceRunning {
		return
	}
	on := 0
	for _, in := range s.instances {
		if in.Instance.Workflow == now.Workflow && in.Instance.ID != now.ID && active(in) && in.Instance.State != flow.InstanceQuarantined {
			on++
		}
	}
	if e := s.defs[now.Workflow].Workflow.Execution; e.Over == "" && now.RunTimes == 1 {
		for _, id := range sorted(s.instances) {
			in := s.instances[id].Instance
			if _, told := s.dedup[turnKey("admit", in)]; id < now.ID && in.Workflow == now.Workflow && in.State == flow.InstanceQueued && in.RunTimes == 1 && !told {
				s.violation("run %d begins before %d, which was submitted before it", now.ID, id)
			}
		}
	}
	if on >= limit {
		s.violation("run %d begins beside %d others of its workflow, which has at most %d at a time", now.ID, on, limit)
	}
}

// behindPoison tells whether a run waits for its turn behind runs that only a person can move on, who hold all the
// places of its workflow.
func (s *Store) behindPoison(in flow.Instance) bool {
	if in.State != flow.InstanceQueued {
		return false
	}
	held := 0
	for id, other := range s.instances {
		if other.Instance.Workflow == in.Workflow && other.Instance.State == flow.InstanceQuarantined && s.poison[id] {
			held++
		}
	}
	return held >= s.defs[in.Workflow].Workflow.Execution.Limit
}
