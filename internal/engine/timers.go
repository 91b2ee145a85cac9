// Times an instance waits for: delays, retries and timeouts.

package engine

import (
	"fmt"
	"strings"
	"time"

	"baton/internal/flow"
)

// Bits of TaskRow.Warned.
const (
	warnedQueue uint8 = 1 << iota
	warnedStart
	warnedRun
	warnedHeartbeat
	askedWorker // the dispatcher was asked once more whether anybody serves the row's group
	warnedWorker
)

// noWorkerGrace is how long a row waits for a worker group that nobody serves before a person is
// told: a worker that is started again is back sooner.
const noWorkerGrace = time.Minute

// limit is one timeout of a row that is counting: since when, how long.
type limit struct {
	name  string
	bit   uint8
	since flow.Time
	most  flow.Duration
}

func (l limit) at() flow.Time { return l.since.Add(l.most.Std()) }

// limits returns the timeouts that are counting for a row; unset ones have most 0.
func (s *State) limits(row *flow.TaskRow) (limit, limit, flow.TimeoutAction) {
	n, undo := s.node(row)
	t := n.Timeout
	if undo {
		t = n.Compensate.Timeout
	}
	a := &row.Attempt
	switch row.State {
	case flow.TaskQueued:
		return limit{"queue", warnedQueue, row.EligibleAt, t.Queue}, limit{}, t.Action
	case flow.TaskDispatched:
		return limit{"start", warnedStart, a.GrantedAt, t.Start}, limit{}, t.Action
	case flow.TaskRunning:
		if row.Hosted() {
			return limit{"run", warnedRun, row.EligibleAt, t.Run}, limit{}, t.Action
		}
		return limit{"run", warnedRun, a.StartedAt, t.Run}, limit{"heartbeat", warnedHeartbeat, a.BeatAt, t.Heartbeat}, t.Action
	default:
		return limit{}, limit{}, t.Action
	}
}

// due carries out everything whose time has come.
func (s *State) due(env Env, fx *Effects) {
	s.deadlinesDue(env, fx)
	if s.Inst.State.AtRest() {
		return
	}
	s.runDue(env, fx)
	for r := range s.Rows {
		row := &s.Rows[r]
		if !row.Valid || row.State.Ended() {
			continue
		}
		if row.State == flow.TaskWaiting && !row.Held && row.NextCheck != 0 && row.NextCheck <= env.Now {
			row.EligibleAt = env.Now // a wake that comes late is not the task's wait for a worker
			s.ready(int32(r), env, fx)
			continue
		}
		if row.Hosted() && row.Kill == flow.KillNone && row.NextCheck != 0 && row.NextCheck <= env.Now {
			s.hostedDue(int32(r), env, fx)
			continue
		}
		if at := unservedUntil(row); at != 0 && at <= env.Now && s.granting() {
			row.Warned |= askedWorker
			s.touch(int32(r))
			fx.Asked = append(fx.Asked, int32(r)) // its reason is old by now
		}
		a, b, action := s.limits(row)
		for _, l := range [2]limit{a, b} {
			if l.most > 0 && l.at() <= env.Now && row.Kill == flow.KillNone && !row.State.Ended() {
				s.strike(int32(r), l, action, env, fx)
			}
		}
	}
}

// unservedUntil is when a row that waits for a group nobody serves is looked at again, 0 for one
// that does not, or was.
func unservedUntil(row *flow.TaskRow) flow.Time {
	if row.State != flow.TaskQueued || row.Warned&askedWorker != 0 || row.Kill != flow.KillNone || !unserved(row.Reason) {
		return 0
	}
	return row.EligibleAt.Add(noWorkerGrace)
}

func unserved(reason string) bool { return strings.HasPrefix(reason, flow.ReasonNoWorker+":") }

