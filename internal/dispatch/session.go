// Sessions: who can take work, and how much.

package dispatch

import (
	"cmp"
	"slices"

	"baton/internal/flow"
)

// Session is a worker as its master sees it.
type Session struct {
	ID     int64
	Name   string
	Groups []string
	Types  []string // task types it runs; none: it did not say, and is asked
	Slots  int
	// Room is how many of the slots this master may fill. The others are other masters'; whose they
	// are changes with what each asks for (Wants).
	Room     int
	Labels   map[string]string
	CPU      float64 // 0..1 of all cores, as of its last beat
	Memory   float64 // 0..1
	Running  int     // attempts of all masters, as of its last beat
	Draining bool    // takes nothing new
	Refusal  string  // why it took nothing when it was asked last; it is not asked now

	lacks []string // types it was asked to run and does not have
	used  int
}

// Used is how many of its slots are held.
func (s *Session) Used() int { return s.used }

// weight orders sessions: the emptiest first, live load on top. What was granted since the last
// beat counts at once, since used does; what other masters have there is known from the beat.
func (s *Session) weight() float64 {
	return float64(max(s.used, s.Running))/float64(s.Slots) + 0.5*s.CPU + 0.5*s.Memory
}

func (s *Session) free() bool { return !s.Draining && s.Refusal == "" && s.used < min(s.Slots, s.Room) }

// Wants is how many more items a session could be given at once if it had room for them.
func (p *Pool) Wants(s *Session) int {
	n := 0
	for _, q := range p.queues {
		if slices.Contains(s.Groups, q.group) && s.runs(q.typ) {
			n += len(q.items)
		}
	}
	return min(n, s.Slots)
}

// runs tells whether a session may be asked to run a type.
func (s *Session) runs(typ string) bool {
	return (len(s.Types) == 0 || slices.Contains(s.Types, typ)) && !slices.Contains(s.lacks, typ)
}

// Lacks notes that a session refused a type for good: it is not asked again until it joins anew.
func (p *Pool) Lacks(session int64, typ string) {
	if s := p.Session(session); s != nil && s.runs(typ) {
		s.lacks = append(s.lacks, typ)
	}
}

// Pool is all sessions, what they hold, and what waits for them.
type Pool struct {
	sessions []*Session         // by ID
	held     map[flow.ID]holder // task row → what holds a slot for it
	used     map[int64]int      // session → slots held, also of sessions that are away
	queues   []*queue           // by group, then type
	fresh    []Item             // enqueued since Untold was asked
	retold   []Item             // whose cause to wait has changed
	seq      uint64
}

type holder struct {
	instance flow.ID
	session  int64
}

// NewPool returns an empty pool.
func NewPool() *Pool {
	return &Pool{held: make(map[flow.ID]holder), used: make(map[int64]int)}
}

// Join adds a session, or replaces what is known of it.
func (p *Pool) Join(s Session) {
	s.Slots = max(s.Slots, 1)
	s.used = p.used[s.ID]
	i, found := p.find(s.ID)
	if found {
		p.sessions[i] = &s
		return
	}
	p.sessions = slices.Insert(p.sessions, i, &s)
}

// Leave removes a session; what it holds stays held until it is released.
func (p *Pool) Leave(id int64) {
	if i, found := p.find(id); found {
		p.sessions = slices.Delete(p.sessions, i, i+1)
	}
}

// Session returns a session that has joined, nil otherwise.
func (p *Pool) Session(id int64) *Session {
	if i, found := p.find(id); found {
		return p.sessions[i]
	}
	return nil
}

// Sessions returns all that have joined, by id.
func (p *Pool) Sessions() []*Session { return p.sessions }

func (p *Pool) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(p.sessions, id, func(s *Session, id int64) int { return cmp.Compare(s.ID, id) })
}

// Hold books a slot of a session for a task row, which holds one at most.
func (p *Pool) Hold(task, instance flow.ID, session int64) {
	if h, ok := p.held[task]; ok {
		if h.session == session {
			return
		}
		p.Release(task)
	}
	p.held[task] = holder{instance, session}
	p.used[session]++
	if s := p.Session(session); s != nil {
		s.used++
	}
}

// Release gives back the slot that a task row holds, if any.
func (p *Pool) Release(task flow.ID) {
	h, ok := p.held[task]
	if !ok {
		return
	}
	delete(p.held, task)
	if p.used[h.session]--; p.used[h.session] == 0 {
		delete(p.used, h.session)
	}
	if s := p.Session(h.session); s != nil {
		s.used--
	}
}

// Holder returns the session that holds a slot for a task row, 0 for none.
func (p *Pool) Holder(task flow.ID) int64 { return p.held[task].session }

// InstanceOf returns the instance of a task row that holds a slot, 0 for none.
func (p *Pool) InstanceOf(task flow.ID) flow.ID { return p.held[task].instance }

// HeldBy returns the task rows that hold a slot of any of the sessions, by id.
func (p *Pool) HeldBy(sessions ...int64) []flow.ID {
	var out []flow.ID
	for task, h := range p.held {
		if slices.Contains(sessions, h.session) {
			out = append(out, task)
		}
	}
	slices.Sort(out)
	return out
}

// pick returns the session of a group with the least weight that runs a type and has a slot, nil if
// there is none.
func (p *Pool) pick(group, typ string) *Session {
	var best *Session
	for _, s := range p.sessions {
		if s.free() && slices.Contains(s.Groups, group) && s.runs(typ) && (best == nil || s.weight() < best.weight()) {
			best = s
		}
	}
	return best
}
