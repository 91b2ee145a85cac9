// Sessions of the product.

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"baton/bench/internal/proc"
	"baton/bench/internal/product"
	"baton/bench/internal/stat"
)

const (
	steps      = 10 // of a chain
	between    = 20 * time.Millisecond
	shellTasks = 50 // of a workflow of shell commands
	shellFlows = 8  // at a time
)

// baton measures targets 1 to 8 on one store: a fresh one, default settings.
func (w *world) baton(ctx context.Context, round int, kind string) error {
	s, err := w.fresh(ctx, kind)
	if err != nil {
		return err
	}
	defer s.Stop()
	name := func(metric string) string { return "baton." + kind + "." + metric }
	add := func(metric string, v float64) { w.Add(round, name(metric), v) }
	chain, idle, load, single := product.Chain("chain", steps), product.Chain("idle", steps), product.Chain("load", steps), product.Chain("single", 1)
	burst := product.Chain("burst", steps)
	fan, wide, shell := product.Fan("fan", 1000), product.Fan("wide", 9_998), product.Shells("shell", shellTasks)
	if err := s.Apply(ctx, "default", chain, idle, load, single, burst, fan, wide, shell); err != nil {
		return err
	}
	if _, err := s.Closed(ctx, chain, 8, 0, time.Second, 0); err != nil { // warm
		return err
	}

	r, err := s.Closed(ctx, idle, 1, w.idleRuns, 0, between)
	if err != nil {
		return fmt.Errorf("idle: %w", err)
	}
	add("idle.p50", stat.Percentile(r.Gaps, 0.5))
	add("idle.p99", stat.Percentile(r.Gaps, 0.99))
	add("idle.whole", stat.Percentile(r.Whole, 0.5)/steps)

	if r, err = w.profiled(ctx, round, s, kind, "chain", func() (product.Result, error) { return s.Closed(ctx, chain, w.clients, 0, w.phase, 0) }); err != nil {
		return fmt.Errorf("chain: %w", err)
	}
	add("steps", r.StepsPerSecond())
	add("cpu", r.CPUPerStep())
	add("cpu.server", float64(r.CPU.Server.Microseconds())/float64(max(r.Steps, 1)))
	add("cpu.database", float64(r.CPU.Database.Microseconds())/float64(max(r.Steps, 1)))
	add("chain.whole.p50", stat.Percentile(r.Whole, 0.5))
	most := r.RunsPerSecond()

	if r, err = w.profiled(ctx, round, s, kind, "single", func() (product.Result, error) { return s.Closed(ctx, single, w.clients, 0, w.phase, 0) }); err != nil {
		return fmt.Errorf("single: %w", err)
	}
	add("single", r.RunsPerSecond())
	add("single.cpu", r.CPUPerStep())

	if r, err = s.Open(ctx, load, most/2, w.phase); err != nil {
		return fmt.Errorf("half load: %w", err)
	}
	add("load.p50", stat.Percentile(r.Gaps, 0.5))
	add("load.p99", stat.Percentile(r.Gaps, 0.99))

	backlog := max(int(most*w.phase.Seconds()), w.clients)
	if r, err = w.profiled(ctx, round, s, kind, "burst", func() (product.Result, error) { return s.Burst(ctx, burst, w.clients, backlog) }); err != nil {
		return fmt.Errorf("burst: %w", err)
	}
	add("burst", r.StepsPerSecond())
	add("burst.cpu", r.CPUPerStep())

	if r, err = s.Closed(ctx, fan, 1, w.fanRuns, 0, between); err != nil {
		return fmt.Errorf("fan-out: %w", err)
	}
	add("fan", stat.Median(r.Whole))
	if r, err = s.Closed(ctx, wide, 1, 1, 0, 0); err != nil {
		return fmt.Errorf("wide fan-out: %w", err)
	}
	add("wide", stat.Median(r.Whole))

	if kind == "sqlite" {
		if err := w.shells(ctx, round, s, shell); err != nil {
			return fmt.Errorf("shell: %w", err)
		}
	}
	w.complaints(s)
	return nil
}

func (w *world) shells(ctx context.Context, round int, s *product.Server, shell product.Flow) error {
	r, err := s.Closed(ctx, shell, shellFlows, 0, w.phase, 0)
	if err != nil {
		return err
	}
	w.Add(round, "baton.shell", r.StepsPerSecond())
	w.Add(round, "baton.shell.cpu", r.CPUPerStep())
	run, err := s.Run(ctx, shell.Name)
	if err != nil {
		return err
	}
	for _, task := range []string{"t0", fmt.Sprintf("t%d", shellTasks-1)} {
		if log, err := s.Log(ctx, run, task); err != nil || strings.TrimSpace(log) != "hello" {
			return fmt.Errorf("the log of %s is %q, want hello (%v)", task, log, err)
		}
	}
	return nil
}

// fresh starts a server on a new store.
func (w *world) fresh(ctx context.Context, kind string) (*product.Server, error) {
	s, _, _, err := w.freshAt(ctx, kind)
	return s, err
}

// freshAt tells also where: in which folder, and on which store.
func (w *world) freshAt(ctx context.Context, kind string) (s *product.Server, dir, store string, err error) {
	if dir, err = w.folder("baton-" + kind); err != nil {
		return nil, "", "", err
	}
	if kind == "pg" {
		db := "baton_" + strings.ReplaceAll(filepath.Base(dir), "-", "_")
		if err := w.pg.Fresh(ctx, db); err != nil {
			return nil, "", "", err
		}
		if w.profile {
			if err := w.pg.Exec(ctx, db, "CREATE EXTENSION pg_stat_statements"); err != nil {
				return nil, "", "", err
			}
		}
		store = w.pg.URL(db)
	}
	s, err = w.startAt(ctx, kind, dir, store)
	return s, dir, store, err
}

// startAt starts a server, again if one was there.
func (w *world) startAt(ctx context.Context, kind, dir, store string) (*product.Server, error) {
	if kind == "sqlite" {
		return product.Start(ctx, w.binary, dir, "")
	}
	return product.Start(ctx, w.binary, dir, store, w.pg.PID())
}

// complaints notes what the server's log warned of: a number under errors means little.
func (w *world) complaints(s *product.Server) {
	if lines := s.Errors(); len(lines) > 0 {
		w.note("baton's log has %d warnings and errors, the first: %s", len(lines), lines[0])
	}
}

// idle measures targets 15 and 17: a new folder, nothing to do.
func (w *world) idle(ctx context.Context, round int) error {
	dir, err := w.folder("baton-idle")
	if err != nil {
		return err
	}
	s, err := product.Start(ctx, w.binary, dir, "")
	if err != nil {
		return err
	}
	defer func() { s.Stop() }()
	w.Add(round, "baton.start", ms(s.Answer))
	if err := pause(ctx, w.idleFor/2); err != nil {
		return err
	}
	before, at := s.Used(), time.Now()
	if err := pause(ctx, w.idleFor); err != nil {
		return err
	}
	w.Add(round, "baton.idle.cpu", 100*s.Since(before).All().Seconds()/time.Since(at).Seconds())
	pss, err := proc.PSS(s.PID)
	if err != nil {
		return err
	}
	w.Add(round, "baton.pss", mib(pss))
	s.Stop()
	if s, err = product.Start(ctx, w.binary, dir, ""); err != nil {
		return err
	}
	w.Add(round, "baton.restart", ms(s.Answer))
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
func mib(n int64) float64        { return float64(n) / (1 << 20) }
