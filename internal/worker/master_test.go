// A master for tests: it grants what it is told to and writes down what it hears.

package worker_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/task"
	"baton/internal/worker"
)

// master is an in-memory master with one worker at a time. wait blocks until what it has heard
// satisfies a condition.
type master struct {
	rpc.UnimplementedMastersServer
	lease time.Duration

	mu      sync.Mutex
	changed chan struct{}
	hellos  []*rpc.Hello
	started map[int64]*rpc.Started
	ended   map[int64]*rpc.Ended
	refused map[int64]*rpc.Refused
	logs    map[int64][]*rpc.LogChunk
	beats   []*rpc.Beat
	blobs   map[string][]byte
	mute    bool // does not acknowledge, does not renew
	session int64
	stream  rpc.Masters_SessionServer
	sendMu  sync.Mutex
}

func newMaster() *master {
	return &master{
		lease: 30 * time.Second, changed: make(chan struct{}),
		started: map[int64]*rpc.Started{}, ended: map[int64]*rpc.Ended{}, refused: map[int64]*rpc.Refused{},
		logs: map[int64][]*rpc.LogChunk{}, blobs: map[string][]byte{},
	}
}

func (m *master) Session(s rpc.Masters_SessionServer) error {
	for {
		f, err := s.Recv()
		if err != nil {
			return err
		}
		m.hear(s, f)
	}
}

func (m *master) hear(s rpc.Masters_SessionServer, f *rpc.FromWorker) {
	answer := &rpc.FromMaster{Master: 1}
	m.mu.Lock()
	if h := f.Hello; h != nil {
		if h.Session == 0 {
			m.session++
			h = &rpc.Hello{Session: m.session}
		}
		welcome := &rpc.Welcome{Session: h.Session, LeaseMicros: m.lease.Microseconds(), Generation: 1}
		// Nothing is sent before a welcome, also by tests that have seen the hello.
		m.mu.Unlock()
		m.sendOn(s, &rpc.FromMaster{Master: 1, Welcome: welcome})
		m.mu.Lock()
		m.hellos = append(m.hellos, f.Hello)
		m.stream = s
	}
	for _, e := range f.Started {
		m.started[e.Token] = e
	}
	for _, e := range f.Ended {
		m.ended[e.Token] = e
		if !m.mute {
			answer.Acks = append(answer.Acks, e.Token)
		}
	}
	for _, e := range f.Refused {
		m.refused[e.Token] = e
	}
	for _, l := range f.Logs {
		m.logs[l.Request] = append(m.logs[l.Request], l)
	}
	if f.Beat != nil {
		m.beats = append(m.beats, f.Beat)
		answer.Renew, answer.Beat = !m.mute, f.Beat.Number
	}
	for _, b := range f.Blobs {
		data, ok := m.blobs[b.Sha256]
		if ok && data == nil {
			continue // a master that does not answer
		}
		if !ok {
			answer.Blobs = append(answer.Blobs, &rpc.BlobChunk{Sha256: b.Sha256, Error: "not_found"})
			continue
		}
		half := len(data) / 2
		answer.Blobs = append(answer.Blobs, &rpc.BlobChunk{Sha256: b.Sha256, Data: data[:half]}, &rpc.BlobChunk{Sha256: b.Sha256, Data: data[half:], Last: true})
	}
	close(m.changed)
	m.changed = make(chan struct{})
	m.mu.Unlock()
	m.sendOn(s, answer)
}

func (m *master) sendOn(s rpc.Masters_SessionServer, f *rpc.FromMaster) {
	m.sendMu.Lock()
	defer m.sendMu.Unlock()
	s.Send(f)
}

func (m *master) send(f *rpc.FromMaster) {
	f.Master = 1
	m.mu.Lock()
	s := m.stream
	m.mu.Unlock()
	m.sendOn(s, f)
}

func (m *master) grant(gs ...*rpc.Grant) { m.send(&rpc.FromMaster{Grants: gs}) }

// wait blocks until cond, called under the lock, holds.
func (m *master) wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		m.mu.Lock()
		ok, changed := cond(), m.changed
		m.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

func (m *master) end(t testing.TB, token int64) *rpc.Ended {
	t.Helper()
	m.wait(t, "the end of an attempt", func() bool { return m.ended[token] != nil })
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended[token]
}

