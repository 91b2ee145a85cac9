// Absence: workers that leave, and those that are away.

package master

import (
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
