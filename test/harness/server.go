// A standalone server as a process of its own.

package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How long anything may take before a test gives up on it; the race detector on a busy machine is
// slow, and a limit that is too short only tells that the machine is busy.
const patience = 60 * time.Second

// Server is a data folder and the process that serves it, which may be ended and started again.
type Server struct {
	Dir  string // the folder of the test: data, log, home of the user
	Data string
	URL  string
	Env  []string // more environment of the server, NAME=value
	Args []string // more arguments of standalone
	// Program is run instead of Binary, when set.
	Program string

	process *process
}

// New makes a server without starting it.
func New(t testing.TB) *Server {
	t.Helper()
	dir := t.TempDir()
	return &Server{Dir: dir, Data: filepath.Join(dir, "data")}
}

// Start makes a server, starts it and ends it with the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := New(t)
	s.Args = args
	s.Start(t)
	return s
}

// Start runs the server and returns when it is ready.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.launch(t); err != nil {
		t.Fatalf("%v\n%s", err, tail(s.LogFile()))
	}
}

func (s *Server) launch(t testing.TB) error {
	t.Helper()
	first := s.process == nil
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"standalone", "--data", s.Data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, s.Args...)
	program := s.Program
	if program == "" {
		program = Binary(t)
	}
	c := exec.Command(program, args...)
	c.Dir = s.Dir
	c.Env = append(s.environ(), s.Env...)
	c.Stdout, c.Stderr = log, log
	s.process, err = start(c)
	log.Close()
	if err != nil {
		t.Fatalf("start standalone: %v", err)
	}
	if first {
		t.Cleanup(func() {
			s.process.end(syscall.SIGKILL)
			if t.Failed() {
				t.Logf("the server's log:\n%s", tail(s.LogFile()))
			}
		})
	}
	return s.ready()
}

// LogFile is where the server writes what it has to say.
func (s *Server) LogFile() string { return filepath.Join(s.Dir, "server.log") }

// PID is the server's process.
func (s *Server) PID() int { return s.process.cmd.Process.Pid }

// ready waits for the address and for a good answer from it.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if raw, err := os.ReadFile(filepath.Join(s.Data, "server")); err == nil {
			s.URL = strings.TrimSpace(string(raw))
			if answers(ctx, s.URL+"/readyz") {
				return nil
			}
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("standalone ended: %w", s.process.err)
		case <-ctx.Done():
			return fmt.Errorf("standalone is not ready after %s", patience)
		case <-tick.C:
		}
	}
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil && res.StatusCode == http.StatusOK
}

// TryStart is Start for a server that may die before it is ready: it tells whether it got there.
func (s *Server) TryStart(t testing.TB) bool {
	t.Helper()
	os.Remove(filepath.Join(s.Data, "server"))
	return s.launch(t) == nil
}

// Died is closed when the process has ended.
func (s *Server) Died() <-chan struct{} { return s.process.done }

// Stop ends the server as an administrator would and fails the test when it does not end well.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.process.end(syscall.SIGTERM); err != nil {
		t.Fatalf("standalone after SIGTERM: %v\n%s", err, tail(s.LogFile()))
	}
}

// Signal sends a signal and does not wait for what it does.
func (s *Server) Signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := s.process.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// Gone waits for the end of the process and fails the test when it did not end well.
func (s *Server) Gone(t testing.TB) {
	t.Helper()
	select {
	case <-s.process.done:
		if s.process.err != nil {
			t.Fatalf("standalone: %v\n%s", s.process.err, tail(s.LogFile()))
		}
	case <-time.After(patience):
		t.Fatalf("standalone is still there after %s\n%s", patience, tail(s.LogFile()))
	}
}

// Kill ends the server as a power cut would. What its tasks started may live on.
func (s *Server) Kill() {
	s.process.end(syscall.SIGKILL)
	// The address of a server that is gone must not be taken for that of the next one.
	os.Remove(filepath.Join(s.Data, "server"))
}

// environ is a user's environment: nothing of whoever runs the tests decides.
func (s *Server) environ() []string {
	env := []string{"HOME=" + s.Dir, "XDG_CONFIG_HOME=" + filepath.Join(s.Dir, ".config"), "BATON_DATA=" + s.Data, "NO_COLOR=1", "TZ=UTC", "LC_ALL=C.UTF-8"}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "BATON_") && name != "HOME" && name != "XDG_CONFIG_HOME" && name != "TZ" && !strings.HasPrefix(name, "LC_") {
			env = append(env, e)
		}
	}
	return env
}

// tail is the end of a file, for a message.
func tail(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	const most = 8 << 10
	if len(raw) > most {
		raw = raw[len(raw)-most:]
		if _, rest, found := bytes.Cut(raw, []byte("\n")); found {
			raw = rest
		}
	}
	return string(raw)
}

// process is a child that does not outlive this one.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // after done
}

// start runs c. The kernel ends it when the thread that started it ends, so that thread is kept.
func start(c *exec.Cmd) (*process, error) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{cmd: c, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := c.Start()
		started <- err
		if err == nil {
			p.err = c.Wait()
		}
	}()
	return p, <-started
}

// end sends a signal and waits; a process that does not mind is killed.
func (p *process) end(signal syscall.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.done:
		if signal == syscall.SIGKILL {
			return nil
		}
		return p.err
	case <-late.C:
		p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("still there %s after %s", patience, signal)
	}
}
