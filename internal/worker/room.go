// Room: the masters share the places of this worker. Each may have so many attempts here at a
// time, as it is told; places that one has no use for go to one that asks for more. Only the
// worker knows all of them, so it alone gives places out, and never one twice: what is taken from
// a master is not given to another before that master said that it heard so, and before what it has
// there has ended. Processes and
// functions have places of their own, each shared out by itself.

package worker

import (
	"slices"

	"baton/internal/assign"
	"baton/internal/rpc"
)

// lanes are the kinds of places: of processes, and of functions.
const (
	laneProcess = iota
	laneFunction
	lanes
)

// perLane is a number for each.
type perLane [lanes]int

// lane is the kind of place that a kind of attempt takes.
func (c *Core) lane(k Kind) int {
	if k == KindFunction && c.cfg.FunctionSlots > 0 {
		return laneFunction
	}
	return laneProcess
}

// slots are the places of this worker.
func (c *Core) slots() perLane { return perLane{c.cfg.Slots, c.cfg.FunctionSlots} }

// room of one master.
type room struct {
	share  [lanes]share
	number int64 // of what was told last, 0: nothing yet
	heard  int64 // number that the master heard
	shared bool  // as told last
}

// share of one kind of places.
type share struct {
	places int // as told last
	bound  int // what the master may still believe, while it has not heard
	wants  int // how many more it asks for
}

// holds is how many places of a lane the room takes out of the worker.
func (r *room) holds(lane int) int {
	sh := r.share[lane]
	if r.heard < r.number {
		return max(sh.places, sh.bound)
	}
	return sh.places
}

// takes is how many places are not free for others: those of the room, and what the master has
// beyond it.
func (r *room) takes(lane int, held perLane) int { return max(r.holds(lane), held[lane]) }

// stale tells whether the master is to be told whatever it has.
func (r *room) stale(shared bool) bool { return r.number == 0 || r.shared != shared }

// roomChanged has the rooms shared out again at the end of the turn.
func (c *Core) roomChanged() { c.unshared = true }

// heardRoom takes what a master says of its room.
func (c *Core) heardRoom(s *stream, f *rpc.FromMaster) {
	if n := f.GetRoom(); n > s.room.heard {
		s.room.heard = min(n, s.room.number)
		c.roomChanged()
	}
	for lane, wants := range [lanes]*int32{f.Wants, f.WantsFunctions} {
		if wants != nil && int(*wants) != s.room.share[lane].wants {
			s.room.share[lane].wants = int(*wants)
			c.roomChanged()
		}
	}
}

// shareRoom gives the places out. It changes little on its own accord: as long as nobody is short
// of places the rooms stay as they are.
func (c *Core) shareRoom() {
	if !c.unshared {
		return
	}
	c.unshared = false
	var masters []*stream
	for _, s := range c.streams {
		if s.welcomed {
			masters = append(masters, s)
		}
	}
	if len(masters) == 0 {
		return
	}
	shared := len(masters) > 1
	stale := slices.ContainsFunc(masters, func(s *stream) bool { return s.room.stale(shared) })
	held := c.heldBy(masters)
	var target [lanes][]int // nil: it stays
	var free perLane
	for lane, slots := range c.slots() {
		if !stale && !short(masters, held, lane, slots) {
			continue
		}
		free[lane] = slots - held[len(masters)][lane] // attempts of masters that are away hold theirs
		demand := make([]assign.Demand, len(masters))
		for i, s := range masters {
			demand[i] = assign.Demand{Held: held[i][lane], Wants: s.room.share[lane].wants}
		}
		target[lane] = assign.Room(max(free[lane], 0), demand)
	}
	for i, s := range masters { // those who lose places first: what they lose can be given
		less := s.room.told()
		for lane := range lanes {
			if target[lane] != nil {
				less[lane] = min(less[lane], target[lane][i])
			}
		}
		if less != s.room.told() {
			s.tellRoom(less, shared)
		}
		for lane := range lanes {
			free[lane] -= s.room.takes(lane, held[i])
		}
	}
	for i, s := range masters {
		more := s.room.told()
		for lane := range lanes {
			if target[lane] == nil {
				continue
			}
			most := free[lane] + s.room.takes(lane, held[i])
			more[lane] = max(more[lane], min(target[lane][i], most))
		}
		if more == s.room.told() && !s.room.stale(shared) {
			continue
		}
		for lane := range lanes {
			free[lane] += s.room.takes(lane, held[i])
		}
		s.tellRoom(more, shared)
		for lane := range lanes {
			free[lane] -= s.room.takes(lane, held[i])
		}
	}
}

// short tells whether some master could place more than its room lets it, or the rooms do not
// fill the worker.
func short(masters []*stream, held []perLane, lane, slots int) bool {
	sum := held[len(masters)][lane]
	for i, s := range masters {
		if sh := s.room.share[lane]; sh.wants > 0 && sh.places-held[i][lane] < sh.wants {
			return true
		}
		sum += s.room.takes(lane, held[i])
	}
	return sum < slots
}

// heldBy counts the attempts that live by master; the last numbers are those of nobody here.
func (c *Core) heldBy(masters []*stream) []perLane {
	held := make([]perLane, len(masters)+1)
	if len(masters) == 1 && len(c.streams) == 1 {
		held[0] = c.live // whoever granted them: this master is the only one to ask
		return held
	}
	for _, h := range c.held { // sums: the order does not matter
		if h.state == stateEnded {
			continue
		}
		i := slices.IndexFunc(masters, func(s *stream) bool { return s.id == h.stream })
		if i < 0 {
			i = len(masters)
		}
		held[i][c.lane(h.kind)]++
	}
	return held
}

// told are the places that the master was told last.
func (r *room) told() (n perLane) {
	for lane := range lanes {
		n[lane] = r.share[lane].places
	}
	return n
}

// tellRoom tells a master its room.
func (s *stream) tellRoom(places perLane, shared bool) {
	r := &s.room
	for lane := range lanes {
		r.share[lane].bound = r.holds(lane)
	}
	for lane := range lanes {
		r.share[lane].places = places[lane]
	}
	r.shared = shared
	r.number++
	s.frame(recordSize).Room = &rpc.Room{
		Places: int32(places[laneProcess]), Functions: int32(places[laneFunction]), Number: r.number, Shared: shared,
	}
}
