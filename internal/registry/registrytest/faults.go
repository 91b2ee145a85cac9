// What networks, servers and processes do to members.

package registrytest

import (
	"context"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
)

// A client whose packets go nowhere is seen to depart, no sooner than it says itself, and is
// there again when the network is.
func testStalled(w *world) {
	a, b := w.open(), w.open()
	seen, own := b.watch(), a.watch()
	m := w.member("a")
	p := a.announce(m)
	seen.until("the member", has(m))
	before := own.until("itself", has(m))
	until := p.Until()
	a.Stall()
	cut := time.Now()
	until = max(until, p.Until())
	v := own.until("that it is cut off", cutOff)
	if !has(m)(v) {
		w.Errorf("cut off it does not show what it saw last: %+v", v)
	}
	seen.until("its departure", lacks(m))
	if now := flow.At(time.Now()); now < until-5000 {
		w.Errorf("departed at %s, but it was told %s", now, until)
	}
	if d := time.Since(cut); d > w.backend.Lease+5*time.Second {
		w.Errorf("departed %s after the cut, with a lease of %s", d, w.backend.Lease)
	}
	if now := flow.At(time.Now()); p.Until() > now {
		w.Errorf("it still believes in its lease until %s at %s", p.Until(), now)
	}
	a.Heal()
	seen.until("its return", has(m))
	after := own.until("that it is back", func(v registry.View) bool { return inReach(v) && has(m)(v) })
	if after.Since <= before.Since || after.Since < flow.At(cut) {
		w.Errorf("since %s, before the cut it was since %s", after.Since, before.Since)
	}
}

// A connection that breaks and is made again within the lease concerns nobody: members stay,
// leases stay.
func testBlip(w *world) {
	a, b := w.open(), w.open()
	seen := b.watch()
	m := w.member("a")
	p := a.announce(m)
	l := a.acquire("name", m.Incarnation)
	seen.until("the member", has(m))
	seen.each = func(v registry.View) {
		if !has(m)(v) {
			w.Errorf("it was missing: %+v", v)
		}
	}
	for used := range 3 {
		a.Cut()
		a.Heal()
		m.Load.Used = 100 + used
		p.Update(m)
		seen.until("an update after the cut", func(v registry.View) bool { got, _ := v.Find(m.Incarnation); return got == m })
	}
	if isClosed(l.Lost()) {
		w.Error("the lease was lost")
	}
	if err := l.Release(w.Context()); err != nil {
		w.Error(err)
	}
}

// What changed while a watch was cut off is seen after it.
func testGap(w *world) {
	a, b := w.open(), w.open()
	seen := b.watch()
	gone, stays, comes := w.member("gone"), w.member("stays"), w.member("comes")
	p := a.announce(gone)
	q := a.announce(stays)
	seen.until("two", has(gone, stays))
	b.Cut()
	seen.until("that it is cut off", cutOff)
	if err := p.Withdraw(w.Context()); err != nil {
		w.Fatal(err)
	}
	stays.State = "busy"
	q.Update(stays)
	a.announce(comes)
	b.Heal()
	v := seen.until("the view of now", func(v registry.View) bool {
		got, _ := v.Find(stays.Incarnation)
		return inReach(v) && has(comes)(v) && got == stays
	})
	if has(gone)(v) {
		w.Errorf("who withdrew is still there: %+v", v)
	}
}

// Without a registry Announce waits, and does nothing behind the back of who gave up.
func testAnnounceCut(w *world) {
	a, b := w.open(), w.open()
	a.Cut()
	m, other := w.member("a"), w.member("b")
	ctx, cancel := context.WithTimeout(w.Context(), w.backend.Lease)
	defer cancel()
	if _, err := a.Announce(ctx, m, w.backend.Lease); err == nil {
		w.Fatal("it was announced without a registry")
	}
	first := a.watch().until("an empty view", func(registry.View) bool { return true })
	if first.Since != 0 || len(first.Members) != 0 {
		w.Errorf("%+v", first)
	}
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		defer cancel()
		_, err := a.Announce(ctx, other, w.backend.Lease)
		done <- err
	}()
	seen := b.watch()
	seen.until("nobody", func(v registry.View) bool { return inReach(v) && len(v.Members) == 0 })
	a.Heal()
	if err := <-done; err != nil {
		w.Fatal(err)
	}
	if v := seen.until("the other", has(other)); has(m)(v) {
		w.Error("who was given up is announced")
	}
}

