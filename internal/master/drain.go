// Drains: workers that are given nothing new, and this master when it is to take nothing.
//
// What a drained master owns goes to the others as it comes to rest, which a run does after each of
// its commits; it commits and is answered as before, so nothing that runs notices.

package master

import (
	"slices"

	"baton/internal/flow"
)

// giveAtOnce bounds the instances of one GiveAway.
const giveAtOnce = 500

// drainsAre takes what is to take nothing new, by flow.Node.DrainKey or flow.DrainOf, in order.
func (c *Core) drainsAre(keys []string) {
	if slices.Equal(keys, c.drains.keys) {
		return
	}
	c.drains.keys = keys
	for _, s := range c.pool.Sessions() {
		if cn := c.sessions[s.ID]; cn != nil {
			s.Draining = c.drained(cn)
		}
	}
	me := c.amDrained(keys)
	if me == c.drains.me {
		return
	}
	c.drains.me = me
	c.announce("")
	if !me {
		c.readCommands()
		c.claim()
		c.readPeers()
	}
}

// relieved tells whether this master is to take nothing and others do what it leaves, a dead one not among
// them. Without others it takes what waits for a master that has it already: nobody else would.
func (c *Core) relieved(dead int64) bool {
	unseen := c.fleet.view.Since == 0 && c.now.Sub(c.began) < c.cfg.Lease // whether there are others is not known yet
	return c.drains.me && (unseen || len(c.fleet.others(c.lease.Incarnation, dead)) > 0)
}

// drained tells whether a worker is to get nothing new: it ends, or a person wants it so.
func (c *Core) drained(cn *conn) bool {
	return cn.ending || slices.Contains(c.drains.keys, cn.node.DrainKey())
}

// amDrained tells whether this master is to take nothing new: everybody of its name, or it alone.
func (c *Core) amDrained(keys []string) bool {
	return slices.Contains(keys, c.cfg.DrainKey) || slices.Contains(keys, flow.DrainOf(c.lease.Incarnation))
}

// state is what this master says of itself.
func (c *Core) state() string {
	switch {
	case c.drains.me:
		return flow.NodeDraining
	case c.busy:
		return flow.NodeBusy
	}
	return flow.NodeReady
}

// announce tells the other masters what is new of this one, and people what they are to know of it.
func (c *Core) announce(note string) {
	c.emit(Announce{State: c.state(), Lease: c.cfg.Lease, Note: note})
	c.polls.beat = c.now
}

// drains is who takes nothing new.
type drains struct {
	keys []string
	me   bool
}

// giveAway gives what is at rest to the masters that take work. Who has work under way keeps it
// until it is committed; if nobody else is there, this master goes on with what it has.
func (c *Core) giveAway() {
	if !c.drains.me || !c.ready || !c.sure() {
		return
	}
	heirs := c.fleet.others(c.lease.Incarnation, 0)
	if len(heirs) == 0 {
		return
	}
	var ids []flow.ID
	for id, in := range c.insts { // sorted below
		if c.rests(in) {
			ids = append(ids, id)
		}
	}
	sortIDs(ids)
	c.give(ids, heirs, "draining")
}

// rests tells whether nothing of an instance is under way here, so that it can be given away.
func (c *Core) rests(in *inst) bool {
	return in.st != nil && in.durable() && !in.unread && !in.taken && in.command == 0 && len(in.queue) == 0 && !c.trials.on[in.id]
}

// give gives instances of mine to other masters, and forgets them.
func (c *Core) give(ids []flow.ID, heirs []int64, why string) {
	for some := range slices.Chunk(ids, giveAtOnce) {
		for _, id := range some {
			c.drop(c.insts[id])
		}
		c.emit(GiveAway{slices.Clone(some), heirs, why})
	}
}

func (c *Core) givenAway(e GivenAway) {
	if e.Err != nil {
		c.doubtOwned() // what is still mine is driven on
	}
	c.tellHeirs(e.Heirs) // it may have been carried out all the same
}
