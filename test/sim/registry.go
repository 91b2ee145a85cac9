// Registry: a model of the registry, and of what lies between nodes: who can reach whom, who is
// frozen.

package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
	"baton/internal/master"
	"baton/internal/registry"
	"baton/internal/rpc"
)

// Registry is the model: members with leases, and views that reach each master after a while.
type Registry struct {
	w       *World
	members map[int64]*member
	down    bool
}

type member struct {
	host  *masterHost
	until flow.Time
	state string
}

// client is one master's side of the registry.
type client struct {
	since flow.Time
	cut   bool
	seen  string // what was told last
}

// beat lets every master that can renew its lease, and tells each what it sees. It is the poll and
// the watch in one, every half second.
func (r *Registry) beat() {
	w := r.w
	for _, h := range w.masters {
		if !h.up || h.frozen {
			continue
		}
		reach := !r.down && !h.registry.cut
		switch {
		case !reach:
			h.registry.since = 0
		case h.registry.since == 0:
			h.registry.since = w.now
		}
		if reach {
			r.members[h.lease.Incarnation] = &member{h, w.now.Add(simLease), h.state}
		}
	}
	for _, h := range w.masters {
		if h.up && !h.frozen {
			r.show(h)
		}
	}
	for _, h := range w.workers {
		h.look()
	}
	w.after(500*time.Millisecond, r.beat)
}

// show tells a master what it sees, if that is new.
func (r *Registry) show(h *masterHost) {
	v := registry.View{Since: h.registry.since}
	var seen strings.Builder
	seen.WriteString(v.Since.String())
	for _, inc := range slices.Sorted(maps.Keys(r.members)) {
		m := r.members[inc]
		if v.Since != 0 && m.until <= r.w.now {
			continue
		}
		v.Members = append(v.Members, registry.Member{
			Incarnation: inc, Role: flow.RoleMaster, Name: m.host.name, Address: m.host.name, Engine: flow.EngineVersion, State: m.state,
		})
		seen.WriteString(" " + flow.ID(inc).String() + m.state)
	}
	if seen.String() == h.registry.seen {
		return
	}
	h.registry.seen = seen.String()
	life := h.life
	h.later(life, time.Millisecond, func() master.Event { return master.Viewed{View: v} })
}

// probe is what a master finds at the address of another.
func (w *World) probe(from *masterHost, incarnation int64, name string) rpc.Outcome {
	for _, h := range w.masters {
		if h.name != name {
			continue
		}
		switch {
		case h.frozen || h.isolated || from.isolated:
			return rpc.Silent
		case !h.up || h.lease.Incarnation != incarnation:
			return rpc.Gone
		case h.storeCut || w.storeDown:
			return rpc.Astray
		default:
			return rpc.Alive
		}
	}
	return rpc.Gone
}

// trouble has something happen to the fleet now and then: a node freezes, is cut off from the
// store, the registry or everybody; the store or the registry is away for all.
func (w *World) trouble() {
	if w.cfg.Trouble == 0 {
		return
	}
	w.after(time.Duration(w.rng.Int64N(int64(5*time.Second))), func() {
		if w.now.Sub(start) > w.cfg.Calm {
			return
		}
		if w.chance(w.cfg.Trouble) {
			w.befall()
		}
		w.trouble()
	})
}

func (w *World) befall() {
	// Short ones heal within the lease, long ones outlive it.
	d := time.Duration(w.rng.Int64N(int64(3 * time.Second)))
	if w.rng.IntN(3) == 0 {
		d = time.Duration(w.rng.Int64N(int64(25 * time.Second)))
	}
	h := w.masters[w.rng.IntN(len(w.masters))]
	k := w.workers[w.rng.IntN(len(w.workers))]
	switch w.rng.IntN(15) {
	case 0:
		w.log("master %s freezes for %s", h.name, d)
		h.freeze(d)
	case 1:
		w.log("worker %s freezes for %s", k.name, d)
		k.freeze(d)
	case 2:
		w.log("master %s is cut off from the store for %s", h.name, d)
		h.storeCut, h.swallowed = true, w.rng.IntN(2) == 0
		w.after(d, func() { h.storeCut = false; w.log("master %s reaches the store again", h.name); h.release() })
	case 3:
		w.log("master %s is cut off from the registry for %s", h.name, d)
		h.registry.cut = true
		w.after(d, func() { h.registry.cut = false; w.log("master %s reaches the registry again", h.name) })
	case 4:
		w.log("master %s is cut off from everybody for %s", h.name, d)
		h.isolate(d)
	case 5:
		w.log("worker %s is cut off for %s", k.name, d)
		k.isolate(d)
	case 6:
		w.log("the store is away for %s", d)
		w.storeDown = true
		swallowed := w.rng.IntN(2) == 0
		for _, m := range w.masters {
			m.swallowed = swallowed
		}
		w.after(d, func() {
			w.storeDown = false
			w.log("the store is back")
			for _, m := range w.masters {
				m.release()
			}
		})
	case 7:
		w.log("the registry is away for %s", d)
		w.registry.down = true
		w.after(d, func() { w.registry.down = false; w.log("the registry is back") })
	case 14:
		w.log("the store is restored")
		w.store.restore()
		for _, m := range w.masters {
			m.crash("because the store is restored")
		}
	case 13:
		k.end(d)
	case 12:
		w.log("the store is slow for %s", d)
		w.storeSlow = 700 * time.Millisecond
		w.after(d, func() { w.storeSlow = 0; w.log("the store is fast again") })
	case 8:
		w.log("the link of worker %s and master %s is cut for %s", k.name, h.name, d)
		k.part(h, d)
	case 9:
		w.drain("master "+h.name, h.drainKey(), d)
	case 10:
		w.drain("worker "+k.name, flow.Node{Role: flow.RoleWorker, Home: k.name}.DrainKey(), d)
	case 11:
		w.store.length = []time.Duration{4 * time.Second, simLease, 20 * time.Second}[w.rng.IntN(3)]
		w.store.shortest = min(w.store.shortest, w.store.length)
		w.log("leases are %s from now on", w.store.length)
	}
}

// drain has a node take nothing new for a while.
func (w *World) drain(what, key string, d time.Duration) {
	w.log("%s is drained for %s", what, d)
	w.store.drain(key, true)
	w.pokeDrains()
	w.after(d, func() {
		w.store.drain(key, false)
		w.log("%s is not drained any more", what)
		w.pokeDrains()
	})
}

// pokeDrains tells the masters that drains have changed, or their polls find it.
func (w *World) pokeDrains() {
	for _, m := range w.masters {
		if w.rng.IntN(2) == 0 {
			m.later(m.life, time.Millisecond, func() master.Event { return master.Poked{Drains: true} })
		}
	}
}
