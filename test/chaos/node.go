// A node: a process that is killed, frozen and started again.

package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const stopPatience = 40 * time.Second

// node is a place in the network and the processes in it.
type node struct {
	name, role string
	run        *run
	// command is made anew for every start.
	command func() *exec.Cmd

	mu     sync.Mutex
	proc   *process
	wanted bool // whoever keeps services running starts it again when it ends by itself
}

func (n *node) mark() string { return markVar + "=" + n.run.id + "/" + n.name }

func (n *node) logFile() string { return filepath.Join(n.run.dir, n.name+".log") }

// pids are all processes of the node, tasks too.
func (n *node) pids() []int { return processes(n.mark()) }

func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wanted = true
	return n.launch()
}

// launch starts it when it is not there. The caller holds mu.
func (n *node) launch() error {
	if n.proc.alive() {
		return nil
	}
	log, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	c := n.command()
	c.Stdout, c.Stderr = log, log
	c.Env = append(environment(), append(c.Env, n.mark())...)
	if n.proc, err = start(c, n.run.net.enter(n.name)); err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	return nil
}

// environment is that of the test, without what would decide something.
func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "BATON_") && !strings.HasPrefix(e, "LC_") && !strings.HasPrefix(e, "PG") {
			env = append(env, e)
		}
	}
	// The worker whose disk can be full has a small one.
	return append(env, "LC_ALL=C.UTF-8", "TZ=UTC", "BATON_OVERLOAD_DISK=0")
}

// unwanted returns the present process, and says that nobody shall start it again when it ends.
func (n *node) unwanted() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wanted = false
	return n.proc
}

func (n *node) process() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}

func (n *node) alive() bool { return n.process().alive() }

// kill ends the process of the node alone, as kill -9 does; its children may live on.
func (n *node) kill() error { return n.end(syscall.SIGKILL) }

// stop ends it in order.
func (n *node) stop() error { return n.end(syscall.SIGTERM) }

func (n *node) end(s syscall.Signal) error { return n.unwanted().end(s, stopPatience) }

// die ends all processes of the node at once, as when its machine loses power.
func (n *node) die() error {
	p := n.unwanted()
	if !p.alive() {
		return nil
	}
	// Frozen first, so that nobody sees another die and does something about it.
	signalAll(n.pids(), syscall.SIGSTOP)
	for range 100 {
		left := n.pids()
		if len(left) == 0 {
			break
		}
		signalAll(left, syscall.SIGKILL)
		<-time.After(2 * time.Millisecond) // the kernel says nothing when somebody else's child has ended
	}
	<-p.done
	return nil
}

// keep starts the node again a moment after it ended by itself, as a service manager does, until ctx
// is done. It tells what the node said at last.
func (n *node) keep(ctx context.Context, told func(last string)) {
	for ctx.Err() == nil {
		wait(ctx, 100*time.Millisecond)
		n.mu.Lock()
		fell := n.wanted && !n.proc.alive()
		last := ""
		if fell {
			last = lastLine(n.logFile())
			_ = n.launch() // the next round tries again
		}
		n.mu.Unlock()
		if fell {
			told(last)
		}
	}
}

func lastLine(path string) string {
	lines := strings.Split(strings.TrimSpace(tail(path)), "\n")
	return lines[len(lines)-1]
}

func (n *node) freeze() { signalAll(n.pids(), syscall.SIGSTOP) }
func (n *node) thaw()   { signalAll(n.pids(), syscall.SIGCONT) }

// proper is the worker proper below its supervisor, 0 while there is none.
func (n *node) proper() int {
	for _, pid := range n.pids() {
		if parent(pid) != n.process().pid() {
			continue
		}
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(raw), "\x00proper") {
			return pid
		}
	}
	return 0
}
