// Processes that do not outlive the test.

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// markVar is in the environment of every process of a node, RUN/NODE, so that whoever is left is
// found. A worker hands variables of this form down to its tasks.
const markVar = "LC_CHAOS_NODE"

// process is a child. Done is closed when it has ended.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // after done
}

// start runs c on a thread that has entered a network. The kernel kills the child when that thread
// ends, so the thread is kept, and it is never used for anything else.
func start(c *exec.Cmd, enter func() error) (*process, error) {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	p := &process{cmd: c, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread has changed
		defer close(p.done)
		err := enter()
		if err == nil {
			err = c.Start()
		}
		started <- err
		if err == nil {
			p.err = c.Wait()
		}
	}()
	return p, <-started
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) alive() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal tells a process that may have ended.
func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.cmd.Path, err)
	}
	return nil
}

// end sends a signal and waits; what does not end is killed, and that is an error.
func (p *process) end(s syscall.Signal, patience time.Duration) error {
	if !p.alive() {
		return nil
	}
	if err := p.signal(s); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
	}
	_ = p.signal(syscall.SIGQUIT) // all its goroutines go to its log
	select {
	case <-p.done:
	case <-time.After(time.Second):
	}
	_ = p.signal(syscall.SIGKILL) // nothing worse is left
	<-p.done
	return fmt.Errorf("%s does not end within %s after %s", p.cmd.Path, patience, s)
}

// processes finds every process with a variable, NAME=value, in its environment.
func processes(mark string) []int {
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil
	}
	var pids []int
	for _, path := range all {
		raw, err := os.ReadFile(path)
		if err != nil || len(raw) == 0 {
			continue // ended meanwhile, or a zombie
		}
		if !bytes.Contains(append([]byte{0}, raw...), []byte("\x00"+mark+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(path, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// signalAll tells processes; those that are gone by now are no error.
func signalAll(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, s)
	}
}

// variable reads one of the environment of a process.
func variable(pid int, name string) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for v := range bytes.SplitSeq(raw, []byte{0}) {
		if value, found := strings.CutPrefix(string(v), name+"="); found {
			return value
		}
	}
	return ""
}

// parent of a process, 0 when it is gone.
func parent(pid int) int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name stands in brackets and may hold anything.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

// wait is a pause that ends with ctx.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// poll asks until it holds or ctx is done.
func poll(ctx context.Context, every time.Duration, holds func() bool) bool {
	for !holds() {
		wait(ctx, every)
		if ctx.Err() != nil {
			return false
		}
	}
	return true
}
