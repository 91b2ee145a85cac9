// Attempts: placed, started, ended, lost.

package engine

import (
	"fmt"
	"time"

	"baton/internal/attempt"
	"baton/internal/flow"
)

// place grants a new attempt of a queued row to a session.
func (s *State) place(e Placed, env Env, fx *Effects) {
	row := &s.Rows[e.Row]
	if !row.Valid || row.State != flow.TaskQueued {
		return
	}
	if err := s.renderable(e.Row); err != nil {
		s.endRow(e.Row, flow.TaskFailed, flow.ReasonParameter, env)
		s.failed(e.Row, err.Error(), env, fx)
		return
	}
	prev := row.Attempt
	if prev.Number > 0 && prev.Token != 0 && prev.State != flow.AttemptVoid {
		s.change.past = append(s.change.past, prev)
	}
	row.Attempt = flow.AttemptRow{
		Task: row.ID, Number: prev.Number + 1, Infra: prev.Infra, Session: e.Session, Worker: e.Worker,
		State: flow.AttemptGranted, ExitCode: flow.NoExit, GrantedAt: env.Now,
	}
	row.Warned, row.Kill, row.NextCheck = 0, flow.KillNone, 0
	s.set(e.Row, flow.TaskDispatched)
	row.Reason = flow.ReasonDispatched + ": sent to worker " + e.Worker
	s.change.grants = append(s.change.grants, e.Row)
	fx.Granted = append(fx.Granted, e.Row)
}

func (s *State) stuck(e Stuck) {
	row := &s.Rows[e.Row]
	if !row.Valid || row.State != flow.TaskQueued || row.Reason == e.Reason {
		return
	}
	row.Reason, row.NextCheck = flow.Text(e.Reason, flow.MaxReason), e.Next
	s.touch(e.Row)
}

// current returns the row whose live attempt has the token, -1 if there is none.
func (s *State) current(task flow.ID, token int64) int32 {
	r := s.RowByID(task)
	if r < 0 || s.Rows[r].Attempt.Token != token || !s.Rows[r].Attempt.State.Live() {
		return -1
	}
	return r
}

func (s *State) started(e Started, env Env, fx *Effects) {
	r := s.current(e.Task, e.Token)
	if r < 0 || s.Rows[r].Attempt.StartedAt != 0 {
		return
	}
	s.begun(r, e.At, env)
	if n, undo := s.node(&s.Rows[r]); !undo && n.Delivery == flow.AtMostOnce {
		fx.Begun = append(fx.Begun, r)
	}
}

func (s *State) begun(r int32, at flow.Time, env Env) {
	row := &s.Rows[r]
	if at == 0 {
		at = env.Now
	}
	row.Attempt.State, row.Attempt.StartedAt, row.Attempt.BeatAt = flow.AttemptStarted, at, env.Now
	if row.StartedAt == 0 {
		row.StartedAt = at
	}
	s.set(r, flow.TaskRunning)
	row.Reason = "running: on worker " + row.Attempt.Worker
}

func (s *State) alive(e Alive, env Env) {
	r := s.current(e.Task, e.Token)
	if r < 0 {
		return
	}
	n, _ := s.node(&s.Rows[r])
	if n.Timeout.Heartbeat == 0 {
		return
	}
	s.Rows[r].Attempt.BeatAt = env.Now
	s.touch(r)
}

func (s *State) suspected(e Suspected) {
	r := s.current(e.Task, e.Token)
	if r < 0 || s.Rows[r].Attempt.State == flow.AttemptSuspect {
		return
	}
	row := &s.Rows[r]
	row.Attempt.State = flow.AttemptSuspect
	row.Reason = flow.ReasonSuspect + ": nothing heard from worker " + row.Attempt.Worker + "; its result still counts until a new attempt is granted"
	s.touch(r)
}

func (s *State) rebound(e Rebound) {
	r := s.current(e.Task, e.Token)
	if r < 0 {
		return
	}
	row := &s.Rows[r]
	row.Attempt.Session = e.Session
	if row.Attempt.State == flow.AttemptSuspect {
		row.Attempt.State = flow.AttemptGranted
		if row.Attempt.StartedAt != 0 {
			row.Attempt.State = flow.AttemptStarted
		}
	}
	row.Reason = "running: on worker " + row.Attempt.Worker
	s.touch(r)
}

