// Turns: the store's model of who may go on, and the checks that no more do than may, and that no more begin in a time.

package sim

import (
	"slices"
	"time"

	"baton/internal/flow"
)

// active tells whether a run takes a place of its workflow.
func active(in *flow.Loaded) bool {
	st := in.Instance.State
	return st >= flow.InstanceRunning && !st.Ended()
}

// admit gives turns, as the real store does: with no key named, by all by which a run waits.
func (s *Store) admit(keys []flow.TurnKey) (out flow.Admitted) {
	if len(keys) == 0 {
		for _, in := range s.instances {
			if in.Instance.State == flow.InstanceQueued {
				keys = append(keys, turnKeyOf(in.Instance))
			}
		}
		slices.SortFunc(keys, flow.TurnKey.Compare)
		keys = slices.Compact(keys)
	}
	for _, k := range keys {
		given, in := s.admitOne(k)
		out.Given += given
		if in > 0 {
			out.Later = append(out.Later, flow.TurnWait{TurnKey: k, In: in})
		}
	}
	return out
}

// turnKeyOf is what a run waits by. No workflow here is changed, so all versions have the key, or none.
func turnKeyOf(in flow.Instance) flow.TurnKey {
	return flow.TurnKey{Workflow: in.Workflow, Key: in.TurnKey}
}

func (s *Store) rule(workflow flow.ID) flow.TurnRule {
	def := s.defs[workflow].Workflow
	return def.Turns()
}

func (s *Store) admitOne(k flow.TurnKey) (given int, in time.Duration) {
	line := flow.Line{Before: s.firstCommand(k.Workflow), Now: s.w.now}
	for _, id := range sorted(s.instances) {
		in := s.instances[id]
		seat := flow.Seat{ID: id, Times: in.Instance.RunTimes, State: in.Instance.State}
		queued := in.Instance.State == flow.InstanceQueued
		switch {
		case turnKeyOf(in.Instance) != k:
		case active(in), queued && s.told(seat, flow.OrderAdmit):
			line.Going = append(line.Going, seat)
		case queued && !s.told(seat, flow.OrderDiscard):
			line.Waiting = append(line.Waiting, seat)
		}
	}
	rule := s.rule(k.Workflow)
	line.Starts = s.starts[k][max(len(s.starts[k])-rule.Rate.Starts, 0):]
	orders, later := rule.Give(line)
	for _, o := range orders {
		if s.told(o.Seat, o.Kind) {
			continue
		}
		given++
		s.order(o.Item(s.ids.Next(s.w.now), s.w.now))
		if o.Kind == flow.OrderAdmit {
			s.turnAt[o.ID] = len(s.came)
			s.start(k, rule.Rate)
		}
	}
	if later != 0 {
		in = later.Sub(s.w.now)
	}
	return given, in
}

// start notes that a run's turn was given, and that no stretch of the rate's length has more than it says.
func (s *Store) start(k flow.TurnKey, rate flow.Rate) {
	s.starts[k] = append(s.starts[k], s.w.now)
	n := 0
	for _, at := range s.starts[k] {
		if s.w.now.Sub(at) < rate.Per.Std() {
			n++
		}
	}
	if rate.Starts > 0 && n > rate.Starts {
		s.violation("%d runs of w%d with key %q begin within %s, of at most %d", n, k.Workflow, k.Key, rate.Per, rate.Starts)
	}
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

// checkTurn: a run that begins was told so, is one of no more than may go on, and was not overtaken.
func (s *Store) checkTurn(before, now flow.Instance, done []flow.Outcome) {
	rule := s.rule(now.Workflow)
	if !rule.Waits() || before.State != flow.InstanceQueued || now.State != flow.InstanceRunning {
		return
	}
	stopped := slices.ContainsFunc(done, func(o flow.Outcome) bool { return o.Verb == flow.VerbStop && o.Applied })
	// One that rested when its turn came keeps it when it runs again; one that was stopped does not.
	kept := !stopped && s.told(flow.Seat{ID: now.ID, Times: before.RunTimes}, flow.OrderAdmit)
	if !kept && !s.told(flow.Seat{ID: now.ID, Times: now.RunTimes}, flow.OrderAdmit) {
		s.violation("run %d begins although nobody said that its turn has come", now.ID)
	}
	on := 0
	for _, in := range s.instances {
		if turnKeyOf(in.Instance) == turnKeyOf(now) && in.Instance.ID != now.ID && active(in) && in.Instance.State != flow.InstanceQuarantined {
			on++
		}
	}
	if rule.Execution.Over == "" && now.RunTimes == 1 {
		for _, id := range sorted(s.instances) {
			in := s.instances[id].Instance
			told := s.told(flow.Seat{ID: id, Times: in.RunTimes}, flow.OrderAdmit)
			// An id is taken a moment before its start is written: by then another may have come and gone on.
			if id < now.ID && s.came[id] < s.turnAt[now.ID] && turnKeyOf(in) == turnKeyOf(now) && in.State == flow.InstanceQueued && in.RunTimes == 1 && !told {
				s.violation("run %d begins before %d, which was submitted before it", now.ID, id)
			}
		}
	}
	if limit := rule.Execution.Limit; limit > 0 && on >= limit {
		s.violation("run %d begins beside %d others of its workflow with key %q, which has at most %d at a time", now.ID, on, now.TurnKey, limit)
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
		if turnKeyOf(other.Instance) != turnKeyOf(in) || other.Instance.State == flow.InstanceQueued {
			continue
		}
		if other.Instance.State == flow.InstanceQuarantined && s.poison[id] || s.abovePoison(id) {
			held++
		}
	}
	limit := s.rule(in.Workflow).Execution.Limit
	return limit > 0 && held >= limit
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