// strike carries out one timeout of a row.
func (s *State) strike(r int32, l limit, action flow.TimeoutAction, env Env, fx *Effects) {
	row := &s.Rows[r]
	if action.Warns() && row.Warned&l.bit == 0 {
		row.Warned |= l.bit
		s.touch(r)
		s.alert(flow.AlertTaskTimeout, row.Name, fmt.Sprintf("task %s: timeout.%s of %s is over (%s)", row.Name, l.name, l.most, row.Reason), env)
	}
	if !action.Fails() {
		return
	}
	switch {
	case row.Hosted():
		s.hostedTimeout(r, l, env, fx)
		return
	case row.Placed():
		s.kill(r, flow.KillTimeout, env, fx)
		return
	}
	// No attempt was granted; the wait itself is the try that timed out.
	s.nextAttempt(row, flow.AttemptVoid)
	row.Attempt.Cause, row.Attempt.Class, row.Attempt.EndedAt = flow.ReasonTimeout, flow.ClassUser, env.Now
	s.touch(r)
	s.tryAgain(r, flow.Result{Reason: "timeout." + l.name + " is over: " + row.Reason}, env, fx)
}

// runDue carries out the timeout of the whole run.
func (s *State) runDue(env Env, fx *Effects) {
	t := s.Plan.runLimit
	if t.Run == 0 || !s.clockRuns() || s.runTime(env.Now) < t.Run.Std() {
		return
	}
	if t.Action.Warns() && !s.Inst.Warned {
		s.Inst.Warned = true
		s.change.touched = true
		s.alert(flow.AlertRunTimeout, "", fmt.Sprintf("run of %s: timeout.run of %s is over", s.Plan.Def.Name, t.Run), env)
	}
	switch {
	case !t.Action.Fails():
	case s.ending:
		s.stopFinally(flow.KillDue, env, fx)
	default:
		s.Inst.Due = true
		s.change.touched = true
		s.killAll(flow.KillDue, env, fx)
	}
}

// clockRuns tells whether the timeout of the run counts. It strikes once; what runs at the end of a run that it has struck
// has the timeouts of its own.
func (s *State) clockRuns() bool {
	struck := s.Inst.Due || s.ending && s.Inst.FailFast
	return !struck && (s.Inst.State == flow.InstanceRunning || s.Inst.State == flow.InstancePausing)
}

// Wake returns the earliest time at which Due would do something, 0 for none. It looks at every
// row, so it is computed when it is asked for, once for all events of a commit.
func (s *State) Wake() flow.Time {
	if s.wakeStale {
		s.Inst.WakeAt, s.wakeStale = s.nextWake(), false
	}
	return s.Inst.WakeAt
}

// nextWake is the earliest time at which Due would do something, 0 for none.
func (s *State) nextWake() flow.Time {
	wake := s.nextDeadline()
	if s.Inst.State.AtRest() {
		return wake
	}
	if t := s.Plan.runLimit; t.Run > 0 && s.clockRuns() && (t.Action.Fails() || !s.Inst.Warned) {
		wake = flow.Earliest(wake, s.Inst.StartedAt.Add(t.Run.Std()+time.Duration(s.Inst.PausedFor)*time.Microsecond))
	}
	if s.waiting+s.hosted == 0 && (!s.Plan.timed && !s.unserved || s.active == 0) {
		return wake
	}
	s.unserved = false
	for r := range s.Rows {
		row := &s.Rows[r]
		if !row.Valid || row.State.Ended() || row.State == flow.TaskPaused {
			continue
		}
		if row.State == flow.TaskWaiting {
			if !row.Held {
				wake = flow.Earliest(wake, row.NextCheck)
			}
			continue
		}
		if row.Kill != flow.KillNone {
			continue
		}
		if row.Hosted() {
			wake = flow.Earliest(wake, row.NextCheck)
		}
		if at := unservedUntil(row); at != 0 {
			s.unserved, wake = true, flow.Earliest(wake, at)
		}
		if !s.Plan.timed {
			continue
		}
		a, b, action := s.limits(row)
		for _, l := range [2]limit{a, b} {
			if l.most > 0 && (action.Fails() || row.Warned&l.bit == 0) {
				wake = flow.Earliest(wake, l.at())
			}
		}
	}
	return wake
}
