// Package registrytest is the conformance suite of a registry: what every backend must do, with
// its servers stopped, killed and cut off. Each test waits for what it wants to see, with a
// deadline; none sleeps.
//
// It must not know a backend: it is given servers and clients.
package registrytest

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"baton/internal/registry"
)

// Backend makes what a test needs.
type Backend struct {
	// Serve starts a server for one test, which ends with it; nil when there is none.
	Serve func(t testing.TB) Server
	// Open makes a client of the server at an address, which may be that of a proxy before it.
	Open func(ctx context.Context, address string, log *slog.Logger) (registry.Registry, error)
	// Local makes clients that need no server, each with its link; instead of Serve and Open.
	Local func(t testing.TB) func(t testing.TB) (registry.Registry, Link)
	// Register makes an incarnation that the backend knows; nil if any will do.
	Register func(t testing.TB, address string) int64
	// Lease is the length the tests use: as short as the server allows.
	Lease time.Duration
}

// Server is a registry's server that belongs to a test.
type Server interface {
	Address() string
	// Kill ends it at once, Stop in order. Start runs it again at its address, with its data.
	Kill(t testing.TB)
	Stop(t testing.TB)
	Start(t testing.TB)
}

// Link is the way from one client to the registry.
type Link interface {
	// Cut breaks connections and refuses new ones.
	Cut()
	// Stall lets connections stand and nothing pass.
	Stall()
	Heal()
}

// Run runs the suite.
func Run(t *testing.T, b Backend) {
	t.Helper()
	for _, c := range []struct {
		name    string
		test    func(*world)
		servers bool // it needs a server of its own
	}{
		{"members/seen", testSeen, false},
		{"members/load and state", testUpdate, false},
		{"members/withdraw", testWithdraw, false},
		{"members/close", testClose, false},
		{"members/twice", testTwice, false},
		{"members/slow reader", testSlowReader, false},
		{"faults/expired behind a stall", testStalled, false},
		{"faults/a short cut is nothing", testBlip, false},
		{"faults/changes during a gap", testGap, false},
		{"faults/announce while cut off", testAnnounceCut, false},
		{"faults/frozen process", testFrozen, true},
		{"faults/restarted server", testRestart, true},
		{"faults/killed server", testKilled, true},
		{"leases/contend", testContend, false},
		{"leases/give up", testGiveUp, false},
		{"leases/lost in time", testLost, false},
		{"leases/release while cut off", testReleaseCut, false},
		{"leases/history", testHistory, false},
	} {
		if c.servers && b.Serve == nil {
			continue // there is nothing to stop
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(newWorld(t, b))
		})
	}
}

// patience bounds every wait; the machine may be busy.
const patience = 40 * time.Second

// world is one registry and its clients.
type world struct {
	testing.TB
	backend Backend
	server  Server
	local   func(testing.TB) (registry.Registry, Link)
}

var incarnations atomic.Int64

func newWorld(t *testing.T, b Backend) *world {
	t.Helper()
	w := &world{TB: t, backend: b}
	if b.Local != nil {
		w.local = b.Local(t)
	} else {
		w.server = b.Serve(t)
	}
	return w
}

// peer is a client with its link.
type peer struct {
	*world
	registry.Registry
	Link
}

func (w *world) open() *peer {
	w.Helper()
	if w.local != nil {
		r, link := w.local(w.TB)
		return &peer{w, r, link}
	}
	p := newProxy(w.TB, w.server.Address())
	r, err := w.backend.Open(w.Context(), p.address, quiet(w.TB))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		p.Heal()
		if err := r.Close(); err != nil {
			w.Errorf("close: %v", err)
		}
		p.close()
	})
	return &peer{w, r, p}
}

// quiet logs to the test.
func quiet(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func (w *world) member(name string) registry.Member {
	w.Helper()
	m := registry.Member{Incarnation: incarnations.Add(1), Role: "master", Name: name, Address: "127.0.0.1:7078", Version: "v1", Engine: 3, State: "ready", Load: registry.Load{CPU: 0.25, Memory: 0.5, Slots: 8, Used: 3}}
	if w.backend.Register != nil {
		m.Incarnation = w.backend.Register(w.TB, w.server.Address())
	}
	return m
}

func (p *peer) announce(m registry.Member) registry.Presence {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	presence, err := p.Announce(ctx, m, p.backend.Lease)
	if err != nil {
		p.Fatal(err)
	}
	return presence
}

func (p *peer) acquire(name string, holder int64) registry.Lease {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	l, err := p.Acquire(ctx, name, holder, p.backend.Lease)
	if err != nil {
		p.Fatal(err)
	}
	return l
}

// reader watches, and looks at every view on the way.
type reader struct {
	*peer
	views <-chan registry.View
	last  registry.View
	each  func(registry.View)
}

func (p *peer) watch() *reader { return &reader{peer: p, views: p.Watch(p.Context())} }

// until waits for a view.
func (r *reader) until(what string, want func(registry.View) bool) registry.View {
	r.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		select {
		case v, ok := <-r.views:
			if !ok {
				r.Fatalf("the watch ended before %s", what)
			}
			if r.each != nil {
				r.each(v)
			}
			r.last = v
			if want(v) {
				return v
			}
		case <-deadline.C:
			r.Fatalf("waited %s in vain for %s; last seen: %+v", patience, what, r.last)
		}
	}
}

func has(ms ...registry.Member) func(registry.View) bool {
	return func(v registry.View) bool {
		for _, m := range ms {
			if _, ok := v.Find(m.Incarnation); !ok {
				return false
			}
		}
		return true
	}
}

func lacks(m registry.Member) func(registry.View) bool {
	return func(v registry.View) bool { return !has(m)(v) && v.Since != 0 }
}

func cutOff(v registry.View) bool { return v.Since == 0 }
func inReach(v registry.View) bool {
	return v.Since != 0
}

// isLost waits until a lease is lost.
func (w *world) isLost(l registry.Lease) {
	w.Helper()
	select {
	case <-l.Lost():
	case <-time.After(patience):
		w.Fatal("the lease was not lost")
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// FreePort is a port that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
