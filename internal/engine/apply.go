// Apply: one event, decided.

package engine

import (
	"fmt"
	"slices"

	"baton/internal/flow"
)

// Env is what a decision may ask for beyond the state: the time it is made at, and ids for new
// rows, which grow.
type Env struct {
	Now    flow.Time
	NextID func() flow.ID
	OwnID  func() flow.ID // of a run that the owner of this one takes up itself
}

// Event is something that happened to an instance.
type Event interface{ event() }

// Begin is the first event: its command was taken.
type Begin struct{}

// Placed says that the dispatcher chose a session for a queued row.
type Placed struct {
	Row     int32
	Session int64
	Worker  string
}

// Stuck says why a queued row could not be placed; the row keeps waiting.
type Stuck struct {
	Row    int32
	Reason string // "code: a sentence"
	Next   flow.Time
}

// Started says that an attempt began.
type Started struct {
	Task  flow.ID
	Token int64
	At    flow.Time
}

// Ended says how an attempt ended, as its worker told it.
type Ended struct {
	Task   flow.ID
	Result flow.Result
}

// Refused says that a worker did not take a grant: the attempt never began there and never will.
type Refused struct {
	Task   flow.ID
	Token  int64
	Reason string
}

// Lost says that nobody will ever tell how an attempt ended.
type Lost struct {
	Task   flow.ID
	Token  int64
	Reason string // a sentence: which witness, since when
}

// Suspected says that the session of an attempt is away; its result still counts until a successor
// is granted.
type Suspected struct {
	Task  flow.ID
	Token int64
}

// Rebound says that an attempt goes on under a session that was away, or under another one.
type Rebound struct {
	Task    flow.ID
	Token   int64
	Session int64
}

// Alive is a sign of life of an attempt.
type Alive struct {
	Task  flow.ID
	Token int64
}

// Due says that a time has come that the instance waited for.
type Due struct{}

// VerbGiven is a person's order, from the inbox.
type VerbGiven struct {
	Inbox flow.ID
	Verb  flow.Verb
}

// Admitted says that the turn of a queued run has come, or that it never will.
type Admitted struct {
	Inbox flow.ID
	flow.Admission
}

// Looked is the answer to a question of a row.
type Looked struct {
	Task  flow.ID
	Found flow.Found
	Plan  *Plan // of the workflow that was asked for; nil: it cannot be used, Found says why
}

// EventHeard says that the event that a row waits for has come.
type EventHeard struct{ flow.EventNews }

// UpstreamTold says that something a row follows has ended.
type UpstreamTold struct{ flow.UpstreamNews }

// ChildTold says how a run stands that a row began.
type ChildTold struct{ flow.ChildNews }

// SlotsGiven says that a row has the slots of its pool that it claimed.
type SlotsGiven struct{ flow.GivenSlots }

func (SlotsGiven) event()   {}
func (Looked) event()       {}
func (ChildTold) event()    {}
func (UpstreamTold) event() {}
func (EventHeard) event()   {}
func (Begin) event()        {}
func (Admitted) event()     {}
func (Placed) event()       {}
func (Stuck) event()        {}
func (Started) event()      {}
func (Ended) event()        {}
func (Refused) event()      {}
func (Lost) event()         {}
func (Suspected) event()    {}
func (Rebound) event()      {}
func (Alive) event()        {}
func (Due) event()          {}
func (VerbGiven) event()    {}

// Apply decides one event. It never fails: what makes no sense in the state (a late result, a
// second start) changes nothing or is refused in the outcome. It panics only when an invariant is
// broken; the caller then quarantines the instance.
func Apply(s *State, ev Event, env Env) Effects {
	var fx Effects
	before, times, asked := s.toldState(), s.Inst.RunTimes, false
	switch e := ev.(type) {
	case Begin:
		s.begin(env, &fx)
	case Placed:
		switch {
		case s.queued(e.Row):
			s.place(e, env, &fx)
		case e.Row >= 0 && int(e.Row) < len(s.Rows) && !s.Rows[e.Row].Placed():
			fx.Freed = append(fx.Freed, e.Row) // it does not wait any more
		}
	case Stuck:
		if s.queued(e.Row) {
			s.stuck(e, env)
		}
	case Started:
		s.started(e, env, &fx)
	case Ended:
		s.ended(e, env, &fx)
	case Refused:
		s.refused(e, env, &fx)
	case Lost:
		s.lost(e, env, &fx)
	case Suspected:
		s.suspected(e)
	case Rebound:
		s.rebound(e)
	case Alive:
		s.alive(e, env)
	case Due:
		s.due(env, &fx)
	case VerbGiven:
		s.verb(e, env, &fx)
		asked = e.Verb.Parent != 0
	case Admitted:
		s.admitted(e, env, &fx)
	case SlotsGiven:
		s.slotsGiven(e, &fx)
	case Looked:
		s.looked(e, env, &fx)
	case ChildTold:
		s.childTold(e, env, &fx)
	case EventHeard:
		s.eventHeard(e, env, &fx)
	case UpstreamTold:
		s.upstreamTold(e, &fx)
	default:
		panic(fmt.Sprintf("engine: no decision for event %T", ev))
	}
	s.proceed(env, &fx)
	s.tellParent(before, asked, env)
	s.change.ended = s.change.ended || s.Inst.State.Ended() && (!before.Ended() || s.Inst.RunTimes != times)
	return fx
}

