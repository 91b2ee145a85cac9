// Tasks that wait, by the million.

package product

import (
	"context"
	"fmt"
	"time"
)

// waits are what tasks wait for: the next try, a time, a run of another workflow, a person.
var waits = []string{
	`type: http, with: {url: "http://127.0.0.1:1/"}, retry: {times: 1, delay: 24h}`,
	`type: wait, with: {until: 2099-01-01}`,
	`type: dependent, with: {all: [{workflow: never-run, window: same}]}`,
	`type: approval, with: {message: go on?}`,
}

const (
	// wide is how many waiting tasks a run has that has many.
	wide = 1000
	// alone is one waiting task in so many that is alone in its run.
	alone = 10
	// looked is how long after its begin a dependent looks for the last time but for its net.
	looked = 31 * time.Second
)

// Wait loads tasks that wait, and returns how many they are when all do, and how long it took until then.
func (s *Server) Wait(ctx context.Context, clients, n int) (tasks int, took time.Duration, err error) {
	many := Flow{Name: "waits", Tasks: wide, Waits: 1}
	flows := []Flow{Chain("never-run", 1), many}
	for kind := range waits {
		flows = append(flows, Flow{Name: fmt.Sprintf("waits-%d", kind), Tasks: 1, Waits: kind + 1})
	}
	if err := s.Apply(ctx, "default", flows...); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	ordered := 0
	for _, f := range flows[1:] {
		runs := n / alone / len(waits)
		if f.Tasks > 1 {
			runs = (n - n/alone) / wide
		}
		if err := s.order(ctx, f, clients, runs); err != nil {
			return 0, 0, err
		}
		ordered += runs * f.Tasks
	}
	if err := s.rest(ctx, ordered); err != nil {
		return 0, 0, err
	}
	took = time.Since(began)
	select {
	case <-time.After(looked):
	case <-ctx.Done():
	}
	return ordered, took, s.rest(ctx, ordered)
}

// rest waits until so many tasks wait and nobody drives anything.
func (s *Server) rest(ctx context.Context, tasks int) error {
	var most int
	for moved := time.Now(); ; time.Sleep(time.Second) {
		var driven, waiting int
		if err := s.Rows.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM command) + (SELECT count(*) FROM instance WHERE owner > 0)").Scan(&driven); err != nil {
			return fmt.Errorf("count what is driven: %w", err)
		}
		if err := s.Rows.QueryRowContext(ctx, "SELECT count(*) FROM task WHERE state IN (1, 4)").Scan(&waiting); err != nil {
			return fmt.Errorf("count what waits: %w", err)
		}
		if driven == 0 && waiting == tasks {
			return nil
		}
		if now := waiting - driven; now != most {
			most, moved = now, time.Now()
		}
		if time.Since(moved) > patience {
			return fmt.Errorf("%d of %d tasks wait and %d runs are driven, and nothing changed in %s", waiting, tasks, driven, patience)
		}
	}
}

// Dispatch starts runs of one task, one after the other with pauses: how long from the order until the task began, in µs.
func (s *Server) Dispatch(ctx context.Context, f Flow, runs int, pause time.Duration) (late []float64, err error) {
	mark, err := s.newest(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.Closed(ctx, f, 1, runs, 0, pause); err != nil {
		return nil, err
	}
	rows, err := s.Rows.QueryContext(ctx, "SELECT t.attempt_started_at - i.submitted_at FROM instance i JOIN task t ON t.instance_id = i.id WHERE i.id > $1"+ofFlow, mark, f.Name)
	if err != nil {
		return nil, fmt.Errorf("read times: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var d float64
		if err := rows.Scan(&d); err != nil {
			return nil, fmt.Errorf("read times: %w", err)
		}
		late = append(late, d)
	}
	return late, rows.Err()
}

// Disk is how large the store is, in bytes.
func (s *Server) Disk(ctx context.Context) (n int64, err error) {
	query := "SELECT pg_database_size(current_database())"
	if len(s.databases) == 0 {
		query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	}
	if err := s.Rows.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return 0, fmt.Errorf("size of the store: %w", err)
	}
	return n, nil
}
