// The end of a server in two steps: what runs may finish, then what still runs is ended.

package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// drainTold is how often a drain says what it waits for.
const drainTold = 5 * time.Second

// drainer is a worker that can be asked to end.
type drainer interface {
	Drain()       // takes nothing new and ends when what runs has ended
	Running() int // attempts
}

// drain waits until the worker is over, for as long as the setting says, or until another signal
// comes.
func drain(ctx context.Context, w drainer, over <-chan struct{}, another <-chan struct{}, most time.Duration, log *slog.Logger) {
	if most == 0 {
		return
	}
	w.Drain()
	if n := w.Running(); n > 0 {
		log.LogAttrs(ctx, slog.LevelInfo, "draining: nothing new starts, what runs may finish; another signal ends it at once",
			slog.Int("tasks", n), slog.String("for", most.String()))
	}
	until := time.Now().Add(most)
	limit, tell := time.NewTimer(most), time.NewTicker(drainTold)
	defer limit.Stop()
	defer tell.Stop()
	for {
		select {
		case <-over:
			return
		case <-another:
			log.LogAttrs(ctx, slog.LevelInfo, "the drain is cut short by a signal", slog.Int("tasks", w.Running()))
			return
		case <-limit.C:
			log.LogAttrs(ctx, slog.LevelInfo, "the time for the drain is over", slog.Int("tasks", w.Running()))
			return
		case <-tell.C:
			log.LogAttrs(ctx, slog.LevelInfo, "draining: tasks still run", slog.Int("tasks", w.Running()), slog.String("left", time.Until(until).Round(time.Second).String()))
		}
	}
}

// readiness is an error until the master is registered, and again once the server was asked to
// end: whoever balances load then sends nothing more here.
func readiness(asked context.Context, registered func(context.Context) error, w drainer) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := registered(ctx); err != nil {
			return err
		}
		if asked.Err() != nil {
			return fmt.Errorf("draining: %d tasks still run", w.Running())
		}
		return nil
	}
}