// logOf asks for the whole log of an ended or running attempt.
func (m *master) logOf(t testing.TB, token int64) string {
	t.Helper()
	var out []byte
	for {
		m.mu.Lock()
		request := int64(1000 + len(m.logs))
		m.logs[request] = nil
		m.mu.Unlock()
		m.send(&rpc.FromMaster{ReadLogs: []*rpc.ReadLog{{Request: request, Token: token, Instance: 1, Task: token, Offset: int64(len(out)), Follow: true}}})
		m.wait(t, "a part of a log", func() bool { return len(m.logs[request]) > 0 })
		m.mu.Lock()
		c := m.logs[request][0]
		m.mu.Unlock()
		out = append(out, c.Data...)
		if c.Error != "" {
			out = append(out, "error: "+c.Error...)
		}
		if c.End || c.Error != "" {
			return string(out)
		}
	}
}

// script is a process type that runs its options as a shell script.
type script struct{}

func (script) Name() string                        { return "script" }
func (script) Schema() task.Schema                 { return task.Schema{} }
func (script) Check(json.RawMessage) []*flow.Error { return nil }
func (script) Command(a *task.Attempt) (task.Command, error) {
	return task.Command{Args: []string{"/bin/sh", "-c", string(a.Options)}}, nil
}

// program is a process type that runs the words of its options as they are.
type program struct{ script }

func (program) Name() string { return "program" }
func (program) Command(a *task.Attempt) (task.Command, error) {
	return task.Command{Args: []string{string(a.Options)}}, nil
}

// function is a function type made of a func.
type function struct {
	script
	name string
	run  func(ctx context.Context, a *task.Attempt) (task.Outputs, error)
}

// onlyFunction hides Command, so that a function is no process.
type onlyFunction struct {
	task.Type
	f function
}

func (o onlyFunction) Name() string { return o.f.name }
func (o onlyFunction) Run(ctx context.Context, a *task.Attempt) (task.Outputs, error) {
	return o.f.run(ctx, a)
}

func fn(name string, run func(ctx context.Context, a *task.Attempt) (task.Outputs, error)) task.Type {
	return onlyFunction{script{}, function{name: name, run: run}}
}

func noop(context.Context, *task.Attempt) (task.Outputs, error) { return nil, nil }

type world struct {
	m      *master
	cfg    worker.Config
	dial   rpc.Dialer
	worker *worker.Worker
	stop   func()
	over   func() // waits for the worker to end by itself
}

// wires are the two ways frames go in one process: as they are, and encoded by gRPC.
var wires = map[string]func(testing.TB, *master) rpc.Dialer{
	"memory": func(_ testing.TB, m *master) rpc.Dialer { return rpc.Pipe(m) },
	"grpc": func(t testing.TB, m *master) rpc.Dialer {
		l, conn, err := rpc.InMemory()
		if err != nil {
			t.Fatal(err)
		}
		srv := rpc.NewServer(m, nil, nil)
		served := make(chan struct{})
		go func() {
			defer close(served)
			srv.Serve(l)
		}()
		t.Cleanup(func() {
			conn.Close()
			srv.Stop()
			<-served
		})
		return rpc.Over(conn)
	},
}

// setup runs a worker against a fresh master until the test ends.
func setup(t testing.TB, change func(*worker.Config, *master), types ...task.Type) *world {
	t.Helper()
	return setupOver(t, "memory", change, types...)
}

func setupOver(t testing.TB, wire string, change func(*worker.Config, *master), types ...task.Type) *world {
	t.Helper()
	m := newMaster()
	cfg := worker.Config{Name: "w", Data: t.TempDir(), Slots: 64, KillGrace: 5 * time.Second}
	if change != nil {
		change(&cfg, m)
	}
	w := &world{m: m, cfg: cfg, dial: wires[wire](t, m)}
	w.run(t, types...)
	return w
}

// run starts a worker on the world's data folder.
func (w *world) run(t testing.TB, types ...task.Type) {
	t.Helper()
	before := len(w.m.hellos)
	w.stop = w.runWith(t, w.dial, types...)
	w.m.wait(t, "a hello", func() bool { return len(w.m.hellos) > before })
}

func (w *world) runWith(t testing.TB, dial rpc.Dialer, types ...task.Type) (stop func()) {
	t.Helper()
	set := task.NewSet(append(slices.Clone(types), script{}, program{}, fn("noop", noop))...)
	wk := worker.New(w.cfg, set, worker.OneMaster(dial), slog.New(slog.DiscardHandler))
	w.worker = wk
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wk.Run(ctx) }()
	var once sync.Once
	over := func() {
		once.Do(func() {
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	w.over = over
	stop = func() {
		cancel()
		over()
	}
	t.Cleanup(stop)
	return stop
}

func order(token int64, typeName, options string) *rpc.Grant {
	return &rpc.Grant{Token: token, Instance: 1, Task: token, Attempt: 1, Type: typeName, Options: []byte(options)}
}