func (s *State) ended(e Ended, env Env, fx *Effects) {
	res := e.Result
	fx.Settled = append(fx.Settled, res.Token)
	fx.Freed = append(fx.Freed, res.Token)
	r := s.current(e.Task, res.Token)
	if r < 0 {
		s.lateResult(e)
		return
	}
	row := &s.Rows[r]
	if row.Attempt.StartedAt == 0 && res.Started != 0 {
		s.begun(r, res.Started, env)
	}
	a := &row.Attempt
	a.EndedAt, a.ExitCode, a.Cause, a.Confirmed = res.Ended, res.ExitCode, flow.Text(res.Cause, 200), res.Confirmed
	if a.EndedAt == 0 {
		a.EndedAt = env.Now
	}
	switch res.State {
	case flow.AttemptSucceeded:
		s.succeed(r, res, env, fx)
	case flow.AttemptKilled:
		s.killedAttempt(r, res, env, fx)
	case flow.AttemptLost:
		s.gone(r, res.Reason, env, fx)
	default:
		a.State, a.Class = flow.AttemptFailed, res.Class
		if a.Class == flow.ClassInfrastructure {
			s.gone(r, res.Reason, env, fx)
			return
		}
		a.Class = flow.ClassUser
		s.tryAgain(r, res, env, fx)
	}
}

// lateResult records that a result came when nobody wanted it any more.
func (s *State) lateResult(e Ended) {
	r := s.RowByID(e.Task)
	if r < 0 || s.Rows[r].Attempt.Token != e.Result.Token {
		return
	}
	row := &s.Rows[r]
	if !row.Attempt.Confirmed && e.Result.Confirmed {
		row.Attempt.Confirmed = true
		s.touch(r)
	}
	if (row.Attempt.State == flow.AttemptLost || row.Attempt.State == flow.AttemptUnknown) && !row.Attempt.Refused {
		row.Attempt.Refused = true
		s.touch(r)
	}
}

func (s *State) succeed(r int32, res flow.Result, env Env, fx *Effects) {
	row := &s.Rows[r]
	if len(res.Outputs) > flow.MaxOutputsPerTask {
		res.Cause, res.ExitCode = flow.ReasonOutputs, row.Attempt.ExitCode
		row.Attempt.State, row.Attempt.Cause, row.Attempt.Class = flow.AttemptFailed, flow.ReasonOutputs, flow.ClassUser
		s.tryAgain(r, res, env, fx)
		return
	}
	if row.Kill == flow.KillRetry {
		row.Attempt.State = flow.AttemptSucceeded
		s.replace(r, env, fx)
		return
	}
	row.Attempt.State, row.Attempt.Cause = flow.AttemptSucceeded, ""
	row.Outputs = res.Outputs
	s.endRow(r, flow.TaskSucceeded, "", env)
}

// tryAgain decides after a failure of the user's class: another try, or the end.
func (s *State) tryAgain(r int32, res flow.Result, env Env, fx *Effects) {
	row := &s.Rows[r]
	a := &row.Attempt
	if row.Kill == flow.KillRetry {
		s.replace(r, env, fx)
		return
	}
	rules, _ := s.rules(row)
	cause := a.Cause
	used := int(a.Number - a.Infra)
	delay, again := rules.Again(used, attempt.End{Cause: cause, ExitCode: a.ExitCode, Matched: res.Matched})
	intent := row.Kill
	if !again || (intent != flow.KillNone && intent != flow.KillTimeout) || s.closing() {
		reason := cause
		if reason == "" {
			reason = "failed"
		}
		s.endRow(r, flow.TaskFailed, reason, env)
		s.failed(r, res.Reason, env, fx)
		return
	}
	row.Kill = flow.KillNone
	row.EligibleAt = env.Now.Add(delay)
	row.NextCheck = row.EligibleAt
	switch {
	case s.Inst.State == flow.InstancePausing:
		s.rest(r, env)
	case delay > 0:
		s.wait(r, fmt.Sprintf("%s: attempt %d ended with %s; the next try is due after %s", flow.ReasonRetryDelay, a.Number, cause, flow.Duration(delay)), row.NextCheck)
	default:
		s.ready(r, env, fx)
	}
}

func (s *State) rules(row *flow.TaskRow) (attempt.Rules, bool) {
	n, undo := s.node(row)
	if undo {
		return n.undoRule, true
	}
	return n.rules, false
}

