// The end of a run: when all chains are at rest, and what comes of it.

package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"baton/internal/flow"
)

// conclusion ends the instance, or lets it rest, when nothing is left to do. It tells whether it
// changed something that has to be judged again.
func (s *State) conclusion(env Env, fx *Effects) bool {
	if s.active > 0 {
		return false // what is paused rests; all else goes on
	}
	switch s.Inst.State {
	case flow.InstanceRunning, flow.InstancePausing, flow.InstanceStopping:
	case flow.InstanceCompensating:
		return s.nextCompensation(env, fx)
	default:
		return false
	}
	if s.ending {
		s.endCloses(env)
		return false
	}
	if len(s.fresh)+len(s.toJudge) > 0 && !s.closing() {
		return false
	}
	if s.Inst.State == flow.InstanceStopping && s.undoing() {
		return s.decide(flow.InstanceStopped, s.stopReason(), env)
	}
	end, reason := s.outcome()
	if end == flow.InstancePaused {
		s.pauseNow(env)
		return false
	}
	if (end == flow.InstanceFailed || end == flow.InstanceStopped && s.Inst.Undo) && s.toUndo() >= 0 && !s.Inst.DryRun {
		s.setInst(flow.InstanceCompensating)
		s.Inst.Prior = end
		return true
	}
	return s.decide(end, reason, env)
}

func (s *State) pauseNow(env Env) {
	s.setInst(flow.InstancePaused)
	s.Inst.PausedAt = env.Now
}

// decide settles what the run comes to, now that its chains are over: it ends, or what runs at the end begins. It tells
// whether that has to be judged again.
func (s *State) decide(end flow.InstanceState, reason string, env Env) bool {
	why := ""
	if end == flow.InstanceSucceeded && !s.Inst.DryRun {
		var err error
		if s.Inst.Outputs, err = s.runOutputs(); err != nil {
			end, reason, why = flow.InstanceFailed, flow.ReasonParameter, err.Error()
		}
	}
	if len(s.Plan.finals) > 0 {
		s.endOpens(end)
		return true
	}
	s.finish(end, reason, why, env)
	return false
}

// outcome is what a run comes to whose chains have all ended or rest.
func (s *State) outcome() (flow.InstanceState, string) {
	anyFailed, anyKilled, anyPaused := s.Inst.FailFast, false, s.paused > 0
	for r := range s.Rows {
		row := &s.Rows[r]
		if !row.Valid || !row.State.Failure() || row.Compensates != 0 || row.Item != 0 || s.final(row) {
			continue
		}
		if row.State == flow.TaskKilled {
			anyKilled = true
		}
		anyFailed = anyFailed || !s.handled(row)
	}
	switch {
	case s.Inst.Due:
		return flow.InstanceFailed, flow.ReasonTimeout
	case s.phase() == flow.InstanceStopping && (anyKilled || s.cut()):
		return flow.InstanceStopped, s.stopReason()
	case anyFailed:
		return flow.InstanceFailed, flow.ReasonTaskFailed
	case anyPaused:
		return flow.InstancePaused, ""
	default:
		return flow.InstanceSucceeded, ""
	}
}

// decidedEnd is what a run comes to that was compensated: what it would have come to without.
func (s *State) decidedEnd() (flow.InstanceState, string) {
	end := s.Inst.Prior
	if end != flow.InstanceFailed && end != flow.InstanceStopped { // a quarantine came between
		end = flow.InstanceFailed
		if s.Inst.Undo {
			end = flow.InstanceStopped
		}
	}
	return end, s.endReason(end)
}

// endReason is the code of an end.
func (s *State) endReason(end flow.InstanceState) string {
	switch {
	case s.Inst.Due && end == flow.InstanceFailed:
		return flow.ReasonTimeout
	case end == flow.InstanceFailed:
		return flow.ReasonTaskFailed
	case end == flow.InstanceStopped:
		return s.stopReason()
	default:
		return ""
	}
}

// cut tells whether a task would have run had the run not been stopped. All rows have ended.
func (s *State) cut() bool {
	if len(s.toJudge) == 0 {
		return false
	}
	found := false
	verdicts := slices.Clone(s.verdict)
	for _, i := range s.Plan.topo {
		if !s.chosen(i) || s.row[i] >= 0 || s.verdict[i] != pending || s.Plan.nodes[i].final {
			continue
		}
		if s.verdict[i] = s.judge(i); s.verdict[i] == succeeded && !s.Plan.nodes[i].Disabled {
			found = true
			break
		}
	}
	s.verdict = verdicts
	return found
}

// handled tells whether the failure of a row does not fail the run: it is ignored, a conditions
// task of this run names it, or it comes when the end is decided.
func (s *State) handled(row *flow.TaskRow) bool {
	n, undo := s.node(row)
	return !undo && (n.final || n.IgnoreFailure || slices.ContainsFunc(n.handlers, s.chosen))
}

