// Room: the masters share the places of this worker. Each may have so many attempts here at a
// time, as it is told; places that one has no use for go to one that asks for more. Only the
// worker knows all of them, so it alone gives places out, and never one twice: what is taken from
// a master is not given to another before that master said that it heard so.

package worker

import (
	"slices"

	"baton/internal/assign"
	"baton/internal/rpc"
)

// room of one master.
type room struct {
	places int   // as told last
	number int64 // of what was told last, 0: nothing yet
	heard  int64 // number that the master heard
	bound  int   // what it may still believe, while it has not heard
	shared bool  // as told last
	wants  int   // how many more it asks for
}

// holds is how many places the room takes out of the worker.
func (r *room) holds() int {
	if r.heard < r.number {
		return max(r.places, r.bound)
	}
	return r.places
}

// roomChanged has the rooms shared out again at the end of the turn.
func (c *Core) roomChanged() { c.unshared = true }

// heardRoom takes what a master says of its room.
func (c *Core) heardRoom(s *stream, f *rpc.FromMaster) {
	if n := f.GetRoom(); n > s.room.heard {
		s.room.heard = min(n, s.room.number)
		c.roomChanged()
	}
	if f.Wants != nil && int(f.GetWants()) != s.room.wants {
		s.room.wants = int(f.GetWants())
		c.roomChanged()
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
	held := c.heldBy(masters)
	if !slices.ContainsFunc(masters, func(s *stream) bool { return s.room.number == 0 || s.room.shared != (len(masters) > 1) }) &&
		!c.short(masters, held) {
		return
	}
	free := c.cfg.Slots - held[len(masters)] // attempts of masters that are away hold theirs
	demand := make([]assign.Demand, len(masters))
	for i, s := range masters {
		demand[i] = assign.Demand{Held: held[i], Wants: s.room.wants}
	}
	target := assign.Room(max(free, 0), demand)
	for i, s := range masters { // those who lose places first: what they lose can be given
		if target[i] < s.room.places {
			s.tellRoom(target[i], len(masters) > 1)
		}
		free -= s.room.holds()
	}
	for i, s := range masters {
		if more := min(target[i]-s.room.places, free+s.room.holds()-s.room.places); more > 0 {
			free += s.room.holds()
			s.tellRoom(s.room.places+more, len(masters) > 1)
			free -= s.room.holds()
		} else if s.room.number == 0 || s.room.shared != (len(masters) > 1) {
			s.tellRoom(s.room.places, len(masters) > 1)
		}
	}
}

// short tells whether some master could place more than its room lets it, or the rooms do not
// fill the worker.
func (c *Core) short(masters []*stream, held []int) bool {
	sum := held[len(masters)]
	for i, s := range masters {
		if s.room.wants > 0 && s.room.places-held[i] < s.room.wants {
			return true
		}
		sum += s.room.holds()
	}
	return sum < c.cfg.Slots
}

// heldBy counts the attempts that live by master; the last number is those of nobody here.
func (c *Core) heldBy(masters []*stream) []int {
	held := make([]int, len(masters)+1)
	if len(masters) == 1 && len(c.streams) == 1 {
		held[0] = len(c.held) - c.ended // whoever granted them: this master is the only one to ask
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
		held[i]++
	}
	return held
}

// tellRoom tells a master its room.
func (s *stream) tellRoom(places int, shared bool) {
	s.room.bound = s.room.holds()
	s.room.places, s.room.shared = places, shared
	s.room.number++
	s.frame(recordSize).Room = &rpc.Room{Places: int32(places), Number: s.room.number, Shared: shared}
}
