// The master's host: its life, what befalls it, and the loop of its core, with delays and crashes.

package sim

import (
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/master"
	"baton/internal/task"
)

type masterHost struct {
	w     *World
	name  string // of the process, and its address
	home  string // "": a new process proves nothing about earlier ones
	types *task.Set
	core  *master.Core
	life  int // a crash begins the next one; what the old one started comes to nothing
	lease flow.Lease
	up    bool
	tick  flow.Time
	conns map[int64]*link
	// quarantines under way, by id
	poisons map[flow.ID]bool
	// What befell it.
	frozen   bool
	storeCut bool
	// swallowed: what asks a store that is away is not refused, but lost on the way; or it lies somewhere
	// in stuck and comes to the store late.
	swallowed bool
	stuck     []*stuck
	isolated  bool
	registry  client
	state     string         // as it says of itself
	pending   []master.Event // while it is frozen
	box       box[master.Event]
}

func (m *masterHost) start() {
	if m.noStore() {
		m.w.after(m.w.delay(300*time.Millisecond), m.start)
		return
	}
	m.life++
	m.up = true
	m.conns, m.poisons = map[int64]*link{}, map[flow.ID]bool{}
	m.lease = m.w.store.register(m.home, 0)
	m.w.store.names[m.lease.Incarnation] = m.name
	m.box = box[master.Event]{}
	m.registry = client{cut: m.registry.cut}
	m.state = "ready"
	if slices.Contains(m.lease.Draining, m.drainKey()) {
		m.state = "draining"
	}
	cfg := master.DefaultConfig()
	cfg.Lanes = 1 + m.w.rng.IntN(2)
	cfg.DrainKey, cfg.Name = m.drainKey(), m.name
	m.core = master.NewCore(cfg, m.types)
	m.w.log("master %d starts at %s", m.lease.Incarnation, m.name)
	m.step(master.Started{Lease: m.lease})
	for _, o := range m.w.masters { // links come up
		if o != m && o.up {
			m.link(o)
		}
	}
}

// drainKey is what a drain of this host is known by.
func (m *masterHost) drainKey() string {
	return flow.Node{Role: flow.RoleMaster, Home: m.home, Name: m.name}.DrainKey()
}

// noStore tells whether the store does not answer this master.
func (m *masterHost) noStore() bool { return m.storeCut || m.isolated || m.w.storeDown }

// link connects two masters; the end of it is a hint.
func (m *masterHost) link(o *masterHost) {
	a, b := m.lease.Incarnation, o.lease.Incarnation
	m.later(m.life, time.Millisecond, func() master.Event { return master.Linked{Incarnation: b, Up: true} })
	o.later(o.life, time.Millisecond, func() master.Event { return master.Linked{Incarnation: a, Up: true} })
}

// unlink tells the others that the links to this master broke.
func (m *masterHost) unlink() {
	inc := m.lease.Incarnation
	for _, o := range m.w.masters {
		if o != m && o.up {
			o.later(o.life, time.Millisecond, func() master.Event { return master.Linked{Incarnation: inc} })
		}
	}
}

// freeze is SIGSTOP: nothing is done until it goes on, and then everything that came meanwhile.
func (m *masterHost) freeze(d time.Duration) {
	if !m.up || m.frozen {
		return
	}
	m.frozen = true
	life := m.life
	m.w.after(d, func() {
		if m.life != life {
			return
		}
		m.frozen = false
		m.w.log("master %d goes on", m.lease.Incarnation)
		events := m.pending
		m.pending = nil
		m.step(append(events, master.Tick{})...)
	})
}

// isolate cuts the host off from everybody.
func (m *masterHost) isolate(d time.Duration) {
	m.isolated, m.registry.cut = true, true
	m.swallowed = true
	for _, l := range m.sortedConns() {
		l.cut()
	}
	m.unlink()
	m.w.after(d, func() {
		m.isolated, m.registry.cut = false, false
		defer m.release()
		m.w.log("master %s is reached again", m.name)
		for _, o := range m.w.masters {
			if m.up && o != m && o.up {
				m.link(o)
			}
		}
	})
}

// crash is kill -9.
func (m *masterHost) crash(why string) {
	if !m.up {
		return
	}
	m.w.log("master %d crashes %s", m.lease.Incarnation, why)
	m.life++
	m.up, m.frozen, m.pending, m.tick, m.stuck = false, false, nil, 0, nil
	m.unlink()
	for _, l := range m.sortedConns() {
		l.cut()
	}
	m.w.after(m.w.delay(300*time.Millisecond), m.start)
}

func (m *masterHost) step(events ...master.Event) {
	if !m.up {
		return
	}
	if m.frozen {
		m.pending = append(m.pending, events...)
		return
	}
	life := m.life
	events, free := m.box.add(m.w, events, func() {
		if m.life == life {
			m.box.busy = false
			m.step()
		}
	})
	if !free {
		return
	}
	for _, fx := range m.core.Step(m.w.now, events...) {
		m.carryOut(life, fx)
		if m.life != life {
			return
		}
	}
}

// later answers after a while, unless the master crashed meanwhile.
func (m *masterHost) later(life int, d time.Duration, ev func() master.Event) {
	m.w.after(m.w.delay(d), func() {
		if m.life == life {
			m.step(ev())
		}
	})
}

// write changes the store after a while and answers, unless the master crashed meanwhile: then it may have
// been on its way already.
func (m *masterHost) write(life int, ev func() master.Event) {
	m.w.after(m.w.delay(500*time.Microsecond), func() {
		if m.life == life {
			m.step(ev())
		} else if m.w.rng.IntN(2) == 0 {
			ev()
		}
	})
}