// finish ends the run. why is a sentence about a failure, "" for one that its tasks tell.
func (s *State) finish(end flow.InstanceState, reason, why string, env Env) {
	for r := range s.Rows {
		if row := &s.Rows[r]; s.paused > 0 && row.Valid && row.State == flow.TaskPaused {
			row.Reason = flow.ReasonPaused + ": the run ended while it was paused; `baton recover` goes on"
			s.touch(int32(r))
		}
	}
	s.setInst(end)
	s.Inst.EndedAt, s.Inst.PausedAt, s.Inst.Prior, s.Inst.Reason = env.Now, 0, 0, reason
	if end == flow.InstanceFailed {
		if why == "" {
			why = s.failureText(reason)
		}
		s.alert(flow.AlertRunFailed, "", fmt.Sprintf("run %d of %s failed: %s", s.Inst.ID, s.Plan.Def.Name, why), env)
	}
}

func (s *State) failureText(reason string) string {
	if r := s.culprit(); r >= 0 {
		row := &s.Rows[r]
		return fmt.Sprintf("task %s %s (%s)", row.Name, row.State, row.Reason)
	}
	return reason
}

// culprit is the first row whose failure fails the run, -1 when there is none.
func (s *State) culprit() int32 {
	for r := range s.Rows {
		row := &s.Rows[r]
		if row.Valid && row.State.Failure() && row.Compensates == 0 && row.Item == 0 && !s.handled(row) {
			return int32(r)
		}
	}
	return -1
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

func (s *State) pausedReason() string {
	if s.Inst.Parent != 0 {
		return fmt.Sprintf("%s: paused by hand or with run %s, which began it; `baton resume` goes on", flow.ReasonPaused, s.Inst.Parent)
	}
	return flow.ReasonPaused + ": paused by hand; `baton resume` goes on"
}

// reason says what the instance waits for. Ended instances keep their code.
func (s *State) reason() string {
	switch s.Inst.State {
	case flow.InstancePaused:
		return s.pausedReason()
	case flow.InstanceQueued:
		if s.restsQueued() {
			return s.pausedReason()
		}
		return s.Inst.Reason
	case flow.InstancePausing:
		if s.live == 0 && s.unknown > 0 {
			return unknownReason
		}
		return flow.ReasonPausing + ": what is running finishes first, tasks: " + strconv.Itoa(s.active)
	case flow.InstanceStopping:
		if s.ending {
			return s.finallyReason()
		}
		return s.byDeadline() + flow.ReasonStopping + ": waits until what was running is gone, tasks: " + strconv.Itoa(s.active)
	case flow.InstanceCompensating:
		return s.byDeadline() + flow.ReasonCompensating + ": what succeeded is being undone"
	case flow.InstanceRunning:
		if s.ending {
			return s.finallyReason()
		}
		return s.runningReason()
	default:
		return s.Inst.Reason
	}
}

const unknownReason = flow.ReasonUnknown + ": a task's worker was lost and it may run at most once; settle it with `baton task succeed|skip|retry|kill`"

func (s *State) runningReason() string {
	switch {
	case s.Inst.FailFast:
		return flow.ReasonFailureEnd + ": a task failed; the others are being killed"
	case s.Inst.Due:
		return flow.ReasonTimeout + ": the run's time is over; its tasks are being killed"
	default:
		return s.activeReason()
	}
}

// activeReason says what goes on in a run, or what it waits for.
func (s *State) activeReason() string {
	switch {
	case s.live > 0:
		return flow.ReasonRunning + ": tasks are running"
	case s.unknown > 0 && s.active == s.unknown+s.waiting:
		return unknownReason
	case s.active == s.waiting+s.hosted+s.pooling && s.active > 0:
		return s.waitingReason()
	default:
		return flow.ReasonQueued + ": tasks wait for a place on a worker"
	}
}

// waitingReason says what a run waits for of which nothing runs: the one task that waits, or how many do.
func (s *State) waitingReason() string {
	if s.active > 1 {
		return fmt.Sprintf("%s: %d tasks wait; `baton explain` says for what", flow.ReasonWaiting, s.active)
	}
	for r := range s.Rows {
		if row := &s.Rows[r]; row.Valid && (row.State == flow.TaskWaiting || row.Hosted() || row.Pooling()) {
			return flow.Text(fmt.Sprintf("%s: task %s: %s", flow.ReasonWaiting, row.Name, row.Reason), flow.MaxReason)
		}
	}
	return flow.ReasonWaiting
}

// toUndo returns the succeeded row that is to be undone next, -1 when none is left: in reverse
// order of their ends.
func (s *State) toUndo() int32 {
	next := int32(-1)
	if !s.Plan.compens {
		return next
	}
	undone := make(map[flow.ID]bool)
	for r := range s.Rows {
		if row := &s.Rows[r]; row.Valid && row.Compensates != 0 {
			undone[row.Compensates] = true
		}
	}
	for r := range s.Rows {
		row := &s.Rows[r]
		if !row.Valid || row.State != flow.TaskSucceeded || row.Compensates != 0 || row.Item != 0 || undone[row.ID] {
			continue
		}
		if n, _ := s.node(row); n.undo == nil {
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
		end, reason := s.decidedEnd()
		return s.decide(end, reason, env)
	}
	n, _ := s.node(&s.Rows[u])
	r := s.addRow(s.Rows[u].Name+compensateSuffix, n.Compensate.Type, env)
	s.Rows[r].Compensates = s.Rows[u].ID
	s.Rows[r].EligibleAt = env.Now
	s.ready(r, env, fx)
	return false
}
