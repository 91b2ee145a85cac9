package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"baton/internal/rpc"
	"baton/internal/task"
	"baton/internal/task/all"
	"baton/internal/worker"
)

// mute is a stream on which nothing comes until it is ended, by either side.
type mute struct {
	done <-chan struct{}
	end  <-chan struct{} // the master ends it
}

func (s mute) Send(*rpc.FromWorker) error { return nil }
func (s mute) CloseSend() error           { return nil }
func (s mute) Recv() (*rpc.FromMaster, error) {
	select {
	case <-s.done:
		return nil, context.Canceled
	case <-s.end:
		return nil, errors.New("the master ended the stream")
	}
}

// following is a worker whose list of masters the test writes.
type following struct {
	t     *testing.T
	lists chan []string
	dials chan string
	ends  chan struct{} // each ends one stream
	stop  func()
}

// follow starts a worker on a data folder, with lists from a source.
func follow(t *testing.T, data, source string) *following {
	t.Helper()
	f := &following{t: t, lists: make(chan []string), dials: make(chan string, 9), ends: make(chan struct{})}
	masters := worker.Masters{Lists: f.lists, Source: source, Dial: func(ctx context.Context, address string) (rpc.Stream, error) {
		f.dials <- address
		return mute{ctx.Done(), f.ends}, nil
	}}
	w := worker.New(worker.Config{Name: "w", Data: data}, task.NewSet(all.Types()...), masters, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- w.Run(ctx) }()
	f.stop = func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}
	return f
}

// list tells the worker a list, and returns when the one before was taken in.
func (f *following) list(addresses ...string) { f.lists <- addresses }

// dialsNone gives who would dial the time for it.
func (f *following) dialsNone(why string) {
	f.t.Helper()
	for range 10_000 {
		select {
		case address := <-f.dials:
			f.t.Fatalf("%s is dialled: %s", address, why)
		default:
			runtime.Gosched()
		}
	}
}

// A stream that works says more than a list: a registry that comes back from an outage may show nobody
// for a moment, and whoever ends all streams for that makes them anew while work is handed out.
func TestAStreamThatWorksIsKept(t *testing.T) {
	t.Parallel()
	f := follow(t, t.TempDir(), "")
	f.list("m")
	<-f.dials
	f.list()
	f.list("m")
	f.list("m") // the one before was taken
	f.dialsNone("a second stream is made while the first one works")
	f.ends <- struct{}{}
	if got := <-f.dials; got != "m" {
		t.Errorf("%s is dialled", got)
	}
	f.stop()
}

// Whoever has left the list is not dialled again.
func TestAMasterThatIsGoneIsLeft(t *testing.T) {
	t.Parallel()
	f := follow(t, t.TempDir(), "")
	f.list("m")
	<-f.dials
	f.list("n")
	<-f.dials
	f.list("n") // the one before was taken
	f.ends <- struct{}{}
	f.ends <- struct{}{}
	if got := <-f.dials; got != "n" {
		t.Errorf("%s is dialled", got)
	}
	f.dialsNone("it has left the list")
	f.stop()
}

// A worker that starts while its registry is away knows its masters from before: what it took over from
// the process before it would be lost with the lease otherwise.
func TestMastersAreRemembered(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	before := follow(t, data, "etcd://a")
	before.list("m1", "m2")
	<-before.dials
	<-before.dials
	before.list("m2", "m3")
	before.list("m2", "m3") // the one before is on disk
	before.stop()

	after := follow(t, data, "etcd://a") // it hears no list
	got := map[string]bool{<-after.dials: true, <-after.dials: true}
	if !got["m2"] || !got["m3"] {
		t.Errorf("dialled: %v", got)
	}
	after.list("m3")
	after.list("m3")
	after.ends <- struct{}{}
	after.ends <- struct{}{}
	if got := <-after.dials; got != "m3" {
		t.Errorf("%s is dialled, though a list came since", got)
	}
	after.stop()

	other := follow(t, data, "etcd://b")
	other.dialsNone("it is a master of another registry")
	other.stop()
}

// A list that cannot be read, after a loss of power perhaps, stops nobody: the next one replaces it.
func TestABrokenListOfMastersIsReplaced(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	file := filepath.Join(data, "worker", "masters")
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(`{"source":`), 0o600); err != nil {
		t.Fatal(err)
	}
	first := follow(t, data, "etcd://a")
	first.list("m")
	<-first.dials
	first.list("m") // the one before is on disk
	first.stop()
	second := follow(t, data, "etcd://a")
	if got := <-second.dials; got != "m" {
		t.Errorf("%s is dialled", got)
	}
	second.stop()
}
