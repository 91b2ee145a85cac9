// Sessions of the peers and of the limits.

package main

import (
	"context"

	"baton/bench/internal/limit"
	"baton/bench/internal/peer"
	"baton/bench/internal/proc"
	"baton/bench/internal/stat"
)

func (w *world) startTemporal(ctx context.Context, kind string) (*peer.RunningTemporal, error) {
	dir, err := w.folder("temporal-" + kind)
	if err != nil {
		return nil, err
	}
	if kind == "sqlite" {
		return w.temporal.Start(ctx, dir, nil)
	}
	return w.temporal.Start(ctx, dir, w.pg)
}

// temporalOn measures the same shapes as Baton's session.
func (w *world) temporalOn(ctx context.Context, round int, kind string) error {
	t, err := w.startTemporal(ctx, kind)
	if err != nil {
		return err
	}
	defer t.Stop()
	add := func(metric string, v float64) { w.Add(round, "temporal."+kind+"."+metric, v) }
	seconds := w.phase.Seconds()

	a, err := t.Do(ctx, peer.Order{Shape: "chain", Steps: steps, Clients: 1, Count: max(w.idleRuns/15, 3)})
	if err != nil {
		return err
	}
	add("idle.p50", stat.Percentile(a.Gaps, 0.5))
	add("idle.p99", stat.Percentile(a.Gaps, 0.99))

	if a, err = t.Do(ctx, peer.Order{Shape: "chain", Steps: steps, Clients: w.clients, Seconds: seconds}); err != nil {
		return err
	}
	add("steps", float64(a.Steps)/a.Seconds)
	add("cpu", us(a.CPU)/float64(max(a.Steps, 1)))
	most := float64(a.Workflows) / a.Seconds

	if a, err = t.Do(ctx, peer.Order{Shape: "chain", Steps: 1, Clients: w.clients, Seconds: seconds}); err != nil {
		return err
	}
	add("single", float64(a.Workflows)/a.Seconds)

	if a, err = t.Do(ctx, peer.Order{Shape: "chain", Steps: steps, Rate: most / 2, Seconds: seconds}); err != nil {
		return err
	}
	add("load.p50", stat.Percentile(a.Gaps, 0.5))
	add("load.p99", stat.Percentile(a.Gaps, 0.99))

	if a, err = t.Do(ctx, peer.Order{Shape: "fan", Steps: 1000, Clients: 1, Count: min(w.fanRuns, 2)}); err != nil {
		return err
	}
	add("fan", stat.Median(a.Whole))
	if kind == "sqlite" {
		if a, err = t.Do(ctx, peer.Order{Shape: "shell", Steps: shellTasks, Clients: shellFlows, Seconds: seconds}); err != nil {
			return err
		}
		w.Add(round, "temporal.shell", float64(a.Steps)/a.Seconds)
	}
	return nil
}

func (w *world) temporalIdle(ctx context.Context, round int) error {
	t, err := w.startTemporal(ctx, "sqlite")
	if err != nil {
		return err
	}
	defer t.Stop()
	w.Add(round, "temporal.start", ms(t.Answer))
	if err := pause(ctx, w.idleFor/2); err != nil {
		return err
	}
	before := proc.CPU(t.PID)
	if err := pause(ctx, w.idleFor); err != nil {
		return err
	}
	w.Add(round, "temporal.idle.cpu", 100*(proc.CPU(t.PID)-before).Seconds()/w.idleFor.Seconds())
	pss, err := proc.PSS(t.PID)
	if err == nil {
		w.Add(round, "temporal.pss", mib(pss))
	}
	return err
}