// closing tells whether no new attempt is granted any more: the rest of the run is being killed.
func (s *State) closing() bool {
	if s.Inst.State == flow.InstanceCompensating {
		return false
	}
	return s.Inst.State == flow.InstanceStopping || s.Inst.FailFast || s.Inst.Due
}

// killedAttempt ends an attempt whose process tree was killed.
func (s *State) killedAttempt(r int32, res flow.Result, env Env, fx *Effects) {
	row := &s.Rows[r]
	a := &row.Attempt
	a.State, a.ExitCode = flow.AttemptKilled, flow.NoExit
	if a.Cause == "" {
		a.Cause = "killed"
	}
	switch row.Kill {
	case flow.KillTimeout:
		a.Cause, a.Class = flow.ReasonTimeout, flow.ClassUser
		s.tryAgain(r, res, env, fx)
	case flow.KillRetry:
		s.replace(r, env, fx)
	case flow.KillNone:
		// Nobody here asked for it: the worker stopped it because it was cut off or is shutting down.
		s.gone(r, res.Reason, env, fx)
	default:
		s.endRow(r, flow.TaskKilled, killReason(row.Kill), env)
		if row.Valid {
			s.failed(r, "", env, fx)
		}
	}
}

func killReason(k flow.KillIntent) string {
	switch k {
	case flow.KillByHand:
		return flow.ReasonByHand
	case flow.KillStop:
		return flow.ReasonStopped
	case flow.KillEnd:
		return flow.ReasonFailureEnd
	case flow.KillDue:
		return flow.ReasonTimeout
	default:
		return "killed"
	}
}

func (s *State) lost(e Lost, env Env, fx *Effects) {
	r := s.current(e.Task, e.Token)
	if r < 0 {
		return
	}
	fx.Freed = append(fx.Freed, e.Token)
	s.Rows[r].Attempt.EndedAt = env.Now
	s.gone(r, e.Reason, env, fx)
}

// gone decides after an infrastructure loss: nobody will tell how the attempt ended.
func (s *State) gone(r int32, why string, env Env, fx *Effects) {
	row := &s.Rows[r]
	a := &row.Attempt
	a.State, a.Class, a.Cause = flow.AttemptLost, flow.ClassInfrastructure, flow.ReasonWorkerLost
	a.Infra++
	n, undo := s.node(row)
	switch {
	case row.Kill == flow.KillRetry:
		s.replace(r, env, fx)
	case row.Kill == flow.KillTimeout:
		a.Cause = flow.ReasonTimeout
		s.tryAgain(r, flow.Result{Reason: why}, env, fx)
	case row.Kill != flow.KillNone:
		a.State = flow.AttemptKilled
		s.endRow(r, flow.TaskKilled, killReason(row.Kill), env)
		s.alert(flow.AlertKillUnverified, row.Name, "killed, but nobody could confirm that its processes are gone: "+why, env)
		s.failed(r, "", env, fx)
	case !undo && n.Delivery == flow.AtMostOnce && a.StartedAt != 0:
		a.State = flow.AttemptUnknown
		s.set(r, flow.TaskUnknown)
		row.Reason = flow.ReasonUnknown + ": its worker was lost while it ran and it may run at most once; settle it with `baton task succeed|skip|retry|kill` (" + flow.Text(why, 300) + ")"
		s.alert(flow.AlertTaskUnknown, row.Name, row.Reason, env)
	case int(a.Infra) > attempt.InfrastructureBudget || s.closing():
		s.endRow(r, flow.TaskFailed, flow.ReasonWorkerLost, env)
		s.failed(r, why, env, fx)
	case s.Inst.State == flow.InstancePausing:
		s.rest(r, env)
	default:
		row.EligibleAt = env.Now
		s.ready(r, env, fx)
	}
}

