// Supervisor, worker proper and tasks as real processes: killed, stopped, replaced.

package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/task"
	"baton/internal/worker"
	"baton/internal/worker/supervisor"
)

// envHosted makes the test program a supervisor, or a worker proper below one.
const envHosted = "BATON_TEST_HOSTED"

// hosted is what such a process is told.
type hosted struct {
	Masters   []string
	Data      string
	HangAfter time.Duration
	StopGrace time.Duration
	NoCgroups bool
	DrainFor  time.Duration
	Spoil     bool // what a supervisor hands over cannot be read
}

func TestMain(m *testing.M) {
	text := os.Getenv(envHosted)
	switch {
	case text == "":
		goleak.VerifyTestMain(m)
	case len(os.Args) > 1 && os.Args[1] == "version":
	default:
		if err := runHosted(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func runHosted(text string) error {
	var h hosted
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	cfg := worker.Config{Name: "w", Data: h.Data, Slots: 64, KillGrace: 5 * time.Second, HangAfter: h.HangAfter, StopGrace: h.StopGrace, NoCgroups: h.NoCgroups, DrainFor: h.DrainFor}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	if os.Getenv(supervisor.LinkVar) == "" {
		if text, handed := os.LookupEnv(supervisor.HandoverVar); handed && h.Spoil {
			os.Setenv(supervisor.HandoverVar, "9"+text)
		}
		path := func() (string, error) { return os.Args[0], nil }
		return worker.Supervise(ctx, cfg, worker.Programs{Path: path, Proper: os.Args, Self: os.Args}, nil, log)
	}
	set := task.NewSet(script{}, fn("noop", noop), fn("waits", func(ctx context.Context, _ *task.Attempt) (task.Outputs, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	masters := worker.FixedMasters(h.Masters, func(ctx context.Context, address string) (rpc.Stream, error) {
		return rpc.To(address, nil)(ctx)
	})
	return worker.New(cfg, set, masters, log).RunBelow(ctx, os.NewFile(3, "link"))
}

// fleet is a master in the test and a worker of two processes.
type fleet struct {
	m    *master
	told hosted
	log  *syncBuffer
	cmd  *exec.Cmd
	done chan struct{}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// listening serves a master on a port of its own.
func listening(t testing.TB, m rpc.MastersServer) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
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
		srv.Stop()
		<-served
	})
	return l.Addr().String()
}

func setupFleet(t testing.TB, change func(*hosted, *master)) *fleet {
	t.Helper()
	f := &fleet{m: newMaster(), told: hosted{Data: t.TempDir(), HangAfter: time.Minute}, log: &syncBuffer{}}
	if change != nil {
		change(&f.told, f.m)
	}
	f.told.Masters = append([]string{listening(t, f.m)}, f.told.Masters...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the worker's log:\n%s", f.log)
		}
	})
	f.start(t)
	return f
}

// start runs the supervisor and waits for its hello.
func (f *fleet) start(t testing.TB) {
	t.Helper()
	before := f.m.greetings()
	text, err := json.Marshal(f.told)
	if err != nil {
		t.Fatal(err)
	}
	f.cmd = exec.Command(os.Args[0])
	f.cmd.Env = append(os.Environ(), envHosted+"="+string(text))
	f.cmd.Stdout, f.cmd.Stderr = f.log, f.log
	f.cmd.WaitDelay = 10 * time.Second
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.done = make(chan struct{})
	cmd, done := f.cmd, f.done
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	t.Cleanup(func() { f.stop(t) })
	f.m.wait(t, "a hello", func() bool { return len(f.m.hellos) > before })
}

func (f *fleet) stop(t testing.TB) {
	t.Helper()
	f.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-f.done:
	case <-time.After(30 * time.Second):
		f.cmd.Process.Kill()
		t.Error("the supervisor does not stop")
	}
}

func (m *master) greetings() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.hellos)
}

