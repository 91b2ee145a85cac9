// The lease: beats, their answers, and what happens when there are none.

package worker

import (
	"cmp"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// beatDue asks for figures, which become a beat each third of the lease, and sooner while the last beat
// was not renewed.
func (c *Core) beatDue() {
	if c.session.beatAt == 0 || c.session.beatAt > c.turn.now || c.session.measuring {
		return
	}
	if c.session.over || !c.greeted() {
		c.session.beatAt = 0 // the next hello begins anew
		return
	}
	c.session.measuring = true
	c.session.beatAt = 0
	c.do(Measure{})
}

// measured judges the figures, and notes for the log when that changes anything.
func (c *Core) measured(m Measured) {
	was := c.load.text != ""
	c.load.measured(m, c.turn.now)
	switch is := c.load.text != ""; {
	case is && !was:
		c.do(Note{Text: "nothing new is taken for now: " + c.load.text})
	case was && !is:
		c.do(Note{Text: "work is taken again"})
	}
}

// tried learns from how an attempt began. That this host can begin nothing is told at once.
func (c *Core) tried(h *held, e End) {
	if h.kind != KindProcess || !e.Unable && e.StartedAt == 0 {
		return
	}
	if c.load.tried(!e.Unable, e.Reason, c.turn.now) && c.session.beatAt != 0 {
		c.session.beatAt = c.turn.now
	}
}

// beat sends the figures to every master.
func (c *Core) beat(m Measured) {
	c.session.measuring = false
	if c.session.over || c.session.lease == 0 {
		return
	}
	c.measured(m)
	c.session.beats++
	asks := c.session.ask(c.turn.now)
	keeper := c.keeper()
	// When a renewal is late it is everybody's affair: a keeper that was frozen answers nothing.
	late := c.session.renewedAt < c.session.beatenAt
	urgent := late && c.turn.now.Sub(c.session.renewedAt) > c.session.lease*2/5
	c.session.beatenAt = c.turn.now
	c.session.beatAt = c.turn.now.Add(c.session.lease / 6) // the answer puts it off
	for _, s := range c.streams {
		if s.helloAt == 0 {
			continue
		}
		for len(s.beats) > 0 && c.turn.now.Sub(s.beats[0].at) > c.session.lease {
			s.beats = s.beats[1:] // its answer would renew nothing any more
		}
		s.beats = append(s.beats, beat{c.session.beats, c.turn.now, asks})
		s.frame(recordSize).Beat = &rpc.Beat{
			Running: int32(len(c.held) - c.ended), Cpu: m.CPU, Memory: m.Memory, Live: m.Live,
			Number: c.session.beats, Keep: s == keeper || urgent, Urgent: urgent, Draining: c.draining || c.stopping, LeaseMicros: asks.Microseconds(),
			Functions: int32(c.live[laneFunction]), Overloaded: c.load.text,
		}
	}
}

// keeper is the master that writes this session's lease into the store: the first that can, and
// that answered the last beat.
func (c *Core) keeper() *stream {
	for _, s := range c.streams {
		if s.welcomed && s.outage == 0 && (len(s.beats) == 0 || s.heard >= s.beats[len(s.beats)-1].number) {
			return s
		}
	}
	return c.welcomed()
}

// renewed counts the lease from when the answered beat was *sent*: the authority counts from its
// receipt, which is later, so this side always gives up first. An answer that lay in a socket
// while the process was frozen renews nothing.
func (c *Core) renewed(s *stream, f *rpc.FromMaster) {
	if number := f.GetHeard(); number != 0 {
		c.heard(s, number, f.GetOutage())
	}
	if !f.GetRenew() {
		return
	}
	b, ok := s.renewed(f.GetBeat())
	if !ok {
		return
	}
	s.outage = 0
	c.session.renewedAt, c.session.outageAt = max(c.session.renewedAt, b.at), 0
	c.putOff()
	if b.lease > c.session.lease {
		c.session.lease = b.lease // it was renewed for no less
	}
	c.leaseIs(time.Duration(f.GetLeaseMicros()) * time.Microsecond)
}

// putOff makes the next beat wait when the last one was answered as it should be.
func (c *Core) putOff() {
	if s := &c.session; s.beatAt != 0 && s.renewedAt >= s.beatenAt {
		s.beatAt = s.beatenAt.Add(s.lease / 3)
	}
}

// heard takes the answer to a beat that renewed nothing: another master keeps the lease, or the store
// is away.
func (c *Core) heard(s *stream, number int64, outage bool) {
	i := slices.IndexFunc(s.beats, func(b beat) bool { return b.number == number })
	if i < 0 || number <= s.heard {
		return
	}
	at := s.beats[i].at
	if s.heard, s.outage = number, 0; !outage {
		c.session.outageAt = 0
		return
	}
	s.outage = at
	if c.session.unseen > 0 {
		return
	}
	for _, s := range c.streams {
		if s.outage == 0 {
			return // it may have the store and grant a successor
		}
		at = min(at, s.outage) // and what it said last may not be so any more
	}
	// No master could write then, so nobody can be granted this worker's attempts for a lease from there:
	// it goes on, but not for ever, since a master nobody here sees may have found the store again.
	if c.session.outageAt == 0 {
		c.session.outageAt = at
	}
	if at.Sub(c.session.outageAt) < c.cfg.OutageGrace {
		c.session.renewedAt = max(c.session.renewedAt, at)
		c.putOff()
	}
}

// leaseIs takes how long leases are now. The next beat asks for it, and comes soon.
func (c *Core) leaseIs(length time.Duration) {
	s := &c.session
	switch {
	case length <= 0:
	case length == s.lease:
		s.wanted = 0
	case length != s.wanted:
		s.wanted = length
		if !s.measuring && s.beatAt != 0 {
			s.beatAt = c.turn.now
		}
	}
}

// ask is the length that the beat sent now asks for. The authority may write a shorter one as soon
// as it hears of it, so this side counts by it from now on; a longer one counts when it is granted.
func (s *session) ask(now flow.Time) time.Duration {
	asks := cmp.Or(s.wanted, s.lease)
	if asks < s.lease {
		s.renewedAt = min(now, s.renewedAt.Add((s.lease-asks)*3/4)) // where it stops is no later than before
		s.lease = asks
	}
	if asks == s.lease {
		s.wanted = 0
	}
	return asks
}

// renewed returns the renewed beat and forgets it and those before it. A master that names no beat
// renews the oldest, which errs on the safe side.
func (s *stream) renewed(number int64) (beat, bool) {
	i := 0
	if number != 0 {
		i = slices.IndexFunc(s.beats, func(b beat) bool { return b.number == number })
	}
	if i < 0 || i >= len(s.beats) {
		return beat{}, false
	}
	b := s.beats[i]
	s.beats, s.heard = s.beats[i+1:], max(s.heard, b.number)
	return b, true
}

// checkLease gives the session up when no master renewed it for three quarters of the lease:
// everything is killed, within the time that is left, before anything else is said or done.
func (c *Core) checkLease() {
	at := c.session.stopAt()
	if at == 0 || c.turn.now < at {
		return
	}
	c.giveUp("no master renewed the lease: killing every attempt")
}

// giveUp ends a session that may be lost for the masters: everything is killed before anything
// else is said.
func (c *Core) giveUp(why string) {
	if c.session.over {
		return
	}
	c.session.over = true
	c.session.beatAt = 0
	c.do(Note{Text: why, Count: len(c.held) - c.ended})
	// From 0.75 to 0.9 of the lease for a friendly end, the rest for the hard one.
	c.killAll(killIsolated, c.session.lease*15/100)
	for _, s := range c.streams {
		c.do(Close{Stream: s.id, Reason: "the lease is over"})
	}
	c.streams = nil
}
