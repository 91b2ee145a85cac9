// A server with a million waiting tasks beside one with none.

package main

import (
	"context"
	"time"

	"baton/bench/internal/proc"
	"baton/bench/internal/product"
	"baton/bench/internal/stat"
)

// comparisons is how often the two are measured in turns.
const comparisons = 5

// waitingServer is one of the two.
type waitingServer struct {
	*product.Server
	series     string // begins the names of its figures
	dir, store string
}

// waitingTasks measures what tasks that wait cost those that do not.
func (w *world) waitingTasks(ctx context.Context, store string) error {
	kind := map[string]string{"postgres": "pg", "sqlite": "sqlite"}[store]
	if kind == "pg" && w.pg == nil {
		return nil // said before
	}
	single := product.Chain("single", 1)
	var both []*waitingServer
	defer func() {
		for _, s := range both {
			s.Stop()
		}
	}()
	for _, series := range []string{"waiting." + kind + ".empty.", "waiting." + kind + "."} {
		s, dir, url, err := w.freshAt(ctx, kind)
		if err != nil {
			return err
		}
		both = append(both, &waitingServer{s, series, dir, url})
		if err := s.Apply(ctx, "default", single); err != nil {
			return err
		}
	}
	empty, full := both[0], both[1]
	tasks, took, err := full.Wait(ctx, w.clients, w.waiting)
	if err != nil {
		return err
	}
	w.Add(0, full.series+"tasks", float64(tasks))
	w.Add(0, full.series+"load", float64(tasks)/took.Seconds())
	for round := range comparisons {
		for _, s := range both {
			if err := w.compareWaiting(ctx, round, s, single); err != nil {
				return err
			}
		}
	}
	if err := w.weighWaiting(ctx, empty, full, tasks); err != nil {
		return err
	}
	for _, s := range both {
		began := time.Now()
		s.Stop()
		w.note("%sstop took %s", s.series, time.Since(began).Round(time.Millisecond))
		began = time.Now()
		if s.Server, err = w.startAt(ctx, kind, s.dir, s.store); err != nil {
			return err
		}
		if _, err := s.Run(ctx, single.Name); err != nil {
			return err
		}
		w.Add(0, s.series+"first", ms(time.Since(began)))
		w.complaints(s.Server)
	}
	return nil
}

// compareWaiting measures one of the two: runs of one task, then nothing.
func (w *world) compareWaiting(ctx context.Context, round int, s *waitingServer, single product.Flow) error {
	late, err := s.Dispatch(ctx, single, w.idleRuns, between)
	if err != nil {
		return err
	}
	w.Add(round, s.series+"p50", stat.Percentile(late, 0.5))
	w.Add(round, s.series+"p99", stat.Percentile(late, 0.99))
	before, at := s.Used(), time.Now()
	if err := pause(ctx, w.idleFor/4); err != nil {
		return err
	}
	w.Add(round, s.series+"cpu", 100*s.Since(before).All().Seconds()/time.Since(at).Seconds())
	return nil
}

// weighWaiting books memory and disk of both, and what each waiting task has of it.
func (w *world) weighWaiting(ctx context.Context, empty, full *waitingServer, tasks int) error {
	var pss, disk [2]float64
	for i, s := range []*waitingServer{empty, full} {
		p, err := proc.PSS(s.PID)
		if err != nil {
			return err
		}
		d, err := s.Disk(ctx)
		if err != nil {
			return err
		}
		pss[i], disk[i] = float64(p), float64(d)
		w.Add(0, s.series+"pss", mib(p))
	}
	w.Add(0, full.series+"bytes", (pss[1]-pss[0])/float64(tasks))
	w.Add(0, full.series+"disk", (disk[1]-disk[0])/float64(tasks))
	return nil
}