// stat returns parent and start of a process.
func stat(pid int) (parent int, start string) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, ""
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if f[0] == "Z" {
		return 0, ""
	}
	parent, _ = strconv.Atoi(f[1])
	return parent, f[19]
}

// proper finds the worker proper, which is the only child of the supervisor of the same program.
func (f *fleet) proper(t testing.TB) int {
	t.Helper()
	pid := 0
	eventually(t, "a worker proper", func() bool {
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		for _, d := range dirs {
			n, _ := strconv.Atoi(filepath.Base(d))
			if parent, _ := stat(n); parent != f.cmd.Process.Pid {
				continue
			}
			if env, err := os.ReadFile(d + "/environ"); err == nil && bytes.Contains(env, []byte("\x00"+supervisor.LinkVar+"=")) {
				pid = n
				return true
			}
		}
		return false
	})
	return pid
}

// eventually looks until what is looked for holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// again does something that ends the worker proper, and returns the hello of the next one.
func (f *fleet) again(t testing.TB, do func()) *rpc.Hello {
	t.Helper()
	before := f.m.greetings()
	do()
	f.m.wait(t, "another hello", func() bool { return len(f.m.hellos) > before })
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.m.hellos[before]
}

// killProper kills the worker proper and returns the hello of the next one.
func (f *fleet) killProper(t testing.TB) *rpc.Hello {
	t.Helper()
	pid := f.proper(t)
	return f.again(t, func() { unix.Kill(pid, unix.SIGKILL) })
}

// counter writes numbered lines until there is a file.
func counter(gate string, exit int) string {
	return fmt.Sprintf(`i=0; echo '${setValue(first=yes)}'; while [ ! -e %s ]; do i=$((i+1)); echo "line $i"; sleep 0.002; done; echo "last $i"; echo '${setValue(n='$i')}'; exit %d`, gate, exit)
}

// checkCounter looks whether each line is in the log once.
func checkCounter(t *testing.T, log string) (last int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	if lines[0] != "${setValue(first=yes)}" || len(lines) < 3 {
		t.Fatalf("log begins with %.200q", log)
	}
	last = len(lines) - 3
	for i, line := range lines[1 : len(lines)-2] {
		if line != fmt.Sprintf("line %d", i+1) {
			t.Fatalf("line %d of the log is %q", i+1, line)
		}
	}
	if want := fmt.Sprintf("last %d", last); lines[len(lines)-2] != want {
		t.Fatalf("the log ends with %q, want %q", lines[len(lines)-2:], want)
	}
	return last
}

