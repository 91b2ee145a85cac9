// This master's own lease, and those of the workers' sessions that it keeps in the store.
//
// The store is the authority: a session's lease is renewed when a row of the store says so, and its
// worker is told after that. Any master may declare a session lost whose row was not renewed in
// time, so a worker that one master does not hear may live on with the others.

package master

import (
	"fmt"
	"slices"
	"time"

	"baton/internal/engine"
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

const (
	// askAgainSession is when a store is asked again whether a session's lease is over that did not answer.
	askAgainSession = time.Second
	// askAgainSoonest is when it is asked again at the earliest when it did.
	askAgainSoonest = 50 * time.Millisecond
)

// loseAbsent has sessions declared lost that are away for longer than their lease. Another master
// may hear one: the store knows.
func (c *Core) loseAbsent() {
	for i := range c.away {
		a := &c.away[i]
		if a.until == 0 || a.until > c.now {
			continue
		}
		if !c.witnessed() {
			a.until = c.now.Add(askAgainSession)
			if at := c.fleet.stored.Add(c.cfg.Lease); c.fleet.stored != 0 && at > c.now {
				a.until = at
			}
			continue
		}
		a.until = 0 // asked
		c.emit(EndSession{
			a.session, a.worker, c.unrenewed(*a),
			// Its worker may hear from now on that the store is away, and lives on with that for longer than
			// its lease. What it takes of its lease before is three quarters.
			c.cfg.Lease / 4,
		})
	}
}

func (c *Core) sessionEnded(e SessionEnded) {
	c.storeAnswered(e.Err == nil)
	for i, a := range c.away {
		if a.session != e.Session {
			continue
		}
		switch {
		case e.Err != nil:
			c.away[i].until = c.now.Add(askAgainSession)
			return
		case !e.Over && e.Left > 0 && e.Left > c.cfg.Lease-c.now.Sub(a.since)+c.cfg.Lease/16:
			// It asked for that after it was gone here: another master hears it.
			c.giveToHearers(a.session)
			if c.away[i].until = c.now.Add(min(e.Left, c.cfg.Lease/4)); len(c.pool.HeldBy(a.session)) == 0 {
				c.away = slices.Delete(c.away, i, i+1) // whoever needs it again asks again
			}
			return
		case !e.Over:
			next := c.now.Add(max(e.Left, askAgainSoonest))
			if half := a.since.Add(c.cfg.Lease / 2); half > c.now {
				next = min(next, half) // by then one that lives has asked for its lease
			}
			c.away[i].until = next
			return
		}
		c.away = append(c.away[:i:i], c.away[i+1:]...)
		c.loseAll(a.session, c.unrenewed(a))
		return
	}
}

// unrenewed is why a session is lost. Its lease ran from when its worker asked for it last, perhaps of
// another master, so it says nothing of how long the session was away from this one.
func (c *Core) unrenewed(a absence) string {
	return fmt.Sprintf("nobody renewed its lease of %s, and it is not connected to master %s since %s", c.cfg.Lease, c.cfg.Name, a.since.Std().Format(time.RFC3339))
}

// giveToHearers gives the runs that have something on a worker which lives, and which this master cannot
// reach, to the other masters: what it granted may never have come to the worker, and what it orders does
// not. One of them that cannot reach it either passes them on.
func (c *Core) giveToHearers(session int64) {
	if !c.ready || !c.sure() {
		return
	}
	var ids []flow.ID
	c.eachHeld(func(in *inst, _ *flow.TaskRow) {
		if c.rests(in) && !slices.Contains(ids, in.id) {
			ids = append(ids, in.id)
		}
	}, session)
	sortIDs(ids)
	c.passOn(ids, "a worker that lives is out of reach of this one")
}

// loseAll gives up the attempts of a lost session.
func (c *Core) loseAll(session int64, why string) {
	c.eachHeld(func(in *inst, row *flow.TaskRow) {
		c.lose(in.id, engine.Lost{Task: row.ID, Token: row.Attempt.Token, Reason: fmt.Sprintf(
			"worker %s (session %d): %s", row.Attempt.Worker, session, why)})
	}, session)
}

// doom is an attempt that seems lost. Its result may lie in the inbox, where another master has put
// it before it told the worker to forget it: so the inbox is read first.
type doom struct {
	read     int // the read of the inbox that must be over
	instance flow.ID
	lost     engine.Lost
}

// lose gives an attempt up once it is sure that its result is not in the inbox.
func (c *Core) lose(instance flow.ID, lost engine.Lost) {
	c.doomed = append(c.doomed, doom{c.polls.inboxRead + 1, instance, lost})
	c.readInbox()
}

// loseDoomed gives up what waited for a read of the inbox that is over. What was read of a run whose rows
// were read again since is forgotten: it waits for another read.
func (c *Core) loseDoomed() {
	var due []doom
	left := c.doomed[:0]
	for _, d := range c.doomed {
		switch in := c.insts[d.instance]; {
		case d.read > c.polls.inboxDone:
			left = append(left, d)
		case in == nil:
		case in.st == nil || in.unread:
			d.read = c.polls.inboxRead + 1 // which begins when its rows are here
			left = append(left, d)
		default:
			due = append(due, d)
		}
	}
	c.doomed = left
	for _, d := range due {
		c.route(d.instance, pending{ev: d.lost})
	}
}
