package master

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"baton/internal/flow"
	"baton/internal/task"
)

// hungStore never answers: it only notices that nobody waits any more. Every other question panics.
type hungStore struct{ Store }

func (hungStore) Waiting(ctx context.Context, _ int64) (flow.Waiting, error) {
	<-ctx.Done()
	return flow.Waiting{}, ctx.Err()
}

func (hungStore) Register(ctx context.Context, _ flow.Node) (flow.Lease, error) {
	<-ctx.Done()
	return flow.Lease{}, ctx.Err()
}

func (hungStore) Commit(ctx context.Context, _ flow.Batch) (flow.CommitResult, error) {
	<-ctx.Done()
	return flow.CommitResult{}, ctx.Err()
}

// A question whose answer never comes is given up, small reads soon and all else after three leases, and its
// asker hears so: what hung on it is asked for anew. So is the first registration.
func TestNoQuestionIsWaitedForForEver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		most time.Duration
		ask  func(context.Context, *Master)
	}{
		"poll":     {5 * time.Second, func(ctx context.Context, m *Master) { m.do(ctx, Poll{}) }},
		"register": {12 * time.Second, func(ctx context.Context, m *Master) { m.do(ctx, Register{Conn: 1}) }},
		"commit": {12 * time.Second, func(ctx context.Context, m *Master) {
			m.lanes[0] <- Commit{Lane: 0}
			go m.commitLoop(ctx, 0)
		}},
		"run": {12 * time.Second, func(ctx context.Context, m *Master) {
			m.cfg.Lease = 4 * time.Second
			m.events <- Registered{Err: m.Run(ctx)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := New(DefaultConfig(), hungStore{}, task.NewSet(), flow.Node{}, slog.New(slog.DiscardHandler))
				m.length.Store(int64(4 * time.Second))
				began := time.Now()
				go c.ask(t.Context(), m)
				var err error
				switch e := (<-m.events).(type) {
				case Polled:
					err = e.Err
				case Registered:
					err = e.Err
				case Committed:
					err = e.Err
				}
				if took := time.Since(began); took != c.most || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("after %s: %v", took, err)
				}
			})
		})
	}
}
