// Package fleet runs `baton worker` as a user does: the real program, its signals, its processes,
// against a master over TCP.
package fleet

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/store/storetest/pgtest"
	"baton/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(func() int { return pgtest.Main(m) })) }

// master gives a session, acknowledges results and renews.
type master struct {
	rpc.UnimplementedMastersServer
	rpc.UnimplementedPeersServer

	address string
	mu      sync.Mutex
	hellos  []*rpc.Hello
	stream  rpc.Masters_SessionServer
	started map[int64]bool
	left    int64 // the session that the worker ended
	ended   map[int64]*rpc.Ended
}

// Follow tells that there is no other master.
func (m *master) Follow(_ *rpc.FollowRequest, s rpc.Peers_FollowServer) error {
	if err := s.Send(&rpc.FollowReply{Masters: []*rpc.MasterAddress{{Incarnation: 1, Name: "m1", Address: m.address}}}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

func (m *master) Session(s rpc.Masters_SessionServer) error {
	for {
		f, err := s.Recv()
		if err != nil {
			return err
		}
		if err := m.hear(s, f); err != nil {
			return err
		}
	}
}

func (m *master) hear(s rpc.Masters_SessionServer, f *rpc.FromWorker) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	answer := &rpc.FromMaster{Master: 1}
	if f.Hello != nil {
		answer.Welcome = &rpc.Welcome{Session: 7, LeaseMicros: (30 * time.Second).Microseconds(), Generation: 1}
		m.hellos, m.stream = append(m.hellos, f.Hello), s
	}
	for _, e := range f.Started {
		m.started[e.Token] = true
	}
	for _, e := range f.Ended {
		m.ended[e.Token] = e
		answer.Acks = append(answer.Acks, e.Token)
	}
	if f.Leave != 0 {
		m.left, answer.Left = f.Leave, f.Leave
	}
	if f.Beat != nil {
		answer.Renew, answer.Beat = true, f.Beat.Number
	}
	return s.Send(answer)
}

func (m *master) grant(t *testing.T, token int64, script string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	g := &rpc.Grant{Token: token, Instance: 1, Task: token, Attempt: 1, Type: "shell", TaskName: "a", Options: fmt.Appendf(nil, `{"script": %q}`, script)}
	if err := m.stream.Send(&rpc.FromMaster{Master: 1, Grants: []*rpc.Grant{g}}); err != nil {
		t.Fatal(err)
	}
}

func (m *master) hello(i int) *rpc.Hello {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hellos[i]
}

func (m *master) end(token int64) *rpc.Ended {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended[token]
}

func (m *master) holds(cond func() bool) func() bool {
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return cond()
	}
}

func TestWorkerThroughItsSignals(t *testing.T) {
	t.Parallel()
	m := &master{started: map[int64]bool{}, ended: map[int64]*rpc.Ended{}}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = l.Addr().String()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(ctx, l, m, m, nil) }()
	t.Cleanup(func() { stop(); <-served })

	dir := t.TempDir()
	gate, logFile := filepath.Join(dir, "gate"), filepath.Join(dir, "log")
	log, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(harness.Binary(t), "worker", "--registry", "master://"+l.Addr().String(), "--data", filepath.Join(dir, "data"), "--name", "w1", "--log-format", "text")
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { defer close(exited); cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
		if b, err := os.ReadFile(logFile); err == nil && t.Failed() {
			t.Logf("the worker's log:\n%s", b)
		}
	})
	harness.Eventually(t, "a hello", m.holds(func() bool { return len(m.hellos) == 1 }))
	if h := m.hello(0); h.Name != "w1" || int(h.Pid) != cmd.Process.Pid {
		t.Errorf("hello %v", h)
	}
	m.grant(t, 1, "while [ ! -e "+gate+" ]; do sleep 0.05; done; echo through")
	harness.Eventually(t, "a start", m.holds(func() bool { return m.started[1] }))
	proper := childNamed(cmd.Process.Pid, "proper")
	if proper == 0 {
		t.Fatal("the supervisor has no child that is called proper")
	}
	for i, end := range []func(){
		func() { syscall.Kill(proper, syscall.SIGKILL) },
		func() { cmd.Process.Signal(syscall.SIGHUP) },
	} {
		end()
		harness.Eventually(t, "another hello", m.holds(func() bool { return len(m.hellos) == i+2 }))
		if h := m.hello(i + 1); h.Session != 7 || len(h.Held) != 1 || h.Held[0].State != rpc.HeldState_HELD_STATE_RUNNING {
			t.Errorf("hello %v", h)
		}
	}
	proper = childNamed(cmd.Process.Pid, "proper")
	cmd.Process.Signal(syscall.SIGUSR2)
	harness.Eventually(t, "the supervisor takes up its program", func() bool {
		b, _ := os.ReadFile(logFile)
		return strings.Contains(string(b), "taking up the program on disk")
	})
	m.grant(t, 2, "echo served; exit 4")
	harness.Eventually(t, "an end", m.holds(func() bool { return m.ended[2] != nil }))
	if e := m.end(2); e.ExitCode != 4 || e.CpuMicros == 0 {
		t.Errorf("got %v", e)
	}
	if childNamed(cmd.Process.Pid, "proper") != proper {
		t.Error("the worker below did not stay")
	}
	cmd.Process.Signal(syscall.SIGTERM) // it drains
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-exited:
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !m.holds(func() bool { return m.left == 7 })() {
		t.Error("it did not end its session")
	}
	if e := m.end(1); e == nil || flow.AttemptState(e.State) != flow.AttemptSucceeded {
		t.Errorf("got %v", e)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "data", "logs", "1", "1", "1.log")); string(b) != "through\n" {
		t.Errorf("log %q, %v", b, err)
	}
}

// childNamed finds a child by a word of its command line.
func childNamed(parent int, word string) int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		line, err := os.ReadFile(d + "/cmdline")
		if err != nil || !strings.HasSuffix(string(line), "\x00"+word+"\x00") {
			continue
		}
		stat, err := os.ReadFile(d + "/stat")
		if err != nil {
			continue
		}
		var state string
		var of, pid int
		fmt.Sscan(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), &state, &of)
		if fmt.Sscan(filepath.Base(d), &pid); of == parent {
			return pid
		}
	}
	return 0
}
