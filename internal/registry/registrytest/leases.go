// Names held by one at a time.

package registrytest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"baton/internal/registry"
)

func testContend(w *world) {
	a, b := w.open(), w.open()
	first := a.acquire("name", 1)
	other := b.acquire("another/name with * signs", 1) // names do not meet
	got := make(chan registry.Lease, 1)
	go func() { got <- b.acquire("name", 2) }()
	// Longer than a lease: it is renewed.
	select {
	case l := <-got:
		w.Fatalf("two hold it: %d and %d", first.Fence(), l.Fence())
	case <-first.Lost():
		w.Fatal("it was not renewed")
	case <-time.After(w.backend.Lease + w.backend.Lease/2):
	}
	begun := time.Now()
	if err := first.Release(w.Context()); err != nil {
		w.Fatal(err)
	}
	second := <-got
	if d := time.Since(begun); d > 5*time.Second {
		w.Errorf("handed over after %s", d)
	}
	if second.Fence() <= first.Fence() {
		w.Errorf("fence %d after %d", second.Fence(), first.Fence())
	}
	if !isClosed(first.Lost()) || isClosed(second.Lost()) || isClosed(other.Lost()) {
		w.Error("the wrong one is lost")
	}
	if err := first.Release(w.Context()); err != nil || isClosed(second.Lost()) {
		w.Errorf("released twice: %v", err)
	}
	// One client is not one holder.
	again := make(chan registry.Lease, 1)
	go func() { again <- b.acquire("name", 2) }()
	select {
	case <-again:
		w.Error("the same client holds it twice")
	case <-time.After(w.backend.Lease / 4):
	}
	if err := second.Release(w.Context()); err != nil {
		w.Error(err)
	}
	third := <-again
	if third.Fence() <= second.Fence() {
		w.Errorf("fence %d after %d", third.Fence(), second.Fence())
	}
}

// Who gives up waiting holds nothing, and holds up nobody.
func testGiveUp(w *world) {
	a, b := w.open(), w.open()
	held := a.acquire("name", 1)
	ctx, cancel := context.WithTimeout(w.Context(), w.backend.Lease/4)
	defer cancel()
	if _, err := b.Acquire(ctx, "name", 2, w.backend.Lease); !errors.Is(err, context.DeadlineExceeded) {
		w.Fatal(err)
	}
	if err := held.Release(w.Context()); err != nil {
		w.Fatal(err)
	}
	a.acquire("name", 1)
}

// awake runs a test that only a process that is given the processor can pass: who sleeps through
// the end of a lease learns of it late, whatever it does, and that is what fences are for. When
// this process was seen to sleep, what the test found says nothing, and it is run again.
func awake(w *world, try func() (complaint string)) {
	w.Helper()
	for range 5 {
		stop := make(chan struct{})
		slept := make(chan time.Duration)
		go func() {
			var most time.Duration
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for last := time.Now(); ; {
				select {
				case <-tick.C:
					most, last = max(most, time.Since(last)), time.Now()
				case <-stop:
					slept <- most
					return
				}
			}
		}()
		complaint := try()
		close(stop)
		most := <-slept
		switch {
		case complaint == "":
			return
		case most < w.backend.Lease/20:
			w.Fatal(complaint)
		}
		w.Logf("this process was kept from running for %s; again", most)
	}
	w.Fatal("this machine is too busy to tell")
}

// Who is cut off knows that it lost its name before another has it.
func testLost(w *world) { awake(w, func() string { return lostInTime(w) }) }

func lostInTime(w *world) (complaint string) {
	a, b := w.open(), w.open()
	held := a.acquire("name", 1)
	got := make(chan bool, 1)
	var l registry.Lease
	go func() {
		l = b.acquire("name", 2)
		got <- isClosed(held.Lost())
	}()
	a.Stall()
	if known := <-got; !known {
		complaint = "two hold it"
	}
	if l.Fence() <= held.Fence() {
		w.Errorf("fence %d after %d", l.Fence(), held.Fence())
	}
	a.Heal()
	if err := held.Release(w.Context()); err != nil {
		w.Errorf("release of what was lost: %v", err)
	}
	if isClosed(l.Lost()) {
		w.Error("the late release took it from its holder")
	}
	if err := l.Release(w.Context()); err != nil {
		w.Error(err)
	}
	return complaint
}

// A release that is not answered is an error, and no name is held for ever by it.
func testReleaseCut(w *world) {
	a, b := w.open(), w.open()
	m := w.member("a")
	a.announce(m) // keeps the session
	held := a.acquire("name", 1)
	a.Cut()
	ctx, cancel := context.WithTimeout(w.Context(), w.backend.Lease/4)
	defer cancel()
	if err := held.Release(ctx); err == nil {
		w.Error("released without a registry")
	}
	if !isClosed(held.Lost()) {
		w.Error("what was given back is still believed in")
	}
	a.Heal()
	b.acquire("name", 2)
}

// op is an acquire or the end of a hold, as its client knows it.
type op struct {
	acquire bool
	fence   int64
}

// Clients with bad links contend for a name. However the registry ordered it, there is an order
// in which each got it when nobody had it, with a greater number than all before.
func testHistory(w *world) { awake(w, func() string { return history(w) }) }

func history(w *world) (complaint string) {
	const clients, rounds = 3, 8
	model := porcupine.Model{
		Init: func() any { return [2]int64{} }, // held, greatest fence
		Step: func(state, input, _ any) (bool, any) {
			s, o := state.([2]int64), input.(op)
			if o.acquire {
				return s[0] == 0 && o.fence > s[1], [2]int64{1, o.fence}
			}
			return s[0] == 1 && s[1] == o.fence, [2]int64{0, s[1]}
		},
		DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
	}
	var mu sync.Mutex
	var history []porcupine.Operation
	begun := time.Now()
	record := func(client int, o op, call, ret time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		history = append(history, porcupine.Operation{ClientId: client, Input: o, Call: int64(call), Return: int64(ret)})
	}
	var all sync.WaitGroup
	for c := range clients {
		p := w.open()
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), 7))
			for range rounds {
				call := time.Since(begun)
				ctx, cancel := context.WithTimeout(w.Context(), patience)
				l, err := p.Acquire(ctx, "name", int64(c), w.backend.Lease)
				cancel()
				if err != nil {
					w.Errorf("client %d: %v", c, err)
					return
				}
				record(c, op{true, l.Fence()}, call, time.Since(begun))
				switch rng.IntN(4) {
				case 0: // it believes in it until it knows better
					p.Stall()
					w.isLost(l)
				case 1:
					p.Cut()
				}
				call = time.Since(begun)
				ctx, cancel = context.WithTimeout(w.Context(), w.backend.Lease/8)
				_ = l.Release(ctx) // cut off it ends by itself
				cancel()
				record(c, op{false, l.Fence()}, call, time.Since(begun))
				p.Heal()
			}
		})
	}
	all.Wait()
	if len(history) != 2*clients*rounds {
		w.Errorf("%d operations", len(history))
	}
	if !porcupine.CheckOperations(model, history) {
		return fmt.Sprintf("no order explains this: %+v", history)
	}
	return ""
}
