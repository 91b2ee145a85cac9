// A client in a process of its own, that can be frozen.

package registrytest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"baton/internal/registry"
)

const childEnv = "BATON_REGISTRYTEST_CHILD"

// orders are what a child is to do.
type orders struct {
	Address string
	Space   string
	Member  registry.Member
	Lease   time.Duration
	Name    string
}

// Main runs the tests of a package, or what a child of a test does. Call it from TestMain.
func Main(m *testing.M, b Backend) int {
	if raw := os.Getenv(childEnv); raw != "" {
		if err := obey(raw, b); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	return m.Run()
}

// obey announces a member, takes a name, says what happens to it, and ends with its input.
func obey(raw string, b Backend) error {
	var o orders
	if err := json.Unmarshal([]byte(raw), &o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := b.Open(ctx, o.Address, o.Space, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	if _, err := r.Announce(ctx, o.Member, o.Lease); err != nil {
		return err
	}
	l, err := r.Acquire(ctx, o.Name, o.Member.Incarnation, o.Lease)
	if err != nil {
		return err
	}
	var said sync.Mutex
	say := func(args ...any) {
		said.Lock()
		defer said.Unlock()
		fmt.Println(args...) //nolint:forbidigo // a child speaks to its parent
	}
	say("ready", l.Fence())
	go func() {
		<-l.Lost()
		say("lost", 0)
	}()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return r.Close()
}

type child struct {
	*world
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string
}

func (w *world) child(m registry.Member, name string) *child {
	w.Helper()
	raw, err := json.Marshal(orders{w.server.Address(), w.space, m, w.backend.Lease, name})
	if err != nil {
		w.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(raw))
	cmd.Stderr = w.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		w.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	c := &child{w, cmd, stdin, make(chan string, 10)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			c.lines <- lines.Text()
		}
		close(c.lines)
	}()
	w.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-read
		_ = cmd.Wait()
	})
	return c
}

func (c *child) says(what string) (number int64) {
	c.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok || !strings.HasPrefix(line, what) {
			c.Fatalf("the child says %q, not %s", line, what)
		}
		if _, err := fmt.Sscanf(line, what+" %d", &number); err != nil {
			c.Fatal(err)
		}
	case <-time.After(patience):
		c.Fatalf("the child does not say %s", what)
	}
	return number
}

func (c *child) ready() (fence int64) { c.Helper(); return c.says("ready") }
func (c *child) lost()                { c.Helper(); c.says("lost") }
func (c *child) freeze()              { c.signal(syscall.SIGSTOP) }
func (c *child) thaw()                { c.signal(syscall.SIGCONT) }

func (c *child) signal(s os.Signal) {
	c.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.Fatal(err)
	}
}

// end lets it close its client and end by itself.
func (c *child) end() {
	c.Helper()
	c.stdin.Close()
	select {
	case line, ok := <-c.lines:
		if ok {
			c.Fatalf("the child says %q", line)
		}
	case <-time.After(patience):
		c.Fatal("the child does not end")
	}
}
