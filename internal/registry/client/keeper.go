// Sessions, what is announced in them and what they hold: decided without clock and network.

package client

import (
	"errors"
	"maps"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
)

// Session lengths are few: everything of one length shares a session, and its fate.
type sessionID struct {
	length time.Duration
	number int // sessions of a length one after another; what an earlier one answers is ignored
}

// Effects of a step. Open, renew and end are calls on the backend; the others tell people.
type (
	openSession struct{ id sessionID }
	renew       struct {
		id   sessionID
		news News
	}
	endSession struct{ id sessionID }
	// sessionLive wakes who waits for a session.
	sessionLive struct{ id sessionID }
	// sessionOver ends what was held in it.
	sessionOver struct{ id sessionID }
	// announced and withdrawn answer who waits; err is nil, or why it is not and never will be.
	announced struct {
		incarnation int64
		err         error
	}
	withdrawn struct{ incarnation int64 }
	released  struct{ hold Hold }
)

// keeper is the state of all sessions of a client.
type keeper struct {
	sessions map[time.Duration]*session
	number   int
}

type session struct {
	id      sessionID
	live    bool
	calling bool      // a call is under way
	next    flow.Time // when to make the next call
	until   flow.Time // when it ends if it is never renewed again
	granted time.Duration
	failure error // of the last call
	wants   int   // who waits to lock a name
	members map[int64]*member
	holds   map[Hold]bool // true: to be given back
}

// member is an announcement. What is true and what was said differ until the next answer.
type member struct {
	is      registry.Member
	said    registry.Member
	visible bool // the registry has it in the present session
	told    bool // who announced it was answered
	leaving bool
}

func newKeeper() *keeper { return &keeper{sessions: map[time.Duration]*session{}} }

// How often a session is renewed, how long an answer may take, and when the next try is made.
// Three tries fit into a lease.
func renewEvery(length time.Duration) time.Duration { return length / 4 }

func answerWithin(length time.Duration) time.Duration {
	return max(length/3, 100*time.Millisecond)
}

func tryAgain(length time.Duration) time.Duration {
	return min(max(length/10, 20*time.Millisecond), time.Second)
}

// openWithin bounds the making of a session, which is several round trips.
const openWithin = 5 * time.Second

func (k *keeper) session(now flow.Time, length time.Duration) *session {
	s, ok := k.sessions[length]
	if !ok {
		s = &session{members: map[int64]*member{}, holds: map[Hold]bool{}}
		k.sessions[length] = s
		k.begin(s, now, length)
	}
	return s
}

// begin makes s wait for a new session of its length.
func (k *keeper) begin(s *session, next flow.Time, length time.Duration) {
	k.number++
	s.id = sessionID{length, k.number}
	s.live, s.calling, s.until, s.next = false, false, 0, next
	clear(s.holds)
	for incarnation, m := range s.members {
		if m.leaving {
			delete(s.members, incarnation)
		}
		m.visible = false
	}
}

// current returns the session of an answer, nil if it is not the present one.
func (k *keeper) current(id sessionID) *session {
	if s, ok := k.sessions[id.length]; ok && s.id == id {
		return s
	}
	return nil
}

func (k *keeper) find(incarnation int64) (*session, *member) {
	for _, s := range k.sessions {
		if m, ok := s.members[incarnation]; ok {
			return s, m
		}
	}
	return nil, nil
}

// want keeps a session open for who wants to lock a name, until unwant.
func (k *keeper) want(now flow.Time, length time.Duration) { k.session(now, length).wants++ }

func (k *keeper) unwant(length time.Duration) {
	if s, ok := k.sessions[length]; ok {
		s.wants--
	}
}

// errTwice: one process announces an incarnation once.
var errTwice = errors.New("the incarnation is announced already")

func (k *keeper) announce(now flow.Time, m registry.Member, length time.Duration) error {
	if s, _ := k.find(m.Incarnation); s != nil {
		return errTwice
	}
	s := k.session(now, length)
	s.members[m.Incarnation] = &member{is: m}
	s.hurry(now)
	return nil
}

// update changes an announcement. Only the load of a member may wait for the next renewal.
func (k *keeper) update(now flow.Time, m registry.Member) {
	s, old := k.find(m.Incarnation)
	if s == nil || old.leaving {
		return
	}
	m.Role = old.is.Role
	was := old.is
	old.is = m
	was.Load = m.Load
	if was != m {
		s.hurry(now)
	}
}

// withdraw takes an announcement back. done tells that nobody has to be told.
func (k *keeper) withdraw(now flow.Time, incarnation int64) (done bool) {
	s, m := k.find(incarnation)
	if s == nil {
		return true
	}
	if !m.visible && !s.calling {
		delete(s.members, incarnation)
		return true
	}
	m.leaving = true
	s.hurry(now)
	return false
}

// hold notes a name that was locked in a session; false if that session is over meanwhile.
func (k *keeper) hold(id sessionID, h Hold) bool {
	s := k.current(id)
	if s == nil || !s.live {
		return false
	}
	s.holds[h] = false
	return true
}

// release gives a name back. done tells that the registry has done so already.
func (k *keeper) release(now flow.Time, id sessionID, h Hold) (done bool) {
	s := k.current(id)
	if s == nil {
		return true
	}
	s.holds[h] = true
	s.hurry(now)
	return false
}

func (k *keeper) until(incarnation int64) flow.Time {
	if s, m := k.find(incarnation); s != nil && m.visible {
		return s.until
	}
	return 0
}