// Resume returns the effects that the rows of a loaded state call for: what is queued, and what is
// to be killed. Nothing of a quarantined instance is queued; its release does that.
func (s *State) Resume() Effects {
	var fx Effects
	for r := range s.Rows {
		row := &s.Rows[r]
		if !row.Valid {
			continue
		}
		if row.State == flow.TaskQueued && !row.Pooling() && s.granting() {
			fx.Queued = append(fx.Queued, int32(r))
		}
		if row.Hosted() {
			s.lookAgain(int32(r), &fx)
		}
		if row.Kill != flow.KillNone && row.Placed() {
			fx.Killing = append(fx.Killing, int32(r))
		}
	}
	return fx
}

// queued tells whether a row index that comes back from the dispatcher still names a row that
// waits for a worker.
func (s *State) queued(r int32) bool {
	return r >= 0 && int(r) < len(s.Rows) && s.Rows[r].Valid && s.Rows[r].State == flow.TaskQueued && !s.Rows[r].Pooling() && s.granting()
}

func (s *State) begin(env Env, _ *Effects) {
	if s.Inst.State != flow.InstanceSubmitted {
		return
	}
	if s.Limited() {
		if err := s.queueFirst(env); err != nil {
			s.keyless(err, env)
		}
		return
	}
	s.Inst.StartedAt = env.Now
	s.setInst(flow.InstanceRunning)
}

// proceed judges what became decidable, ends the instance when nothing is left, and says when it
// is looked at next. It runs after every event.
func (s *State) proceed(env Env, fx *Effects) {
	for {
		s.driveItems(env, fx)
		s.advance(env, fx)
		if len(s.driving) == 0 && !s.conclusion(env, fx) {
			break
		}
	}
	s.wakeStale = true
	s.Inst.Reason = s.reason()
}

// advance gives rows to all nodes that became eligible or whose branch was not taken, and finds
// those that never get one. While nothing new begins, the former wait in toJudge.
func (s *State) advance(env Env, fx *Effects) {
	later := s.toJudge[:0]
	for todo := s.takeFresh(nil); len(todo) > 0; todo = s.takeFresh(todo) {
		for _, i := range todo {
			if s.row[i] >= 0 || s.verdict[i] != pending || s.left[i] > 0 {
				continue
			}
			switch v := s.judge(i); {
			case v == unreached:
				s.conclude(i, unreached)
			case s.advancing() && (s.Plan.nodes[i].final || !s.ending):
				s.reach(i, v, env, fx)
			default:
				later = append(later, i)
			}
		}
	}
	s.toJudge = later
}

// takeFresh returns what is to be judged and empties the list. done is a list that was judged; its
// memory is used again.
func (s *State) takeFresh(done []int32) []int32 {
	todo := s.fresh
	if done == nil && len(s.toJudge) > 0 {
		todo = append(slices.Clone(s.toJudge), s.fresh...)
	}
	s.fresh = done[:0]
	return todo
}

// advancing tells whether tasks that become eligible get their rows.
func (s *State) advancing() bool {
	switch s.Inst.State {
	case flow.InstanceRunning, flow.InstancePausing, flow.InstanceStopping:
		return !s.closing()
	default:
		return false
	}
}

// granting tells whether attempts may be granted.
func (s *State) granting() bool {
	switch s.Inst.State {
	case flow.InstanceRunning, flow.InstanceStopping:
		return !s.closing()
	default:
		return s.Inst.State == flow.InstanceCompensating
	}
}
