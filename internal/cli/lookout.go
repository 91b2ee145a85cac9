// What happens outside, for a master of this process.

package cli

import (
	"context"
	"log/slog"
	"time"

	"baton/internal/lookout"
	"baton/internal/master"
)

// lookoutPatience is how long a master that is to end waits for its lookout.
const lookoutPatience = 700 * time.Millisecond

// drive runs a master, and looks out for triggers beside it. When ctx ends the lookout ends first: what it has heard is
// written while the master may still write.
func drive(ctx context.Context, m *master.Master, store lookout.Store, log *slog.Logger) error {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	mastering, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	over := make(chan struct{})
	go func() {
		defer close(over)
		lookOut(looking, m, store, log)
	}()
	forget := context.AfterFunc(ctx, func() {
		defer leave()
		select {
		case <-over:
		case <-time.After(lookoutPatience):
		}
	})
	defer forget()
	err := m.Run(mastering)
	stop()
	<-over
	return err
}

// lookOut looks out from when a master is registered until ctx ends.
func lookOut(ctx context.Context, m *master.Master, store lookout.Store, log *slog.Logger) {
	select {
	case <-m.Ready():
	case <-ctx.Done():
		return
	}
	lookout.New(senses(lookout.Config{ //nolint:contextcheck // nothing ends a look at a file system
		Owner: m.Identity().GetIncarnation(), Store: store, Ordered: m.Ordered, Hints: m.Outside(), Log: log,
	})).Run(ctx)
}
