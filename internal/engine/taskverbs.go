// Verbs on one task of a run: retry, skip, succeed, kill, hold, release, start.

package engine

import (
	"slices"

	"baton/internal/flow"
)

func (s *State) taskVerb(v flow.Verb, env Env, fx *Effects) refusal {
	i, known := s.Plan.index[v.Task]
	if !known {
		r := s.RowOf(v.Task)
		switch {
		case r < 0:
			return refuse("workflow %s has no task %q", s.Plan.Def.Name, v.Task)
		case s.Rows[r].Item != 0 && s.Inst.State != flow.InstanceQuarantined:
			return s.itemVerb(r, v, env, fx)
		}
		return refuse("%q is a compensation; it is not steered by hand", v.Task)
	}
	if !s.chosen(i) {
		return refuse("this run does not contain task %q; it was started with chosen tasks", v.Task)
	}
	if s.Inst.State == flow.InstanceQuarantined {
		return refuse("the run is quarantined; `baton release` or `baton stop` come first")
	}
	r := s.row[i]
	if r < 0 {
		return s.unreachedVerb(v)
	}
	switch v.Name {
	case flow.VerbTaskRetry:
		return s.retryTask(r, env, fx)
	case flow.VerbTaskSkip:
		return s.settleTask(r, flow.TaskSkipped, flow.ReasonByHand, env)
	case flow.VerbTaskSucceed:
		return s.settleTask(r, flow.TaskForcedSuccess, flow.ReasonByHand, env)
	case flow.VerbTaskKill:
		return s.killTask(r, env, fx)
	case flow.VerbTaskHold:
		return s.holdTask(r)
	case flow.VerbTaskRelease:
		return s.releaseTask(r, env, fx)
	case flow.VerbTaskStart:
		return s.startTask(r, env, fx)
	case flow.VerbTaskApprove, flow.VerbTaskReject:
		return s.approvalVerb(r, v, env, fx)
	default:
		return refuse("there is no verb %q", v.Name)
	}
}

// unreachedVerb: a task without a row can be held, so that it stops there when it is reached.
func (s *State) unreachedVerb(v flow.Verb) refusal {
	h := slices.Index(s.holds, v.Task)
	switch v.Name {
	case flow.VerbTaskHold:
		if s.Inst.State.Ended() {
			return refuse("the run has ended: %s", s.Inst.State)
		}
		if h < 0 {
			s.holds = append(s.holds, v.Task)
			s.keepHolds()
		}
		return ""
	case flow.VerbTaskRelease:
		if h >= 0 {
			s.holds = slices.Delete(s.holds, h, h+1)
			s.keepHolds()
		}
		return ""
	default:
		return refuse("task %q has not been reached in this run", v.Task)
	}
}

func (s *State) retryTask(r int32, env Env, fx *Effects) refusal {
	row := &s.Rows[r]
	if s.Inst.State.Ended() {
		return refuse("the run has ended (%s); `baton recover` takes up what failed", s.Inst.State)
	}
	if s.Inst.State == flow.InstanceStopping || s.Inst.State == flow.InstanceCompensating || s.closing() {
		return refuse("the run is ending: %s", s.reason())
	}
	switch {
	case row.State == flow.TaskSkipped && row.Reason != flow.ReasonByHand:
		return refuse("task %q was never tried (%s); there is nothing to retry", row.Name, row.Reason)
	case row.State.Ended():
	case row.State == flow.TaskUnknown:
		s.endRow(r, flow.TaskKilled, flow.ReasonUnknown, env)
	case row.State.Placed():
		return refuse("task %q is %s; kill it first, or wait for its end", row.Name, row.State)
	default:
		return refuse("task %q is %s and will be tried anyway; `baton task start` begins it now", row.Name, row.State)
	}
	if s.Inst.State == flow.InstanceQueued { // it begins with the turn of the run
		s.setAsideAgain(r)
		return ""
	}
	s.anew(r, row.Name, env, fx)
	return ""
}

// settleTask changes a row in place, by hand.
func (s *State) settleTask(r int32, to flow.TaskState, reason string, env Env) refusal {
	row := &s.Rows[r]
	switch {
	case row.State == to:
		return ""
	case row.Placed(), row.Child() != 0 && !row.State.Ended(), s.liveItems(r) > 0:
		return refuse("task %q is %s; kill it first, or wait for its end", row.Name, row.State)
	case to == flow.TaskSkipped && row.State.Success(), to == flow.TaskForcedSuccess && row.State == flow.TaskSucceeded:
		return refuse("task %q has already succeeded", row.Name)
	case to == flow.TaskSkipped && row.State == flow.TaskSkipped:
		return ""
	}
	s.endRow(r, to, reason, env)
	s.rebuild()
	return ""
}

func (s *State) killTask(r int32, env Env, fx *Effects) refusal {
	row := &s.Rows[r]
	switch {
	case row.State == flow.TaskKilled:
		return ""
	case row.State.Ended():
		return refuse("task %q has already ended: %s", row.Name, row.State)
	case row.State.Placed() && row.Kill != flow.KillNone && row.Kill != flow.KillTimeout:
		return ""
	}
	s.kill(r, flow.KillByHand, env, fx)
	if row = &s.Rows[r]; row.State.Ended() {
		s.failed(r, "", env, fx)
	}
	return ""
}

func (s *State) holdTask(r int32) refusal {
	row := &s.Rows[r]
	switch row.State {
	case flow.TaskWaiting, flow.TaskQueued:
		row.Held = true
		if row.State == flow.TaskQueued {
			row.NextCheck = 0 // it was the dispatcher's
		}
		s.wait(r, heldReason, row.NextCheck)
		return ""
	case flow.TaskPaused:
		row.Held = true
		s.touch(r)
		return ""
	default:
		return refuse("task %q is %s; only what has not been sent to a worker can be held", row.Name, row.State)
	}
}

func (s *State) releaseTask(r int32, env Env, fx *Effects) refusal {
	row := &s.Rows[r]
	if !row.Held {
		return ""
	}
	row.Held = false
	s.touch(r)
	if row.State != flow.TaskWaiting {
		return ""
	}
	if row.NextCheck > env.Now {
		reason := flow.ReasonDelay + ": the task asks to wait after it became eligible"
		if row.Attempt.Number > 0 {
			reason = flow.ReasonRetryDelay + ": the next try is due later"
		}
		s.wait(r, reason, row.NextCheck)
		return ""
	}
	row.EligibleAt = env.Now
	s.ready(r, env, fx)
	return ""
}

func (s *State) startTask(r int32, env Env, fx *Effects) refusal {
	row := &s.Rows[r]
	switch {
	case row.Pooling():
		s.pass(r, fx)
		return ""
	case row.State.Placed(), row.State == flow.TaskQueued:
		return ""
	case row.State == flow.TaskPaused:
		return refuse("the run is %s; resume it", s.Inst.State)
	case row.State != flow.TaskWaiting:
		return refuse("task %q is %s; only a waiting one can be started", row.Name, row.State)
	}
	row.Held = false
	row.EligibleAt = env.Now
	s.ready(r, env, fx)
	if s.Rows[r].Pooling() {
		s.pass(r, fx)
	}
	return ""
}
