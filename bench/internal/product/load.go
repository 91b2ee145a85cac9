// Load, and what came of it: counted from the rows that the server committed, not from what it
// answered.

package product

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Result is one phase of load.
type Result struct {
	Runs    int
	Steps   int
	Seconds float64
	Whole   []float64 // µs from the order to start until the client knew of the end
	Gaps    []float64 // µs from the end of a task at the worker to the start of the next there
	CPU     Use
}

// StepsPerSecond is the throughput.
func (r Result) StepsPerSecond() float64 { return float64(r.Steps) / r.Seconds }

// RunsPerSecond is the throughput in workflows.
func (r Result) RunsPerSecond() float64 { return float64(r.Runs) / r.Seconds }

// CPUPerStep is in microseconds.
func (r Result) CPUPerStep() float64 {
	return float64(r.CPU.All().Microseconds()) / float64(max(r.Steps, 1))
}

// Closed has clients start runs of a workflow and wait for each: every client for d, or count
// runs in all. A pause after each run lets the server fall idle.
func (s *Server) Closed(ctx context.Context, f Flow, clients, count int, d, pause time.Duration) (Result, error) {
	mark, err := s.newest(ctx)
	if err != nil {
		return Result{}, err
	}
	var mu sync.Mutex
	var r Result
	var errs []error
	left := count
	next := func(start time.Time) bool {
		mu.Lock()
		defer mu.Unlock()
		left--
		return len(errs) == 0 && ctx.Err() == nil && (count > 0 && left >= 0 || count == 0 && time.Since(start) < d)
	}
	before, start := s.Used(), time.Now()
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for next(start) {
				at := time.Now()
				_, err := s.Run(ctx, f.Name)
				took := time.Since(at)
				mu.Lock()
				r.Runs++
				r.Whole = append(r.Whole, float64(took.Microseconds()))
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
				if pause > 0 {
					time.Sleep(pause)
				}
			}
		})
	}
	group.Wait()
	r.Seconds, r.CPU = time.Since(start).Seconds(), s.Since(before)
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return r, err
	}
	return r, s.settle(ctx, f, mark, &r)
}

// Open starts runs at a rate, whether the ones before have ended or not, and waits for all.
func (s *Server) Open(ctx context.Context, f Flow, rate float64, d time.Duration) (Result, error) {
	mark, err := s.newest(ctx)
	if err != nil {
		return Result{}, err
	}
	var r Result
	n := max(int(rate*d.Seconds()), 1)
	errs := make(chan error, n)
	before, start := s.Used(), time.Now()
	for i := range n {
		time.Sleep(time.Until(start.Add(time.Duration(float64(i) / rate * float64(time.Second)))))
		go func() {
			_, err := s.start(ctx, f.Name)
			errs <- err
		}()
	}
	for range n {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return r, err
	}
	r.Runs = n
	if err := s.drained(ctx, f, mark, n); err != nil {
		return r, err
	}
	r.Seconds, r.CPU = time.Since(start).Seconds(), s.Since(before)
	return r, s.settle(ctx, f, mark, &r)
}

// Burst has clients start n runs as fast as the server takes them, without waiting for any, and
// waits for all at the end: the engine with a backlog, and little of the API.
func (s *Server) Burst(ctx context.Context, f Flow, clients, n int) (Result, error) {
	mark, err := s.newest(ctx)
	if err != nil {
		return Result{}, err
	}
	r := Result{Runs: n}
	before, start := s.Used(), time.Now()
	if err := s.order(ctx, f, clients, n); err != nil {
		return r, err
	}
	if err := s.drained(ctx, f, mark, n); err != nil {
		return r, err
	}
	r.Seconds, r.CPU = time.Since(start).Seconds(), s.Since(before)
	return r, s.settle(ctx, f, mark, &r)
}

// order has clients start n runs, and waits for none.
func (s *Server) order(ctx context.Context, f Flow, clients, n int) error {
	orders, errs := make(chan struct{}, n), make(chan error, clients)
	for range n {
		orders <- struct{}{}
	}
	close(orders)
	for range clients {
		go func() {
			var err error
			for range orders {
				if err == nil {
					_, err = s.start(ctx, f.Name)
				}
			}
			errs <- err
		}()
	}
	var err error
	for range clients {
		err = errors.Join(err, <-errs)
	}
	return err
}

func (s *Server) drained(ctx context.Context, f Flow, mark int64, n int) error {
	until := time.Now().Add(patience)
	for {
		ended := 0
		err := s.Rows.QueryRowContext(ctx, "SELECT count(*) FROM instance i WHERE i.id > $1 AND i.state >= 9"+ofFlow, mark, f.Name).Scan(&ended)
		if err != nil {
			return fmt.Errorf("count what ended: %w", err)
		}
		if ended >= n {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("%d of %d runs of %s have ended after %s", ended, n, f.Name, patience)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

const ofFlow = " AND i.workflow_id IN (SELECT id FROM workflow WHERE name = $2)"

// newest is the greatest id so far: what a phase makes is above it.
func (s *Server) newest(ctx context.Context) (int64, error) {
	var id int64
	if err := s.Rows.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM instance").Scan(&id); err != nil {
		return 0, fmt.Errorf("newest run: %w", err)
	}
	return id, nil
}

// settle reads what a phase left in the store: each run succeeded, each task was tried exactly
// once and succeeded. Anything else is a fault of the product, and the numbers are worth nothing.
func (s *Server) settle(ctx context.Context, f Flow, mark int64, r *Result) (err error) {
	var runs, tasks, tries int
	if err := s.Rows.QueryRowContext(ctx, `
		SELECT count(DISTINCT i.id), count(t.id), coalesce(sum(t.number), 0)
		FROM instance i LEFT JOIN task t ON t.instance_id = i.id AND t.state = 7
		WHERE i.id > $1 AND i.state = 11`+ofFlow, mark, f.Name).Scan(&runs, &tasks, &tries); err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	r.Steps = tasks
	if runs != r.Runs || tasks != r.Runs*f.Tasks || tries != tasks {
		return fmt.Errorf("started %d runs of %d tasks; the store has %d that succeeded, with %d tasks in %d tries", r.Runs, f.Tasks, runs, tasks, tries)
	}
	if f.Wide {
		return nil
	}
	rows, err := s.Rows.QueryContext(ctx, `
		SELECT t.instance_id, t.attempt_started_at, t.attempt_ended_at
		FROM instance i JOIN task t ON t.instance_id = i.id
		WHERE i.id > $1`+ofFlow+` ORDER BY t.instance_id, t.id`, mark, f.Name)
	if err != nil {
		return fmt.Errorf("read times: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var run, ended int64
	for rows.Next() {
		var id, from, to int64
		if err := rows.Scan(&id, &from, &to); err != nil {
			return fmt.Errorf("read times: %w", err)
		}
		if id == run {
			if from < ended {
				return fmt.Errorf("run %d: a task started %d µs before the one it needs ended", id, ended-from)
			}
			r.Gaps = append(r.Gaps, float64(from-ended))
		}
		run, ended = id, to
	}
	return rows.Err()
}
