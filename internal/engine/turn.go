// Turns: a run of a workflow that limits how many go on at a time waits until it is told that its turn has come.

package engine

import (
	"fmt"

	"baton/internal/flow"
)

// Limited tells whether runs of this version wait for their turn.
func (s *State) Limited() bool { return s.Plan.Def.Workflow.Execution.Limit > 0 }

// queue has the run wait for its turn. The time until then does not count against its timeout.
func (s *State) queue(env Env) {
	s.setInst(flow.InstanceQueued)
	s.Inst.Reason = turnReason(s.Plan.Def.Workflow.Execution)
	if s.Inst.StartedAt != 0 {
		s.Inst.PausedAt = env.Now
	}
}

func turnReason(e flow.Execution) string {
	if e.Limit == 1 {
		return flow.ReasonTurn + ": runs of this workflow go one after another" + flow.TurnWaits
	}
	return fmt.Sprintf("%s: at most %d runs of this workflow go on at a time%s", flow.ReasonTurn, e.Limit, flow.TurnWaits)
}

// admitted begins a run whose turn has come, or ends one whose turn will not come.
func (s *State) admitted(e Admitted, env Env, fx *Effects) {
	s.change.touched = true
	s.change.inbox = append(s.change.inbox, e.Inbox)
	switch {
	case s.Inst.State == flow.InstanceQuarantined && s.Inst.Prior == flow.InstanceQueued:
		// It is told once. What it comes back to is what it was told.
		if e.Discard {
			s.Inst.Prior, s.Inst.EndedAt, s.Inst.PausedAt = flow.InstanceStopped, env.Now, 0
			return
		}
		s.startClock(env)
		s.Inst.Prior = flow.InstanceRunning
	case s.Inst.State != flow.InstanceQueued:
		// It was stopped meanwhile, or had been told before.
	case e.Discard:
		s.Inst.EndedAt, s.Inst.PausedAt, s.Inst.Prior = env.Now, 0, 0
		s.setInst(flow.InstanceStopped)
		s.Inst.Reason = flow.ReasonDiscarded
	default:
		rests := s.restsQueued()
		s.startClock(env)
		s.Inst.Prior = 0
		if rests {
			s.setInst(flow.InstancePaused)
			s.Inst.PausedAt = env.Now
			return
		}
		s.setInst(flow.InstanceRunning)
		if s.hasBegun() {
			s.rebuild()
			s.wakeResting(env, fx)
		}
	}
}

// restsQueued tells whether the run was paused while it waits for its turn: it keeps its place, and rests when the turn
// has come.
func (s *State) restsQueued() bool {
	return s.Inst.State == flow.InstanceQueued && s.Inst.Prior == flow.InstancePaused
}

// hasBegun tells whether it ran before: one that is recovered waits for its turn again.
func (s *State) hasBegun() bool { return len(s.Rows) > 0 }

// startClock has the time of the run go on, or begin.
func (s *State) startClock(env Env) {
	s.unpauseClock(env)
	if s.Inst.StartedAt == 0 {
		s.Inst.StartedAt = env.Now
	}
}
