// This master's own lease, and those of the workers' sessions that it keeps in the store.
//
// The store is the authority: a session's lease is renewed when a row of the store says so, and its
// worker is told after that. Any master may declare a session lost whose row was not renewed in
// time, so a worker that one master does not hear may live on with the others.

package master

import (
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// ownLease is how sure this master may be of its own life.
type ownLease struct {
	renewed flow.Time // sending of the last beat that was answered
	beating bool      // a beat is under way
	late    flow.Time // then it is late, and it seems that the store is away; 0: that was said
	held    []*inst   // with effects that wait until the lease is sure again
	wanted  flow.Time // when the next beat is wanted for a worker's sake, 0: none waits
}

// sure tells whether orders may be sent: another master may declare this one dead when its lease is
// over, so it says nothing from half of that on.
func (c *Core) sure() bool { return c.now.Sub(c.own.renewed) < c.cfg.Lease/2 }

// gather is how long a worker's beat waits for those of others, so that one statement renews many.
func (c *Core) gather() time.Duration { return c.cfg.Lease / 8 }

// muffle holds back what was to be said about an instance until the lease is sure again.
func (c *Core) muffle(in *inst) { c.own.held = append(c.own.held, in) }

// late is how long a beat may be under way before workers are told that the store is away. A network that
// swallows packets says nothing, and a worker gives up after three quarters of its lease: it asks after a
// third, and every master after a half, of which each must have answered by then.
func (c *Core) late() time.Duration {
	return max(c.cfg.Lease/8, min(c.cfg.Lease/4, 500*time.Millisecond))
}

// storeAnswered takes whether the store answered a question other than a beat. While a beat is late that
// ends no outage: the answer may be to something asked before, and workers have been told. While beats are
// answered in time no outage begins either: a connection that broke says nothing of the store.
func (c *Core) storeAnswered(ok bool) {
	late := c.own.beating && c.own.late == 0
	if ok && late || !ok && !late && c.sure() {
		return
	}
	c.fleet.answered(ok, c.now)
}

// beatDue renews leases: its own every third of the lease, those of workers when they ask.
func (c *Core) beatDue() {
	if c.own.beating && c.own.late != 0 && c.now >= c.own.late {
		c.own.late = 0
		c.fleet.answered(false, c.now)
		c.tellOutage()
	}
	if c.own.beating || c.now < c.nextBeat() {
		return
	}
	if c.fleet.readAt <= c.now {
		c.fleet.readAt = c.now.Add(c.cfg.Lease / 3)
		c.readPeers()
	}
	c.polls.beat = c.now.Add(c.cfg.Lease / 3)
	c.own.beating, c.own.wanted, c.own.late = true, 0, c.now.Add(c.late())
	var nodes []flow.Node
	for _, id := range sortedConns(c.conns) {
		cn := c.conns[id]
		asks := cn.greeting || cn.asked != 0
		// One that lives is not to be seen as lost until it asks again.
		if cn.session == 0 || !asks && (!cn.starved || c.now >= cn.silentAt(c.cfg.Lease)) {
			continue
		}
		n := cn.node
		if s := c.pool.Session(cn.session); s != nil && s.Full() && n.State == flow.NodeReady {
			n.State = flow.NodeBusy
		}
		cn.asking = cn.asked
		if n.Waited = c.now.Sub(cn.askedAt); !asks {
			n.Waited = c.now.Sub(cn.heardAt)
		}
		nodes = append(nodes, n)
	}
	c.emit(Beat{c.state(), c.cfg.Lease, nodes, c.late()})
	for _, id := range c.unregistered {
		if cn := c.conns[id]; cn != nil && cn.session == 0 {
			c.emit(Register{id, cn.node})
		}
	}
	c.unregistered = nil
}

// nextBeat is when beatDue has something to do.
func (c *Core) nextBeat() flow.Time { return flow.Earliest(c.polls.beat, c.own.wanted) }

// renewal notes that a worker asks for its lease. A master that only hears of it says that it does;
// one that cannot reach the store says that at once.
func (c *Core) renewal(cn *conn, b *rpc.Beat) {
	switch {
	case c.fleet.stored == 0:
		cn.starved = true
		c.send(cn.id, func(f *rpc.FromMaster) { f.Outage, f.Heard = true, b.Number })
	case !b.Keep:
		c.send(cn.id, func(f *rpc.FromMaster) { f.Outage, f.Heard = false, b.Number })
	default:
		cn.asked, cn.askedAt = b.Number, c.now
		at := c.now.Add(c.gather())
		if b.Urgent {
			at = c.now
		}
		c.own.wanted = flow.Earliest(c.own.wanted, at)
	}
}

func (c *Core) beaten(e Beaten) {
	c.own.beating = false
	c.fleet.answered(e.Err == nil, c.now)
	if e.Err != nil {
		c.tellOutage()
		for _, cn := range c.conns { // the order does not matter
			cn.starved = cn.starved || cn.asked != 0
			cn.asked, cn.asking = 0, 0
		}
		again := c.now.Add(min(c.cfg.Poll, c.cfg.Lease/10)) // a short lease is over soon
		c.own.wanted = again                                // those that wait for a welcome are asked for again
		c.polls.beat = flow.Earliest(c.polls.beat, again)
		return
	}
	c.own.renewed = max(c.own.renewed, e.At)
	c.leaseIs(e)
	c.pace.measured(e.Memory)
	c.pool.Balance = e.Settings.Balance
	c.pool.SetWeights(e.Settings.Weights)
	lost := make(map[int64]bool, len(e.Lost))
	for _, session := range e.Lost {
		lost[session] = true
	}
	asked := make(map[int64]bool, len(e.Sessions))
	for _, session := range e.Sessions {
		asked[session] = true
	}
	// A session may have two connections for a moment, of which one is broken: both are answered.
	for _, id := range sortedConns(c.conns) {
		cn := c.conns[id]
		session := cn.session
		if session == 0 || !asked[session] {
			continue
		}
		cn.starved = false
		switch {
		case lost[session]:
			c.sessionOver(cn)
		case cn.greeting:
			cn.greeting = false
			c.welcome(cn, session)
		case cn.asking != 0:
			c.send(cn.id, func(f *rpc.FromMaster) { f.Renew, f.Beat, f.LeaseMicros = true, cn.asking, c.cfg.Lease.Microseconds() })
			if cn.asked == cn.asking {
				cn.asked = 0
			}
			cn.asking = 0
		}
	}
	held := c.own.held
	c.own.held = nil
	for _, in := range held {
		if c.insts[in.id] == in {
			c.carryOutNow(in) // else with the commit of what came meanwhile
		}
	}
}

// tellOutage tells the workers that wait for a renewal that the store does not answer.
func (c *Core) tellOutage() {
	for _, id := range sortedConns(c.conns) {
		if cn := c.conns[id]; cn.asked != 0 {
			c.send(id, func(f *rpc.FromMaster) { f.Outage, f.Heard = true, cn.asked })
		}
	}
}

// sessionOver tells a worker that its session was declared lost while it was away: it kills what
// it holds and comes back as a new one. What it holds is settled then.
func (c *Core) sessionOver(cn *conn) {
	c.send(cn.id, func(f *rpc.FromMaster) {
		f.Welcome = &rpc.Welcome{Session: cn.session, Generation: c.lease.Generation, Over: true}
	})
	c.emit(HangUp{Conn: cn.id, After: true})
	if c.sessions[cn.session] == cn {
		delete(c.sessions, cn.session)
		c.pool.Leave(cn.session)
	}
	delete(c.conns, cn.id)
	c.away = slices.DeleteFunc(c.away, func(a absence) bool { return a.session == cn.session })
	c.loseAll(cn.session, "another master declared it lost")
}

// hangUpOnSilent ends the connections of workers that are not heard any more: the host of one that was
// frozen, or unplugged, ends none. The store is asked when its lease may be over.
func (c *Core) hangUpOnSilent() {
	for _, id := range sortedConns(c.conns) {
		cn := c.conns[id]
		if c.sessions[cn.session] != cn || c.now < cn.silentAt(c.cfg.Lease) {
			continue
		}
		c.emit(HangUp{Conn: id})
		c.gone(cn, cn.heardAt, max(cn.heardAt.Add(max(c.cfg.Lease, cn.node.Lease)).Sub(c.now), 0))
	}
}

// silentAt is when a worker of which nothing is heard counts as absent: it has missed two beats then.
func (cn *conn) silentAt(lease time.Duration) flow.Time {
	return cn.heardAt.Add(max(lease, cn.node.Lease) * 2 / 3)
}

// witnessed tells whether this master has seen the store without a gap for a lease: only then may
// it conclude anything from a lease that was not renewed.
func (c *Core) witnessed() bool {
	return c.fleet.sees(c.now, c.cfg.Lease)
}

// leaseIs takes the length of leases as it is set now. What this master has is renewed for it already.
func (c *Core) leaseIs(e Beaten) {
	length := e.Settings.Lease
	if length <= 0 || length == c.cfg.Lease {
		return
	}
	c.cfg.Lease, c.fleet.lease = length, length
	c.fleet.readAt = flow.Earliest(c.fleet.readAt, c.now.Add(length/3))
	c.announce("")
}