// A process that is frozen for longer than its lease is seen to depart and its name goes to
// another; awake, it learns that it lost the name, and is announced again.
func testFrozen(w *world) {
	b := w.open()
	seen := b.watch()
	m := w.member("frozen")
	child := w.child(m, "name")
	fence := child.ready()
	seen.until("the child", has(m))
	child.freeze()
	seen.until("its departure", lacks(m))
	l := b.acquire("name", 2)
	if l.Fence() <= fence {
		w.Errorf("fence %d after %d", l.Fence(), fence)
	}
	child.thaw()
	child.lost()
	seen.until("its return", has(m))
	child.end()
	seen.until("its end", lacks(m))
}

// A server that is started anew, with its data: nobody departs, everybody goes on.
func testRestart(w *world) {
	a, b := w.open(), w.open()
	seen := b.watch()
	m, n := w.member("a"), w.member("b")
	p := a.announce(m)
	b.announce(n)
	a.acquire("name", m.Incarnation)
	seen.until("both", has(m, n))
	w.server.Stop(w)
	w.server.Start(w)
	m.State = "busy"
	p.Update(m)
	seen.until("both, in touch", func(v registry.View) bool {
		got, _ := v.Find(m.Incarnation)
		return inReach(v) && has(m, n)(v) && got == m
	})
	l := b.acquire("other", n.Incarnation)
	if err := l.Release(w.Context()); err != nil {
		w.Error(err)
	}
}

// A server that is gone for longer than the lease: nobody may conclude anything from it, no
// client ends, and everybody is there when it is.
func testKilled(w *world) {
	a, b := w.open(), w.open()
	seen, own := b.watch(), a.watch()
	m, n := w.member("a"), w.member("b")
	p := a.announce(m)
	b.announce(n)
	l := a.acquire("name", m.Incarnation)
	seen.until("both", has(m, n))
	own.until("both", has(m, n))
	w.server.Kill(w)
	seen.until("that it is out of reach", cutOff)
	own.until("that it is out of reach", cutOff)
	w.isLost(l)
	w.eventually("the end of the lease, by the clock alone", func() bool { return flow.At(time.Now()) >= p.Until() })
	w.server.Start(w)
	began := flow.At(time.Now())
	v := seen.until("both again", func(v registry.View) bool { return inReach(v) && has(m, n)(v) })
	if v.Since < began-w1 {
		w.Errorf("since %s, the server is back since %s", v.Since, began)
	}
	m.Load.Used = 77
	p.Update(m)
	seen.until("a renewal", func(v registry.View) bool { got, _ := v.Find(m.Incarnation); return inReach(v) && got == m })
	w.eventually("a lease", func() bool { return p.Until() > began })
	// What was lost stays lost, and can be had again.
	if got := a.acquire("name", m.Incarnation); got.Fence() <= l.Fence() {
		w.Errorf("fence %d after %d", got.Fence(), l.Fence())
	}
}

// w1 is what starting takes at most between being ready and being told so.
const w1 = flow.Time(10_000_000)

// A server that comes back at once and knows nothing: sessions are over before their time, and the
// clients notice, also those that only watch.
func testForgotten(w *world) {
	w.backend.Lease = 5 * time.Second // longer than a start takes
	a, b := w.open(), w.open()
	seen := b.watch()
	m, n := w.member("a"), w.member("b")
	a.announce(m)
	l := a.acquire("name", m.Incarnation)
	seen.until("the member", has(m))
	for range 20 { // a history that the next one will not have soon
		if err := b.acquire("history", 1).Release(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
	killed := flow.At(time.Now())
	w.server.Kill(w)
	w.backend.Wipe(w, w.server)
	w.server.Start(w)
	w.isLost(l)
	b.announce(n)
	// Who has seen it since before may not conclude anything from what it forgot.
	seen.until("both, seen anew", func(v registry.View) bool { return v.Since > killed && has(m, n)(v) })
	a.acquire("name", m.Incarnation)
}
