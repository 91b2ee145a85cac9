// The master of a process, one incarnation after another.

package cli

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"baton/internal/flow"
	"baton/internal/master"
	"baton/internal/rpc"
)

// mastering keeps a master going: one that was declared dead while it was silent joins anew, as
// another incarnation. Its process, its port and who is connected stay.
type mastering struct {
	// make returns a master that was not run yet.
	make func() *master.Master
	// serve runs it with all that belongs to one incarnation.
	serve func(context.Context, *master.Master) error
	log   *slog.Logger

	mu      sync.Mutex
	now     *master.Master
	changed chan struct{}
}

// settledAfter is how long a master works before no setting can be so wrong that it never could.
const settledAfter = 10 * time.Second

func newMastering(log *slog.Logger, make_ func() *master.Master, serve func(context.Context, *master.Master) error) *mastering {
	return &mastering{make: make_, serve: serve, log: log, now: make_(), changed: make(chan struct{})}
}

// run returns when ctx is done, or when the first incarnation can never work.
func (d *mastering) run(ctx context.Context) error {
	for settled := false; ; {
		m, _ := d.current()
		began := time.Now()
		err := d.serve(ctx, m)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to end
		}
		settled = settled || isClosed(m.Ready()) && time.Since(began) > settledAfter
		switch {
		case errors.Is(err, flow.ErrFenced):
			d.log.LogAttrs(ctx, slog.LevelWarn, "this master was declared dead by others while it was silent, and what it drove is theirs; it joins anew as another incarnation")
		case !settled && hopeless(err):
			return err
		case hopeless(err) && !errors.Is(err, context.Canceled):
			d.log.LogAttrs(ctx, slog.LevelError, "the master cannot go on; it begins anew", slog.Any("error", err))
		default:
			d.log.LogAttrs(ctx, slog.LevelWarn, "the master begins anew", slog.Any("error", err))
		}
		t := time.NewTimer(retryAfter)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		d.mu.Lock()
		d.now = d.make()
		close(d.changed)
		d.changed = make(chan struct{})
		d.mu.Unlock()
	}
}

// current returns the present incarnation, and a channel that is closed when there is another.
func (d *mastering) current() (*master.Master, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now, d.changed
}

// ready is an error while no master is registered.
func (d *mastering) ready(context.Context) error {
	if m, _ := d.current(); !isClosed(m.Ready()) || isClosed(m.Over()) {
		return errors.New("the master is not registered yet")
	}
	return nil
}

// registered is closed when a master is registered for the first time, or ctx is done.
func (d *mastering) registered(ctx context.Context) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		defer close(out)
		for {
			m, next := d.current()
			select {
			case <-m.Ready():
				return
			case <-next:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// dial connects to the present incarnation within this process.
func (d *mastering) dial(ctx context.Context) (rpc.Stream, error) {
	m, _ := d.current()
	return rpc.Pipe(m)(ctx)
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
