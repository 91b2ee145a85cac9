package supervisor_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"baton/internal/worker/supervisor"
)

func TestMain(m *testing.M) {
	if home := os.Getenv("TEST_SUPERVISOR_VICTIM"); home != "" {
		victim(home)
		return
	}
	if len(os.Args) == 3 && os.Args[1] == properArg {
		proper(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

// tokens are unique in the test program, as they are in a fleet.
var tokens atomic.Int64

// output gathers what a process says; heard blocks until it said something.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) heard(t *testing.T, what string) string {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		o.mu.Lock()
		s, changed := o.buf.String(), o.changed
		o.mu.Unlock()
		if strings.Contains(s, what) {
			return s
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("never heard %q, only %q", what, s)
		}
	}
}

type world struct {
	*supervisor.Supervisor
	home string
}

func setup(t *testing.T) world {
	t.Helper()
	home := fmt.Sprintf("home-%d-%d", os.Getpid(), tokens.Add(1))
	s, err := supervisor.New(home)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return world{s, home}
}

// sh starts a shell script.
func (w world) sh(t *testing.T, script string) (*supervisor.Process, *output, int64) {
	t.Helper()
	out, token := newOutput(), tokens.Add(1)
	p, err := w.Start(supervisor.Spec{Token: token, Args: []string{"/bin/sh", "-c", script}, Dir: t.TempDir(), Output: out})
	if err != nil {
		t.Fatal(err)
	}
	return p, out, token
}

// marked lists the living processes of an attempt.
func (w world) marked(token int64) []int {
	var found []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		env, err := os.ReadFile(d + "/environ")
		if err == nil && bytes.Contains(env, []byte("BATON_FENCE="+strconv.FormatInt(token, 10)+"\x00")) && bytes.Contains(env, []byte(w.home)) {
			pid, _ := strconv.Atoi(filepath.Base(d))
			found = append(found, pid)
		}
	}
	return found
}

func (w world) nothingLeft(t *testing.T, token int64) {
	t.Helper()
	if left := w.marked(token); len(left) > 0 {
		t.Errorf("attempt %d left processes %v", token, left)
	}
}

func TestExit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		script string
		want   supervisor.Exit
	}{
		{"exit 0", supervisor.Exit{}},
		{"exit 3", supervisor.Exit{Code: 3}},
		{"exit 255", supervisor.Exit{Code: 255}},
		{"kill -9 $$", supervisor.Exit{Signal: unix.SIGKILL}},
		{"kill -SEGV $$", supervisor.Exit{Signal: unix.SIGSEGV}},
		{"(exit 4) & wait $!", supervisor.Exit{Code: 4}},
	}
	for _, tt := range tests {
		t.Run(tt.script, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			p, _, token := w.sh(t, tt.script)
			if got := p.Wait(); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			w.nothingLeft(t, token)
		})
	}
}

func TestLeftBehind(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"in the background":            "sleep 1000 & echo ready",
		"holding the pipe":             "(trap '' HUP TERM; sleep 1000; sleep 1000) & echo ready",
		"in a session of its own":      "setsid sleep 1000 & echo ready; sleep 0.05",
		"forked twice":                 "(setsid sh -c 'sleep 1000 & sleep 1000 & wait' >/dev/null 2>&1 &) ; echo ready; sleep 0.05",
		"without output, forked twice": "(setsid sleep 1000 </dev/null >/dev/null 2>&1 &); echo ready; sleep 0.05",
	}
	for name, script := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			p, out, token := w.sh(t, script)
			exit := p.Wait()
			if exit.Code != 0 || exit.Killed || exit.LeftBehind == 0 {
				t.Errorf("got %+v", exit)
			}
			if !strings.Contains(out.String(), "ready") {
				t.Errorf("output %q", out.String())
			}
			w.nothingLeft(t, token)
		})
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, script string
		grace        time.Duration
		says         string // must be in the output at the end
	}{
		{"one that listens", "trap 'echo bye; exit 0' TERM; echo ready; sleep 1000 & wait", time.Minute, "bye"},
		{"one that ignores TERM", "trap '' TERM; echo ready; sleep 1000; sleep 1000", 50 * time.Millisecond, ""},
		{"at once", "trap 'echo bye' TERM; echo ready; sleep 1000 & wait; wait", 0, ""},
		{"a stopped one", "echo ready; kill -STOP $$", time.Minute, ""},
		{"with daemons that ignore TERM", "setsid sh -c \"trap '' TERM; echo ready; sleep 1000; sleep 1000\" & sleep 1000", 100 * time.Millisecond, ""},
		{"that keeps forking", "echo ready; while :; do (setsid sleep 1000 &) ; done", 50 * time.Millisecond, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			p, out, token := w.sh(t, tt.script)
			out.heard(t, "ready")
			p.Kill(tt.grace)
			if exit := p.Wait(); !exit.Killed {
				t.Errorf("got %+v", exit)
			}
			if !strings.Contains(out.String(), tt.says) {
				t.Errorf("output %q has no %q", out.String(), tt.says)
			}
			w.nothingLeft(t, token)
		})
	}
}

