package worker_test

import (
	"context"
	"log/slog"
	"runtime"
	"testing"

	"baton/internal/rpc"
	"baton/internal/task"
	"baton/internal/task/all"
	"baton/internal/worker"
)

// slowEnd is a stream that, asked to end, reads on until it is let go.
type slowEnd struct {
	done  <-chan struct{}
	ended chan<- struct{} // told when it is asked to end
	let   <-chan struct{}
}

func (s slowEnd) Send(*rpc.FromWorker) error { return nil }
func (s slowEnd) CloseSend() error           { return nil }
func (s slowEnd) Recv() (*rpc.FromMaster, error) {
	<-s.done
	s.ended <- struct{}{}
	<-s.let
	return nil, context.Canceled
}

// A master that leaves the list and is back at once has one stream at a time: of two, what was sent on the
// first could be taken after the hello on the second, which does not speak of it.
func TestOneStreamAtATime(t *testing.T) {
	t.Parallel()
	lists, dials, ended, let := make(chan []string), make(chan struct{}, 9), make(chan struct{}, 9), make(chan struct{})
	masters := worker.Masters{Lists: lists, Dial: func(ctx context.Context, _ string) (rpc.Stream, error) {
		dials <- struct{}{}
		return slowEnd{ctx.Done(), ended, let}, nil
	}}
	w := worker.New(worker.Config{Name: "w", Data: t.TempDir()}, task.NewSet(all.Types()...), masters, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	over := make(chan error, 1)
	go func() { over <- w.Run(ctx) }()
	lists <- []string{"m"}
	<-dials
	lists <- []string{}
	<-ended
	lists <- []string{"m"}
	lists <- []string{"m"} // the one before was taken
	for range 10_000 {     // time enough for who does not wait
		select {
		case <-dials:
			t.Fatal("a second stream is made while the first one still reads")
		default:
			runtime.Gosched()
		}
	}
	close(let)
	<-dials
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
}