func TestWorkerProperIsKilledAndAdoptsTwentyTasks(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, nil)
	gate := filepath.Join(t.TempDir(), "gate")
	const n = 20
	for i := range int64(n) {
		g := order(i+1, "script", counter(gate, int(i%3)))
		if i%2 == 0 {
			g.Env = map[string]string{"A": "1"}
			g.Secrets = []*rpc.SecretEnv{{Name: "S", FromEnv: "HOME"}} // masked logs go another way
		}
		f.m.grant(g)
	}
	f.m.grant(order(100, "waits", ""))
	f.m.wait(t, "starts", func() bool { return len(f.m.started) == n+1 })
	began := time.Now()
	hello := f.killProper(t)
	took := time.Since(began)
	t.Logf("adopted after %s", took)
	if hello.Session != 1 || int(hello.Pid) != f.cmd.Process.Pid {
		t.Errorf("hello %v", hello)
	}
	running := 0
	for _, h := range hello.Held {
		if h.State == rpc.HeldState_HELD_STATE_RUNNING {
			running++
		}
	}
	if running != n {
		t.Errorf("%d attempts go on, want %d: %v", running, n, hello.Held)
	}
	if e := f.m.end(t, 100); flow.AttemptState(e.State) != flow.AttemptLost || e.Cause != flow.ReasonWorkerRestart || e.Class != "infrastructure" {
		t.Errorf("what ran within the worker: %v", e)
	}
	for range 3 { // and again, while they go on
		f.killProper(t)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range int64(n) {
		e := f.m.end(t, i+1)
		last := checkCounter(t, f.m.logOf(t, i+1))
		if want := int32(i % 3); e.HasExitCode != true || e.ExitCode != want {
			t.Errorf("attempt %d: %v, want exit code %d", i+1, e, want)
		} else if outputs := fmt.Sprintf(`{"first":"yes","n":"%d"}`, last); want == 0 && string(e.Outputs) != outputs {
			t.Errorf("attempt %d has outputs %s, want %s", i+1, e.Outputs, outputs)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(f.told.Data, "work", "[0-9]*")); len(left) > 0 {
		eventually(t, "no work folder is left", func() bool {
			left, _ := filepath.Glob(filepath.Join(f.told.Data, "work", "[0-9]*"))
			return len(left) == 0
		})
	}
}

// TestNoByteOfAFloodIsLostOrDoubled kills the worker proper while pipes are full.
func TestNoByteOfAFloodIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, nil)
	const lines = 1_000_000
	plain := order(1, "script", fmt.Sprintf("seq 1 %d", lines))
	masked := order(2, "script", fmt.Sprintf("seq -f \"%%.0f $S\" 1 %d", lines))
	masked.Secrets = []*rpc.SecretEnv{{Name: "S", FromEnv: "HOME"}}
	f.m.grant(plain, masked)
	f.m.wait(t, "starts", func() bool { return len(f.m.started) == 2 || len(f.m.ended) > 0 })
	for range 6 {
		f.killProper(t)
	}
	check := func(token int64, format string) {
		if e := f.m.end(t, token); flow.AttemptState(e.State) != flow.AttemptSucceeded {
			t.Errorf("got %v", e)
		}
		b, err := os.ReadFile(filepath.Join(f.told.Data, "logs", "1", fmt.Sprint(token), fmt.Sprintf("%d.log", token)))
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for line := range strings.Lines(string(b)) {
			i++
			if want := fmt.Sprintf(format, i); line != want {
				t.Fatalf("line %d is %q, want %q", i, line, want)
			}
		}
		if i != lines {
			t.Errorf("%d lines, want %d", i, lines)
		}
	}
	check(1, "%d\n")
	check(2, "%d ***\n")
}

func TestResultsOfTasksThatEndWhileNobodyListens(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, nil)
	gate := filepath.Join(t.TempDir(), "gate")
	const n = 12
	for i := range int64(n) {
		f.m.grant(order(i+1, "script", fmt.Sprintf(`while [ ! -e %s ]; do sleep 0.01; done; echo "{\"v\": %d}" > $BATON_OUTPUT; echo bye; exit %d`, gate, i, i%2*7)))
	}
	f.m.wait(t, "starts", func() bool { return len(f.m.started) == n })
	// Stopped, it hears nothing of the ends; killed, it never will.
	pid := f.proper(t)
	unix.Kill(pid, unix.SIGSTOP)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all tasks are gone", func() bool { return len(children(f.cmd.Process.Pid)) == 1 })
	f.again(t, func() { unix.Kill(pid, unix.SIGKILL) })
	for i := range int64(n) {
		e := f.m.end(t, i+1)
		if e.ExitCode != int32(i%2*7) || !e.HasExitCode || i%2 == 0 && string(e.Outputs) != fmt.Sprintf(`{"v":%d}`, i) {
			t.Errorf("attempt %d: %v", i+1, e)
		}
		if log := f.m.logOf(t, i+1); log != "bye\n" {
			t.Errorf("log %q", log)
		}
	}
}

// children lists the living children of a process.
func children(of int) []int {
	var out []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		n, _ := strconv.Atoi(filepath.Base(d))
		if parent, _ := stat(n); parent == of {
			out = append(out, n)
		}
	}
	return out
}

