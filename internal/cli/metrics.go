// Metrics of roles without an HTTP interface of their own.

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"baton/internal/flow"
	"baton/internal/worker"
)

// gauges is what the store tells for metrics.
type gauges interface {
	// Waits tells since when the oldest command and the oldest inbox item wait, 0 for none, and what time it is there.
	Waits(ctx context.Context) (command, inbox, now flow.Time, err error)
	Stray(ctx context.Context) (int, error)
}

// strayEvery is how old the count of stray rows may be: it reads all runs that are not over.
const strayEvery = time.Minute

// metrics writes what the master of this process counts, and how long things wait in the store.
func (d *mastering) metrics(store gauges) func(context.Context, io.Writer) error {
	var mu sync.Mutex
	var counted time.Time
	var stray int
	return func(ctx context.Context, w io.Writer) error {
		m, _ := d.current()
		own := m.WriteMetrics(ctx, w)
		command, inbox, now, err := store.Waits(ctx)
		if err != nil {
			return errors.Join(own, err)
		}
		gauge(w, "baton_command_age_seconds", "How long the oldest start waits for a master.", since(command, now))
		gauge(w, "baton_inbox_age_seconds", "How long the oldest verb or result waits for a master.", since(inbox, now))
		mu.Lock()
		defer mu.Unlock()
		if time.Since(counted) > strayEvery {
			if stray, err = store.Stray(ctx); err != nil {
				return errors.Join(own, err)
			}
			counted = time.Now()
		}
		gauge(w, "baton_stray_rows", "Non-terminal rows without reason or next check; each is a defect.", float64(stray))
		return own
	}
}

// ownMetrics writes what the master of this process counts.
func (d *mastering) ownMetrics(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	m, _ := d.current()
	return m.WriteMetrics(ctx, w)
}

func since(at, now flow.Time) float64 {
	if at == 0 {
		return 0
	}
	return max(now.Sub(at).Seconds(), 0)
}

func gauge(w io.Writer, name, help string, value float64) {
	say(w, "# HELP %s %s\n# TYPE %s gauge\n%s %g\n", name, help, name, name, value)
}

// workerMetrics writes what a worker counts.
func workerMetrics(w *worker.Worker) func(context.Context, io.Writer) error {
	return func(_ context.Context, out io.Writer) error {
		f := w.Figures()
		gauge(out, "baton_sessions", "Masters that a stream leads to.", float64(f.Masters))
		say(out, "# HELP baton_slots Places of this worker.\n# TYPE baton_slots gauge\nbaton_slots{state=\"used\"} %d\nbaton_slots{state=\"free\"} %d\n",
			f.Running, max(f.Slots-f.Running, 0))
		return nil
	}
}

// connected is an error while no master is reached.
func connected(w *worker.Worker) func(context.Context) error {
	return func(context.Context) error {
		if w.Figures().Masters == 0 {
			return fmt.Errorf("no master is reached")
		}
		return nil
	}
}
