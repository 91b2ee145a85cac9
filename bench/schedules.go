// Targets 10, 11 and 16: schedules that are due by the thousand, in turns and all at once.

package main

import (
	"context"
	"fmt"
	"time"

	"baton/bench/internal/limit"
	"baton/bench/internal/peer"
	"baton/bench/internal/proc"
	"baton/bench/internal/product"
	"baton/bench/internal/stat"
)

const (
	turns     = 10  // seconds in which each of the schedules is due once
	manyTurns = 100 // the same, of many
	// soon is how long before a stampede its schedules should be there.
	soon = 3 * time.Second
)

func (w *world) scheduleSessions() (plan []session) {
	if w.pg != nil {
		plan = append(plan, session{"schedules on PostgreSQL", func(ctx context.Context, n int) error { return w.punctual(ctx, n, "pg") }, true})
	}
	plan = append(plan, session{"schedules on SQLite", func(ctx context.Context, n int) error { return w.punctual(ctx, n, "sqlite") }, true})
	if w.pg != nil {
		plan = append(plan, session{"a stampede in which a master is killed", w.stampedeKilled, true})
		if w.river != nil {
			plan = append(plan, session{"river's periodic jobs", w.riverSchedules, false})
		}
	}
	return append(plan, session{"limits of schedules", w.scheduleLimits, false})
}

// punctual measures schedules that are due in turns, then others that are due at once.
func (w *world) punctual(ctx context.Context, round int, kind string) error {
	s, err := w.fresh(ctx, kind)
	if err != nil {
		return err
	}
	defer s.Stop()
	add := func(metric string, v float64) { w.Add(round, "schedules."+kind+"."+metric, v) }
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	empty, err := proc.PSS(s.PID)
	if err != nil {
		return err
	}
	t := product.Timetable{Name: "turn", N: w.schedules, Every: turns}
	took, err := s.Plan(ctx, t)
	if err != nil {
		return err
	}
	add("apply", stat.Median(took)/1000)
	if err := s.Planned(ctx); err != nil {
		return err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	from := time.Now().Truncate(time.Second).Add(2 * time.Second)
	var f product.Fired
	_, err = w.profiled(ctx, round, s, kind, "schedules", func() (product.Result, error) {
		f, err = s.Watch(ctx, t, from, from.Add(w.phase), nil)
		return f.Result, err
	})
	if err != nil {
		return fmt.Errorf("in turns: %w", err)
	}
	w.addFired(round, "schedules."+kind, f)
	add("cpu", f.CPUPerStep())
	busy, err := proc.PSS(s.PID)
	if err != nil {
		return err
	}
	add("pss", mib(busy))
	add("pss.empty", mib(empty))

	if err := s.Suspend(ctx, t); err != nil {
		return err
	}
	if f, err = w.stampede(ctx, s, took, nil); err != nil {
		return fmt.Errorf("stampede: %w", err)
	}
	w.addFired(round, "stampede."+kind, f)
	w.complaints(s)
	return nil
}

// addFired books how late things were, in ms.
func (w *world) addFired(round int, name string, f product.Fired) {
	for metric, late := range map[string][]float64{"decided": f.Decided, "ordered": f.Ordered, "run": f.Shown, "begun": f.Begun} {
		for suffix, p := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
			w.Add(round, name+"."+metric+"."+suffix, stat.Percentile(late, p)/1000)
		}
	}
}

// stampede has all schedules due in one second. took is how long a request of a thousand schedules lasts.
func (w *world) stampede(ctx context.Context, s *product.Server, took []float64, meanwhile func(int) error) (product.Fired, error) {
	all := time.Duration(stat.Percentile(took, 1)*float64(len(took))) * time.Microsecond
	for try := 1; ; try++ {
		at := time.Now().Truncate(time.Second).Add(time.Second + time.Duration(try)*(all+soon))
		t := product.Timetable{Name: fmt.Sprintf("stampede%d-", try), N: w.schedules, At: at.Truncate(time.Second)}
		if _, err := s.Plan(ctx, t); err != nil {
			return product.Fired{}, err
		}
		if err := s.Planned(ctx); err != nil {
			return product.Fired{}, err
		}
		if time.Until(t.At) > time.Second {
			return s.Watch(ctx, t, t.At, t.At.Add(time.Second), meanwhile)
		}
		if try == 3 {
			return product.Fired{}, fmt.Errorf("to apply %d schedules takes longer each time", w.schedules)
		}
	}
}

