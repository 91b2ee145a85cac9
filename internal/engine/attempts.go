// Attempts: placed, started, ended, lost.

package engine

import (
	"fmt"
	"strings"
	"time"

	"baton/internal/attempt"
	"baton/internal/flow"
)

// place grants a new attempt of a queued row to a session.
func (s *State) place(e Placed, env Env, fx *Effects) {
	row := &s.Rows[e.Row]
	if err := s.renderable(e.Row); err != nil {
		s.endRow(e.Row, flow.TaskFailed, flow.ReasonParameter, env)
		s.failed(e.Row, err.Error(), env, fx)
		fx.Freed = append(fx.Freed, e.Row)
		return
	}
	s.nextAttempt(row, flow.AttemptGranted)
	row.Attempt.Session, row.Attempt.Worker, row.Attempt.GrantedAt = e.Session, e.Worker, env.Now
	row.Warned, row.Kill, row.NextCheck = 0, flow.KillNone, 0
	s.set(e.Row, flow.TaskDispatched)
	s.placedReason(row)
	s.change.grants = append(s.change.grants, e.Row)
	fx.Granted = append(fx.Granted, e.Row)
}

// nextAttempt puts a new attempt into a row; the one before becomes a row of its own. One that a
// worker refused never was: the new one takes its number.
func (s *State) nextAttempt(row *flow.TaskRow, st flow.AttemptState) {
	prev := row.Attempt
	if prev.Number > 0 && (prev.State != flow.AttemptVoid || prev.Cause != "") {
		s.change.past = append(s.change.past, prev)
	}
	row.Attempt = flow.AttemptRow{Task: row.ID, Number: prev.Number + 1, Infra: prev.Infra, State: st, ExitCode: flow.NoExit}
}

func (s *State) stuck(e Stuck, env Env) {
	row := &s.Rows[e.Row]
	if unserved(e.Reason) {
		s.unserved = true
		if row.Warned&(askedWorker|warnedWorker) == askedWorker {
			row.Warned |= warnedWorker
			s.touch(e.Row)
			s.alert(flow.AlertNoWorker, row.Name, fmt.Sprintf("task %s has waited since %s: %s", row.Name, row.EligibleAt, e.Reason), env)
		}
	}
	if e.Reason == "" || sameCause(row.Reason, e.Reason) {
		return
	}
	row.Reason, row.NextCheck = flow.Text(e.Reason, flow.MaxReason), e.Next
	s.touch(e.Row)
}

// sameCause tells whether two reasons to wait for a place differ in nothing that is worth a write:
// how many places there are changes with every worker that comes and goes.
func sameCause(a, b string) bool {
	const full = flow.ReasonNoSlot + ": "
	return a == b || strings.HasPrefix(a, full) && strings.HasPrefix(b, full)
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
	if r < 0 {
		return
	}
	if s.Rows[r].Attempt.StartedAt == 0 {
		s.begun(r, e.At, env)
		s.placedReason(&s.Rows[r])
	}
	// Each time it is said: who waits for leave says it until it has it.
	if s.Held(r) {
		fx.Begun = append(fx.Begun, r)
	}
}

func (s *State) begun(r int32, at flow.Time, env Env) {
	row := &s.Rows[r]
	stampStart(row, at, env)
	row.Attempt.State, row.Attempt.BeatAt = flow.AttemptStarted, env.Now
	s.set(r, flow.TaskRunning)
}

func stampStart(row *flow.TaskRow, at flow.Time, env Env) {
	row.Attempt.StartedAt = between(row.Attempt.GrantedAt, at, env.Now)
	if row.StartedAt == 0 {
		row.StartedAt = row.Attempt.StartedAt
	}
}

// between brings a time of a worker's clock into the bounds of ours: what is none becomes now.
// Clocks of hosts differ; a timeout must not strike, nor a task seem to begin before what it needs
// has ended, because of that.
func between(lo, at, now flow.Time) flow.Time {
	if at == 0 || at > now {
		return now
	}
	return max(lo, at)
}