// riverOn measures a flat queue: what a DAG engine on the same database could reach at most.
func (w *world) riverOn(ctx context.Context, round int) error {
	dir, err := w.folder("river")
	if err != nil {
		return err
	}
	d, err := w.river.Start(ctx, dir, w.pg)
	if err != nil {
		return err
	}
	defer d.Stop()
	jobs := int(5000 * w.phase.Seconds())
	a, err := d.Do(ctx, peer.Order{Shape: "drain", Tuned: true, Jobs: jobs})
	if err != nil {
		return err
	}
	w.Add(round, "river.jobs", float64(a.Done)/a.Seconds)
	w.Add(round, "river.cpu", us(a.CPU)/float64(a.Done))
	if a, err = d.Do(ctx, peer.Order{Shape: "drain", Jobs: jobs / 20}); err != nil {
		return err
	}
	w.Add(round, "river.default.jobs", float64(a.Done)/a.Seconds)
	for name, tuned := range map[string]bool{"river.latency": true, "river.default.latency": false} {
		if a, err = d.Do(ctx, peer.Order{Shape: "latency", Tuned: tuned, Rate: 200, Seconds: w.phase.Seconds() / 2}); err != nil {
			return err
		}
		w.Add(round, name+".p50", stat.Percentile(a.Gaps, 0.5))
		w.Add(round, name+".p99", stat.Percentile(a.Gaps, 0.99))
	}
	if a, err = d.Do(ctx, peer.Order{Shape: "shell", Tuned: true, Jobs: jobs / 20}); err != nil {
		return err
	}
	w.Add(round, "river.shell", float64(a.Done)/a.Seconds)
	return nil
}

func (w *world) postgresLimits(ctx context.Context, round int) error {
	for _, c := range []struct {
		name    string
		batched bool
		clients int
	}{{"batch", true, 4}, {"single.1", false, 1}, {"single.8", false, 8}} {
		l, err := w.pg.Lifecycles(ctx, w.dir, c.batched, c.clients, w.limitPhase)
		if err != nil {
			return err
		}
		name := "limit.pg." + c.name
		w.Add(round, name, l.Tasks)
		w.Add(round, name+".cpu", us(l.CPU))
		w.Add(round, name+".wait", us(l.Wait))
		if c.batched {
			w.Add(round, "limit.pg.fan", 1000/l.Tasks*1e6) // to record a thousand tasks
		}
	}
	w.derive(round)
	return nil
}

// limits are those of disk, SQLite, processes and the wire.
func (w *world) limits(ctx context.Context, round int) error {
	rate := func(name string, r limit.Rate, err error) error {
		if err != nil {
			return err
		}
		w.Add(round, name, r.PerSecond)
		w.Add(round, name+".p50", us(r.P50))
		w.Add(round, name+".p99", us(r.P99))
		return nil
	}
	for name, measure := range map[string]func() (limit.Rate, error){
		"limit.append":       func() (limit.Rate, error) { return limit.Append(w.dir, w.limitPhase) },
		"limit.overwrite":    func() (limit.Rate, error) { return limit.Overwrite(w.dir, w.limitPhase) },
		"limit.sqlite.1":     func() (limit.Rate, error) { return limit.SQLite(ctx, w.dir, 1, w.limitPhase) },
		"limit.sqlite.100":   func() (limit.Rate, error) { return limit.SQLite(ctx, w.dir, 100, w.limitPhase) },
		"limit.exec":         func() (limit.Rate, error) { return limit.Exec(w.limitPhase, "", "/bin/true") },
		"limit.exec.sh.true": func() (limit.Rate, error) { return limit.Exec(w.limitPhase, "", "/bin/sh", "-c", "true") },
		"limit.exec.sh.echo": func() (limit.Rate, error) { return limit.Exec(w.limitPhase, "hello\n", "/bin/sh", "-c", "echo hello") },
	} {
		r, err := measure()
		if err := rate(name, r, err); err != nil {
			return err
		}
	}
	b, err := limit.MeasureBare(ctx, w.dir, w.limitPhase)
	if err != nil {
		return err
	}
	w.Add(round, "limit.start", ms(b.Start))
	w.Add(round, "limit.pss", mib(b.PSS))
	if err := rate("limit.pingpong", b.PingPong, nil); err != nil {
		return err
	}
	// The least that a hand-over of a step can cost: one commit, and there and back on the wire.
	w.Add(round, "limit.sqlite.step", 1e6/w.Series["limit.sqlite.1"][round]+us(b.PingPong.P50))
	w.Add(round, "limit.sqlite.fan", 1000/w.Series["limit.sqlite.100"][round]*1e6)
	w.derive(round)
	return nil
}

// derive combines limits of two sessions of a round, whichever came last.
func (w *world) derive(round int) {
	wait, ok := w.Series["limit.pg.single.1.wait"][round]
	ping, also := w.Series["limit.pingpong.p50"][round]
	if ok && also {
		w.Add(round, "limit.pg.step", wait+ping)
	}
}
