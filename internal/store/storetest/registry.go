// The store as a registry.

package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"baton/internal/flow"
)

func testRegistryMembers(w *world) {
	r := w.db.Registry()
	other, _ := w.register("home-2")
	// Registered is live; what it says of itself comes with the announcement.
	n := flow.Node{
		Incarnation: w.me, Role: flow.RoleMaster, Name: "new name", Address: "h:1", Version: "v2", Engine: 3, State: "busy",
		CPU: 0.25, Memory: 0.5, Slots: 8, Running: 2,
	}
	w.ok(r.Announce(w.ctx, n, time.Minute, false))
	nodes, at, ends, err := r.Members(w.ctx)
	w.ok(err)
	if len(nodes) != 2 || at == 0 || ends <= 0 || ends > 10*time.Second {
		w.Fatalf("%d members at %s, the first for %s", len(nodes), at, ends)
	}
	w.same(n, nodes[0])
	w.ok(r.Renew(w.ctx, []int64{w.me, other}, time.Hour))
	if _, _, ends, err = r.Members(w.ctx); err != nil || ends < 50*time.Minute {
		w.Errorf("renewed until %s, %v", ends, err)
	}
	w.ok(r.Renew(w.ctx, nil, time.Hour))
	w.ok(r.Withdraw(w.ctx, []int64{other}))
	nodes, _, _, err = r.Members(w.ctx)
	w.ok(err)
	w.same([]flow.Node{n}, nodes)
	// A lease that is over but noticed by nobody is renewed.
	w.ok(r.Renew(w.ctx, []int64{other}, time.Hour))
	// Who was declared dead is no member any more, and cannot be one again.
	if won, err := w.m.Fence(w.ctx, other); err != nil || !won {
		w.Fatal(won, err)
	}
	nodes, _, _, err = r.Members(w.ctx)
	w.ok(err)
	w.same([]flow.Node{n}, nodes)
	for what, err := range map[string]error{
		"announce": r.Announce(w.ctx, flow.Node{Incarnation: other}, time.Hour, true),
		"renew":    r.Renew(w.ctx, []int64{w.me, other}, time.Hour),
		"unknown":  r.Announce(w.ctx, flow.Node{Incarnation: 1 << 50}, time.Hour, true),
	} {
		if !errors.Is(err, flow.ErrFenced) {
			w.Errorf("%s: %v", what, err)
		}
	}
}

func testRegistryNames(w *world) {
	r := w.db.Registry()
	first, _, err := r.Claim(w.ctx, "name", 1, time.Hour)
	w.ok(err)
	if first == 0 {
		w.Fatal("nobody has it, and it was not given")
	}
	fence, free, err := r.Claim(w.ctx, "name", 2, time.Hour)
	if fence != 0 || free < 50*time.Minute || err != nil {
		w.Errorf("somebody has it: fence %d, free in %s, %v", fence, free, err)
	}
	if other, _, err := r.Claim(w.ctx, "other", 2, time.Hour); other <= first || err != nil {
		w.Errorf("another name: %d %v", other, err)
	}
	w.ok(r.Keep(w.ctx, []string{"name"}, []int64{first}, time.Hour))
	w.ok(r.Give(w.ctx, []string{"name"}, []int64{first + 1000})) // not ours
	w.ok(r.Keep(w.ctx, []string{"name"}, []int64{first}, time.Microsecond))
	// It was not renewed, and another takes it.
	var second int64
	for second == 0 {
		second, _, err = r.Claim(w.ctx, "name", 2, time.Hour)
		w.ok(err)
	}
	if second <= first {
		w.Errorf("fence %d after %d", second, first)
	}
	if err := r.Keep(w.ctx, []string{"name"}, []int64{first}, time.Hour); !errors.Is(err, flow.ErrFenced) {
		w.Errorf("kept by who lost it: %v", err)
	}
	w.ok(r.Give(w.ctx, []string{"name"}, []int64{first}))
	if fence, _, err := r.Claim(w.ctx, "name", 3, time.Hour); fence != 0 || err != nil {
		w.Errorf("given back by who lost it: %d %v", fence, err)
	}
	w.ok(r.Give(w.ctx, []string{"name"}, []int64{second}))
	if err := r.Keep(w.ctx, []string{"name"}, []int64{second}, time.Hour); !errors.Is(err, flow.ErrFenced) {
		w.Errorf("kept after it was given back: %v", err)
	}
	third, _, err := r.Claim(w.ctx, "name", 3, time.Hour)
	if third <= second || err != nil {
		w.Errorf("fence %d after %d, %v", third, second, err)
	}
}

// Of many who claim a name at once one gets it.
func testRegistryRace(w *world) {
	r := w.db.Registry()
	var mu sync.Mutex
	var got []int64
	var all sync.WaitGroup
	for holder := range int64(8) {
		all.Go(func() {
			fence, _, err := r.Claim(w.ctx, "name", holder, time.Hour)
			if err != nil {
				w.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if fence != 0 {
				got = append(got, fence)
			}
		})
	}
	all.Wait()
	if len(got) != 1 {
		w.Errorf("%d have it: %v", len(got), got)
	}
}

// What is told is heard, where there is a way.
func testRegistryTold(w *world) {
	r := w.db.Registry()
	heard := make(chan flow.NodeChange, 10)
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.Listen(ctx, func(c flow.NodeChange) { heard <- c }) }()
	listens := false
	select {
	case err := <-ended:
		if !errors.Is(err, flow.ErrNoChannel) {
			w.Error(err)
		}
	case <-heard:
		listens = true
	}
	n := flow.Node{Incarnation: w.me, Name: "n", State: "busy", CPU: 0.25}
	long := flow.Node{Incarnation: w.me, Name: strings.Repeat("long", 3000)}
	for _, c := range []struct {
		change func() error
		want   flow.NodeChange
	}{
		{func() error { return r.Announce(w.ctx, n, time.Hour, true) }, flow.NodeChange{Node: &n}},
		{func() error { return r.Announce(w.ctx, long, time.Hour, true) }, flow.NodeChange{}},
		{func() error { return r.Withdraw(w.ctx, []int64{w.me}) }, flow.NodeChange{Gone: []int64{w.me}}},
		{func() error {
			fence, _, err := r.Claim(w.ctx, "name", 1, time.Hour)
			return errors.Join(err, r.Give(w.ctx, []string{"name"}, []int64{fence}))
		}, flow.NodeChange{}},
	} {
		w.ok(c.change())
		if !listens {
			continue
		}
		select {
		case got := <-heard:
			if got.At == 0 {
				w.Error("it does not say when")
			}
			got.At = 0
			w.same(c.want, got)
		case err := <-ended:
			w.Errorf("%+v was not heard: %v", c.want, err)
		}
	}
	cancel()
	if listens {
		<-ended
	}
}