func TestSecondKillShortensTheGrace(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p, out, token := w.sh(t, "trap '' TERM; echo ready; sleep 1000; sleep 1000")
	out.heard(t, "ready")
	p.Kill(time.Hour)
	p.Kill(2 * time.Hour)
	p.Kill(0)
	if exit := p.Wait(); !exit.Killed || exit.Signal != unix.SIGKILL {
		t.Errorf("got %+v", exit)
	}
	w.nothingLeft(t, token)
}

// Not parallel, as the next one: a process without marks and parents is taken for the only attempt
// that can have made it, and other tests have supervisors of their own in this program.
func TestLeftBehindWithAWashedEnvironment(t *testing.T) {
	w := setup(t)
	gate := filepath.Join(t.TempDir(), "go")
	p, out, _ := w.sh(t, "setsid env -i sh -c 'echo washed $$; exec sleep 1000' & while [ ! -e "+gate+" ]; do :; done")
	pid := pidOf(t, out, "washed ")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if exit := p.Wait(); exit.Code != 0 || exit.LeftBehind != 1 {
		t.Errorf("got %+v", exit)
	}
	if unix.Kill(pid, 0) == nil {
		t.Errorf("process %d lives", pid)
	}
}

func TestKillTouchesNoOtherAttempt(t *testing.T) {
	w := setup(t)
	a, outA, tokenA := w.sh(t, "setsid sleep 1000 & (setsid sleep 1000 &); echo ready; sleep 1000")
	b, outB, tokenB := w.sh(t, "(setsid sh -c 'echo marked $$; exec sleep 1000' &); (setsid env -i sh -c 'echo washed $$; exec sleep 1000' &) ; wait; sleep 1000")
	outA.heard(t, "ready")
	others := []int{b.Identity().PID, pidOf(t, outB, "marked "), pidOf(t, outB, "washed ")}
	a.Kill(0)
	a.Wait()
	w.nothingLeft(t, tokenA)
	for _, pid := range others {
		if unix.Kill(pid, 0) != nil {
			t.Errorf("process %d of the other attempt is gone; %v, %q", pid, others, outB)
		}
	}
	b.Kill(0)
	b.Wait()
	w.nothingLeft(t, tokenB)
}

