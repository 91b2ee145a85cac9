// The session: hello and welcome, the lease, and which master hears what.

package worker

import (
	"cmp"
	"fmt"
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
	lease      time.Duration // that it counts by
	wanted     time.Duration // that the cluster has set since, 0: the same
	renewedAt  flow.Time     // sending of the hello or beat that was answered last
	outageAt   flow.Time     // since when every answer tells of an outage of the store; 0 it does not
	beatAt     flow.Time     // next beat
	beatenAt   flow.Time     // last beat
	over       bool          // the lease is over and what it held is being killed
	measuring  bool
	beats      int64
	unseen     int           // masters that there are and that no stream leads to, though they may live
	leaving    StreamID      // that was asked to end it, 0: none
	left       int64         // the session that is over as asked
	hello      int64         // number of the last hello without a session
	patience   time.Duration // for a master that is to give one, 0: helloTimeout
}

// stream is a connection to a master.
type stream struct {
	id       StreamID
	master   int64 // incarnation
	welcomed bool
	helloAt  flow.Time // 0: not said yet
	beats    []beat    // sent in the last lease, and none since renewed; oldest first
	heard    int64     // number of the beat that it answered last
	outage   flow.Time // sending of the last beat, if its answer was that the store is away; 0: it was not
	room     room
	out      []*rpc.FromWorker
	size     int // of the last of out, about
}

type beat struct {
	number int64
	at     flow.Time
	lease  time.Duration // it asks for
}

// stopAt is when the worker gives up hope of being renewed: early enough that everything is dead
// before an authority, counting from when it received the renewal, grants a successor.
func (s *session) stopAt() flow.Time {
	if s.id == 0 || s.over || s.lease == 0 {
		return 0
	}
	return s.renewedAt.Add(s.lease * 3 / 4)
}

// guard is what the supervisor is to know of the session.
func (c *Core) guard() Guard {
	s := &c.session
	if s.id == 0 || s.lease == 0 {
		return Guard{}
	}
	return Guard{s.lease, s.renewedAt, s.outageAt, s.over}
}

