// Files that arrive where a trigger looks for them.

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// arrival is a file that is to be moved to where a trigger looks.
type arrival struct {
	name  string
	after time.Duration // the one before it
	away  time.Duration // it is taken away after so long, for so long, and comes back as it was; 0: it stays
}

// moved is a file that was; it came between two moments.
type moved struct {
	path     string
	from, to time.Time
}

// planArrivals makes more than there will be time for.
func planArrivals(o Options, rng *rand.Rand) []arrival {
	out := make([]arrival, 2000)
	for i := range out {
		out[i].name = fmt.Sprintf("file-%d-%d.csv", o.Seed, i)
		if rng.IntN(4) > 0 { // otherwise it comes at once
			out[i].after = time.Duration(0.4 * rng.Float64() * float64(o.Lease)).Round(time.Millisecond)
		}
		if rng.IntN(4) == 0 {
			out[i].away = time.Duration(rng.IntN(3000)) * time.Millisecond
		}
	}
	return out
}

func (a arrival) String() string { return fmt.Sprintf("%s after %s, away %s", a.name, a.after, a.away) }

// inbox is where the trigger looks, outbox where files are before and meanwhile.
func (r *run) inbox() string  { return filepath.Join(r.dir, "in") }
func (r *run) outbox() string { return filepath.Join(r.dir, "out") }

// arrivals moves what is planned, until ctx is done. What was taken away comes back in any case.
func (r *run) arrivals(ctx context.Context) {
	var away sync.WaitGroup
	defer away.Wait()
	for _, a := range r.plan.arrivals {
		if wait(ctx, a.after); ctx.Err() != nil {
			return
		}
		whole, there := filepath.Join(r.outbox(), a.name), filepath.Join(r.inbox(), a.name)
		if err := os.WriteFile(whole, []byte(a.name), 0o600); err != nil {
			r.fault("write a file: %v", err)
			return
		}
		from := time.Now()
		r.rename(whole, there)
		to := time.Now()
		if a.away == 0 {
			r.arrived(moved{there, from, to})
			continue
		}
		away.Go(func() {
			wait(ctx, a.away)
			r.rename(there, whole)
			wait(ctx, a.away)
			r.rename(whole, there)
			r.arrived(moved{there, from, time.Now()})
		})
	}
}

func (r *run) rename(from, to string) {
	if err := os.Rename(from, to); err != nil {
		r.fault("move a file: %v", err)
	}
}

func (r *run) arrived(m moved) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved = append(r.moved, m)
}

// coarse is how much too early the times of a file may be.
const coarse = 50 * time.Millisecond

// brokenFiles: each file that was moved has one run, for the time at which it came, and there is no other run.
func brokenFiles(files []moved, t triggered) (out []violation) {
	of := map[string][]instance{}
	for _, in := range t.runs {
		of[in.Params["key"]] = append(of[in.Params["key"]], in)
	}
	for _, f := range files {
		runs := of[f.path]
		delete(of, f.path)
		switch {
		case len(runs) == 0:
			out = append(out, violation{invFiles, "", fmt.Sprintf("file %s came at %s and has no run", f.path, clock(f.from))})
		case len(runs) > 1:
			out = append(out, violation{invFiles, runs[0].ID, fmt.Sprintf("file %s has %d runs, %s and %s", f.path, len(runs), runs[0].ID, runs[1].ID)})
		case runs[0].DataTime.Before(f.from.Add(-coarse)) || runs[0].DataTime.After(f.to):
			out = append(out, violation{invFiles, runs[0].ID, fmt.Sprintf("file %s came between %s and %s, its run %s is for %s", f.path, clock(f.from), clock(f.to), runs[0].ID, clock(runs[0].DataTime))})
		}
	}
	for path, runs := range of {
		out = append(out, violation{invFiles, runs[0].ID, fmt.Sprintf("run %s is of file %q, which nobody moved", runs[0].ID, path)})
	}
	return append(out, t.unmatched(invFiles)...)
}