func TestHangingWorkerProperIsReplaced(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, func(h *hosted, _ *master) { h.HangAfter = time.Second })
	gate := filepath.Join(t.TempDir(), "gate")
	f.m.grant(order(1, "script", counter(gate, 0)))
	f.m.wait(t, "a start", func() bool { return f.m.started[1] != nil })
	pid := f.proper(t)
	if hello := f.again(t, func() { unix.Kill(pid, unix.SIGSTOP) }); hello.Session != 1 || len(hello.Held) != 1 {
		t.Errorf("hello %v", hello)
	}
	if f.proper(t) == pid {
		t.Error("it is the same process")
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.m.end(t, 1)
	checkCounter(t, f.m.logOf(t, 1))
}

// TestWatchdogEndsWhatNobodyRenews: the worker proper stands still, and before the lease is over the
// supervisor has killed everything; the next one is a new incarnation.
func TestWatchdogEndsWhatNobodyRenews(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, func(_ *hosted, m *master) { m.lease = 6 * time.Second })
	f.m.grant(order(1, "script", "trap '' TERM; echo ready; sleep 1000; sleep 1000"), order(2, "script", "echo ready; (setsid sleep 1000 &); sleep 1000"))
	f.m.wait(t, "starts and beats", func() bool { return len(f.m.started) == 2 && len(f.m.beats) > 1 })
	sup, pid := f.cmd.Process.Pid, f.proper(t)
	var dead time.Duration
	hello := f.again(t, func() {
		unix.Kill(pid, unix.SIGSTOP)
		stopped := time.Now()
		eventually(t, "nothing runs", func() bool {
			return !slices.ContainsFunc(children(sup), func(c int) bool {
				env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", c))
				return bytes.Contains(env, []byte(supervisor.FenceVar))
			})
		})
		dead = time.Since(stopped)
	})
	t.Logf("all dead %s after the stop, lease %s", dead, f.m.lease)
	// The last renewal came before the stop; so all are dead within the lease after it.
	if dead > f.m.lease {
		t.Errorf("all dead only %s after the last sign of life, with a lease of %s", dead, f.m.lease)
	}
	if hello.Session != 0 || !slices.Contains(hello.Earlier, 1) {
		t.Errorf("hello %v", hello)
	}
	for _, h := range hello.Held {
		if h.State != rpc.HeldState_HELD_STATE_ENDED {
			t.Errorf("a new incarnation holds %v", h)
		}
	}
	for token := range int64(2) {
		if e := f.m.end(t, token+1); flow.AttemptState(e.State) != flow.AttemptLost || e.Cause != flow.ReasonWorkerLost || !e.Confirmed {
			t.Errorf("got %v", e)
		}
	}
}

func TestIsolatedWorkerProperComesBackAsANewIncarnation(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, func(_ *hosted, m *master) { m.lease = 4 * time.Second })
	f.m.grant(order(1, "script", "trap '' TERM; sleep 1000; sleep 1000"))
	f.m.wait(t, "a start and a beat", func() bool { return len(f.m.started) == 1 && len(f.m.beats) > 0 })
	hello := f.again(t, func() {
		f.m.mu.Lock()
		f.m.mute = true
		f.m.mu.Unlock()
	})
	f.m.mu.Lock()
	f.m.mute = false
	f.m.mu.Unlock()
	// On a machine too busy for the worker proper to act in time the supervisor does, and starts another.
	if hello.Session != 0 {
		t.Errorf("hello %v", hello)
	}
	if e := f.m.end(t, 1); flow.AttemptState(e.State) != flow.AttemptLost || !e.Confirmed {
		t.Errorf("got %v", e)
	}
	f.m.grant(order(2, "script", "echo again"))
	f.m.end(t, 2)
}

