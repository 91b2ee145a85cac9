// River: a queue in PostgreSQL, as a library in our driver.

package peer

import (
	"context"

	"baton/bench/internal/postgres"
)

// RiverQueue is built and can be started.
type RiverQueue struct{ driver string }

// BuildRiver builds the driver.
func BuildRiver(ctx context.Context, cache, bench string) (*RiverQueue, error) {
	path, err := build(ctx, cache, bench, "river")
	if err != nil {
		return nil, err
	}
	return &RiverQueue{path}, nil
}

// Start starts the driver on an empty database.
func (r *RiverQueue) Start(ctx context.Context, dir string, pg *postgres.Cluster) (*Driver, error) {
	if err := pg.Fresh(ctx, "river"); err != nil {
		return nil, err
	}
	return drive(ctx, "river-driver", r.driver, dir, []int{pg.PID()}, pg.URL("river"))
}
