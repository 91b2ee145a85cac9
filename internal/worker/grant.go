// Orders about attempts: grants, leave to begin, kills.

package worker

import (
	"time"

	"baton/internal/rpc"
)

// Reasons of Refused.
const (
	refusedFull       = "full"
	refusedStale      = "stale"
	refusedTombstoned = "tombstoned"
	refusedUnknown    = "unknown_type"
	refusedDisk       = "disk"
	refusedStopping   = "stopping"
)

// owner is who owned an instance when it spoke of it.
type owner struct{ epoch, master int64 }

// stale tells whether an order comes from an owner that was already replaced, and remembers the
// newest. A master that was frozen between its commit and its send wakes up with such orders.
// Epochs decide; between masters that do not say one, the newer incarnation does.
func (c *Core) stale(instance, epoch, master int64) bool {
	known, _ := c.owners.get(instance)
	if epoch < known.epoch || epoch == known.epoch && epoch == 0 && master < known.master {
		return true
	}
	if epoch != known.epoch || master != known.master {
		c.owners.put(instance, owner{epoch, master})
	}
	return false
}

// grant takes an attempt, once: a second grant of the same token changes nothing but the way the
// news of it take.
func (c *Core) grant(s *stream, g *rpc.Grant) {
	token := g.GetToken()
	if _, over := c.done.get(token); over {
		// Its result is durable with a master. A late copy; or its owner did not see that yet.
		f := s.frame(recordSize)
		f.Held = append(f.Held, &rpc.Held{Token: token, Instance: g.GetInstance(), Task: g.GetTask(), State: rpc.HeldState_HELD_STATE_DONE})
		return
	}
	if c.stale(g.GetInstance(), g.GetEpoch(), s.master) {
		if c.held[token] == nil {
			c.refuse(s, token, g.GetInstance(), g.GetTask(), refusedStale)
		}
		return
	}
	if h := c.held[token]; h != nil {
		c.grantAgain(s, h)
		return
	}
	if _, never := c.tombs[token]; never {
		c.refuse(s, token, g.GetInstance(), g.GetTask(), refusedTombstoned)
		return
	}
	kind := c.cfg.Kind(g.GetType())
	switch {
	case c.draining || c.stopping || c.session.over:
		c.refuse(s, token, g.GetInstance(), g.GetTask(), refusedStopping)
		return
	case kind == KindUnknown:
		c.refuse(s, token, g.GetInstance(), g.GetTask(), refusedUnknown)
		return
	case c.live[c.lane(kind)] >= c.slots()[c.lane(kind)]:
		c.refuse(s, token, g.GetInstance(), g.GetTask(), refusedFull)
		return
	}
	grace := time.Duration(g.GetKillGraceMicros()) * time.Microsecond
	if grace <= 0 {
		grace = c.cfg.KillGrace
	}
	c.held[token] = &held{
		token: token, instance: g.GetInstance(), task: g.GetTask(), state: stateGranted,
		stream: s.id, grant: g, kind: kind, grace: grace,
	}
	c.live[c.lane(kind)]++
	// The journal has every attempt before it begins: what it does not have never began, says the
	// table of package attempt. No sync: a loss of power ends the attempt too, and its processes.
	c.record(Record{Kind: RecordGrant, Token: token, Instance: g.GetInstance(), Task: g.GetTask()})
	c.turn.after.starts = append(c.turn.after.starts, token)
}

func (c *Core) grantAgain(s *stream, h *held) {
	h.stream = s.id
	switch {
	case h.state == stateEnded:
		c.sendEnd(h)
	case h.startedAt != 0:
		c.sayStarted(h)
	}
}

// taken goes on with a grant that the journal has.
func (c *Core) taken(token int64) {
	h := c.held[token]
	if h == nil || h.state != stateGranted {
		return // killed meanwhile
	}
	if h.grant.GetHold() {
		h.state, h.startedAt = stateHolding, c.turn.now
		c.sayStarted(h)
		c.resendLater()
		return
	}
	c.begin(h)
}

// leave lets an at-most-once attempt begin: "started" is durable, so nobody starts it again.
func (c *Core) leave(token int64) {
	if h := c.held[token]; h != nil && h.state == stateHolding {
		c.begin(h)
	}
}

// killOrder carries out a kill, or sees to it that the attempt never starts here.
func (c *Core) killOrder(s *stream, k *rpc.Kill) {
	token := k.GetToken()
	if _, over := c.done.get(token); over || c.stale(k.GetInstance(), k.GetEpoch(), s.master) {
		return // over: the result crossed the order. Stale: the order is no longer anybody's
	}
	h := c.held[token]
	if h == nil {
		c.refuse(s, token, k.GetInstance(), k.GetTask(), refusedTombstoned)
		return
	}
	h.stream = s.id
	if h.state == stateEnded {
		c.sendEnd(h)
		return
	}
	c.kill(h, killOrdered, h.grace)
}

// refuse answers that an attempt never began here and never will. That must stay true: the
// answer waits until the tombstone is on disk.
func (c *Core) refuse(s *stream, token, instance, task int64, reason string) {
	no := refusal{s.id, &rpc.Refused{Token: token, Instance: instance, Task: task, Reason: reason}}
	if onDisk, known := c.tombs[token]; known {
		if onDisk {
			c.sayRefused(no)
		}
		return // else the first answer is on its way
	}
	c.tombs[token] = false
	c.tombOrder = append(c.tombOrder, Tombstone{token, instance, task})
	if len(c.tombOrder) > 2*keepTombstones {
		for _, t := range c.tombOrder[:keepTombstones] {
			delete(c.tombs, t.Token)
		}
		c.tombOrder = append([]Tombstone(nil), c.tombOrder[keepTombstones:]...)
	}
	c.record(Record{Kind: RecordTombstone, Token: token, Instance: instance, Task: task})
	c.turn.sync = true
	c.turn.after.refusals = append(c.turn.after.refusals, no)
}

// refusal is an answer and the stream that gets it.
type refusal struct {
	stream  StreamID
	refused *rpc.Refused
}

// sayRefused sends a refusal, to any master when the one that asked is gone: it may have asked
// again elsewhere while the tombstone was being written. With no master there at all it is lost,
// and asked for again: grants and kills are resent until they are answered.
func (c *Core) sayRefused(r refusal) {
	s := c.stream(r.stream)
	if s == nil || !s.welcomed {
		s = c.welcomed()
	}
	if s != nil {
		f := s.frame(recordSize)
		f.Refused = append(f.Refused, r.refused)
	}
}
