// Sessions: who can take work, and how much.

package dispatch

import (
	"cmp"
	"slices"

	"baton/internal/assign"
	"baton/internal/flow"
)

// Kind is what a task takes a place of: processes and functions of a worker do not take each other's.
type Kind uint8

// Kinds of places.
const (
	Process  Kind = iota // a process of the task's own
	Function             // runs inside the worker and mostly waits
	kinds
)

// Places are numbers of places by kind.
type Places [kinds]int

// Session is a worker as its master sees it.
type Session struct {
	ID     int64
	Name   string
	Groups []string
	Types  []string // task types it runs; none: it did not say, and is asked
	// Slots are its places. One without places for functions is of an older version, where they take
	// those of processes.
	Slots Places
	// Room is how many of the slots this master may fill. The others are other masters'; whose they
	// are changes with what each asks for (Wants).
	Room    Places
	Labels  map[string]string
	Weight  int    // its share under flow.Weighted
	Refusal string // why it took nothing when it was asked last; it is not asked now
	Report         // as of its last beat

	lacks  []string // types it was asked to run and does not have
	used   Places
	atBeat Places // used, when it beat last
}

// Report is what a worker says of itself with every beat.
type Report struct {
	CPU        float64 // 0..1 of all cores
	Memory     float64 // 0..1
	Running    Places  // attempts of all masters
	Draining   bool    // takes nothing new
	Overloaded string  // why it takes nothing new for now, "" when it does
}

// Beat takes what a worker says of itself.
func (s *Session) Beat(r Report) { s.Report, s.atBeat = r, s.used }

// lane is the kind of place that tasks of a kind take here.
func (s *Session) lane(k Kind) Kind {
	if s.Slots[Function] == 0 {
		return Process
	}
	return k
}

// of sums up what counts in a lane.
func (s *Session) of(n Places, lane Kind) int {
	if s.Slots[Function] == 0 {
		return n[Process] + n[Function]
	}
	return n[lane]
}

// Used is how many places are held in the lane of a kind.
func (s *Session) Used(k Kind) int { return s.of(s.used, s.lane(k)) }

// Taken is how many places are taken in the lane of a kind, by all masters, as far as is known: those
// of its last beat, and what this master has sent since.
func (s *Session) Taken(k Kind) int {
	lane := s.lane(k)
	used := s.of(s.used, lane)
	return max(used, s.of(s.Running, lane)+used-s.of(s.atBeat, lane))
}

// Full tells whether every place of some kind is taken.
func (s *Session) Full() bool {
	return s.Taken(Process) >= s.Slots[Process] || s.Taken(Function) >= s.Slots[s.lane(Function)]
}

// load orders sessions: the emptiest first, live load on top.
func (s *Session) load(k Kind) float64 {
	return float64(s.Taken(k))/float64(s.Slots[s.lane(k)]) + 0.5*s.CPU + 0.5*s.Memory
}

// willing tells whether it takes anything at all now.
func (s *Session) willing() bool { return !s.Draining && s.Refusal == "" && s.Overloaded == "" }

func (s *Session) free(k Kind) bool {
	lane := s.lane(k)
	return s.willing() && s.of(s.used, lane) < min(s.Slots[lane], s.Room[lane])
}

// Wants is how many more items a session could be given at once if it had room for them.
func (p *Pool) Wants(s *Session) Places {
	var n Places
	for _, q := range p.queues {
		if slices.Contains(s.Groups, q.group) && s.runs(q.typ) {
			n[s.lane(q.kind)] += q.waiting
		}
	}
	for k := range n {
		n[k] = min(n[k], s.Slots[k])
	}
	return n
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
	// Balance is how sessions are chosen.
	Balance flow.Balance
	// Draw returns an even random number from 0 to below n; nil: always the first.
	Draw func(n int) int
	// Functions tells which task types run inside a worker; nil: none.
	Functions func(typ string) bool

	sessions []*Session                     // by ID
	held     map[flow.ID]holder             // task row → what holds a slot for it
	of       map[int64]map[flow.ID]struct{} // session → task rows, also of sessions that are away
	used     map[int64]Places               // session → slots held, likewise
	queues   []*queue                       // by group, then type
	choosers map[string]*assign.Chooser
	shares   map[shareKey]*share
	clocks   map[string]*clock // by group
	weights  map[flow.ID]int   // of projects
	fresh    []Item            // enqueued or asked about since Untold was called
	retold   []Item            // whose cause to wait has changed
	seq      uint64
	// Of one choice; kept for the next.
	candidates []assign.Candidate
	able       []*Session
}