func TestUpgradesWithRunsInFlight(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, nil)
	gate := filepath.Join(t.TempDir(), "gate")
	const n = 6
	for i := range int64(n) {
		g := order(i+1, "script", counter(gate, 0))
		if i%2 == 0 {
			g.Secrets = []*rpc.SecretEnv{{Name: "S", FromEnv: "HOME"}}
		}
		f.m.grant(g)
	}
	f.m.grant(order(50, "script", "trap 'echo told; sleep 0.3; exit 5' TERM; echo ready; while :; do sleep 0.01; done"))
	f.m.wait(t, "starts", func() bool { return len(f.m.started) == n+1 })
	sup := f.cmd.Process.Pid
	first := f.proper(t)
	if hello := f.again(t, func() { unix.Kill(sup, unix.SIGHUP) }); hello.Session != 1 || len(hello.Held) != n+1 {
		t.Errorf("hello %v", hello)
	}
	second := f.proper(t)
	if second == first {
		t.Error("the worker proper is the same process")
	}
	// The supervisor in place: same process, same worker proper, whose stream does not even break.
	greetings := f.m.greetings()
	for range 3 {
		said := strings.Count(f.log.String(), "taking up the program on disk")
		unix.Kill(sup, unix.SIGUSR2)
		eventually(t, "the supervisor takes up its program", func() bool {
			return strings.Count(f.log.String(), "taking up the program on disk") > said
		})
		// It serves again.
		token := int64(200 + said)
		f.m.grant(order(token, "script", "echo served"))
		f.m.end(t, token)
	}
	if f.proper(t) != second || f.m.greetings() != greetings {
		t.Errorf("the worker proper did not stay: %d, was %d; %d hellos more", f.proper(t), second, f.m.greetings()-greetings)
	}
	// A kill under way goes on under the next program.
	f.m.send(&rpc.FromMaster{Kills: []*rpc.Kill{{Token: 50, Instance: 1, Task: 50}}})
	eventually(t, "the task hears of its end", func() bool {
		b, _ := os.ReadFile(filepath.Join(f.told.Data, "logs", "1", "50", "50.log"))
		return strings.Contains(string(b), "told")
	})
	unix.Kill(sup, unix.SIGUSR2)
	if e := f.m.end(t, 50); flow.AttemptState(e.State) != flow.AttemptKilled || !e.Confirmed {
		t.Errorf("got %v", e)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range int64(n) {
		if e := f.m.end(t, i+1); flow.AttemptState(e.State) != flow.AttemptSucceeded {
			t.Errorf("got %v", e)
		}
		checkCounter(t, f.m.logOf(t, i+1))
	}
}

func TestKilledSupervisorLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, nil)
	f.m.grant(order(1, "script", "sleep 1000"), order(2, "script", "exec env -i sleep 1000"), order(3, "script", "exit 3"))
	f.m.wait(t, "starts", func() bool { return f.m.started[1] != nil && f.m.started[2] != nil && f.m.ended[3] != nil })
	sup, proper := f.cmd.Process.Pid, f.proper(t)
	tasks := slices.DeleteFunc(children(sup), func(c int) bool { return c == proper })
	if len(tasks) < 2 {
		t.Fatalf("only %v run", tasks)
	}
	unix.Kill(sup, unix.SIGKILL)
	<-f.done
	// The worker proper does not outlive it, nor what it knew of: also when no supervisor comes again.
	eventually(t, "all are gone", func() bool {
		return !slices.ContainsFunc(append(tasks, proper), func(pid int) bool { _, start := stat(pid); return start != "" })
	})
	f.start(t)
	hello := f.m.hellos[len(f.m.hellos)-1]
	if hello.Session != 0 || !slices.Contains(hello.Earlier, 1) {
		t.Errorf("hello %v", hello)
	}
	for token := int64(1); token <= 2; token++ {
		if e := f.m.end(t, token); flow.AttemptState(e.State) != flow.AttemptLost || e.Class != "infrastructure" || !e.Confirmed {
			t.Errorf("got %v", e)
		}
	}
}

