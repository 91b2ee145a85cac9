// Target 14 and the second half of 17: beside a long history.

package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"baton/bench/internal/product"
	"baton/bench/internal/stat"
)

// history writes a long history into a store and measures start, lists, throughput and retention.
func (w *world) history(ctx context.Context, kind string) error {
	name, store, weigh := "history."+kind+".", "", []int(nil)
	dir, err := w.folder("history-" + kind)
	if err != nil {
		return err
	}
	if kind == "postgres" {
		if w.pg == nil {
			return nil // said before
		}
		if err := w.pg.Fresh(ctx, "history"); err != nil {
			return err
		}
		store, weigh = w.pg.URL("history"), []int{w.pg.PID()}
	}
	began := time.Now()
	h, err := product.Age(ctx, w.binary, dir, store, w.runs)
	if err != nil {
		return err
	}
	w.say("  %d runs, %d rows written in %s", h.Runs, h.Rows(), time.Since(began).Round(time.Second))

	s, err := product.Start(ctx, w.binary, dir, store, weigh...)
	if err != nil {
		return err
	}
	defer func() { s.Stop() }()
	w.Add(0, name+"start", ms(s.Answer))
	if err := w.lists(ctx, s, h, name); err != nil {
		return err
	}
	s.Stop()
	for pair := range max(w.pairs, 3) {
		if err := w.beside(ctx, pair, kind, name, dir, store, weigh); err != nil {
			return err
		}
	}
	if s, err = product.Start(ctx, w.binary, dir, store, weigh...); err != nil {
		return err
	}
	if err := w.retention(ctx, s, h, name); err != nil {
		return err
	}
	w.complaints(s)
	return nil
}

func (w *world) lists(ctx context.Context, s *product.Server, h product.History, name string) error {
	pages := product.Pages(h)
	if missed, err := s.Unmeasured(ctx, pages); err != nil {
		return err
	} else if len(missed) > 0 {
		w.note("lists and filters of the API that bench does not measure yet: %s", strings.Join(missed, ", "))
	}
	timed, err := s.Time(ctx, pages, w.pages)
	if err != nil {
		return err
	}
	slices.SortFunc(timed, func(a, b product.Timed) int { return cmp.Compare(b.P95, a.P95) })
	w.Add(0, name+"list", timed[0].P95/1000)
	var p50 []float64
	for _, t := range timed {
		p50 = append(p50, t.P50)
	}
	w.Add(0, name+"list.median", stat.Median(p50)/1000)
	text := fmt.Sprintf("slowest of %d list pages beside %d rows on %s (p50, p95 in ms):", len(timed), h.Rows(), strings.Split(name, ".")[1])
	for _, t := range timed[:min(len(timed), 10)] {
		text += fmt.Sprintf(" %s %s %.1f %.1f;", t.List, t.Name, t.P50/1000, t.P95/1000)
	}
	w.note("%s", strings.TrimSuffix(text, ";"))
	// The limit: the newest 50 by their key, without an API.
	var took []float64
	for range w.pages {
		start := time.Now()
		rows, err := s.Rows.QueryContext(ctx, "SELECT id, state, submitted_at FROM instance ORDER BY id DESC LIMIT 50")
		if err != nil {
			return err
		}
		for rows.Next() { // the rows matter, not what is in them
		}
		if err := rows.Close(); err != nil {
			return err
		}
		took = append(took, ms(time.Since(start)))
	}
	w.Add(0, name+"list.limit", stat.Percentile(took, 0.95))
	return nil
}

// beside measures throughput on an empty store and beside the history, in turns.
func (w *world) beside(ctx context.Context, pair int, kind, name, dir, store string, weigh []int) error {
	measure := func(metric string, start func() (*product.Server, error)) error {
		s, err := start()
		if err != nil {
			return err
		}
		defer s.Stop()
		chain := product.Chain("chain", steps)
		if err := s.Apply(ctx, "default", chain); err != nil {
			return err
		}
		if _, err := s.Closed(ctx, chain, 8, 0, time.Second, 0); err != nil {
			return err
		}
		r, err := s.Closed(ctx, chain, w.clients, 0, w.phase, 0)
		w.Add(pair, name+metric, r.StepsPerSecond())
		return err
	}
	empty := func() error {
		return measure("steps.empty", func() (*product.Server, error) {
			return w.fresh(ctx, map[string]string{"postgres": "pg", "sqlite": "sqlite"}[kind])
		})
	}
	full := func() error {
		return measure("steps", func() (*product.Server, error) { return product.Start(ctx, w.binary, dir, store, weigh...) })
	}
	first, second := empty, full
	if pair%2 == 1 {
		first, second = full, empty
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}

// retention lets the server delete the oldest runs, and measures how fast and what a run that is
// idle otherwise feels of it.
func (w *world) retention(ctx context.Context, s *product.Server, h product.History, name string) error {
	idle := product.Chain("idle", steps)
	if err := s.Apply(ctx, "default", idle); err != nil {
		return err
	}
	before, err := s.Closed(ctx, idle, 1, w.idleRuns, 0, between)
	if err != nil {
		return err
	}
	keep := time.Since(h.At(w.prune)).Truncate(time.Second)
	if err := s.Set(ctx, "retention", fmt.Sprintf("%ds", int(keep.Seconds()))); err != nil {
		return err
	}
	p, err := w.watchPrune(ctx, s, h, idle)
	if err != nil {
		return err
	}
	rows := float64(p.runs * (1 + steps))
	w.Add(0, name+"prune", rows/p.took.Seconds())
	w.Add(0, name+"prune.p99", stat.Percentile(p.gaps, 0.99))
	w.Add(0, name+"prune.before.p99", stat.Percentile(before.Gaps, 0.99))
	w.note("retention on %s: %d runs (%.0f rows) in %s; p99 of a step %.0f µs before, %.0f µs meanwhile (%d steps)", strings.Split(name, ".")[1],
		p.runs, rows, p.took.Round(time.Millisecond), stat.Percentile(before.Gaps, 0.99), stat.Percentile(p.gaps, 0.99), len(p.gaps))
	return nil
}

type pruned struct {
	runs int
	took time.Duration
	gaps []float64
}

// watchPrune runs chains one by one from the moment the server begins to delete until it is done.
// Housekeeping comes once a minute.
func (w *world) watchPrune(ctx context.Context, s *product.Server, h product.History, idle product.Flow) (p pruned, err error) {
	oldest := func() (int, error) {
		var id int64
		err := s.Rows.QueryRowContext(ctx, "SELECT min(id) FROM instance").Scan(&id)
		return h.Number(id), err
	}
	first, err := oldest()
	if err != nil {
		return p, err
	}
	patience := time.Now().Add(3 * time.Minute)
	for gone := first; gone == first; {
		if time.Now().After(patience) {
			return p, fmt.Errorf("retention deleted nothing for three minutes")
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return p, err
		}
		if gone, err = oldest(); err != nil {
			return p, err
		}
	}
	began, last := time.Now(), first
	moved := began
	for time.Since(moved) < time.Second {
		r, err := s.Closed(ctx, idle, 1, 1, 0, 0)
		if err != nil {
			return p, err
		}
		gone, err := oldest()
		if err != nil {
			return p, err
		}
		if gone > last {
			last, moved = gone, time.Now()
			p.gaps = append(p.gaps, r.Gaps...)
		}
	}
	p.runs, p.took = last-first, max(moved.Sub(began), time.Millisecond)
	if p.runs < w.prune-1 {
		return p, fmt.Errorf("retention stopped after %d of %d runs", p.runs, w.prune)
	}
	return p, nil
}
