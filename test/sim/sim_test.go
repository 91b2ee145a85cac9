package sim

import (
	"bytes"
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	seeds = flag.Int("seeds", 300, "histories to play")
	first = flag.Uint64("first", 1, "first seed")
	show  = flag.Bool("show", false, "print the trace of the first seed")
	most  = flag.Int64("failures", 1, "histories that fail before no more are played")
)

// TestHistories plays histories with every fault and checks the invariants of each.
func TestHistories(t *testing.T) {
	t.Parallel()
	var next, begins, judged, steps, failed atomic.Int64
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(*seeds) || failed.Load() >= *most {
					return
				}
				res := Run(Faulty(*first+uint64(i)), nil)
				begins.Add(int64(res.Begins))
				judged.Add(int64(res.Judged))
				steps.Add(int64(res.Steps))
				if err := res.Err(); err != nil {
					failed.Add(1)
					t.Errorf("%v\nreplay: go test ./test/sim -run TestHistories -seeds 1 -first %d -show -v", err, res.Seed)
				}
			}
		})
	}
	wg.Wait()
	if *show {
		var b bytes.Buffer
		Run(Faulty(*first), &b)
		t.Log(b.String())
	}
	t.Logf("%d histories, %d actions, %d lines in the ledgers, %d attempts on workers that were well", *seeds, steps.Load(), begins.Load(), judged.Load())
}

// TestDeadlyRuns: a run that ends its master is set aside, whatever was taken beside it goes on.
func TestDeadlyRuns(t *testing.T) {
	t.Parallel()
	var runs, quarantined int
	for seed := uint64(1); seed <= 60; seed++ {
		res := Run(Deadly(seed), nil)
		if err := res.Err(); err != nil {
			t.Fatal(err)
		}
		runs += res.Runs
		quarantined += res.Quarantined
	}
	if quarantined < 60 {
		t.Errorf("%d runs were quarantined: too few are deadly", quarantined)
	}
	t.Logf("%d of %d runs were quarantined", quarantined, runs)
}

// TestSameSeedSameTrace: a failing seed is worth something only if it replays.
func TestSameSeedSameTrace(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 20; seed++ {
		var a, b bytes.Buffer
		Run(Faulty(seed), &a)
		Run(Faulty(seed), &b)
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatalf("seed %d gave two traces", seed)
		}
	}
}

// TestMutants: the checks find every planted fault.
func TestMutants(t *testing.T) {
	t.Parallel()
	const most = 400
	for _, m := range []Mutant{NoGate, NoToken, AckBeforePersist, SendBeforeCommit} {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= most; seed++ {
				cfg := Faulty(seed)
				cfg.Mutant = m
				if err := Run(cfg, nil).Err(); err != nil {
					t.Logf("found by seed %d: %v", seed, err)
					return
				}
			}
			t.Errorf("%d histories with mutant %s broke no invariant", most, m)
		})
	}
}
