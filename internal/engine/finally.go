// Finally: the tasks that run when it is decided how a run ends. They change nothing about it.

package engine

import (
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
	"baton/internal/param"
)

// That the end is decided is, for each of these tasks, one more thing that it needs: State.left counts it, and endOpens
// takes it away. What was decided is in Inst.Prior; Inst.FailFast says from then on that these tasks are being killed.

// final tells whether a row is of a task that runs at the end, or of an item of one.
func (s *State) final(row *flow.TaskRow) bool {
	switch {
	case len(s.Plan.finals) == 0 || row.Compensates != 0:
		return false
	case row.Item != 0:
		return s.Plan.nodes[s.ownerOf(row)].final
	default:
		return s.Plan.nodes[s.Plan.index[row.Name]].final
	}
}

// steered tells whether a row can go on, rest or be killed: once the end is decided, only what runs then.
func (s *State) steered(row *flow.TaskRow) bool { return !s.ending || s.final(row) }

// endOpens begins the tasks that run at the end. A pause that is in force holds them up as it does all others, a stop
// does not: it was for what ran before.
func (s *State) endOpens(end flow.InstanceState) {
	switch {
	case s.Inst.State != flow.InstanceCompensating:
	case end == flow.InstanceStopped:
		s.setInst(flow.InstanceStopping)
	default:
		s.setInst(flow.InstanceRunning)
	}
	s.Inst.Prior, s.Inst.FailFast = end, false
	s.change.touched = true
	s.ending = true
	for _, i := range s.Plan.finals {
		if s.left[i]--; s.left[i] == 0 {
			s.fresh = append(s.fresh, i)
		}
	}
}

// endCloses ends the run as it was decided, or lets it rest, when nothing of its last tasks goes on.
func (s *State) endCloses(env Env) {
	paused := func(row flow.TaskRow) bool {
		return row.Valid && row.State == flow.TaskPaused && s.final(&row)
	}
	if s.paused > 0 && slices.ContainsFunc(s.Rows, paused) {
		s.pauseNow(env)
		return
	}
	end := s.Inst.Prior
	reason, why := s.endReason(end), ""
	if err := s.lackedOutputs(end); err != nil {
		reason, why = flow.ReasonParameter, err.Error()
	}
	s.finish(end, reason, why, env)
}

// lackedOutputs is why a run fails of which no task did: its outputs could not be had.
func (s *State) lackedOutputs(end flow.InstanceState) error {
	if end != flow.InstanceFailed || s.Inst.Due || s.Inst.Outputs != nil || s.culprit() >= 0 {
		return nil
	}
	_, err := s.runOutputs()
	return err
}

// decidedAnew is what was decided about the end, seen from the rows: a quarantine has taken its place in the instance.
func (s *State) decidedAnew() flow.InstanceState {
	end, _ := s.outcome()
	switch {
	case end == flow.InstancePaused:
		end = flow.InstanceSucceeded
	case end == flow.InstanceSucceeded && len(s.Plan.outputs) > 0 && s.Inst.Outputs == nil && !s.Inst.DryRun:
		end = flow.InstanceFailed
	}
	return end
}

// stopFinally kills what runs at the end; that the run ends as was decided stays.
func (s *State) stopFinally(intent flow.KillIntent, env Env, fx *Effects) {
	s.Inst.FailFast = true
	s.change.touched = true
	s.killAll(intent, env, fx)
}

// finalsAside makes way for the tasks that run at the end: there is going to be another one.
func (s *State) finalsAside(why string, env Env) {
	for r := range s.Rows {
		if row := &s.Rows[r]; row.Valid && s.final(row) {
			s.abandon(int32(r), why, env)
		}
	}
}

// finallyReason says what a run waits for whose end is decided.
func (s *State) finallyReason() string {
	if s.Inst.FailFast {
		return s.byDeadline() + fmt.Sprintf("%s: the run will end %s; its last tasks are being killed", flow.ReasonFinally, s.Inst.Prior)
	}
	_, text, _ := strings.Cut(s.activeReason(), ": ")
	return flow.Text(s.byDeadline()+fmt.Sprintf("%s: the run will end %s; before that, %s", flow.ReasonFinally, s.Inst.Prior, text), flow.MaxReason)
}

const finallyPending = flow.ReasonFinally + ": begins when all tasks before have ended, however they do"

// endNames are what the tasks that run at the end know of the run.
func (s *State) endNames() map[string]string {
	var names []string
	for r := range s.Rows {
		if row := &s.Rows[r]; row.Valid && row.State.Failure() && row.Compensates == 0 && row.Item == 0 && !s.final(row) {
			names = append(names, row.Name)
		}
	}
	end := s.Inst.Prior
	if s.Inst.State.Ended() {
		end = s.Inst.State
	}
	return map[string]string{param.RunState: end.String(), param.RunFailedTasks: strings.Join(names, ",")}
}

// endsOfRun are the chosen tasks that no other of the run comes after: those that run at the end come after them.
func (s *State) endsOfRun() []int32 {
	var out []int32
	for i := range s.Plan.nodes {
		n := &s.Plan.nodes[i]
		if !n.final && s.chosen(int32(i)) && !slices.ContainsFunc(n.down, s.chosen) {
			out = append(out, int32(i))
		}
	}
	return out
}

// decidedWithout refuses verbs on a task that ran before the end was decided, "" when they may be given: what it came to
// is part of the decision until the run has ended.
func (s *State) decidedWithout(n *node) refusal {
	if !s.ending || n.final || s.Inst.State.Ended() {
		return ""
	}
	return refuse("it is decided that the run ends %s, and only its last tasks are steered until it has", s.Inst.Prior)
}
