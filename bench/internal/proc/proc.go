// Package proc starts, weighs and ends processes that are measured.
//
// It must not know which. A process is ended by its pid, never by its name.
package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Proc is a process that was started here.
type Proc struct {
	PID  int
	Name string
	Log  string // where its output is
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Spec says what to start.
type Spec struct {
	Name string // of its log
	Dir  string // working folder, where its log is too
	Path string
	Args []string
	Env  []string // beside our own
	As   *syscall.Credential
	// With both set, the process is spoken to; its standard error is the log.
	Stdin  io.Reader
	Stdout io.Writer
}

// Start starts a process with its output in Dir/Name.log.
func Start(s Spec) (*Proc, error) {
	path := filepath.Join(s.Dir, s.Name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", s.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Dir, cmd.Env = s.Dir, append(os.Environ(), s.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Stdin, log, log
	if s.Stdout != nil {
		cmd.Stdout = s.Stdout
	}
	// A group of its own: Ctrl-C at the terminal reaches us alone, and we end things in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.As}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	p := &Proc{PID: cmd.Process.Pid, Name: s.Name, Log: path, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Stop ends the process: with sig, and after the grace by force.
func (p *Proc) Stop(sig syscall.Signal, grace time.Duration) {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(sig) // it may have ended
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// Done is closed when the process has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Until asks again and again until ready says yes, the process ends or the time is over.
func (p *Proc) Until(ctx context.Context, limit, every time.Duration, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended (%v): %s", p.Name, p.err, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %s", p.Name, errors.Join(err, ctx.Err()), p.Tail())
		case <-time.After(every):
		}
	}
}

// Tail is the end of the log.
func (p *Proc) Tail() string {
	raw, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-2000):])
}

// FreePort is a port that nobody listens on.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("look for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