// pidOf reads the number that a process says after a word.
func pidOf(t *testing.T, out *output, word string) int {
	t.Helper()
	for {
		_, after, _ := strings.Cut(out.heard(t, word), word)
		if number, _, whole := strings.Cut(after, "\n"); whole {
			pid, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
}

func TestOutputIsWhole(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p, out, _ := w.sh(t, "head -c 10000000 /dev/zero; printf 'end\\000'")
	p.Wait()
	if s := out.String(); len(s) != 10_000_004 || !strings.HasSuffix(s, "end\x00") {
		t.Errorf("got %d bytes", len(s))
	}
}

func TestEnvironmentIsClean(t *testing.T) {
	t.Setenv("WORKER_TOKEN", "secret")
	t.Setenv("LANG", "C.UTF-8")
	w := setup(t)
	out, dir := newOutput(), t.TempDir()
	p, err := w.Start(supervisor.Spec{Token: 5, Args: []string{"env"}, Env: map[string]string{"A": "1", "HOME": "/nowhere", "BAD=": "x", "N": "a\x00b"}, Dir: dir, Output: out})
	if err != nil {
		t.Fatal(err)
	}
	p.Wait()
	got := map[string]string{}
	for line := range strings.Lines(out.String()) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		got[k] = v
	}
	for k, v := range map[string]string{"A": "1", "HOME": "/nowhere", "LANG": "C.UTF-8", "PWD": dir, "N": "ab", "BATON_FENCE": "5", "PATH": os.Getenv("PATH")} {
		if got[k] != v {
			t.Errorf("%s = %q, want %q", k, got[k], v)
		}
	}
	if _, leaked := got["WORKER_TOKEN"]; leaked {
		t.Error("the worker's own environment leaked")
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	long := strings.Repeat("x", 4<<20)
	tests := []struct {
		name string
		args []string
		dir  string
		want string
		ours bool
	}{
		{"no such program", []string{"no-such-program"}, dir, "not installed", false},
		{"no such path", []string{dir + "/none"}, dir, "not installed", false},
		{"no interpreter", []string{write("a", "#!/no/such/interpreter\n", 0o755)}, dir, "interpreter", false},
		{"not executable", []string{write("b", "#!/bin/sh\n", 0o644)}, dir, "permission denied", false},
		{"too long", []string{"/bin/sh", "-c", long}, dir, "too long", false},
		{"no folder", []string{"/bin/sh"}, dir + "/gone", "work folder", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			_, err := w.Start(supervisor.Spec{Token: tokens.Add(1), Args: tt.args, Dir: tt.dir, Output: newOutput()})
			var se *supervisor.StartError
			if !errors.As(err, &se) || se.Ours != tt.ours || !strings.Contains(se.Error(), tt.want) {
				t.Errorf("got %v, want %q, ours %v", err, tt.want, tt.ours)
			}
		})
	}
}

func TestJustWrittenScriptRuns(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				dir := t.TempDir()
				if err := os.WriteFile(dir+"/x", []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
					t.Error(err)
				}
				p, err := w.Start(supervisor.Spec{Token: tokens.Add(1), Args: []string{dir + "/x"}, Dir: dir, Output: newOutput()})
				if err != nil {
					t.Error(err)
					return
				}
				if exit := p.Wait(); exit != (supervisor.Exit{}) {
					t.Errorf("got %+v", exit)
				}
			}
		})
	}
	wg.Wait()
}

func TestNextIncarnationBuriesTheSurvivors(t *testing.T) {
	t.Parallel()
	home := fmt.Sprintf("victim-%d", os.Getpid())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_SUPERVISOR_VICTIM="+home)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	var journal []supervisor.Identity
	for lines.Scan() && lines.Text() != "ready" {
		var id supervisor.Identity
		if _, err := fmt.Sscan(lines.Text(), &id.PID, &id.Start); err != nil {
			t.Fatal(err)
		}
		journal = append(journal, id)
	}
	cmd.Process.Kill()
	cmd.Wait()
	s, err := supervisor.New(home)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := world{s, home}
	if len(w.marked(1)) < 2 {
		t.Fatalf("nothing survived: %v", w.marked(1))
	}
	// The second attempt washed its environment: only the journal knows it.
	n, err := s.Bury(context.Background(), journal)
	if err != nil || n < 3 {
		t.Errorf("buried %d: %v", n, err)
	}
	w.nothingLeft(t, 1)
	for _, id := range journal {
		if err := unix.Kill(id.PID, 0); err == nil {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id.PID))
			if !bytes.Contains(b, []byte(") Z")) {
				t.Errorf("process %d of the journal lives: %s", id.PID, b)
			}
		}
	}
	if n, err := s.Bury(context.Background(), journal); n != 0 || err != nil {
		t.Errorf("buried %d more: %v", n, err)
	}
}

// victim is a program that starts tasks and waits to be killed.
func victim(home string) {
	s, err := supervisor.New(home)
	if err != nil {
		panic(err)
	}
	for i, script := range []string{"setsid sleep 1000 & sleep 1000", "exec env -i sleep 1000"} {
		p, err := s.Start(supervisor.Spec{Token: int64(i + 1), Args: []string{"/bin/sh", "-c", script}, Dir: "/", Output: newOutput()})
		if err != nil {
			panic(err)
		}
		fmt.Println(p.Identity().PID, p.Identity().Start)
	}
	for { // until both have become what they are to be
		b, _ := exec.Command("pgrep", "-c", "sleep").Output()
		if n, _ := strconv.Atoi(strings.TrimSpace(string(b))); n >= 3 {
			break
		}
	}
	fmt.Println("ready")
	select {}
}
