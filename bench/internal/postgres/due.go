// What is due, written down as soon as a single program can.

package postgres

import (
	"context"
	"fmt"

	"baton/bench/internal/limit"
)

// Due has n timers end at once, so many times, and inserts a row for each; rows that come together are one commit.
func (c *Cluster) Due(ctx context.Context, n, times int) (l limit.Lateness, err error) {
	if err := c.Fresh(ctx, limitDB); err != nil {
		return l, err
	}
	if err := c.Exec(ctx, limitDB, "CREATE TABLE run(id bigserial primary key, name text, state int, due bigint)", "CHECKPOINT"); err != nil {
		return l, err
	}
	db, err := c.Open(limitDB)
	if err != nil {
		return l, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	insert, err := db.PrepareContext(ctx, "INSERT INTO run(name, state, due) SELECT 'run-with-a-name', 0, unnest($1::bigint[])")
	if err != nil {
		return l, fmt.Errorf("measure what is due: %w", err)
	}
	return limit.Due(n, times, func(due []int64) error {
		if _, err := insert.ExecContext(ctx, due); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
		return nil
	})
}