type holder struct {
	instance flow.ID
	session  int64
	kind     Kind
	share    *share // nil: whose it is is not known yet
}

// NewPool returns an empty pool.
func NewPool() *Pool {
	return &Pool{
		held: make(map[flow.ID]holder), of: make(map[int64]map[flow.ID]struct{}), used: make(map[int64]Places),
		choosers: make(map[string]*assign.Chooser), shares: make(map[shareKey]*share), clocks: make(map[string]*clock),
	}
}

func (p *Pool) kind(typ string) Kind {
	if p.Functions != nil && p.Functions(typ) {
		return Function
	}
	return Process
}

// Join adds a session, or replaces what is known of it.
func (p *Pool) Join(s Session) {
	s.Slots[Process] = max(s.Slots[Process], 1)
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
		for _, c := range p.choosers { // only removal: the order does not matter
			c.Forget(id)
		}
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

// Hold books a slot of a session for a task row of a type, which holds one at most. Of which project it is is not known:
// Book says it when it is.
func (p *Pool) Hold(task, instance flow.ID, session int64, typ string) {
	p.hold(task, holder{instance, session, p.kind(typ), nil})
}

// Book is Hold for an item.
func (p *Pool) Book(it Item, session int64) {
	p.hold(it.Task, holder{it.Instance, session, p.kind(it.Type), p.share(it.Group, it.Project)})
}

func (p *Pool) hold(task flow.ID, now holder) {
	if h, ok := p.held[task]; ok {
		if h.session == now.session && (now.share == nil || now.share == h.share) {
			return
		}
		p.Release(task)
	}
	p.held[task] = now
	if now.share != nil {
		now.share.hold(1)
	}
	session := now.session
	if p.of[session] == nil {
		p.of[session] = make(map[flow.ID]struct{})
	}
	p.of[session][task] = struct{}{}
	p.count(session, now.kind, 1)
}

// Release gives back the slot that a task row holds, if any.
func (p *Pool) Release(task flow.ID) {
	h, ok := p.held[task]
	if !ok {
		return
	}
	delete(p.held, task)
	if h.share != nil {
		h.share.hold(-1)
	}
	if delete(p.of[h.session], task); len(p.of[h.session]) == 0 {
		delete(p.of, h.session)
	}
	p.count(h.session, h.kind, -1)
}

// count changes how many places of a session are held.
func (p *Pool) count(session int64, k Kind, by int) {
	n := p.used[session]
	n[k] += by
	if n == (Places{}) {
		delete(p.used, session)
	} else {
		p.used[session] = n
	}
	if s := p.Session(session); s != nil {
		s.used = n
	}
}

// Holder returns the session that holds a slot for a task row, 0 for none.
func (p *Pool) Holder(task flow.ID) int64 { return p.held[task].session }

// InstanceOf returns the instance of a task row that holds a slot, 0 for none.
func (p *Pool) InstanceOf(task flow.ID) flow.ID { return p.held[task].instance }

// HeldBy returns the task rows that hold a slot of any of the sessions, by id.
func (p *Pool) HeldBy(sessions ...int64) []flow.ID {
	var out []flow.ID
	for _, session := range sessions {
		for task := range p.of[session] { // sorted below
			out = append(out, task)
		}
	}
	slices.Sort(out)
	return slices.Compact(out) // a session may be named twice
}

// takes tells whether a session can be given something of a queue now.
func (q *queue) takes(s *Session) bool {
	return s.free(q.kind) && slices.Contains(s.Groups, q.group) && s.runs(q.typ)
}

// placeable tells whether some session can take something of a queue now.
func (p *Pool) placeable(q *queue) bool { return slices.ContainsFunc(p.sessions, q.takes) }

// pick chooses one of the sessions that can take something of a queue, of which there is one.
func (p *Pool) pick(q *queue) *Session {
	p.candidates, p.able = p.candidates[:0], p.able[:0]
	for _, s := range p.sessions {
		if q.takes(s) {
			p.candidates = append(p.candidates, assign.Candidate{ID: s.ID, Load: s.load(q.kind), Weight: s.Weight})
			p.able = append(p.able, s)
		}
	}
	c := p.choosers[q.group]
	if c == nil {
		c = &assign.Chooser{}
		p.choosers[q.group] = c
	}
	return p.able[c.Choose(p.Balance.Of(q.group), p.candidates, p.draw)]
}

func (p *Pool) draw(n int) int {
	if p.Draw == nil {
		return 0
	}
	return p.Draw(n)
}
