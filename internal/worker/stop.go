// The end of a worker: by order, or because its lease is over.

package worker

import (
	"time"

	"baton/internal/flow"
)

// stopAckWait is how long a stopping worker waits for masters to take its last results.
const stopAckWait = time.Second

// killReason is why an attempt is being killed.
type killReason uint8

const (
	killNone     killReason = 0
	killOrdered  killReason = 1 // a master said so
	killIsolated killReason = 2 // the lease is over: a successor may be granted elsewhere
	killStop     killReason = 3 // the worker stops
)

// drain takes nothing new from now on. The masters hear it at once: what they would grant meanwhile
// goes elsewhere, or waits with a reason that says so.
func (c *Core) drain() {
	if c.draining || c.stopping {
		return
	}
	c.draining = true
	if c.session.beatAt != 0 {
		c.session.beatAt = c.turn.now
	}
}

// alive is how many attempts have not ended.
func (c *Core) alive() int { return len(c.held) - c.ended }

// stop begins the end of the worker.
func (c *Core) stop() {
	if c.stopping {
		return
	}
	c.stopping = true
	if c.session.beatAt != 0 {
		c.session.beatAt = c.turn.now
	}
	c.killAll(killStop, c.cfg.StopGrace)
}

// checkStopped ends a Stop, and a Drain, when nothing runs, and every result is acknowledged or nobody is there
// to take it. What is left is in the journal for the next start.
func (c *Core) checkStopped() {
	if c.draining && c.alive() == 0 {
		c.stop()
	}
	if !c.stopping || c.stopped || c.alive() > 0 {
		return
	}
	if c.ackBy == 0 {
		c.ackBy = c.turn.now.Add(stopAckWait)
	}
	if c.turn.now < c.ackBy && (c.ended > 0 && c.welcomed() != nil || c.leaving()) {
		return
	}
	c.stopped, c.ackBy = true, 0
	c.do(Stopped{})
}

// leaving ends the session in order through a master, and tells whether its answer is still waited for: a
// worker that only fell silent would count as ready, and then as lost, until its lease is over. One with
// results that nobody took keeps its session: the next start brings them.
func (c *Core) leaving() bool {
	s := c.welcomed()
	if s == nil || c.ended > 0 || c.session.id == 0 || c.session.left == c.session.id {
		return false
	}
	if c.session.leaving != s.id {
		c.session.leaving = s.id
		s.frame(recordSize).Leave = c.session.id
	}
	return true
}

// killAll kills every attempt that lives, each with at most grace.
func (c *Core) killAll(why killReason, grace time.Duration) {
	for _, h := range c.sortedHeld() {
		c.kill(h, why, grace)
	}
}

// kill ends one attempt. A second order changes nothing, except that an isolated attempt is lost
// whatever was said before.
func (c *Core) kill(h *held, why killReason, atMost time.Duration) {
	if h.state == stateEnded {
		return
	}
	first := h.kill == killNone
	if first || why == killIsolated {
		h.kill = why
	}
	if h.state == stateGranted || h.state == stateHolding {
		c.neverBegan(h)
		return
	}
	if grace := min(h.grace, atMost); first || grace < h.grace {
		h.grace = grace
		c.do(KillAttempt{h.token, grace})
	}
}

// neverBegan ends an attempt that has no process yet. Nothing starts it any more: the Start hangs
// on its state.
func (c *Core) neverBegan(h *held) {
	now := c.turn.now
	c.end(h, End{State: flow.AttemptKilled, ExitCode: flow.NoExit, Cause: "killed", Reason: "killed before it began", EndedAt: now, Confirmed: true})
}
