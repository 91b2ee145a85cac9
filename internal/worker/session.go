// The session: hello and welcome, the lease, and which master hears what.

package worker

import (
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// session is what holds the worker's lease and attempts.
type session struct {
	id         int64 // 0: none was given yet
	generation int64
	earlier    []int64
	lease      time.Duration
	renewedAt  flow.Time // sending of the hello or beat that was answered last
	outageAt   flow.Time // since when every answer tells of an outage of the store; 0 it does not
	beatAt     flow.Time // next beat
	over       bool      // the lease is over and what it held is being killed
	measuring  bool
	beats      int64
}

// stream is a connection to a master.
type stream struct {
	id       StreamID
	master   int64 // incarnation
	welcomed bool
	helloAt  flow.Time // 0: not said yet
	beats    []beat    // sent and not answered, oldest first
	out      []*rpc.FromWorker
	size     int // of the last of out, about
}

type beat struct {
	number int64
	at     flow.Time
}

// stopAt is when the worker gives up hope of being renewed: early enough that everything is dead
// before an authority, counting from when it received the renewal, grants a successor.
func (s *session) stopAt() flow.Time {
	if s.id == 0 || s.over || s.lease == 0 {
		return 0
	}
	return s.renewedAt.Add(s.lease * 3 / 4)
}

func (c *Core) stream(id StreamID) *stream {
	i, ok := slices.BinarySearchFunc(c.streams, id, func(s *stream, id StreamID) int { return int(s.id - id) })
	if !ok {
		return nil
	}
	return c.streams[i]
}

// welcomed returns the oldest stream that a master answers on.
func (c *Core) welcomed() *stream {
	for _, s := range c.streams {
		if s.welcomed {
			return s
		}
	}
	return nil
}

// route returns the stream for news of an attempt: its master's, else any. Cut off from the owner
// a worker hands a result to another master.
func (c *Core) route(h *held) *stream {
	if s := c.stream(h.stream); s != nil && s.welcomed {
		return s
	}
	return c.welcomed()
}

func (c *Core) streamUp(id StreamID) {
	c.streams = append(c.streams, &stream{id: id})
	c.sayHellos()
}

func (c *Core) streamDown(id StreamID) {
	c.streams = slices.DeleteFunc(c.streams, func(s *stream) bool { return s.id == id })
	for _, h := range c.sortedHeld() {
		if h.stream == id {
			h.announced, h.sentAt = false, 0
		}
	}
	if c.ended > 0 && c.welcomed() != nil {
		c.sendEnds(0)
	}
}

// sayHellos greets on every stream that was not greeted yet. While a lost session's attempts are
// being killed nothing is said: they are to be dead before a successor can be granted.
func (c *Core) sayHellos() {
	if c.session.over {
		if len(c.held) > c.ended {
			return
		}
		c.renewIdentity()
	}
	for _, s := range c.streams {
		if s.helloAt == 0 {
			s.helloAt = c.turn.now
			s.frame(recordSize).Hello = c.hello()
		}
	}
}

func (c *Core) hello() *rpc.Hello {
	h := &rpc.Hello{
		Name: c.cfg.Name, Home: c.cfg.Home, Version: c.cfg.Version, Pid: int32(c.cfg.PID),
		Session: c.session.id, Generation: c.session.generation, Earlier: c.session.earlier,
		Groups: c.cfg.Groups, Slots: int32(c.cfg.Slots), Labels: c.cfg.Labels,
	}
	for _, a := range c.sortedHeld() {
		h.Held = append(h.Held, a.wire())
	}
	return h
}

// renewIdentity ends a lost session: what comes next is a new incarnation.
func (c *Core) renewIdentity() {
	c.session = session{
		generation: c.session.generation, beats: c.session.beats,
		earlier: keepLast(append(c.session.earlier, c.session.id), keepEarlier),
	}
}

// frame takes a frame of a master. Its parts are read in the order of the fields.
func (c *Core) frame(id StreamID, f *rpc.FromMaster) {
	s := c.stream(id)
	if s == nil {
		return
	}
	if w := f.GetWelcome(); w != nil && !s.welcomed && s.helloAt != 0 {
		s.master = f.GetMaster()
		c.welcome(s, w)
	}
	if !s.welcomed {
		c.do(Close{id, "the master spoke before its welcome"})
		return
	}
	for _, token := range f.GetAcks() {
		c.acknowledged(token)
	}
	for _, g := range f.GetGrants() {
		c.grant(s, g)
	}
	for _, token := range f.GetBegins() {
		c.leave(token)
	}
	for _, k := range f.GetKills() {
		c.killOrder(s, k)
	}
	if f.GetRenew() || f.GetOutage() {
		c.renewed(s, f)
	}
	for _, token := range f.GetForget() {
		c.acknowledged(token)
	}
}

// welcome takes up the session and settles what is held.
func (c *Core) welcome(s *stream, w *rpc.Welcome) {
	s.welcomed = true
	if w.GetSession() != c.session.id {
		if c.session.id != 0 {
			c.session.earlier = keepLast(append(c.session.earlier, c.session.id), keepEarlier)
		}
		c.session.id, c.session.generation = w.GetSession(), w.GetGeneration()
		// Nothing waits for it: a session that is not remembered only lives until its lease ends.
		c.record(Record{Kind: RecordSession, Session: w.GetSession(), Gen: w.GetGeneration()})
	}
	c.session.generation = w.GetGeneration()
	c.session.lease = time.Duration(w.GetLeaseMicros()) * time.Microsecond
	c.session.renewedAt = max(c.session.renewedAt, s.helloAt)
	c.session.outageAt = 0
	if c.session.beatAt == 0 {
		c.session.beatAt = c.turn.now
	}
	for _, settle := range w.GetSettle() {
		c.settle(s, settle)
	}
	for _, h := range c.sortedHeld() {
		if h.state != stateEnded && h.startedAt != 0 && !h.announced {
			c.sayStarted(h)
		}
	}
	c.sendEnds(0)
}

func (c *Core) settle(s *stream, settle *rpc.Settle) {
	h := c.held[settle.GetToken()]
	if h == nil {
		return
	}
	h.stream = s.id
	switch settle.GetAction() {
	case rpc.SettleAction_SETTLE_ACTION_CANCEL:
		// Also when nobody wants the result: a kill intent waits for its confirmation.
		c.kill(h, killOrdered, h.grace)
		c.sendEnd(h)
	case rpc.SettleAction_SETTLE_ACTION_SEND_RESULT:
		c.sendEnd(h)
	case rpc.SettleAction_SETTLE_ACTION_FORGET:
		c.acknowledged(h.token)
	case rpc.SettleAction_SETTLE_ACTION_KEEP, rpc.SettleAction_SETTLE_ACTION_UNSPECIFIED:
	}
}
