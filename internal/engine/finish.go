// The end of a run: when all chains are at rest, and what comes of it.

package engine

import (
	"encoding/json"
	"fmt"
	"slices"

	"baton/internal/flow"
)

// conclusion ends the instance, or lets it rest, when nothing is left to do. It tells whether it
// changed something that has to be judged again.
func (s *State) conclusion(env Env, fx *Effects) bool {
	if s.active > 0 {
		return false
	}
	switch s.Inst.State {
	case flow.InstanceRunning, flow.InstancePausing, flow.InstanceStopping:
	case flow.InstanceCompensating:
		return s.nextCompensation(env, fx)
	default:
		return false
	}
	if len(s.fresh)+len(s.toJudge) > 0 && !s.closing() {
		return false
	}
	if s.Inst.State == flow.InstanceStopping && s.undoing() {
		s.finish(flow.InstanceStopped, flow.ReasonStopped, env)
		return false
	}
	end, reason := s.outcome()
	if end == flow.InstancePaused {
		s.setInst(flow.InstancePaused)
		s.Inst.PausedAt = env.Now
		return false
	}
	if (end == flow.InstanceFailed || end == flow.InstanceStopped && s.Inst.Undo) && s.toUndo() >= 0 && !s.Inst.DryRun {
		s.setInst(flow.InstanceCompensating)
		return true
	}
	s.finish(end, reason, env)
	return false
}

// outcome is what a run comes to whose chains have all ended or rest.
func (s *State) outcome() (flow.InstanceState, string) {
	anyFailed, anyKilled, anyPaused := "", false, s.resting > 0
	for r := range s.Rows {
		row := &s.Rows[r]
		if !row.Valid || !row.State.Failure() || row.Compensates != 0 {
			continue
		}
		if row.State == flow.TaskKilled {
			anyKilled = true
		}
		if n, _ := s.node(row); !n.handled && anyFailed == "" {
			anyFailed = row.Name
		}
	}
	switch {
	case s.Inst.Due:
		return flow.InstanceFailed, flow.ReasonTimeout
	case (s.Inst.State == flow.InstanceStopping || s.Inst.State == flow.InstanceCompensating && s.Inst.Undo) && (anyKilled || s.cut()):
		return flow.InstanceStopped, flow.ReasonStopped
	case anyFailed != "":
		return flow.InstanceFailed, flow.ReasonTaskFailed
	case anyPaused:
		return flow.InstancePaused, ""
	default:
		return flow.InstanceSucceeded, ""
	}
}

// cut tells whether a task would have run had the run not been stopped.
func (s *State) cut() bool {
	for i := range s.Plan.nodes {
		if s.chosen(int32(i)) && s.row[i] < 0 && s.verdict[i] == pending {
			return true
		}
	}
	return false
}

func (s *State) finish(end flow.InstanceState, reason string, env Env) {
	if end == flow.InstanceSucceeded && !s.Inst.DryRun {
		outputs, err := s.runOutputs()
		if err != nil {
			end, reason = flow.InstanceFailed, flow.ReasonParameter
			s.alert(flow.AlertRunFailed, "", fmt.Sprintf("outputs of the run: %v", err), env)
		}
		s.Inst.Outputs = outputs
	}
	s.setInst(end)
	s.Inst.EndedAt, s.Inst.PausedAt, s.Inst.Reason = env.Now, 0, reason
	if end == flow.InstanceFailed {
		s.alert(flow.AlertRunFailed, "", fmt.Sprintf("run %d of %s failed: %s", s.Inst.ID, s.Plan.Def.Name, s.failureText(reason)), env)
	}
}

func (s *State) failureText(reason string) string {
	for r := range s.Rows {
		row := &s.Rows[r]
		if n, _ := s.node(row); row.Valid && row.State.Failure() && !n.handled {
			return fmt.Sprintf("task %s %s (%s)", row.Name, row.State, row.Reason)
		}
	}
	return reason
}

func (s *State) runOutputs() ([]byte, error) {
	if len(s.Plan.outputs) == 0 {
		return nil, nil
	}
	scope := s.endScope()
	out := make(map[string]string, len(s.Plan.outputs))
	for _, o := range s.Plan.outputs {
		v, err := o.text.Render(scope)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", o.name, err)
		}
		out[o.name] = v
	}
	return json.Marshal(out)
}

// reason says what the instance waits for. Ended instances keep their code.
func (s *State) reason() string {
	switch s.Inst.State {
	case flow.InstancePaused:
		return flow.ReasonPaused + ": paused by hand; `baton resume` goes on"
	case flow.InstancePausing:
		return fmt.Sprintf("pausing: %d running tasks finish first", s.active)
	case flow.InstanceStopping:
		return fmt.Sprintf("stopping: %d tasks are being killed", s.active)
	case flow.InstanceCompensating:
		return flow.ReasonCompensating + ": what succeeded is being undone"
	case flow.InstanceRunning:
		return s.runningReason()
	default:
		return s.Inst.Reason
	}
}

func (s *State) runningReason() string {
	switch {
	case s.Inst.FailFast:
		return "failure_end: a task failed; the others are being killed"
	case s.Inst.Due:
		return "timeout: the run's time is over; its tasks are being killed"
	case s.live > 0:
		return "running: tasks are running"
	case s.active == s.waiting && s.waiting > 0:
		return "waiting: all tasks that could run wait; `baton explain` says for what"
	default:
		return "queued: tasks wait for a place on a worker"
	}
}

// toUndo returns the succeeded row that is to be undone next, -1 when none is left: in reverse
// order of their ends.
func (s *State) toUndo() int32 {
	next := int32(-1)
	if !s.Plan.compens {
		return next
	}
	for r := range s.Rows {
		row := &s.Rows[r]
		if !row.Valid || row.State != flow.TaskSucceeded || row.Compensates != 0 {
			continue
		}
		n, _ := s.node(row)
		if n.undo == nil || slices.ContainsFunc(s.Rows, func(c flow.TaskRow) bool { return c.Compensates == row.ID && c.Valid }) {
			continue
		}
		if next < 0 || row.EndedAt > s.Rows[next].EndedAt || row.EndedAt == s.Rows[next].EndedAt && row.ID > s.Rows[next].ID {
			next = int32(r)
		}
	}
	return next
}

// undoing tells whether compensation had begun: a stop then ends it where it is.
func (s *State) undoing() bool {
	return s.Plan.compens && slices.ContainsFunc(s.Rows, func(r flow.TaskRow) bool { return r.Compensates != 0 && r.Valid })
}

// nextCompensation starts the next undoing, or ends the run as it would have ended.
func (s *State) nextCompensation(env Env, fx *Effects) bool {
	u := s.toUndo()
	if u < 0 {
		end, reason := s.outcome()
		s.finish(end, reason, env)
		return false
	}
	n, _ := s.node(&s.Rows[u])
	r := s.addRow(s.Rows[u].Name+compensateSuffix, n.Compensate.Type, env)
	s.Rows[r].Compensates = s.Rows[u].ID
	s.Rows[r].EligibleAt = env.Now
	s.ready(r, env, fx)
	return false
}
