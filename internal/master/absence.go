// Absence: workers that leave, those that are away, and what becomes of what they hold.

package master

import (
	"fmt"
	"slices"
	"time"

	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/rpc"
)

// absence is a session that holds attempts and is not connected.
type absence struct {
	session int64
	worker  string // its name
	since   flow.Time
	until   flow.Time // its lease is over then
	suspect bool      // what it holds says so
}

// suspectAfter is how long a session is away before its attempts say so: a reconnection is not worth
// two writes for each of them.
const suspectAfter = time.Second

// leaves ends the session of a worker that stops in order and holds nothing any more.
func (c *Core) leaves(cn *conn) {
	cn.ending = true
	if s := c.pool.Session(cn.session); s != nil {
		s.Draining = true
	}
	c.emit(LeaveSession{cn.id, cn.session})
}

// left tells the worker that its session is over. What is being granted to it is lost, which the store
// confirms at once.
func (c *Core) left(e SessionLeft) {
	c.storeAnswered(e.Err == nil)
	cn := c.conns[e.Conn]
	if e.Err != nil || cn == nil || cn.session != e.Session {
		return // its worker goes without
	}
	c.send(cn.id, func(f *rpc.FromMaster) { f.Left = e.Session })
	c.gone(cn, c.now, 0)
}

func (c *Core) closed(e Closed) {
	c.hellos = slices.DeleteFunc(c.hellos, func(f greeting) bool { return f.Conn == e.Conn })
	if cn := c.conns[e.Conn]; cn != nil {
		c.gone(cn, c.now, c.cfg.Lease/2)
	}
}

// gone forgets a connection that is of no use since a time. If it was its session's, the store is asked
// after a while whether the lease is over.
func (c *Core) gone(cn *conn, since flow.Time, after time.Duration) {
	delete(c.conns, cn.id)
	if c.sessions[cn.session] == cn {
		delete(c.sessions, cn.session)
		c.pool.Leave(cn.session)
		if cn.ending && len(c.pool.HeldBy(cn.session)) == 0 {
			return // it said that it would go, and nobody waits for it
		}
		c.missing(cn.session, cn.node.Name, since, after)
	}
}

// missing starts the wait for a session that is not connected, since a time. Its lease is in the store, which
// is asked when it may be over.
func (c *Core) missing(session int64, worker string, since flow.Time, atLeast time.Duration) {
	for _, a := range c.away {
		if a.session == session {
			return
		}
	}
	c.away = append(c.away, absence{session: session, worker: worker, since: since, until: c.now.Add(atLeast)})
}

// presence is the news of an attempt's worker that its row does not have yet, nil for none.
func (c *Core) presence(row *flow.TaskRow, here bool) engine.Event {
	session, suspect := row.Attempt.Session, row.Attempt.State == flow.AttemptSuspect
	switch {
	case here && suspect:
		return engine.Rebound{Task: row.ID, Token: row.Attempt.Token, Session: session}
	case !here && !suspect && slices.ContainsFunc(c.away, func(a absence) bool { return a.session == session && a.suspect }):
		return engine.Suspected{Task: row.ID, Token: row.Attempt.Token}
	}
	return nil
}

// suspectAbsent has the attempts of sessions that are away say so. They may come back.
func (c *Core) suspectAbsent() {
	for i := range c.away {
		a := &c.away[i]
		if a.suspect || c.now.Sub(a.since) < suspectAfter {
			continue
		}
		a.suspect = true
		c.tell(a.session)
	}
}

// tell gives the rows that hold slots of a session the news of it.
func (c *Core) tell(session int64) {
	type news struct {
		instance flow.ID
		ev       engine.Event
	}
	var all []news
	c.eachHeld(func(in *inst, row *flow.TaskRow) {
		if ev := c.presence(row, c.sessions[session] != nil); ev != nil {
			all = append(all, news{in.id, ev})
		}
	}, session)
	for _, n := range all {
		c.route(n.instance, pending{ev: n.ev})
	}
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
			if c.away[i].until = c.now.Add(max(min(e.Left, c.cfg.Lease/4), askAgainSoonest)); len(c.pool.HeldBy(a.session)) == 0 {
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
