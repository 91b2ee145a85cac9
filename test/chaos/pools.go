// Tasks that share limits.

package chaos

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// narrow is a pool that tasks of all runs share; mutex has one slot for each key.
const (
	narrow = "narrow"
	mutex  = "mutex"
)

// pools are their slots.
var pools = map[string]int{narrow: 2, mutex: 1}

// holding is a stretch of time in which something held slots.
type holding struct {
	from, to time.Time
	slots    int
	run      string
	token    int64
}

// checkPools adds up what was held. An attempt holds its slots at least from its first line in the ledger on, and until Baton
// recorded its end: what a process writes later, whose worker was declared lost, is fenced and holds nothing.
func (r *run) checkPools(ctx context.Context, pasts []past, lines map[int64][]entry) {
	held := map[string][]holding{}
	for _, p := range pasts {
		def := definition(p.Workflow)
		for _, a := range p.attempts {
			s := def.tasks[a.Task]
			written := lines[a.Token]
			if s.pool == "" || len(written) == 0 || a.EndedAt == nil || !written[0].at.Before(*a.EndedAt) {
				continue
			}
			name := s.pool
			if s.pool == mutex {
				name += " " + p.Params["key"]
			}
			held[name] = append(held[name], holding{written[0].at, *a.EndedAt, s.takes, p.ID, a.Token})
		}
	}
	for name, list := range held {
		r.looked(invPools, len(list))
		slots := pools[narrow]
		if name != narrow {
			slots = pools[mutex]
		}
		for _, h := range tooMany(list, slots) {
			r.violate(invPools, h.run, "pool %s has %d slots, and more were held at %s, when token %d of run %s began", name, slots, clock(h.from), h.token, h.run)
		}
	}
	for name := range pools {
		var pool struct{ Used, Waiters int }
		if err := r.client.get(ctx, "/api/v1/projects/default/pools/"+name, &pool); err != nil {
			r.fault("read pool %s: %v", name, err)
		} else if pool.Used > 0 || pool.Waiters > 0 {
			r.violate(invPools, "", "all is over, and of pool %s %d slots are held and %d tasks wait", name, pool.Used, pool.Waiters)
		}
	}
}

// tooMany are those that began when with them more was held than there is.
func tooMany(list []holding, slots int) (out []holding) {
	slices.SortFunc(list, func(a, b holding) int { return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.token, b.token)) })
	for i, h := range list {
		sum := 0
		for _, other := range list[:i+1] {
			if other.to.After(h.from) {
				sum += other.slots
			}
		}
		if sum > slots {
			out = append(out, h)
		}
	}
	return out
}