// TestSupervisorAndWorkerKilledTogether: nobody is left to end the tasks but the next supervisor.
func TestSupervisorAndWorkerKilledTogether(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, nil)
	f.m.grant(order(1, "script", "sleep 1000"), order(2, "script", "exec env -i sleep 1000"))
	f.m.wait(t, "starts", func() bool { return len(f.m.started) == 2 })
	sup, proper := f.cmd.Process.Pid, f.proper(t)
	tasks := slices.DeleteFunc(children(sup), func(c int) bool { return c == proper })
	unix.Kill(proper, unix.SIGSTOP)
	unix.Kill(sup, unix.SIGKILL)
	unix.Kill(proper, unix.SIGKILL)
	<-f.done
	if len(tasks) < 2 || slices.ContainsFunc(tasks, func(pid int) bool { _, start := stat(pid); return start == "" }) {
		t.Fatalf("tasks %v did not survive", tasks)
	}
	f.start(t)
	if slices.ContainsFunc(tasks, func(pid int) bool { _, start := stat(pid); return start != "" }) {
		t.Errorf("a hello was said while one of %v lives", tasks)
	}
	for token := int64(1); token <= 2; token++ {
		if e := f.m.end(t, token); flow.AttemptState(e.State) != flow.AttemptLost || !e.Confirmed {
			t.Errorf("got %v", e)
		}
	}
}

func TestStopOfTheSupervisorEndsEverything(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, func(h *hosted, _ *master) { h.StopGrace = 100 * time.Millisecond })
	f.m.grant(order(1, "script", "trap '' TERM; echo ready; sleep 1000; sleep 1000"), order(2, "waits", ""))
	f.m.wait(t, "starts", func() bool { return len(f.m.started) == 2 })
	proper := f.proper(t)
	f.stop(t)
	if code := f.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, start := stat(proper); start != "" {
		t.Error("the worker proper lives")
	}
	for token := int64(1); token <= 2; token++ {
		if e := f.m.end(t, token); flow.AttemptState(e.State) != flow.AttemptLost || e.Cause != flow.ReasonWorkerStop || !e.Confirmed {
			t.Errorf("got %v", e)
		}
	}
}

// TestHandoverThatCannotBeReadFallsBackToTheJournal: the next program ends what ran and says so.
func TestHandoverThatCannotBeReadFallsBackToTheJournal(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, func(h *hosted, _ *master) { h.Spoil = true })
	f.m.grant(order(1, "script", "sleep 1000"), order(2, "script", "exec env -i sleep 1000"))
	f.m.wait(t, "starts", func() bool { return len(f.m.started) == 2 })
	sup, proper := f.cmd.Process.Pid, f.proper(t)
	tasks := children(sup)
	hello := f.again(t, func() { unix.Kill(sup, unix.SIGUSR2) })
	if slices.ContainsFunc(tasks, func(pid int) bool { _, start := stat(pid); return start != "" }) {
		t.Errorf("a hello was said while one of %v lives", tasks)
	}
	if hello.Session != 0 || !slices.Contains(hello.Earlier, 1) || int(hello.Pid) != sup || f.proper(t) == proper {
		t.Errorf("hello %v", hello)
	}
	for token := int64(1); token <= 2; token++ {
		if e := f.m.end(t, token); flow.AttemptState(e.State) != flow.AttemptLost || !e.Confirmed {
			t.Errorf("got %v", e)
		}
	}
	if !strings.Contains(f.log.String(), "hands over in version 91") {
		t.Error("the log does not say why")
	}
}

