// Pace: how many commands this master takes at a time. A master whose store or whose memory cannot
// keep up takes fewer, and tells the others, who take its share of the commands at once. It never
// takes none, and it drives what it has: it is slow, not out.
//
// The number follows additive increase and multiplicative decrease (Chiu and Jain, 1989), as TCP's
// window does: masters that share a store which is too slow for them come to shares that it bears.

package master

import (
	"time"

	"baton/internal/flow"
)

const (
	// slowCommit is far above what a commit takes that waits for nothing but the disk, and below what
	// people notice.
	slowCommit = 500 * time.Millisecond
	// paceEvery is how often the pace is set: a change has shown its effect by then.
	paceEvery = time.Second
	// paceSteps is in how many steps the pace grows to its most; one of these is also its least.
	paceSteps = 20
	// calmer is how far below its limit the share of memory must fall.
	calmer = 0.05
)

// pace of taking commands.
type pace struct {
	most   int     // commands
	limit  float64 // of the share of memory; 1 or more: none
	now    int     // commands
	at     flow.Time
	slow   bool // a commit was slow since it was set
	full   bool // too little memory is available
	strain string
}

func newPace(most int, limit float64) pace { return pace{most: most, limit: limit, now: most} }

func (p *pace) step() int { return max(p.most/paceSteps, 1) }

// measured takes the share of memory in use.
func (p *pace) measured(memory float64) {
	switch {
	case p.limit <= 0 || p.limit >= 1:
		p.full = false
	case p.full:
		p.full = memory > p.limit-calmer
	default:
		p.full = memory >= p.limit
	}
}

// committed takes how long a commit took, or has been under way.
func (p *pace) committed(took time.Duration) { p.slow = p.slow || took >= slowCommit }

// set sets the pace when that is due.
func (p *pace) set(now flow.Time) {
	if now.Sub(p.at) < paceEvery {
		return
	}
	p.at = now
	switch {
	case p.slow || p.full:
		p.now = max(p.now/2, p.step())
		p.strain = "commits take long"
		if p.full {
			p.strain = "memory is short"
		}
	default:
		p.now = min(p.now+p.step(), p.most)
	}
	p.slow = false
}

// busy tells whether the others are to take this master's share: it takes less than half of what it
// could. One slow commit is none of their business.
func (p *pace) busy() bool { return 2*p.now < p.most }

// keepPace sets how many commands are taken, and tells the others when that makes a difference.
func (c *Core) keepPace() {
	for i := range c.lanes {
		if l := &c.lanes[i]; l.busy {
			c.pace.committed(c.now.Sub(l.began))
		}
	}
	c.pace.set(c.now)
	if busy := c.pace.busy(); busy != c.busy {
		c.busy = busy
		note := "overloaded, " + c.pace.strain + ": fewer runs are begun here, the other masters take the rest"
		if !busy {
			note = "the overload is over, runs are begun as before"
		}
		c.announce(note)
		c.moreCommands() // another share of them
	}
}

// slot is which of the commands this master prefers: its place among those that take work. The share
// of a busy one is everybody's at once; it goes on with that itself, and of several busy ones each
// has a share of its own, so that they do not all take the same.
func (c *Core) slot() (slot, slots int) {
	busy := c.pace.busy()
	for _, m := range c.fleet.view.OfRole(flow.RoleMaster) {
		switch {
		case m.Incarnation == c.lease.Incarnation:
			slot = slots
			slots++
		case m.State == flow.NodeReady || busy && m.State == flow.NodeBusy:
			slots++
		}
	}
	return slot, slots
}
