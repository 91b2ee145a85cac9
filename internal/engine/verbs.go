// Verbs on a run: pause, resume, stop, recover, rerun, release.

package engine

import (
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// refusal is why a verb makes no sense in the present state; "" means applied.
type refusal string

func refuse(format string, args ...any) refusal { return refusal(fmt.Sprintf(format, args...)) }

// verb carries out one inbox item and keeps its outcome.
func (s *State) verb(e VerbGiven, env Env, fx *Effects) {
	v := e.Verb
	var why refusal
	if strings.HasPrefix(v.Name, "task.") {
		why = s.taskVerb(v, env, fx)
	} else {
		why = s.runVerb(v, env, fx)
	}
	s.change.touched = true
	s.change.inbox = append(s.change.inbox, e.Inbox)
	s.change.outcomes = append(s.change.outcomes, flow.Outcome{
		Inbox: e.Inbox, Instance: s.Inst.ID, Verb: v.Name, Applied: why == "",
		Reason: flow.Text(string(why), flow.MaxReason), By: v.By, At: env.Now,
	})
}

func (s *State) runVerb(v flow.Verb, env Env, fx *Effects) refusal {
	if v.Parent != 0 {
		s.Inst.ParentRow = v.Parent
	}
	switch v.Name {
	case flow.VerbPause:
		return s.pause(env)
	case flow.VerbResume:
		return s.resume(env, fx)
	case flow.VerbStop:
		return s.stop(v, env, fx)
	case flow.VerbRecover:
		return s.recover(v, env, fx)
	case flow.VerbRerun:
		return s.rerun(env, fx)
	case flow.VerbRelease:
		return s.release(env, fx)
	default:
		return refuse("there is no verb %q", v.Name)
	}
}

func (s *State) pause(env Env) refusal {
	switch s.Inst.State {
	case flow.InstancePaused, flow.InstancePausing:
		return ""
	case flow.InstanceQueued:
		s.Inst.Prior = flow.InstancePaused
		return ""
	case flow.InstanceRunning:
	default:
		return refuse("the run is %s; only a running one can be paused", s.Inst.State)
	}
	if s.closing() {
		return refuse("the run is ending: %s", s.reason())
	}
	s.setInst(flow.InstancePausing)
	for r := range s.Rows {
		row := &s.Rows[r]
		switch {
		case !row.Valid:
		case row.State == flow.TaskWaiting, row.State == flow.TaskQueued, row.Hosted() && row.Child() == 0:
			s.rest(int32(r), env)
		case row.Hosted():
			s.orderChild(int32(r), flow.VerbPause, env)
		}
	}
	return ""
}

func (s *State) resume(env Env, fx *Effects) refusal {
	switch s.Inst.State {
	case flow.InstanceRunning:
		return ""
	case flow.InstanceQueued:
		if s.restsQueued() {
			s.Inst.Prior, s.Inst.Reason = 0, s.turnReason()
		}
		return ""
	case flow.InstancePaused, flow.InstancePausing:
	default:
		return refuse("the run is %s; only a paused one can be resumed", s.Inst.State)
	}
	s.unpauseClock(env)
	s.setInst(flow.InstanceRunning)
	for r := range s.Rows { // runs that were told to pause and have not come to rest
		if row := &s.Rows[r]; row.Valid && row.Hosted() && row.Child() != 0 && row.Kill == flow.KillNone {
			s.orderChild(int32(r), flow.VerbResume, env)
		}
	}
	s.wakeResting(env, fx)
	return ""
}

func (s *State) unpauseClock(env Env) {
	if s.Inst.PausedAt != 0 {
		s.Inst.PausedFor += int64(env.Now - s.Inst.PausedAt)
		s.Inst.PausedAt = 0
	}
}

// wakeResting lets paused rows go on where they were: what waited for a time keeps it.
func (s *State) wakeResting(env Env, fx *Effects) {
	for r := range s.Rows {
		row := &s.Rows[r]
		if !row.Valid || row.State != flow.TaskPaused || !s.steered(row) {
			continue
		}
		switch {
		case row.Held:
			s.wait(int32(r), heldReason, row.NextCheck)
		case flow.Hosted(row.Type) && row.StartedAt != 0:
			s.hostAgain(int32(r), env, fx)
		case row.NextCheck > env.Now && row.Attempt.Number > 0:
			s.wait(int32(r), flow.ReasonRetryDelay+": the next try is due later", row.NextCheck)
		case row.NextCheck > env.Now:
			s.wait(int32(r), flow.ReasonDelay+": the task asks to wait after it became eligible", row.NextCheck)
		default:
			row.EligibleAt = env.Now
			s.ready(int32(r), env, fx)
		}
	}
}

func (s *State) stop(v flow.Verb, env Env, fx *Effects) refusal {
	if v.Times != 0 && v.Times != s.Inst.RunTimes {
		return refuse("it was to stop before it was made to run again")
	}
	if s.ending && !s.Inst.State.Ended() && v.Compensate && !s.Inst.Undo {
		return refuse("nothing is undone any more: the run has come to its end, and only its last tasks run; stop them without --compensate")
	}
	switch s.Inst.State {
	case flow.InstanceStopped:
		return ""
	case flow.InstanceStopping:
		switch {
		case s.ending:
			s.stopFinally(flow.KillStop, env, fx)
		case v.Compensate && !s.Inst.Undo:
			s.Inst.Undo = true
		}
		return ""
	case flow.InstanceSubmitted, flow.InstanceQueued:
		if s.hasBegun() {
			break // it ran before; something of it may rest
		}
		s.Inst.EndedAt, s.Inst.PausedAt, s.Inst.Prior = env.Now, 0, 0
		s.setInst(flow.InstanceStopped)
		s.Inst.Reason = s.stopReason()
		return ""
	case flow.InstanceFailed, flow.InstanceSucceeded:
		return refuse("the run has already %s", s.Inst.State)
	case flow.InstanceRunning, flow.InstancePausing, flow.InstancePaused, flow.InstanceCompensating, flow.InstanceQuarantined:
	}
	s.unpauseClock(env)
	s.Inst.EndedAt = 0
	if s.ending {
		if s.Inst.State == flow.InstanceQuarantined {
			s.Inst.Prior = s.decidedAnew()
		}
		s.setInst(flow.InstanceStopping)
		s.stopFinally(flow.KillStop, env, fx)
		return ""
	}
	s.Inst.Undo, s.Inst.Prior = v.Compensate, 0
	s.setInst(flow.InstanceStopping)
	s.killAll(flow.KillStop, env, fx)
	return ""
}

func (s *State) recover(v flow.Verb, env Env, fx *Effects) refusal {
	switch s.Inst.State {
	case flow.InstanceFailed, flow.InstanceStopped, flow.InstancePaused:
	case flow.InstanceSucceeded:
		if v.Parent != 0 {
			return "" // which hears that it has succeeded
		}
		return refuse("the run has succeeded; there is nothing to recover (use rerun)")
	default:
		return refuse("the run is %s; wait until it has ended, or stop it first", s.Inst.State)
	}
	s.finalsAside("recover", env)
	undone := s.undone()
	for r := range s.Rows {
		if row := &s.Rows[r]; row.Valid && row.Compensates != 0 {
			s.setAside(int32(r))
		}
	}
	for r := range s.Rows {
		row := &s.Rows[r]
		// What was undone has to be done again.
		if row.Valid && row.Item == 0 && (row.State.Failure() || undone[row.ID]) {
			s.setAside(int32(r))
			s.itemsAgain(row, undone[row.ID])
		}
		if row.Valid && row.Item == 0 && row.State == flow.TaskPaused {
			s.itemsAgain(row, false)
		}
	}
	s.undecide()
	s.reopen(env, fx)
	return ""
}

func (s *State) rerun(env Env, fx *Effects) refusal {
	switch s.Inst.State {
	case flow.InstanceFailed, flow.InstanceStopped, flow.InstancePaused, flow.InstanceSucceeded:
	default:
		return refuse("the run is %s; wait until it has ended, or stop it first", s.Inst.State)
	}
	for r := range s.Rows {
		if s.Rows[r].Valid {
			s.abandon(int32(r), causeRerun, env)
		}
	}
	s.reopen(env, fx)
	s.Inst.StartedAt = env.Now
	s.Inst.PausedFor = 0
	return ""
}

// undone are the rows that were undone, and those that ran, or were passed through, on the strength of them: what is done
// again comes before what needs it. What a person settled stays as it was settled, and with it what needs no more than that.
func (s *State) undone() map[flow.ID]bool {
	undone := make(map[flow.ID]bool)
	for r := range s.Rows {
		if row := &s.Rows[r]; row.Valid && row.Compensates != 0 {
			undone[row.Compensates] = true
		}
	}
	if len(undone) == 0 {
		return undone
	}
	again := make([]bool, len(s.Plan.nodes))
	for _, i := range s.Plan.topo {
		if s.row[i] < 0 {
			continue
		}
		row := &s.Rows[s.row[i]]
		after := slices.ContainsFunc(s.Plan.nodes[i].up, func(u int32) bool { return again[u] })
		passed := row.State == flow.TaskSkipped && row.Reason == flow.ReasonDisabled
		if after && (row.State == flow.TaskSucceeded || passed) {
			undone[row.ID] = true
		}
		settled := row.State == flow.TaskForcedSuccess || row.State == flow.TaskSkipped && row.Reason == flow.ReasonByHand
		again[i] = undone[row.ID] || after && !settled
	}
	return undone
}

// abandon sets aside a row that rests, or is over, and is done again with all that it began.
func (s *State) abandon(r int32, why string, env Env) {
	row := &s.Rows[r]
	if row.State == flow.TaskPaused {
		s.set(r, flow.TaskKilled)
		row.Reason, row.EndedAt, row.NextCheck = why, env.Now, 0
	}
	if row.Child() != 0 {
		row.Attempt.Cause = causeRerun
	}
	s.setAside(r)
}

// reopen lets an ended or paused run go on with the rows that are left valid.
func (s *State) reopen(env Env, fx *Effects) {
	s.unpauseClock(env)
	if s.Inst.EndedAt != 0 {
		s.Inst.PausedFor += int64(env.Now - s.Inst.EndedAt) // the time at rest does not count against the timeout
	}
	s.Inst.RunTimes++
	s.Inst.FailFast, s.Inst.Undo, s.Inst.Due, s.Inst.Warned = false, false, false, false
	s.Inst.Prior, s.ending = 0, false
	if s.Plan.runLimit.Run > 0 && s.runTime(env.Now) >= s.Plan.runLimit.Run.Std() {
		// What the timeout ended would be ended again at once: the clock starts anew.
		s.Inst.StartedAt, s.Inst.PausedFor = env.Now, 0
	}
	ended := s.Inst.State.Ended()
	s.Inst.EndedAt, s.Inst.Outputs = 0, nil
	if ended && s.Limited() { // one that was paused has kept its place
		s.queue(env)
		s.rebuild()
		return
	}
	s.setInst(flow.InstanceRunning)
	s.rebuild()
	s.wakeResting(env, fx)
}

// undecide sets aside what was only decided on the strength of tasks that are done again: which arm
// was taken, and what was not taken because of it. What has run stays.
func (s *State) undecide() {
	again := make([]bool, len(s.Plan.nodes))
	has := make([]int32, len(s.Plan.nodes)) // node → 1 + its valid row
	for r := range s.Rows {
		row := &s.Rows[r]
		if row.Compensates != 0 || row.Item != 0 {
			continue
		}
		if i := s.Plan.index[row.Name]; row.Valid {
			has[i], again[i] = int32(r)+1, false
		} else if has[i] == 0 {
			again[i] = true
		}
	}
	for _, i := range s.Plan.topo {
		if has[i] == 0 || !slices.ContainsFunc(s.Plan.nodes[i].up, func(u int32) bool { return again[u] }) {
			continue
		}
		row := &s.Rows[has[i]-1]
		decided := s.Plan.nodes[i].decides() && row.State == flow.TaskSucceeded
		if decided || row.State == flow.TaskSkipped && row.Reason == flow.ReasonNotTaken {
			s.setAside(has[i] - 1)
			again[i] = true
		}
	}
}

// release lets a quarantined run go on where it was.
func (s *State) release(env Env, fx *Effects) refusal {
	if s.Inst.State != flow.InstanceQuarantined {
		return refuse("the run is %s, not quarantined", s.Inst.State)
	}
	to := s.Inst.Prior
	if to == 0 || to == flow.InstanceSubmitted {
		to = flow.InstanceRunning
	}
	if to == flow.InstanceRunning && s.Inst.StartedAt == 0 {
		if err := s.resolveParams(); err != nil {
			return refuse("it cannot begin: %s", err)
		}
		key, err := s.turnKey()
		if err != nil {
			return refuse("it cannot begin: %s", err)
		}
		s.Inst.TurnKey, s.change.keyed = key, key != ""
		if to = flow.InstanceQueued; !s.Limited() {
			to, s.Inst.StartedAt = flow.InstanceRunning, env.Now
		}
	}
	prior := flow.InstanceState(0)
	if s.ending && !to.Ended() {
		prior = s.decidedAnew()
	}
	s.setInst(to)
	s.Inst.Prior = prior
	if to == flow.InstanceQueued {
		s.Inst.Reason = s.turnReason()
	}
	if to.Ended() {
		s.Inst.Reason = s.endReason(to)
	}
	s.rebuild()
	s.claimAgain(env, fx)
	again := s.Resume()
	fx.Queued, fx.Killing = append(fx.Queued, again.Queued...), append(fx.Killing, again.Killing...)
	fx.Lookups = append(fx.Lookups, again.Lookups...)
	return ""
}
