// What happens outside, for a master of this process.

package cli

import (
	"context"
	"log/slog"

	"baton/internal/lookout"
	"baton/internal/master"
)

// lookOut looks out for triggers beside a master, from when it is registered until ctx ends.
func lookOut(ctx context.Context, m *master.Master, store lookout.Store, log *slog.Logger) error {
	select {
	case <-m.Ready():
	case <-ctx.Done():
		return nil
	}
	return lookout.New(senses(lookout.Config{ //nolint:contextcheck // nothing ends a look at a file system
		Owner: m.Identity().GetIncarnation(), Store: store, Ordered: m.Ordered, Hints: m.Outside(), Log: log,
	})).Run(ctx)
}
