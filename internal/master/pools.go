// Slots of pools: asked for when a committed change claims some or gives some back, and now and then, in case that was
// not seen.

package master

import (
	"maps"
	"slices"
	"time"

	"baton/internal/flow"
)

const (
	// slotsEvery is how often slots are looked for that nobody was told of: given back where a master died, claimed
	// by a run that is gone, or come to be by a larger pool.
	slotsEvery = 10 * time.Second
	// slotsAtOnce bounds the keys of one question.
	slotsAtOnce = 50
)

// pools is what is to be asked of the store.
type pools struct {
	wanted map[flow.PoolKey]bool
	asking bool
	all    bool         // of every pool that something waits for
	after  flow.PoolKey // how far that has come
	looked flow.Time
}

// changed notes what a committed change makes of slots.
func (p *pools) changed(ch flow.Change) {
	for _, list := range [][]flow.Claim{ch.Claims, ch.Unclaims} {
		for _, c := range list {
			p.want(c.PoolKey)
		}
	}
}

func (p *pools) want(key flow.PoolKey) {
	if p.wanted == nil {
		p.wanted = map[flow.PoolKey]bool{}
	}
	p.wanted[key] = true
}

// net has all slots looked for now and then while something waits for some.
func (p *pools) net(waits bool, now flow.Time) {
	if waits && now.Sub(p.looked) >= slotsEvery {
		p.looked, p.all, p.after = now, true, flow.PoolKey{}
	}
}

// giveSlots asks the store, one question at a time.
func (c *Core) giveSlots() {
	p := &c.pools
	if p.asking || !c.ready || len(p.wanted) == 0 && !p.all {
		return
	}
	p.asking = true
	keys := slices.SortedFunc(maps.Keys(p.wanted), flow.PoolKey.Compare)
	keys = keys[:min(len(keys), slotsAtOnce)]
	for _, k := range keys {
		delete(p.wanted, k)
	}
	ask := GiveSlots{Keys: keys}
	if len(keys) == 0 {
		p.all, ask.After = false, p.after
	}
	c.emit(ask)
}

// slotsGiven has those looked after who were given some: they are parked, mine, or another master's.
func (c *Core) slotsGiven(e SlotsGiven) {
	c.pools.asking = false
	if e.Err != nil {
		c.pools.looked = 0 // all of them with the next poll
		return
	}
	for _, k := range e.Again {
		c.pools.want(k)
	}
	if e.Next != (flow.PoolKey{}) {
		c.pools.all, c.pools.after = true, e.Next
	}
	c.heardOf(e.Runs)
}
