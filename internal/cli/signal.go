// Signals that ask a command to end.

package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// untilSignal is a context that the first SIGINT or SIGTERM ends. A later one is told to who asked
// for it with anotherSignal, and ends the process when nobody did.
func untilSignal() (context.Context, func()) {
	next := &nextSignal{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), nextSignalKey{}, next))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
			case <-done:
				return
			}
			if ctx.Err() != nil && !next.tell() {
				os.Exit(exitInterrupted)
			}
			cancel()
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// nextSignal is who wants to hear of the signal after the first.
type nextSignal struct {
	mu     sync.Mutex
	wanted chan struct{}
}

type nextSignalKey struct{}

// anotherSignal is closed by the next signal after the first; forget ends the interest in it.
func anotherSignal(ctx context.Context) (told <-chan struct{}, forget func()) {
	next, ok := ctx.Value(nextSignalKey{}).(*nextSignal)
	if !ok {
		return nil, func() {}
	}
	next.mu.Lock()
	defer next.mu.Unlock()
	next.wanted = make(chan struct{})
	return next.wanted, func() {
		next.mu.Lock()
		defer next.mu.Unlock()
		next.wanted = nil
	}
}

// tell reports whether somebody wanted to hear.
func (n *nextSignal) tell() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wanted == nil {
		return false
	}
	close(n.wanted)
	n.wanted = nil
	return true
}
