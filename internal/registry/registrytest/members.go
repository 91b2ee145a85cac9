// What members say and others see.

package registrytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
)

func testSeen(w *world) {
	a, b := w.open(), w.open()
	seen := b.watch()
	first := seen.until("the first view", func(registry.View) bool { return true })
	if len(first.Members) != 0 {
		w.Errorf("before anybody was announced: %+v", first)
	}
	m, n := w.member("a"), w.memberOf(flow.RoleStandalone, "b")
	begun := time.Now()
	p := a.announce(m)
	if left := flow.At(time.Now()); p.Until() < left || p.Until() > flow.At(time.Now()).Add(w.backend.Lease) {
		w.Errorf("announced at %s for %s, until %s", flow.At(begun), w.backend.Lease, p.Until())
	}
	// Announce returns when others can see it: who begins to watch now does.
	late := w.open().watch().until("a view at all", inReach)
	if got, ok := late.Find(m.Incarnation); !ok || got != m {
		w.Errorf("after Announce had returned: %+v", late)
	}
	b.announce(n)
	v := seen.until("both", has(m, n))
	if v.Since == 0 || !slices.IsSortedFunc(v.Members, func(a, b registry.Member) int { return int(a.Incarnation - b.Incarnation) }) {
		w.Errorf("%+v", v)
	}
	got, _ := v.Find(m.Incarnation)
	if other, _ := v.Find(n.Incarnation); got != m || other != n {
		w.Errorf("got %+v and %+v\nwant %+v and %+v", got, other, m, n)
	}
	if masters := v.OfRole(flow.RoleMaster); len(masters) != 2 {
		w.Errorf("masters: %+v", masters)
	}
}

func testUpdate(w *world) {
	a, b := w.open(), w.open()
	seen := b.watch()
	m := w.member("a")
	p := a.announce(m)
	seen.until("the member", has(m))
	// A load comes with a renewal, a state at once; the newest of many wins.
	for used := range 20 {
		m.Load.Used, m.Load.CPU = used, float64(used)/32
		p.Update(m)
	}
	seen.until("the load", func(v registry.View) bool { got, _ := v.Find(m.Incarnation); return got == m })
	m.State = "draining"
	p.Update(m)
	seen.until("the state", func(v registry.View) bool { got, _ := v.Find(m.Incarnation); return got == m })
	// An update names no other member.
	other := m
	other.Incarnation, other.State = m.Incarnation+1000, "busy"
	p.Update(other)
	v := seen.until("the state of the same", func(v registry.View) bool { got, _ := v.Find(m.Incarnation); return got.State == "busy" })
	if _, there := v.Find(other.Incarnation); there {
		w.Errorf("%+v", v)
	}
}

func testWithdraw(w *world) {
	a, b := w.open(), w.open()
	seen := b.watch()
	m := w.member("a")
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	p, err := a.Announce(ctx, m, time.Minute) // no lease is the reason that it vanishes
	if err != nil {
		w.Fatal(err)
	}
	seen.until("the member", has(m))
	begun := time.Now()
	if err := p.Withdraw(ctx); err != nil {
		w.Fatal(err)
	}
	seen.until("its departure", lacks(m))
	if d := time.Since(begun); d > 10*time.Second {
		w.Errorf("it vanished after %s", d)
	}
	if err := p.Withdraw(ctx); err != nil {
		w.Errorf("again: %v", err)
	}
	p.Update(m) // of one that is gone: nothing
	if until := p.Until(); until > flow.At(time.Now()) {
		w.Errorf("until %s", until)
	}
	a.announce(m)
	seen.until("its return", has(m))
}

func testClose(w *world) {
	a, b := w.open(), w.open()
	seen, own := b.watch(), a.watch()
	m := w.member("a")
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if _, err := a.Announce(ctx, m, time.Minute); err != nil {
		w.Fatal(err)
	}
	held, err := a.Acquire(ctx, "name", m.Incarnation, time.Minute)
	if err != nil {
		w.Fatal(err)
	}
	own.until("itself", has(m))
	seen.until("the member", has(m))
	begun := time.Now()
	if err := a.Close(); err != nil {
		w.Fatal(err)
	}
	w.isLost(held)
	seen.until("its departure", lacks(m))
	b.acquire("name", 2)
	if d := time.Since(begun); d > 10*time.Second {
		w.Errorf("it vanished after %s", d)
	}
	for range own.views { //nolint:revive // until it is closed
	}
	if _, err := a.Announce(ctx, m, time.Minute); !errors.Is(err, registry.ErrClosed) {
		w.Errorf("announce: %v", err)
	}
	if _, err := a.Acquire(ctx, "name", 1, time.Minute); !errors.Is(err, registry.ErrClosed) {
		w.Errorf("acquire: %v", err)
	}
	if _, open := <-a.Watch(ctx); open {
		w.Error("a closed client watches")
	}
}

func testTwice(w *world) {
	a := w.open()
	m := w.member("a")
	p := a.announce(m)
	if _, err := a.Announce(w.Context(), m, w.backend.Lease); err == nil {
		w.Error("an incarnation was announced twice")
	}
	if p.Until() == 0 {
		w.Error("the first announcement is gone")
	}
}

// A reader who does not read misses views between and finds the newest.
func testSlowReader(w *world) {
	a, b := w.open(), w.open()
	slow, quick := b.watch(), b.watch()
	var members []registry.Member
	for i := range 10 {
		m := w.member(fmt.Sprint("m", i))
		a.announce(m)
		members = append(members, m)
	}
	quick.until("all", has(members...))
	v := <-slow.views
	if !has(members...)(v) {
		v = <-slow.views // it was being replaced
	}
	if !has(members...)(v) {
		w.Errorf("the newest view has %d members", len(v.Members))
	}
	ctx, cancel := context.WithCancel(w.Context())
	third := &reader{peer: b, views: b.Watch(ctx)}
	third.until("the present view at once", has(members...))
	cancel()
	for range third.views { //nolint:revive // until it is closed
	}
}