// refused puts a granted row back: the worker did not take it. The attempt never was; its number
// is used again.
func (s *State) refused(e Refused, env Env, fx *Effects) {
	fx.Freed = append(fx.Freed, e.Token)
	r := s.current(e.Task, e.Token)
	if r < 0 {
		return
	}
	row := &s.Rows[r]
	if row.Attempt.StartedAt != 0 {
		// It had started, and the worker does not know it any more.
		s.lost(Lost{Task: e.Task, Token: e.Token, Reason: "the worker does not know it any more: " + e.Reason}, env, fx)
		return
	}
	row.Attempt.State = flow.AttemptVoid
	row.Attempt.Number--
	switch {
	case row.Kill == flow.KillRetry:
		s.replace(r, env, fx)
	case row.Kill == flow.KillTimeout:
		row.Attempt.Number++
		row.Attempt.Cause = flow.ReasonTimeout
		s.tryAgain(r, flow.Result{Reason: "timed out before it began"}, env, fx)
	case row.Kill != flow.KillNone:
		row.Attempt.Confirmed = true
		s.endRow(r, flow.TaskKilled, killReason(row.Kill), env)
		s.failed(r, "", env, fx)
	case s.Inst.State == flow.InstancePausing:
		s.rest(r, env)
	default:
		s.ready(r, env, fx)
	}
}

// replace sets a row aside whose kill was asked for by a retry, and makes the new one.
func (s *State) replace(r int32, env Env, fx *Effects) {
	row := &s.Rows[r]
	name := row.Name
	row.Kill = flow.KillNone
	s.set(r, flow.TaskKilled)
	row.Reason, row.EndedAt, row.NextCheck = flow.ReasonByHand, env.Now, 0
	s.anew(r, name, env, fx)
}

// anew supersedes a row by a new one of the same task and judges the graph again.
func (s *State) anew(r int32, name string, env Env, fx *Effects) {
	s.setAside(r)
	s.rebuild()
	i := s.Plan.index[name]
	nr := s.newRow(i, env)
	row := &s.Rows[nr]
	row.EligibleAt = env.Now
	if s.Inst.State == flow.InstancePausing || s.Inst.State == flow.InstancePaused {
		s.rest(nr, env)
	} else {
		s.ready(nr, env, fx)
	}
	s.rebuild()
}

// failed reacts to the failure of a row that has ended: alert, and failure: end.
func (s *State) failed(r int32, why string, env Env, fx *Effects) {
	row := &s.Rows[r]
	if row.State == flow.TaskFailed {
		msg := fmt.Sprintf("task %s failed: %s", row.Name, row.Reason)
		if why != "" {
			msg += ": " + why
		}
		s.alert(flow.AlertTaskFailed, row.Name, msg, env)
	}
	n, undo := s.node(row)
	if undo || n.handled || s.strategy() != flow.FailureEnd || s.closing() {
		return
	}
	if s.Inst.State == flow.InstanceRunning || s.Inst.State == flow.InstancePausing {
		s.Inst.FailFast = true
		s.change.touched = true
		s.killAll(flow.KillEnd, env, fx)
	}
}

func (s *State) strategy() flow.Failure {
	if s.start.Failure != "" {
		return s.start.Failure
	}
	return s.Plan.Def.Workflow.Failure
}

// killAll ends everything that is not over: what no worker holds at once, the rest when its worker
// has confirmed.
func (s *State) killAll(intent flow.KillIntent, env Env, fx *Effects) {
	for r := range s.Rows {
		if s.Rows[r].Valid && !s.Rows[r].State.Ended() {
			s.kill(int32(r), intent, env, fx)
		}
	}
}

// kill ends one row that is not over.
func (s *State) kill(r int32, intent flow.KillIntent, env Env, fx *Effects) {
	row := &s.Rows[r]
	switch {
	case row.State.Placed():
		row.Kill = intent
		row.Reason = flow.ReasonKilling + ": asked to stop on worker " + row.Attempt.Worker + "; waits until the whole process tree is gone"
		s.touch(r)
		fx.Killing = append(fx.Killing, r)
	case row.State == flow.TaskUnknown:
		row.Attempt.Confirmed = false
		s.endRow(r, flow.TaskKilled, flow.ReasonUnknown, env)
	default:
		reason := killReason(intent)
		if row.Attempt.Number > 0 {
			row.Attempt.Confirmed = true
		}
		s.endRow(r, flow.TaskKilled, reason, env)
	}
}

// runTime is how long an instance has run, without the time it was paused.
func (s *State) runTime(now flow.Time) time.Duration {
	d := now.Sub(s.Inst.StartedAt) - time.Duration(s.Inst.PausedFor)*time.Microsecond
	if s.Inst.PausedAt != 0 {
		d -= now.Sub(s.Inst.PausedAt)
	}
	return d
}