// placedReason says where a row is that a worker holds.
func (s *State) placedReason(row *flow.TaskRow) {
	worker := row.Attempt.Worker
	switch {
	case row.Kill != flow.KillNone:
		row.Reason = flow.ReasonKilling + ": asked to stop on worker " + worker + "; waits until the whole process tree is gone"
	case row.Attempt.State == flow.AttemptSuspect:
		row.Reason = flow.ReasonSuspect + ": nothing heard from worker " + worker + "; its result still counts until a new attempt is granted"
	case row.State == flow.TaskRunning:
		row.Reason = flow.ReasonRunning + ": on worker " + worker
	default:
		row.Reason = flow.ReasonDispatched + ": sent to worker " + worker
	}
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
	s.Rows[r].Attempt.State = flow.AttemptSuspect
	s.placedReason(&s.Rows[r])
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
	s.placedReason(row)
	s.touch(r)
}

func (s *State) ended(e Ended, env Env, fx *Effects) {
	res := e.Result
	fx.Settled = append(fx.Settled, res.Token)
	r := s.current(e.Task, res.Token)
	if r >= 0 {
		fx.Freed = append(fx.Freed, r)
	}
	if r < 0 && s.stillCounts(e) {
		r = s.RowByID(e.Task)
		s.Rows[r].Attempt.Infra-- // it was no loss after all
	}
	if r < 0 {
		s.lateResult(e)
		return
	}
	if res.State == flow.AttemptVoid {
		s.refused(Refused{Task: e.Task, Token: res.Token, Reason: res.Reason}, env, fx)
		return
	}
	row := &s.Rows[r]
	a := &row.Attempt
	if a.StartedAt == 0 && res.Started != 0 {
		stampStart(row, res.Started, env)
	}
	a.EndedAt, a.ExitCode, a.Cause, a.Confirmed = between(max(a.GrantedAt, a.StartedAt), res.Ended, env.Now), res.ExitCode, flow.Text(res.Cause, 200), res.Confirmed
	a.CPU, a.Memory = max(res.CPU, 0), max(res.Memory, 0)
	switch res.State {
	case flow.AttemptSucceeded:
		s.succeed(r, res, env, fx)
	case flow.AttemptKilled:
		s.killedAttempt(r, res, env, fx)
	case flow.AttemptLost:
		if row.Kill == flow.KillTimeout {
			row.Kill = flow.KillNone // it had ended with its worker before the timeout could end it
		}
		s.gone(r, res.Cause, res.Reason, env, fx)
	default:
		a.State, a.Class = flow.AttemptFailed, res.Class
		if a.Class == flow.ClassInfrastructure {
			s.gone(r, res.Cause, res.Reason, env, fx)
			return
		}
		a.Class = flow.ClassUser
		s.tryAgain(r, res, env, fx)
	}
}

// stillCounts tells whether a result came late but in time: its attempt was held for lost, no
// successor was granted yet, and the run has not ended with the row at rest.
func (s *State) stillCounts(e Ended) bool {
	if s.phase().Ended() {
		return false
	}
	r := s.RowByID(e.Task)
	if r < 0 || s.Rows[r].Attempt.Token != e.Result.Token || s.Rows[r].State.Ended() || !s.Rows[r].Valid {
		return false
	}
	if a := s.Rows[r].Attempt.State; a != flow.AttemptLost && a != flow.AttemptUnknown {
		return false
	}
	return conclusive(e.Result)
}

// conclusive tells whether a result says how the work itself ended.
func conclusive(r flow.Result) bool {
	return r.State == flow.AttemptSucceeded || r.State == flow.AttemptFailed && r.Class != flow.ClassInfrastructure
}

// lateResult records that a result came when nobody wanted it any more.
func (s *State) lateResult(e Ended) {
	r := s.RowByID(e.Task)
	if r < 0 || s.Rows[r].Attempt.Token != e.Result.Token {
		return
	}
	a := &s.Rows[r].Attempt
	unproven := a.State == flow.AttemptLost || a.State == flow.AttemptUnknown || a.State == flow.AttemptKilled && !a.Confirmed
	if !unproven {
		return
	}
	if !a.Confirmed && e.Result.Confirmed {
		a.Confirmed = true
		s.touch(r)
	}
	if !a.Refused && conclusive(e.Result) {
		a.Refused = true
		s.touch(r)
	}
}

