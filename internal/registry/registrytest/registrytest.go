// Package registrytest is the conformance suite of a registry: what every backend must do, with
// its servers stopped, killed and cut off. Each test waits for what it wants to see, with a
// deadline; none sleeps.
//
// It must not know a backend: it is given servers and clients.
package registrytest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
)

// Backend makes what a test needs.
type Backend struct {
	// Serve starts a server, which ends with t; nil when there is none.
	Serve func(t testing.TB) Server
	// Space makes an empty place at a server, for one test; nil if its name is enough.
	Space func(t testing.TB, address, name string)
	// Open makes a client of a space of the server at an address, which may be that of a proxy.
	Open func(ctx context.Context, address, space string, log *slog.Logger) (registry.Registry, error)
	// Local makes clients that need no server, each with its link; instead of Serve and Open.
	Local func(t testing.TB) func(t testing.TB) (registry.Registry, Link)
	// Register makes an incarnation that the backend knows; nil if any will do.
	Register func(t testing.TB, address, space, role string) int64
	// Wipe removes what a stopped server knows; nil where a server that forgets is another one.
	Wipe func(t testing.TB, s Server)
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

// Run runs the suite, or those tests of it whose names begin as one of only.
func Run(t *testing.T, b Backend, only ...string) {
	t.Helper()
	var shared Server
	if b.Serve != nil {
		shared = b.Serve(t)
	}
	for _, c := range []struct {
		name    string
		test    func(*world)
		process bool // it needs processes
		servers bool // it needs a server of its own, to stop it
	}{
		{"members/seen", testSeen, false, false},
		{"members/load and state", testUpdate, false, false},
		{"members/withdraw", testWithdraw, false, false},
		{"members/close", testClose, false, false},
		{"members/twice", testTwice, false, false},
		{"members/slow reader", testSlowReader, false, false},
		{"faults/expired behind a stall", testStalled, false, false},
		{"faults/a short cut is nothing", testBlip, false, false},
		{"faults/changes during a gap", testGap, false, false},
		{"faults/announce while cut off", testAnnounceCut, false, false},
		{"faults/frozen process", testFrozen, true, false},
		{"faults/restarted server", testRestart, true, true},
		{"faults/killed server", testKilled, true, true},
		{"faults/a server that forgets", testForgotten, true, true},
		{"leases/contend", testContend, false, false},
		{"leases/give up", testGiveUp, false, false},
		{"leases/lost in time", testLost, false, false},
		{"leases/release while cut off", testReleaseCut, false, false},
		{"leases/history", testHistory, false, false},
	} {
		if c.process && b.Serve == nil {
			continue // there is nothing to stop, and no other process
		}
		if b.Wipe == nil && strings.HasSuffix(c.name, "forgets") {
			continue
		}
		if len(only) > 0 && !slices.ContainsFunc(only, func(prefix string) bool { return strings.HasPrefix(c.name, prefix) }) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own := shared
			if c.servers {
				own = b.Serve(t)
			}
			c.test(newWorld(t, b, own))
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
	space   string
	local   func(testing.TB) (registry.Registry, Link)
}

var incarnations atomic.Int64

var spaces atomic.Int64

func newWorld(t *testing.T, b Backend, server Server) *world {
	t.Helper()
	w := &world{TB: t, backend: b, server: server, space: fmt.Sprintf("test%d", spaces.Add(1))}
	if b.Local != nil {
		w.local = b.Local(t)
	}
	if b.Space != nil {
		b.Space(t, server.Address(), w.space)
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
	r, err := w.backend.Open(w.Context(), p.address, w.space, quiet(w.TB))
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
	return w.memberOf(flow.RoleMaster, name)
}

func (w *world) memberOf(role, name string) registry.Member {
	w.Helper()
	m := registry.Member{Incarnation: incarnations.Add(1), Role: role, Name: name, Address: "127.0.0.1:7078", Version: "v1", Engine: 3, State: "ready", Load: registry.Load{CPU: 0.25, Memory: 0.5, Slots: 8, Used: 3}}
	if w.backend.Register != nil {
		m.Incarnation = w.backend.Register(w.TB, w.server.Address(), w.space, role)
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

// eventually waits for what no view shows.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !holds(); {
		select {
		case <-tick.C:
		case <-deadline:
			w.Fatalf("waited %s in vain for %s", patience, what)
		}
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
