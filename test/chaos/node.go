// A node: a process that is killed, frozen and started again.

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	proc    *process
	started time.Time
}

func (n *node) mark() string { return markVar + "=" + n.run.id + "/" + n.name }

func (n *node) logFile() string { return filepath.Join(n.run.dir, n.name+".log") }

// pids are all processes of the node, tasks too.
func (n *node) pids() []int { return processes(n.mark()) }

func (n *node) start() error {
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
	n.started = time.Now()
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
	return append(env, "LC_ALL=C.UTF-8", "TZ=UTC")
}

// kill ends the process of the node alone, as kill -9 does; its children may live on.
func (n *node) kill() error { return n.proc.end(syscall.SIGKILL, stopPatience) }

// stop ends it in order.
func (n *node) stop() error { return n.proc.end(syscall.SIGTERM, stopPatience) }

// die ends all processes of the node at once, as when its machine loses power.
func (n *node) die() error {
	if !n.proc.alive() {
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
		time.Sleep(2 * time.Millisecond) //nolint:forbidigo // the kernel says nothing when somebody else's child has ended
	}
	<-n.proc.done
	return nil
}

func (n *node) freeze() { signalAll(n.pids(), syscall.SIGSTOP) }
func (n *node) thaw()   { signalAll(n.pids(), syscall.SIGCONT) }

// proper is the worker proper below its supervisor, 0 while there is none.
func (n *node) proper() int {
	for _, pid := range n.pids() {
		if parent(pid) != n.proc.pid() {
			continue
		}
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(raw), "\x00proper") {
			return pid
		}
	}
	return 0
}