func (s *State) succeed(r int32, res flow.Result, env Env, fx *Effects) {
	row := &s.Rows[r]
	if why := s.badOutputs(res.Outputs); why != "" {
		row.Attempt.State, row.Attempt.Cause, row.Attempt.Class = flow.AttemptFailed, flow.ReasonOutputs, flow.ClassUser
		res.Reason = why
		s.tryAgain(r, res, env, fx)
		return
	}
	row.Attempt.State, row.Attempt.Cause, row.Attempt.Class = flow.AttemptSucceeded, "", ""
	s.giveOutputs(r, res.Outputs)
	s.endRow(r, flow.TaskSucceeded, "", env)
}

// tryAgain decides after a failure of the user's class: another try, or the end.
func (s *State) tryAgain(r int32, res flow.Result, env Env, fx *Effects) {
	row := &s.Rows[r]
	a := &row.Attempt
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
	row.Kill, row.Warned = flow.KillNone, 0
	row.EligibleAt = env.Now.Add(delay)
	row.NextCheck = row.EligibleAt
	switch {
	case row.Held:
		s.wait(r, heldReason, row.NextCheck)
	case s.resting():
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

// closing tells whether no new attempt is granted any more: the rest of the run is being killed. What had the run end
// does not concern the tasks that run at its end.
func (s *State) closing() bool {
	switch {
	case s.phase() == flow.InstanceCompensating:
		return false
	case s.ending:
		return s.Inst.FailFast
	}
	return s.phase() == flow.InstanceStopping || s.Inst.FailFast || s.Inst.Due
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
	case flow.KillNone:
		// Nobody here asked for it: the worker stopped it because it was cut off or is shutting down.
		s.gone(r, res.Cause, res.Reason, env, fx)
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
	fx.Freed = append(fx.Freed, r)
	s.Rows[r].Attempt.EndedAt = env.Now
	s.gone(r, flow.ReasonWorkerLost, e.Reason, env, fx)
}

// gone decides after an infrastructure loss: nobody will tell how the attempt ended.
func (s *State) gone(r int32, cause, why string, env Env, fx *Effects) {
	row := &s.Rows[r]
	a := &row.Attempt
	inOrder := cause == flow.ReasonWorkerStop
	a.State, a.Class, a.Cause = flow.AttemptLost, flow.ClassInfrastructure, flow.ReasonWorkerLost
	if inOrder || cause == flow.ReasonWorkerRestart {
		a.Cause = cause
	}
	a.Infra++
	n, undo := s.node(row)
	switch once := !undo && n.Delivery == flow.AtMostOnce && a.StartedAt != 0; {
	case row.Kill == flow.KillTimeout && !once:
		// The timeout struck first; that nobody confirmed the kill does not make it another's fault.
		a.State, a.Class, a.Cause = flow.AttemptKilled, flow.ClassUser, flow.ReasonTimeout
		a.Infra--
		s.tryAgain(r, flow.Result{Reason: why}, env, fx)
	case row.Kill != flow.KillNone && row.Kill != flow.KillTimeout:
		a.State = flow.AttemptKilled
		s.alert(flow.AlertKillUnverified, row.Name, "killed, but nobody could confirm that its processes are gone: "+why, env)
		s.endRow(r, flow.TaskKilled, killReason(row.Kill), env)
		s.failed(r, "", env, fx)
	case once:
		a.State = flow.AttemptUnknown
		s.set(r, flow.TaskUnknown)
		row.Kill, row.NextCheck = flow.KillNone, 0
		row.Reason = fmt.Sprintf("%s: its worker was lost while it ran and it may run at most once; settle it with `baton task succeed|skip|retry|kill %s %s` (%s)",
			flow.ReasonUnknown, s.Inst.ID, row.Name, flow.Text(why, 300))
		s.alert(flow.AlertTaskUnknown, row.Name, "task "+row.Name+" is "+row.Reason, env)
	case int(a.Infra) > attempt.InfrastructureBudget && !inOrder || s.closing():
		s.endRow(r, flow.TaskFailed, flow.ReasonWorkerLost, env)
		s.failed(r, why, env, fx)
	case s.resting():
		s.rest(r, env)
	default:
		row.EligibleAt, row.Warned = env.Now, 0
		s.ready(r, env, fx)
	}
}

// refused puts a granted row back: the worker did not take it. The attempt never was; its number
// is used again.
func (s *State) refused(e Refused, env Env, fx *Effects) {
	r := s.current(e.Task, e.Token)
	if r < 0 {
		return
	}
	fx.Freed = append(fx.Freed, r)
	row := &s.Rows[r]
	if row.Attempt.StartedAt != 0 {
		// It had started, and the worker does not know it any more.
		s.lost(Lost{Task: e.Task, Token: e.Token, Reason: "the worker does not know it any more: " + e.Reason}, env, fx)
		return
	}
	row.Attempt.State = flow.AttemptVoid
	row.Attempt.Number--
	switch {
	case row.Kill == flow.KillTimeout:
		row.Attempt.Number++
		row.Attempt.Cause, row.Attempt.Class, row.Attempt.EndedAt = flow.ReasonTimeout, flow.ClassUser, env.Now
		s.tryAgain(r, flow.Result{Reason: "timed out before it began"}, env, fx)
	case row.Kill != flow.KillNone:
		row.Attempt.Confirmed = true
		s.endRow(r, flow.TaskKilled, killReason(row.Kill), env)
		s.failed(r, "", env, fx)
	case s.resting():
		s.rest(r, env)
	case row.Given:
		s.enqueue(r, fx) // its slots are its own still
	default:
		s.ready(r, env, fx)
	}
}

// anew supersedes a row by a new one of the same task and judges the graph again. When something
// before the task is being done again, the new row comes when that has ended.
func (s *State) anew(r int32, name string, env Env, fx *Effects) {
	s.setAsideAgain(r)
	i := s.Plan.index[name]
	if s.left[i] > 0 {
		return
	}
	nr := s.newRow(i, env)
	row := &s.Rows[nr]
	row.EligibleAt = env.Now
	if s.resting() {
		s.rest(nr, env)
	} else {
		s.ready(nr, env, fx)
	}
	s.rebuild()
}

// setAsideAgain sets a row aside to be done again, with what was decided on the strength of it.
func (s *State) setAsideAgain(r int32) {
	s.setAside(r)
	s.itemsAgain(&s.Rows[r], false)
	s.undecide()
	s.rebuild()
}

// failed reacts to the failure of a row that has ended: alert, and failure: end.
func (s *State) failed(r int32, why string, env Env, fx *Effects) {
	row := &s.Rows[r]
	if row.Item != 0 && s.items(s.ownerOf(row)).failed > toldItems {
		return // its map says how many there are
	}
	if row.State == flow.TaskFailed {
		msg := fmt.Sprintf("task %s failed: %s", row.Name, row.Reason)
		if why != "" {
			msg += ": " + why
		}
		s.alert(flow.AlertTaskFailed, row.Name, msg, env)
	}
	if row.Compensates != 0 || row.Item != 0 || s.handled(row) || s.strategy() != flow.FailureEnd || s.closing() {
		return
	}
	if st := s.phase(); st == flow.InstanceRunning || st == flow.InstancePausing {
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
		row := &s.Rows[r]
		if row.Valid && !row.State.Ended() && s.steered(row) && (row.Item == 0 || row.Kill != intent) { // its map had it killed
			s.kill(int32(r), intent, env, fx)
		}
	}
}

// kill ends one row that is not over.
func (s *State) kill(r int32, intent flow.KillIntent, env Env, fx *Effects) {
	row := &s.Rows[r]
	switch {
	case row.Placed():
		row.Kill = intent
		s.placedReason(row)
		s.touch(r)
		fx.Killing = append(fx.Killing, r)
	case s.liveItems(r) > 0:
		s.killFan(r, intent, env, fx)
	case row.Child() != 0: // also one that rests: nobody else would ever stop it
		s.set(r, flow.TaskRunning)
		row.Kill = intent
		s.orderChild(r, flow.VerbStop, env)
	case row.State == flow.TaskUnknown:
		row.Attempt.Confirmed = false
		s.endRow(r, flow.TaskKilled, flow.ReasonUnknown, env)
	default:
		s.endRow(r, flow.TaskKilled, killReason(intent), env)
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
