// Run: one history from a seed.

package sim

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
)

// Result of one history.
type Result struct {
	Seed       uint64
	Sum        uint64 // of the trace: the same seed gives the same
	Steps      int
	Begins     int
	Judged     int // attempts whose worker was well all the time
	Violations []string

	Runs, Quarantined int
}

// Err tells what was wrong, nil if nothing was.
func (r Result) Err() error {
	if len(r.Violations) == 0 {
		return nil
	}
	return fmt.Errorf("seed %d: %d violations:\n  %s", r.Seed, len(r.Violations), strings.Join(r.Violations[:min(len(r.Violations), 12)], "\n  "))
}

// Faulty is a configuration with every fault, for a seed.
func Faulty(seed uint64) Config {
	c := Config{
		Seed: seed, Workers: 1 + int(seed%3), Runs: 12, Crash: 0.01, Batch: 0.2, Unknown: 0.02, Break: 0.005, PowerLoss: 0.3, Verbs: 0.5, Poison: 0.1, Refuse: 0.6, Strain: 0.15,
		Masters: 1 + int(seed/3%3), Starts: 5 * time.Second, Trouble: 0.3, Calm: time.Minute, Until: 6 * time.Hour,
	}
	c.Apart = c.Masters > 1 && seed%7 < 2
	c.Schedules = int(seed / 5 % 3)
	c.Backfills = int(seed / 7 % 4)
	c.Triggers = int(seed / 2 % 4)
	if seed%2 == 0 { // longer, and troubled all the time
		c.Starts, c.Trouble, c.Crash = 40*time.Second, 0.9, 0.004
	}
	return c
}

// Deadly is a configuration in which some runs end the master that drives them, and nothing else
// does: of each history nothing but these may be quarantined.
func Deadly(seed uint64) Config {
	return Config{
		Seed: seed, Workers: 1 + int(seed%3), Runs: 40, Starts: 5 * time.Second, Break: 0.005, Deadly: 0.08, Kills: 3, Until: time.Hour,
	}
}

// Run plays one history. The trace goes to w, which may be nil.
func Run(cfg Config, trace io.Writer) (res Result) {
	w := newWorld(cfg, trace)
	res.Seed = cfg.Seed
	defer func() {
		if r := recover(); r != nil {
			res.Violations = append(res.Violations, fmt.Sprintf("panic: %v", r))
			res.Sum, res.Steps = w.sum, w.steps
		}
	}()
	for i := range max(cfg.Masters, 1) {
		m := &masterHost{w: w, name: fmt.Sprintf("m%d", i), types: types()}
		if cfg.Masters <= 1 || w.rng.IntN(2) == 0 {
			m.home = m.name
		}
		w.masters = append(w.masters, m)
		w.after(w.delay(10*time.Millisecond), m.start)
	}
	w.balance.Strategy = []flow.Strategy{flow.LeastLoaded, flow.Random, flow.RoundRobin, flow.Weighted}[w.rng.IntN(4)]
	w.registry = &Registry{w: w, members: map[int64]*member{}}
	w.after(time.Millisecond, w.registry.beat)
	runs := w.play()
	w.plan()
	w.backfill()
	w.rerunTogether()
	w.listen()
	w.trouble()
	for range cfg.Kills {
		w.after(time.Duration(w.rng.Int64N(int64(6*time.Second))), func() { w.masters[0].crash("because it is killed") })
	}
	for i := range cfg.Workers {
		h := &workerHost{w: w, name: fmt.Sprintf("w%d", i), procs: map[int64]*proc{}, parted: map[*masterHost]bool{}}
		w.workers = append(w.workers, h)
		w.after(w.delay(10*time.Millisecond), h.start)
	}
	if cfg.Apart {
		w.workers[0].apart = w.masters[0]
	}
	err := w.run(func() bool {
		if !w.planned() {
			return false
		}
		done := w.done(slices.Concat(runs, w.fired, w.children())) // which helps runs, and so backfills
		return w.backfilled() && w.heardAll() && done
	})
	runs = slices.Concat(runs, w.fired, w.children())
	res.Sum, res.Steps, res.Begins = w.sum, w.steps, len(w.ledger.entries)
	res.Violations = w.check(runs)
	res.Judged = w.judged
	res.Runs = len(runs)
	for _, in := range w.store.instances {
		if in.Instance.State == flow.InstanceQuarantined {
			res.Quarantined++
		}
	}
	if err != nil {
		res.Violations = append(res.Violations, err.Error())
		for _, m := range w.masters {
			if m.up && !m.frozen && w.store.fenced[m.lease.Incarnation] {
				res.Violations = append(res.Violations, fmt.Sprintf("master %d (%s) was declared dead and does not join anew", m.lease.Incarnation, m.name))
			}
		}
		for _, id := range sorted(w.store.inbox) {
			it := w.store.inbox[id]
			res.Violations = append(res.Violations, fmt.Sprintf("inbox item %d for %d waits: %s", id, it.Instance, it.Payload))
		}
		for _, a := range runs {
			if in := w.store.instances[a.id]; in != nil && !in.Instance.State.Ended() {
				res.Violations = append(res.Violations, fmt.Sprintf("run %d of w%d is %s: %s, owner %d, behind poison %v", a.id, in.Instance.Workflow, in.Instance.State, in.Instance.Reason, in.Instance.Owner, w.store.behindPoison(in.Instance)))
				for _, row := range in.Tasks {
					if !row.State.Ended() && row.Valid {
						res.Violations = append(res.Violations, fmt.Sprintf("  task %s is %s: %s; attempt %d token %d session %d %s kill %d", row.Name, row.State, row.Reason, row.Attempt.Number, row.Attempt.Token, row.Attempt.Session, row.Attempt.State, row.Kill))
					}
				}
			}
		}
	}
	return res
}