// TestJournalThatCannotBeWritten: nothing new is begun, what runs goes on, and its result is not
// forgotten when the worker proper dies before a master has it.
func TestJournalThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, nil)
	gate := filepath.Join(t.TempDir(), "gate")
	f.m.grant(order(1, "script", counter(gate, 3)))
	f.m.wait(t, "a start", func() bool { return f.m.started[1] != nil })
	limit := func(bytes uint64) {
		t.Helper()
		if err := unix.Prlimit(f.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil); err != nil {
			t.Fatal(err)
		}
	}
	limit(8)
	f.m.grant(order(2, "script", "echo never"))
	f.m.wait(t, "a refusal", func() bool { return f.m.refused[2] != nil })
	if reason := f.m.refused[2].Reason; reason != "disk" {
		t.Errorf("refused because of %q", reason)
	}
	f.m.mu.Lock()
	f.m.mute = true // it acknowledges nothing
	f.m.mu.Unlock()
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := f.m.end(t, 1)
	f.m.mu.Lock()
	f.m.mute, f.m.ended = false, map[int64]*rpc.Ended{}
	f.m.mu.Unlock()
	f.killProper(t)
	again := f.m.end(t, 1)
	if first.ExitCode != 3 || again.ExitCode != 3 || again.Cause != first.Cause || again.StartedAt != first.StartedAt {
		t.Errorf("first %v, then %v", first, again)
	}
	checkCounter(t, f.m.logOf(t, 1))
	limit(unix.RLIM_INFINITY)
	f.m.grant(order(3, "script", "echo again"))
	f.m.end(t, 3)
}

// TestStreamsFollowTheListOfMasters: one stream each, one of them gives the session, and a master
// that is named no more is left.
func TestStreamsFollowTheListOfMasters(t *testing.T) {
	t.Parallel()
	a, b, c := newMaster(), newMaster(), newMaster()
	b.session, c.session = 100, 200 // what they would give
	dialers := map[string]rpc.Dialer{"a": rpc.Pipe(a), "b": rpc.Pipe(b), "c": rpc.Pipe(c)}
	lists := make(chan []string)
	masters := worker.Masters{Lists: lists, Dial: func(ctx context.Context, address string) (rpc.Stream, error) {
		s, err := dialers[address](ctx)
		return s, err
	}}
	wk := worker.New(worker.Config{Name: "w", Data: t.TempDir()}, task.NewSet(script{}, fn("noop", noop)), masters, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- wk.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	lists <- []string{"a", "b"}
	a.wait(t, "a hello", func() bool { return len(a.hellos) == 1 })
	b.wait(t, "a hello", func() bool { return len(b.hellos) == 1 })
	if (a.hellos[0].Session == 0) == (b.hellos[0].Session == 0) {
		t.Errorf("asked for a session: %v, %v", a.hellos[0], b.hellos[0])
	}
	a.grant(order(1, "noop", ""))
	b.grant(order(2, "noop", ""))
	a.end(t, 1)
	b.end(t, 2)
	lists <- []string{"b", "c"}
	c.wait(t, "a hello", func() bool { return len(c.hellos) == 1 })
	if c.hellos[0].Session == 0 {
		t.Error("a third master is asked for a session")
	}
	c.grant(order(3, "noop", ""))
	c.end(t, 3)
	b.grant(order(4, "noop", ""))
	b.end(t, 4)
}

// TestDrainLetsWhatRunsEnd: also when the worker proper dies meanwhile.
func TestDrainLetsWhatRunsEnd(t *testing.T) {
	t.Parallel()
	f := setupFleet(t, func(h *hosted, _ *master) { h.DrainFor = time.Minute })
	gate := filepath.Join(t.TempDir(), "gate")
	f.m.grant(order(1, "script", counter(gate, 0)))
	f.m.wait(t, "a start", func() bool { return f.m.started[1] != nil })
	f.cmd.Process.Signal(unix.SIGTERM)
	eventually(t, "it drains", func() bool { return strings.Contains(f.log.String(), "draining") })
	f.killProper(t)
	f.m.grant(order(2, "script", "echo never"))
	f.m.wait(t, "a refusal", func() bool { return f.m.refused[2] != nil })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := f.m.end(t, 1); flow.AttemptState(e.State) != flow.AttemptSucceeded {
		t.Errorf("got %v", e)
	}
	select {
	case <-f.done:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end when nothing runs any more")
	}
	if code := f.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
