// Turns: the store's model of who may go on, and the check that no more do than may.

package sim

import (
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
	var going, waiting []flow.Seat
	for _, id := range sorted(s.instances) {
		in := s.instances[id]
		seat := flow.Seat{ID: id, Times: in.Instance.RunTimes, State: in.Instance.State}
		queued := in.Instance.State == flow.InstanceQueued
		switch {
		case in.Instance.Workflow != workflow:
		case active(in), queued && s.told(seat, flow.OrderAdmit):
			going = append(going, seat)
		case queued && !s.told(seat, flow.OrderDiscard):
			waiting = append(waiting, seat)
		}
	}
	for _, o := range e.Turns(going, waiting, s.firstCommand(workflow)) {
		if s.told(o.Seat, o.Kind) {
			continue
		}
		given++
		s.order(o.Item(s.ids.Next(s.w.now), s.w.now))
	}
	return given
}

// told tells whether a run was given an order of a kind, this time that it runs.
func (s *Store) told(seat flow.Seat, kind flow.OrderKind) bool {
	_, known := s.dedup[flow.Order{Seat: seat, Kind: kind}.Dedup()]
	return known
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
			told := s.told(flow.Seat{ID: id, Times: in.RunTimes}, flow.OrderAdmit)
			if id < now.ID && in.Workflow == now.Workflow && in.State == flow.InstanceQueued && in.RunTimes == 1 && !told {
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
		return s.abovePoison(in.ID)
	}
	held := 0
	for id, other := range s.instances {
		if other.Instance.Workflow != in.Workflow || other.Instance.State == flow.InstanceQueued {
			continue
		}
		if other.Instance.State == flow.InstanceQuarantined && s.poison[id] || s.abovePoison(id) {
			held++
		}
	}
	return held >= s.defs[in.Workflow].Workflow.Execution.Limit
}

// abovePoison tells whether a run waits for one that it began and that only a person can move on, or for slots that
// such a one has.
func (s *Store) abovePoison(id flow.ID) bool {
	if s.pooledBehindPoison(s.instances[id]) {
		return true
	}
	for _, row := range s.instances[id].Tasks {
		below := s.instances[row.Child()]
		if !row.Valid || !row.Hosted() || below == nil {
			continue
		}
		if s.behindPoison(below.Instance) || below.Instance.State == flow.InstanceQuarantined && s.poison[below.Instance.ID] {
			return true
		}
	}
	return false
}
