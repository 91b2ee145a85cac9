// Tasks that share limits.

package chaos

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
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
	given    time.Time // it got them then, or later
	slots    int
	run      string
	token    int64
}

// size is how many slots a pool gives from an order on that took effect between two moments; none while it is closed.
type size struct {
	slots       int
	asked, done time.Time
	order       string
}

func firstSizes() map[string][]size {
	out := map[string][]size{}
	for name, slots := range pools {
		out[name] = []size{{slots: slots}}
	}
	return out
}

// most is the greatest size that may have been in force at a moment between two.
func most(sizes []size, from, to time.Time) int {
	out := 0
	for i, s := range sizes {
		if !s.asked.After(to) && (i == len(sizes)-1 || !sizes[i+1].done.Before(from)) {
			out = max(out, s.slots)
		}
	}
	return out
}

// poolOrder is an order for a pool.
type poolOrder struct {
	pool, what string // set, close, open
	slots      int
	api        int
	pause      time.Duration // after the order before it
}

func (o poolOrder) String() string {
	return fmt.Sprintf("pool %s %s %d api=%d after %s", o.pool, o.what, o.slots, o.api, o.pause)
}

// planPools makes more orders than there will be time for. What is closed is opened soon.
func planPools(o Options, rng *rand.Rand) []poolOrder {
	out := make([]poolOrder, 1000)
	names := slices.Sorted(maps.Keys(pools))
	closed := ""
	for i := range out {
		p := &out[i]
		p.pool, p.what, p.api = names[rng.IntN(len(names))], "set", rng.IntN(2)
		p.pause = time.Duration((0.1 + 0.5*rng.Float64()) * float64(o.Lease)).Round(time.Millisecond)
		p.slots = rng.IntN(pools[p.pool] + 3)
		switch kind := rng.IntN(4); {
		case closed != "" && kind > 0:
			p.pool, p.what, closed = closed, "open", ""
		case closed == "" && kind == 0:
			p.what, closed = "close", p.pool
		}
	}
	return out
}

// resize gives the planned orders until ctx is done, and then makes the pools what they were.
func (r *run) resize(ctx, last context.Context) {
	slots, closed := maps.Clone(pools), map[string]bool{}
	give := func(o poolOrder) {
		path, body := "/api/v1/projects/default/pools/"+o.pool+"/"+o.what, any(nil)
		method := http.MethodPost
		switch o.what {
		case "set":
			slots[o.pool] = o.slots
			method, path, body = http.MethodPut, "/api/v1/projects/default/pools/"+o.pool+"/slots", map[string]int{"slots": o.slots}
		default:
			closed[o.pool] = o.what == "close"
		}
		now := size{asked: time.Now(), order: o.String()}
		if !r.persist(last, o.api, method, path, body, nil, "") {
			r.fault("%s was not taken", o)
			return
		}
		now.done = time.Now()
		if !closed[o.pool] {
			now.slots = slots[o.pool]
		}
		r.sizes[o.pool] = append(r.sizes[o.pool], now)
	}
	for _, o := range r.plan.pools {
		if wait(ctx, o.pause); ctx.Err() != nil {
			break
		}
		give(o)
	}
	for name, slots := range pools {
		give(poolOrder{pool: name, what: "open"})
		give(poolOrder{pool: name, what: "set", slots: slots})
	}
}

// holders notes since when slots are held, until ctx is done.
func (r *run) holders(ctx context.Context) {
	type pool struct {
		Holders []struct {
			Instance, Task string
			Since          time.Time
		}
	}
	for api := 0; ctx.Err() == nil; api++ {
		var page list[pool]
		if _, err := r.client.call(ctx, api, http.MethodGet, "/api/v1/pools", nil, &page, ""); err == nil {
			for _, p := range page.Items {
				for _, h := range p.Holders {
					if of := h.Instance + " " + h.Task; !slices.Contains(r.given[of], h.Since) {
						r.given[of] = append(r.given[of], h.Since)
					}
				}
			}
		}
		wait(ctx, 200*time.Millisecond)
	}
}

// givenTo is when an attempt got its slots, at the earliest: when somebody saw that, or when the attempt before it had ended.
func (r *run) givenTo(p past, a attempt) time.Time {
	out := p.SubmittedAt
	for _, other := range p.attempts {
		if other.TaskInstance == a.TaskInstance && other.Token < a.Token && other.EndedAt != nil && other.EndedAt.After(out) {
			out = *other.EndedAt
		}
	}
	for _, since := range r.given[p.ID+" "+a.Task] {
		if since.After(out) && !since.After(a.GrantedAt) {
			out = since
		}
	}
	return out
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
			held[name] = append(held[name], holding{written[0].at, *a.EndedAt, r.givenTo(p, a), s.takes, p.ID, a.Token})
		}
	}
	for name, list := range held {
		r.looked(invPools, len(list))
		pool, _, _ := strings.Cut(name, " ")
		for _, h := range tooMany(list, func(from, to time.Time) int { return most(r.sizes[pool], from, to) }) {
			r.violate(invPools, h.run, "pool %s: more slots were held at %s than there ever were since the last of them was given, when token %d of run %s began", name, clock(h.from), h.token, h.run)
		}
	}
	for name, slots := range pools {
		var pool struct {
			Slots, Used, Waiters int
			Closed               bool
		}
		if err := r.client.get(ctx, "/api/v1/projects/default/pools/"+name, &pool); err != nil {
			r.fault("read pool %s: %v", name, err)
		} else if pool.Used > 0 || pool.Waiters > 0 {
			r.violate(invPools, "", "all is over, and of pool %s %d slots are held and %d tasks wait", name, pool.Used, pool.Waiters)
		} else if pool.Slots != slots || pool.Closed {
			r.violate(invPools, "", "pool %s was made to have %d slots again, has %d, and closed is %t", name, slots, pool.Slots, pool.Closed)
		}
	}
}

// tooMany are those that began when with them more was held than there was at any moment since the last of it was given.
func tooMany(list []holding, most func(from, to time.Time) int) (out []holding) {
	slices.SortFunc(list, func(a, b holding) int { return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.token, b.token)) })
	for i, h := range list {
		sum, last := 0, h.given
		for _, other := range list[:i+1] {
			if other.to.After(h.from) {
				sum += other.slots
				if other.given.After(last) {
					last = other.given
				}
			}
		}
		if sum > most(last, h.from) {
			out = append(out, h)
		}
	}
	return out
}