func (c *Core) stream(id StreamID) *stream {
	i, ok := slices.BinarySearchFunc(c.streams, id, func(s *stream, id StreamID) int { return cmp.Compare(s.id, id) })
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

// greeted tells whether a master knows of the session, welcome or not.
func (c *Core) greeted() bool {
	return c.session.id != 0 && slices.ContainsFunc(c.streams, func(s *stream) bool { return s.helloAt != 0 })
}

// route returns the stream for the result of an attempt: its master's, else any. Cut off from the owner
// a worker hands a result to another master.
func (c *Core) route(h *held) *stream {
	if s := c.stream(h.stream); s != nil && s.welcomed {
		return s
	}
	return c.welcomed()
}

func (c *Core) streamUp(id StreamID) {
	// Streams are numbered when they are dialled, and may come up in another order.
	i, _ := slices.BinarySearchFunc(c.streams, id, func(s *stream, id StreamID) int { return cmp.Compare(s.id, id) })
	c.streams = slices.Insert(c.streams, i, &stream{id: id})
	c.sayHellos()
}

func (c *Core) streamDown(id StreamID) {
	c.streams = slices.DeleteFunc(c.streams, func(s *stream) bool { return s.id == id })
	c.roomChanged()
	c.sayHellos()
	for _, h := range c.sortedHeld() {
		if h.stream == id {
			h.announced, h.sentAt = false, 0
		}
	}
	if c.ended > 0 && c.welcomed() != nil {
		c.sendEnds(0)
	}
}

// How long a master may take to give a session before another one is asked. Each that took longer makes
// the next one's time twice as long: with a store that is slow for all of them nobody would ever get one.
const (
	helloTimeout     = 3 * time.Second
	helloTimeoutMost = 48 * time.Second
)

// sayHellos greets on every stream that was not greeted yet; without a session on one only, since
// each master would give another. While a lost session's attempts are being killed nothing is
// said: they are to be dead before a successor can be granted.
func (c *Core) sayHellos() {
	if c.session.over || c.session.id == 0 {
		if len(c.held) > c.ended {
			return
		}
		if c.session.over {
			c.renewIdentity()
		}
	}
	if c.session.id == 0 && slices.ContainsFunc(c.streams, func(s *stream) bool { return s.helloAt != 0 }) {
		return
	}
	for _, s := range c.streams {
		if s.helloAt != 0 {
			continue
		}
		s.helloAt = c.turn.now
		s.frame(recordSize).Hello = c.hello()
		if c.session.id == 0 {
			return
		}
		if c.session.beatAt == 0 && !c.session.measuring {
			c.session.beatAt = c.turn.now // the welcome may have to wait for the store
		}
	}
}

// helloDue gives up a master that gives no session, when there is another one to ask.
func (c *Core) helloDue() {
	at := c.helloBy()
	if at == 0 || at > c.turn.now {
		return
	}
	for _, s := range c.streams {
		if s.helloAt != 0 {
			s.helloAt = c.turn.now // once
			c.session.patience = min(2*max(c.session.patience, helloTimeout), helloTimeoutMost)
			c.do(Close{Stream: s.id, Reason: "it gives no session; another master is asked"})
		}
	}
}

// helloBy is when helloDue has something to do, 0 for never.
func (c *Core) helloBy() flow.Time {
	if c.session.id != 0 || len(c.streams) < 2 {
		return 0
	}
	for _, s := range c.streams {
		if s.helloAt != 0 {
			return s.helloAt.Add(max(c.session.patience, helloTimeout))
		}
	}
	return 0
}

func (c *Core) hello() *rpc.Hello {
	h := &rpc.Hello{
		Name: c.cfg.Name, Home: c.cfg.Home, Version: c.cfg.Version, Pid: int32(c.cfg.PID),
		Session: c.session.id, Generation: c.session.generation, Earlier: c.session.earlier,
		Cluster: c.cluster, Sources: true, Groups: c.cfg.Groups, Types: c.cfg.Types, Slots: int32(c.cfg.Slots), Labels: c.cfg.Labels, LeaseMicros: c.session.lease.Microseconds(),
		FunctionSlots: int32(c.cfg.FunctionSlots), Weight: int32(c.cfg.Weight), Overloaded: c.load.text,
	}
	if c.session.id == 0 {
		// The time, so that it is greater than those of this home before a restart. A clock that was set
		// back is set right by the master that finds a greater one.
		c.session.hello = max(c.session.hello+1, int64(c.turn.now))
		h.Number = c.session.hello
	}
	for _, a := range c.sortedHeld() {
		h.Held = append(h.Held, a.wire())
	}
	return h
}

// foreign hears that a master is of another cluster. Tokens, sessions and masters have the same numbers in
// all clusters, so what is known of one must not meet another: a home that holds nothing any more joins
// with nothing, any other one stays where it belongs.
func (c *Core) foreign(s *stream, cluster string) {
	if c.session.id != 0 || len(c.held) > 0 {
		c.do(Close{Stream: s.id, Foreign: true, Reason: fmt.Sprintf(
			"it is a master of cluster %s, and this worker belongs to cluster %s, of which its data folder holds %d attempts or results: let --registry name the masters of one cluster, or give the worker a --data folder of its own",
			cluster, c.cluster, len(c.held))})
		return
	}
	if s.helloAt == 0 {
		return // answered already
	}
	c.do(Note{Text: "joining another cluster: this data folder holds nothing of the one that it belonged to"})
	c.cluster = ""
	c.session = session{beats: c.session.beats, unseen: c.session.unseen, hello: c.session.hello}
	c.tombs, c.tombOrder, c.drops = map[int64]bool{}, nil, nil
	c.remember()
	c.turn.whole = true
	s.helloAt = 0
	c.sayHellos()
}

// renewIdentity ends a lost session: what comes next is a new incarnation.
func (c *Core) renewIdentity() {
	c.session = session{
		generation: c.session.generation, beats: c.session.beats, unseen: c.session.unseen, hello: c.session.hello,
		earlier: keepLast(append(c.session.earlier, c.session.id), keepEarlier),
	}
}

// frame takes a frame of a master. Its parts are read in the order of the fields.
func (c *Core) frame(id StreamID, f *rpc.FromMaster) {
	s := c.stream(id)
	if s == nil {
		return
	}
	c.fence(f.GetFenced())
	if c.isFenced(s, f) {
		return
	}
	if w := f.GetWelcome(); w.GetOver() {
		if w.GetSession() == c.session.id {
			c.giveUp("a master says that the session was declared lost: killing every attempt")
		}
		return
	} else if w.GetOutrun() != 0 {
		if c.session.id == 0 && s.helloAt != 0 {
			c.session.hello, s.helloAt = max(c.session.hello, w.GetOutrun()), 0
			c.sayHellos()
		}
		return
	} else if w.GetForeign() {
		c.foreign(s, w.GetCluster())
		return
	} else if w != nil && !s.welcomed && s.helloAt != 0 {
		s.master = f.GetMaster()
		c.welcome(s, w)
	}
	if !s.welcomed && s.helloAt != 0 && f.GetHeard() != 0 {
		c.heard(s, f.GetHeard(), f.GetOutage()) // it cannot give a welcome while the store is away
		return
	}
	if !s.welcomed {
		c.do(Close{Stream: id, Reason: "the master spoke before its welcome"})
		return
	}
	if left := f.GetLeft(); left != 0 {
		c.session.left = left
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
	if f.GetRenew() || f.GetOutage() || f.GetBeat() != 0 || f.GetHeard() != 0 {
		c.renewed(s, f)
	}
	for _, token := range f.GetForget() {
		c.acknowledged(token)
	}
	for _, a := range f.GetAsks() {
		c.asked(s, a)
	}
	for _, settle := range f.GetSettles() {
		c.settle(s, settle)
	}
	c.heardRoom(s, f)
}

// fence remembers masters that were declared dead.
func (c *Core) fence(masters []int64) {
	for _, id := range masters {
		c.fenced.put(id, struct{}{})
		for _, s := range c.streams {
			if s.welcomed && s.master == id {
				c.do(Close{Stream: s.id, Reason: "its master was declared dead"})
			}
		}
	}
}

// isFenced tells whether a frame comes from a master that was declared dead, perhaps while it was
// frozen: what it says is no longer anybody's word.
func (c *Core) isFenced(s *stream, f *rpc.FromMaster) bool {
	if _, dead := c.fenced.get(f.GetMaster()); !dead {
		return false
	}
	c.do(Close{Stream: s.id, Reason: "its master was declared dead"})
	return true
}

// asked tells an owner what is known of an attempt, and hears that owner for it from now on.
func (c *Core) asked(s *stream, a *rpc.Ask) {
	if c.stale(a.GetInstance(), a.GetEpoch(), s.master) {
		return
	}
	answer := &rpc.Held{Token: a.GetToken(), Instance: a.GetInstance(), Task: a.GetTask()}
	if h := c.held[a.GetToken()]; h != nil {
		h.stream = s.id
		answer = h.wire()
		c.roomChanged()
		if h.startedAt != 0 && !h.announced && h.state != stateEnded {
			c.sayStarted(h)
		}
	} else if _, over := c.done.get(a.GetToken()); over {
		answer.State = rpc.HeldState_HELD_STATE_DONE
	}
	f := s.frame(recordSize)
	f.Held = append(f.Held, answer)
}

// welcome takes up the session and settles what is held.
func (c *Core) welcome(s *stream, w *rpc.Welcome) {
	s.welcomed = true
	length := time.Duration(w.GetLeaseMicros()) * time.Microsecond
	if w.GetSession() != c.session.id || c.session.lease == 0 {
		c.session.lease, c.session.wanted = length, 0
	} else {
		c.leaseIs(length)
	}
	known := w.GetCluster() == "" || c.cluster == w.GetCluster() // masters of before do not say
	c.cluster = cmp.Or(w.GetCluster(), c.cluster)
	if w.GetSession() != c.session.id || !known {
		if c.session.id != 0 && w.GetSession() != c.session.id {
			c.session.earlier = keepLast(append(c.session.earlier, c.session.id), keepEarlier)
		}
		c.session.id, c.session.generation = w.GetSession(), w.GetGeneration()
		// Nothing waits for it: a session that is not remembered only lives until its lease ends.
		c.record(Record{Kind: RecordSession, Session: w.GetSession(), Gen: w.GetGeneration(), Cluster: c.cluster})
	}
	c.session.generation = w.GetGeneration()
	c.session.renewedAt = max(c.session.renewedAt, s.helloAt)
	c.session.outageAt = 0
	c.roomChanged()
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
	c.sayHellos() // the others can be greeted now
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
