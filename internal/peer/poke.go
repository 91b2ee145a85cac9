// Pokes: hints that something durable waits. Many of a kind for one master become one.

package peer

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// pokeTimeout is how long a master is waited for. One that does not answer is passed over: its
// poll, or somebody else's, finds what it was poked for.
const pokeTimeout = 300 * time.Millisecond

// pokes of one peer: what is to be said with the next call, merged.
type pokes struct {
	mu     sync.Mutex
	next   *rpc.PokeRequest
	passOn bool // if the master does not hear next, the others are asked to pass it on
	ready  chan struct{}
}

func (p *pokes) init() { p.ready = make(chan struct{}, 1) }

// add says something with the next call; passOn: through the others, if the master does not hear it.
func (p *pokes) add(r *rpc.PokeRequest, passOn bool) {
	p.mu.Lock()
	if p.next == nil {
		p.next = r
	} else {
		p.next.Commands = p.next.Commands || r.Commands
		p.next.Inbox = p.next.Inbox || r.Inbox
		p.next.Handed = p.next.Handed || r.Handed
		p.next.Drains = p.next.Drains || r.Drains
		p.next.Forwarded = p.next.Forwarded && r.Forwarded
		if p.next.Owner != r.Owner {
			p.next.Owner = 0
		}
	}
	p.passOn = p.passOn || passOn
	p.mu.Unlock()
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// poking makes the calls to one master.
func (s *Set) poking(ctx context.Context, peer *peer) {
	p := &peer.pokes
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.ready:
		}
		p.mu.Lock()
		r, passOn := p.next, p.passOn
		p.next, p.passOn = nil, false
		p.mu.Unlock()
		if r == nil {
			continue
		}
		call, cancel := context.WithTimeout(ctx, pokeTimeout)
		reply, err := peer.client.Poke(call, r)
		cancel()
		if (err != nil || !reply.GetReached()) && passOn && ctx.Err() == nil {
			s.pokeOthers(peer.member.Incarnation, r)
		}
	}
}

// Poke tells the master that is meant (r.Owner), or any one if nobody is, that something waits. It never blocks. A
// master that cannot be reached from here is reached through the others.
func (s *Set) Poke(r *rpc.PokeRequest) {
	if p := s.peer(r.GetOwner()); p != nil {
		p.pokes.add(r, true)
		return
	}
	if r.GetOwner() == 0 {
		s.pokeSlot(flow.ID(r.GetInstance()), r)
		return
	}
	// Nobody here knows that master: somebody else may, or it is dead and its heir must look.
	s.pokeOthers(0, r)
}

// PokeAll tells every master that something waits. It never blocks.
func (s *Set) PokeAll(r *rpc.PokeRequest) { s.pokeOthers(0, r) }

func (s *Set) pokeOthers(but int64, r *rpc.PokeRequest) {
	for _, p := range s.all() {
		if p.member.Incarnation != but {
			p.pokes.add(clone(r), false)
		}
	}
}

// pokeSlot pokes the master whose slot an id is, as the masters themselves count; when that does not
// answer, all others.
func (s *Set) pokeSlot(id flow.ID, r *rpc.PokeRequest) {
	all := s.taking()
	if len(all) == 0 {
		return
	}
	p := all[id.Slot(len(all))]
	p.pokes.add(r, true)
}

func clone(r *rpc.PokeRequest) *rpc.PokeRequest {
	c, _ := proto.Clone(r).(*rpc.PokeRequest)
	return c
}