// ends is when a session counts as over. What is held must be known as lost before the registry
// gives it to another, and a timer that comes late must not undo that.
func (s *session) ends() flow.Time {
	if len(s.holds) > 0 {
		return s.until.Add(-s.granted / 10)
	}
	return s.until
}

func (s *session) hurry(now flow.Time) { s.next = min(s.next, now) }

func (s *session) idle() bool { return s.wants == 0 && len(s.members) == 0 && len(s.holds) == 0 }

// opened is the answer to openSession.
func (k *keeper) opened(now flow.Time, id sessionID, sent flow.Time, granted time.Duration, err error) (effects []any) {
	s := k.current(id)
	if s == nil {
		return []any{endSession{id}}
	}
	s.calling, s.failure = false, err
	if err != nil {
		s.next = now.Add(tryAgain(id.length))
		return k.refuse(s, err)
	}
	// A registry that grants more than was asked for is taken at what was asked for.
	s.granted = min(granted, id.length)
	s.live, s.until, s.next = true, sent.Add(s.granted), now
	return []any{sessionLive{id}}
}

// refuse tells who announces that it will not be.
func (k *keeper) refuse(s *session, err error) (effects []any) {
	if !IsPermanent(err) {
		return nil
	}
	for _, incarnation := range slices.Sorted(maps.Keys(s.members)) {
		if m := s.members[incarnation]; !m.told {
			delete(s.members, incarnation)
			effects = append(effects, announced{incarnation, err})
		}
	}
	return effects
}

// renewed is the answer to renew.
func (k *keeper) renewed(now flow.Time, id sessionID, sent flow.Time, news News, err error) (effects []any) {
	s := k.current(id)
	if s == nil {
		return nil
	}
	s.calling, s.failure = false, err
	if errors.Is(err, ErrOver) {
		return k.over(now, s)
	}
	if err != nil {
		s.next = now.Add(tryAgain(id.length))
		return k.refuse(s, err)
	}
	s.until = sent.Add(s.granted)
	for _, m := range news.Put {
		if a := s.members[m.Incarnation]; a != nil {
			a.said, a.visible = m, true
			if !a.told {
				a.told = true
				effects = append(effects, announced{m.Incarnation, nil})
			}
		}
	}
	for _, incarnation := range news.Remove {
		delete(s.members, incarnation)
		effects = append(effects, withdrawn{incarnation})
	}
	for _, h := range news.Unlock {
		delete(s.holds, h)
		effects = append(effects, released{h})
	}
	s.next = sent.Add(renewEvery(id.length))
	if s.urgent() {
		s.next = now
	}
	return effects
}

// urgent tells whether something happened while the last call was under way that must not wait.
func (s *session) urgent() bool {
	for _, m := range s.members {
		was := m.said
		was.Load = m.is.Load
		if m.leaving || !m.visible || was != m.is {
			return true
		}
	}
	for _, leaving := range s.holds {
		if leaving {
			return true
		}
	}
	return false
}

// over begins anew: what was held is lost, what was announced is announced again.
func (k *keeper) over(now flow.Time, s *session) []any {
	effects := []any{sessionOver{s.id}, endSession{s.id}}
	for incarnation, m := range s.members {
		if m.leaving {
			effects = append(effects, withdrawn{incarnation})
		}
	}
	for h, leaving := range s.holds {
		if leaving {
			effects = append(effects, released{h})
		}
	}
	k.begin(s, now, s.id.length)
	return effects
}

// tick does what is due. Whoever steps the keeper does so before anything else, because time may
// have passed unseen: a process that was frozen must not go on where it was.
func (k *keeper) tick(now flow.Time) (effects []any) {
	for _, length := range slices.Sorted(maps.Keys(k.sessions)) {
		s := k.sessions[length]
		if s.live && now >= s.ends() {
			effects = append(effects, k.over(now, s)...)
		}
		if s.idle() && !s.calling {
			if s.live {
				effects = append(effects, sessionOver{s.id}, endSession{s.id})
			}
			delete(k.sessions, length)
			continue
		}
		if s.calling || now < s.next {
			continue
		}
		s.calling = true
		if s.live {
			effects = append(effects, renew{s.id, s.news()})
		} else {
			effects = append(effects, openSession{s.id})
		}
	}
	return effects
}

// news is everything that the registry does not have as it is.
func (s *session) news() (n News) {
	for _, incarnation := range slices.Sorted(maps.Keys(s.members)) {
		switch m := s.members[incarnation]; {
		case m.leaving:
			n.Remove = append(n.Remove, incarnation)
		case !m.visible || m.said != m.is:
			n.Put = append(n.Put, m.is)
		}
	}
	for h, leaving := range s.holds {
		if leaving {
			n.Unlock = append(n.Unlock, h)
		}
	}
	slices.SortFunc(n.Unlock, func(a, b Hold) int { return int(a.Fence - b.Fence) })
	return n
}

// due is when tick has something to do.
func (k *keeper) due() flow.Time {
	var at []flow.Time
	for _, s := range k.sessions {
		if s.live {
			at = append(at, s.ends())
		}
		if !s.calling {
			at = append(at, s.next)
		}
	}
	return flow.Earliest(at...)
}

// shortest is the shortest lease that is kept, 0 if there is none.
func (k *keeper) shortest() time.Duration {
	var least time.Duration
	for length := range k.sessions {
		if least == 0 || length < least {
			least = length
		}
	}
	return least
}
