// Turns: a run of a workflow that limits how many go on at a time, or begin in a time, waits until it is told that its
// turn has come.

package engine

import (
	"fmt"
	"unicode/utf8"

	"baton/internal/flow"
	"baton/internal/param"
)

// Limited tells whether runs of this version wait for their turn.
func (s *State) Limited() bool { return s.Plan.Def.Workflow.Turns().Waits() }

// compileTurns reads the key that runs share which wait for each other.
func (p *Plan) compileTurns() (err error) {
	text := p.Def.Workflow.Turns().Key()
	if text == "" {
		return nil
	}
	if p.turnKey, err = param.Compile(text); err != nil {
		return fmt.Errorf("key of its execution or rate: %w", err)
	}
	return nil
}

// queueFirst has a run that begins wait for its turn. Its key is rendered now, once.
func (s *State) queueFirst(env Env) error {
	key, err := s.turnKey()
	if err != nil {
		return err
	}
	s.Inst.TurnKey = key
	s.queue(env)
	return nil
}

// queue has the run wait for its turn. The time until then does not count against its timeout.
func (s *State) queue(env Env) {
	s.setInst(flow.InstanceQueued)
	s.Inst.Reason = s.turnReason()
	if s.Inst.StartedAt != 0 {
		s.Inst.PausedAt = env.Now
	}
}

func (s *State) turnReason() string {
	return s.Plan.Def.Workflow.Turns().Reason(s.Inst.TurnKey) + flow.TurnWaits
}

// turnKey is the key of a run, "" of one without.
func (s *State) turnKey() (string, error) {
	t := s.Plan.turnKey
	if t == nil {
		return "", nil
	}
	key, err := t.Render(s.runScope())
	if n := utf8.RuneCountInString(key); err == nil && n > flow.MaxTurnKey {
		err = fmt.Errorf("it has %d characters; %d are allowed", n, flow.MaxTurnKey)
	}
	if err != nil {
		return "", fmt.Errorf("the key %q by which runs wait for each other: %w", t.Text(), err)
	}
	return flow.Text(key, len(key)), nil
}

// keyless ends a run that cannot begin, because its key cannot be told.
func (s *State) keyless(err error, env Env) {
	s.Inst.StartedAt = env.Now
	s.setInst(flow.InstanceRunning)
	s.finish(flow.InstanceFailed, flow.ReasonParameter, err.Error(), env)
}

// admitted begins a run whose turn has come, or ends one whose turn will not come.
func (s *State) admitted(e Admitted, env Env, fx *Effects) {
	s.change.touched = true
	s.change.inbox = append(s.change.inbox, e.Inbox)
	switch {
	case e.Times != 0 && e.Times != s.Inst.RunTimes:
		// It runs again since, and waits for another turn: whoever gives turns knows nothing of this one any more.
	case s.Inst.State == flow.InstanceQuarantined && s.Inst.Prior == flow.InstanceQueued:
		// It is told once. What it comes back to is what it was told.
		if e.Discard {
			s.Inst.Prior, s.Inst.EndedAt, s.Inst.PausedAt = flow.InstanceStopped, env.Now, 0
			return
		}
		s.startClock(e.At, env)
		s.Inst.Prior = flow.InstanceRunning
	case s.Inst.State != flow.InstanceQueued:
		// It was stopped meanwhile, or had been told before.
	case e.Discard:
		s.Inst.EndedAt, s.Inst.PausedAt, s.Inst.Prior = env.Now, 0, 0
		s.setInst(flow.InstanceStopped)
		s.Inst.Reason = flow.ReasonDiscarded
	default:
		rests := s.restsQueued()
		s.startClock(e.At, env)
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

// startClock has the time of the run go on, or begin: when its turn came, if that was said and this clock is not behind.
func (s *State) startClock(at flow.Time, env Env) {
	s.unpauseClock(env)
	if s.Inst.StartedAt == 0 {
		s.Inst.StartedAt = flow.Earliest(at, env.Now)
	}
}
