// Slots of pools: asked for when a committed change claims some or gives some back, and now and then, in case that was
// not seen.

package master

import "baton/internal/flow"

// slotsAtOnce bounds the keys of one question.
const slotsAtOnce = 50

// pools are asked for slots by pool and key.
type pools struct{ asks[flow.PoolKey] }

// changed notes what a committed change makes of slots.
func (p *pools) changed(ch flow.Change) {
	for _, list := range [][]flow.Claim{ch.Claims, ch.Unclaims} {
		for _, c := range list {
			p.want(c.PoolKey)
		}
	}
}

// giveSlots asks the store, one question at a time.
func (c *Core) giveSlots() {
	if !c.ready {
		return
	}
	if q, ok := c.pools.next(slotsAtOnce, flow.PoolKey.Compare); ok {
		c.emit(GiveSlots{Keys: q.keys, After: q.after})
	}
}

// slotsGiven has those looked after who were given some: they are parked, mine, or another master's.
func (c *Core) slotsGiven(e SlotsGiven) {
	if c.pools.answered(e.Err, e.Again, e.Next) {
		c.heardOf(e.Runs)
	}
}
