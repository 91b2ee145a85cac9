// What is sent, and sent again, until a master answers: results, and what waits for leave to begin.

package worker

import "baton/internal/flow"

// sendEnd sends a result that the journal has, if there is anybody to take it.
func (c *Core) sendEnd(h *held) {
	if h.state != stateEnded || !h.durable {
		return // it goes out when it has ended and the journal has it
	}
	s := c.route(h)
	if s == nil {
		h.sentAt = 0
		return // the next welcome sends it
	}
	h.sentAt = c.turn.now
	f := s.frame(endSize(h.end))
	f.Ended = append(f.Ended, h.end)
	c.resendLater()
}

// resendLater has what waits for an answer said again after a time.
func (c *Core) resendLater() {
	if c.resendAt == 0 {
		c.resendAt = c.turn.now.Add(c.cfg.ResendAfter)
	}
}

// sendEnds sends every result that is not under way on a stream.
func (c *Core) sendEnds(unsentSince flow.Time) {
	if c.ended == 0 {
		return
	}
	for _, h := range c.sortedHeld() {
		if h.state == stateEnded && h.sentAt <= unsentSince {
			c.sendEnd(h)
		}
	}
}

func (c *Core) resendDue() {
	if c.resendAt == 0 || c.resendAt > c.turn.now {
		return
	}
	c.resendAt = 0
	c.sendEnds(c.turn.now.Add(-c.cfg.ResendAfter))
	if c.sayHolding() || c.ended > 0 && c.welcomed() != nil {
		c.resendLater()
	}
}

// sayHolding says again of all that wait for leave to begin that they do, and tells whether there are any.
// The leave hangs on that one word, which a master may have dropped: it was no owner, or it read the rows anew.
func (c *Core) sayHolding() (some bool) {
	for _, h := range c.sortedHeld() {
		if h.state == stateHolding {
			c.sayStarted(h)
			some = true
		}
	}
	return some
}

// acknowledged forgets a result that a master has. A token that has not ended here is none of
// the masters' business yet.
func (c *Core) acknowledged(token int64) {
	if h := c.held[token]; h != nil && h.state == stateEnded {
		c.drop(h)
	}
}

// drop forgets an ended attempt. It is remembered for a while as done, so that a copy of its
// grant that comes late does not run it again.
func (c *Core) drop(h *held) {
	delete(c.held, h.token)
	c.ended--
	c.done.put(h.token, struct{}{})
	c.drops = append(c.drops, h.token)
	c.roomChanged()
}