// stampedeKilled kills one of two masters when a quarter of the runs is ordered.
func (w *world) stampedeKilled(ctx context.Context, round int) error {
	c, _, err := w.cluster(ctx, "stampede", 2, 1)
	if err != nil {
		return err
	}
	defer c.Stop()
	warm := product.Timetable{Name: "warm", N: 1000, At: time.Now().AddDate(0, 0, 1)}
	took, err := c.Plan(ctx, warm)
	if err != nil {
		return err
	}
	for len(took)*1000 < w.schedules {
		took = append(took, took[0])
	}
	killed := 0
	f, err := w.stampede(ctx, c.Server, took, func(ordered int) error {
		if killed == 0 && ordered >= w.schedules/4 {
			killed = ordered
			c.Masters[0].Kill()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if killed == 0 || killed == w.schedules {
		w.note("the master was killed when %d of %d runs were ordered", killed, w.schedules)
	}
	w.Add(round, "stampede.killed.at", float64(killed))
	w.addFired(round, "stampede.killed", f)
	return nil
}

// manySchedules measures what it takes to have many: to load them, to keep them, to fire them after a start.
func (w *world) manySchedules(ctx context.Context, store string) error {
	kind := map[string]string{"postgres": "pg", "sqlite": "sqlite"}[store]
	if kind == "pg" && w.pg == nil {
		return nil // said before
	}
	s, dir, url, err := w.freshAt(ctx, kind)
	if err != nil {
		return err
	}
	defer func() { s.Stop() }()
	add := func(metric string, v float64) { w.Add(0, "many."+kind+"."+metric, v) }
	weigh := func(metric string) (float64, error) {
		if err := pause(ctx, w.idleFor/4); err != nil {
			return 0, err
		}
		pss, err := proc.PSS(s.PID)
		add(metric, mib(pss))
		return float64(pss), err
	}
	again := func() (err error) {
		s.Stop()
		s, err = w.startAt(ctx, kind, dir, url)
		return err
	}
	if err := again(); err != nil { // a first start makes its folder
		return err
	}
	add("start.empty", ms(s.Answer))
	empty, err := weigh("pss.empty")
	if err != nil {
		return err
	}
	began := time.Now()
	t := product.Timetable{Name: "many", N: w.many, Every: manyTurns}
	if _, err := s.Plan(ctx, t); err != nil {
		return err
	}
	add("apply", float64(w.many)/time.Since(began).Seconds())
	if err := s.Planned(ctx); err != nil {
		return err
	}
	if err := again(); err != nil {
		return err
	}
	add("start", ms(s.Answer))
	// What was due while nobody was there is made up for meanwhile.
	from := time.Now().Truncate(time.Second).Add(time.Second)
	f, err := s.Watch(ctx, t, from, from.Add(w.phase), nil)
	if err != nil {
		return err
	}
	w.addFired(0, "many."+kind, f)
	full, err := weigh("pss")
	if err != nil {
		return err
	}
	add("bytes", (full-empty)/float64(w.many))
	w.complaints(s)
	return nil
}

// riverSchedules measures the periodic jobs of a library, which are in the memory of one process: how late they
// begin, as Baton's first tasks.
func (w *world) riverSchedules(ctx context.Context, round int) error {
	dir, err := w.folder("river")
	if err != nil {
		return err
	}
	d, err := w.river.Start(ctx, dir, w.pg)
	if err != nil {
		return err
	}
	defer d.Stop()
	a, err := d.Do(ctx, peer.Order{Shape: "periodic", Tuned: true, Jobs: w.schedules, Seconds: w.phase.Seconds()})
	if err != nil {
		return err
	}
	for suffix, p := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
		w.Add(round, "river.schedules."+suffix, stat.Percentile(a.Gaps, p)/1000)
	}
	if len(a.Gaps) != a.Done {
		w.note("River: %d periodic jobs were due, %d began", a.Done, len(a.Gaps))
	}
	return nil
}

// scheduleLimits are timers of Go and the commits of one program that has nothing else to do.
func (w *world) scheduleLimits(ctx context.Context, round int) error {
	book := func(name string, l limit.Lateness) {
		w.Add(round, name+".p50", ms(l.P50))
		w.Add(round, name+".p99", ms(l.P99))
		w.Add(round, name+".max", ms(l.Max))
	}
	seconds := max(int(w.limitPhase.Seconds()), 2)
	l, err := limit.DueSQLite(ctx, w.dir, w.schedules/turns, seconds)
	if err != nil {
		return err
	}
	book("limit.due.sqlite", l)
	if l, err = limit.DueSQLite(ctx, w.dir, w.schedules, 1); err != nil {
		return err
	}
	book("limit.stampede.sqlite", l)
	if w.pg != nil {
		if l, err = w.pg.Due(ctx, w.schedules/turns, seconds); err != nil {
			return err
		}
		book("limit.due.pg", l)
		if l, err = w.pg.Due(ctx, w.schedules, 1); err != nil {
			return err
		}
		book("limit.stampede.pg", l)
	}
	return w.inside(ctx, round, "./internal/cron", "Next", "200ms", map[string]string{"ns/op": "cron.next"})
}
