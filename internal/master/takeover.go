// Takeover: what this master does about others that seem dead, and with what they leave.

package master

import (
	"time"

	"baton/internal/rpc"
)

// handOutAtOnce bounds the instances of one HandOut.
const handOutAtOnce = 500

// fenceAgain is the pause after a fence that failed: the store is away, most likely.
const fenceAgain = time.Second

// readPeers asks the store for the other masters: with every beat, and when there is a hint.
func (c *Core) readPeers() {
	if c.lease.Incarnation == 0 {
		return
	}
	if c.fleet.reading {
		c.fleet.again = true
		return
	}
	c.fleet.reading = true
	c.emit(ReadPeers{})
}

func (c *Core) peersRead(e PeersRead) {
	c.fleet.reading = false
	c.storeAnswered(e.Err == nil)
	if e.Err == nil {
		c.fleet.read(e.Peers, c.now)
	}
	if c.fleet.again {
		c.fleet.again = false
		c.readPeers()
	}
}

// considerPeers does what is due about other masters.
func (c *Core) considerPeers() {
	for _, v := range c.fleet.judge(c.now) {
		s := c.fleet.stand(v.peer.Incarnation)
		switch {
		case v.probe:
			s.probing = true
			c.emit(Probe{v.peer.Incarnation, v.peer.Address})
		case v.fence:
			s.fencing, c.fleet.fenced = true, c.now
			c.emit(Condemn{v.peer.Incarnation, v.peer.Name, v.why})
		case v.heir && c.relieved(v.peer.Incarnation): // the others see it too
		case v.heir:
			s.fencing = true
			c.inherit(v.peer.Incarnation)
		}
	}
}

func (c *Core) probed(e Probed) {
	s := c.fleet.stand(e.Incarnation)
	s.probing, s.probed, s.outcome = false, c.now, e.Outcome
}

// condemned goes on when a master is fenced, whoever did it: it commits nothing any more, so what
// it owned can be given to others, and workers need not hear it any more.
func (c *Core) condemned(e Condemned) {
	if e.Err != nil {
		s := c.fleet.stand(e.Dead)
		s.fencing, s.again = false, c.now.Add(fenceAgain) // judged again then
		return
	}
	c.fleet.buried(e.Dead)
	for _, id := range sortedConns(c.conns) {
		if cn := c.conns[id]; c.sessions[cn.session] == cn { // the others hear it with their welcome
			c.send(id, func(f *rpc.FromMaster) { f.Fenced = append(f.Fenced, e.Dead) })
		}
	}
	if c.relieved(e.Dead) {
		c.fleet.stand(e.Dead).fencing = false
		return
	}
	c.inherit(e.Dead)
}

// inherit hands out what a dead master owned: to all masters that are well, so that one failover
// is not one master's burden. What was taken before without a commit stays with this one, which tries
// it with care.
func (c *Core) inherit(dead int64) {
	heirs := c.fleet.heirs(c.lease.Incarnation, dead)
	if len(heirs) == 1 {
		c.takeOver(dead)
		return
	}
	c.takeovers++
	c.emit(HandOut{Dead: dead, Heirs: heirs, Limit: handOutAtOnce})
}

func (c *Core) handedOut(e HandedOut) {
	c.takeovers--
	switch {
	case e.Err != nil:
		c.doubtOwned()
		c.tellHeirs(e.Heirs)
		c.takeOver(e.Dead) // it may have been carried out; what is left is mine
	case len(e.Mine)+e.Others == 0:
		c.takeOver(e.Dead)
	default:
		c.load(e.Mine)
		if e.Others > 0 {
			c.tellHeirs(e.Heirs)
		}
		c.inherit(e.Dead) // to those that are well now
	}
	c.becomeReady()
}

// tellHeirs has the others look for what they were handed, or may have been.
func (c *Core) tellHeirs(heirs []int64) {
	for _, heir := range heirs {
		if heir != c.lease.Incarnation {
			c.emit(Tell{heir})
		}
	}
}

// inherited notes that nothing of a dead master is left.
func (c *Core) inherited(dead int64) {
	c.fleet.stand(dead).fencing = false
	c.readPeers()
}

// lookForMine reads what the store says is mine: a dead master's instances were given to this one.
func (c *Core) lookForMine() {
	if c.polls.owning {
		c.polls.owned = c.now // once more when that is read
		return
	}
	c.readOwned(0)
}

// viewed takes what the registry shows. Whose share of the commands has grown reads them.
func (c *Core) viewed(e Viewed) {
	slot, slots := c.slot()
	c.fleet.viewed(e.View, c.now)
	c.readPeers()
	if now, of := c.slot(); now != slot || of != slots {
		c.readCommands()
	}
}
