// Starting a process.

package supervisor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec is a process to start.
type Spec struct {
	Token int64
	Args  []string          // Args[0] is looked up in the PATH of the environment unless it has a slash
	Env   map[string]string // above the base; what marks the attempt is added
	Dir   string            // its work folder
	// Output gets stdout and stderr, in the order they were written. Nil: another process reads them,
	// and Release is called when nobody needs them any more.
	Output io.Writer
}

// StartError says why a process could not be started. Ours: it is the machine's fault (no memory,
// no room in the process table), not that of the command.
type StartError struct {
	Reason string
	Ours   bool
	Err    error
}

func (e *StartError) Error() string { return e.Reason }

// Unwrap returns the error behind it.
func (e *StartError) Unwrap() error { return e.Err }

// Start starts a process in a process group of its own. The caller must call Wait.
func (s *Supervisor) Start(spec Spec) (*Process, error) {
	env := s.environment(spec)
	path, err := lookPath(spec.Args[0], env)
	if err != nil {
		return nil, &StartError{Reason: err.Error(), Err: err}
	}
	r, w, err := outputPipe()
	if err != nil {
		return nil, startError(spec, path, err)
	}
	p := &Process{s: s, token: spec.Token, pidfd: -1, fd: r, group: s.takeGroup()}
	attr := &syscall.ProcAttr{
		Dir: spec.Dir, Env: env, Files: []uintptr{s.null.Fd(), uintptr(w), uintptr(w)},
		Sys: &syscall.SysProcAttr{Setpgid: true, PidFD: &p.pidfd},
	}
	if p.group != nil {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, p.group.fd
	}
	s.forking.RLock()
	pid, err := forkExec(path, spec.Args, attr)
	if err != nil && p.group != nil {
		// If the cgroup is at fault (somebody removed it, or this system starts nothing in one), it runs
		// without.
		attr.Sys.UseCgroupFD = false
		if pid, err = forkExec(path, spec.Args, attr); err == nil {
			p.group.close()
			p.group = nil
		}
	}
	if err == nil {
		p.id.PID = pid
		// It cannot be gone: nobody has reaped it.
		if st, serr := readStat(pid); serr == nil {
			p.id.Start = st.start
		}
		s.register(p)
	}
	s.forking.RUnlock()
	unix.Close(w) //nolint:errcheck // the child has it
	if err != nil {
		unix.Close(r) //nolint:errcheck // nothing was written
		if p.group != nil {
			s.groups.give(p.group)
		}
		return nil, startError(spec, path, err)
	}
	if spec.Output != nil {
		p.output, p.fd, p.pumped = os.NewFile(uintptr(r), "output"), -1, make(chan struct{})
		go p.pump(spec.Output)
	}
	return p, nil
}

// takeGroup returns a cgroup for an attempt, nil where there are none.
func (s *Supervisor) takeGroup() *cgroup {
	if s.groups == nil {
		return nil
	}
	c, err := s.groups.take()
	if err != nil {
		return nil // it runs without: its marks and its process group are there as well
	}
	return c
}

// Release closes the output of a process that nobody was named to get.
func (p *Process) Release() {
	if p.pumped == nil {
		unix.Close(p.fd) //nolint:errcheck // read only
	}
}

// forkExec starts the program. A file that was just written may still be open for writing in a
// child that another start has forked and not yet exec'ed: ETXTBSY, gone within a moment.
func forkExec(path string, args []string, attr *syscall.ProcAttr) (int, error) {
	for wait := time.Millisecond; ; wait *= 2 {
		pid, err := syscall.ForkExec(path, args, attr)
		if !errors.Is(err, syscall.ETXTBSY) || wait > 100*time.Millisecond {
			return pid, err
		}
		<-time.After(wait)
	}
}

// outputPipe returns a pipe whose reading end does not block a thread.
func outputPipe() (r, w int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return -1, -1, err
	}
	return fds[0], fds[1], nil
}

// environment returns base, then the attempt's own, then the marks, as a sorted list.
func (s *Supervisor) environment(spec Spec) []string {
	vars := make(map[string]string, len(s.base)+len(spec.Env)+3)
	for _, entry := range s.base {
		k, v, _ := strings.Cut(entry, "=")
		vars[k] = v
	}
	for k, v := range spec.Env {
		if k != "" && !strings.ContainsAny(k, "=\x00") {
			vars[k] = strings.ReplaceAll(v, "\x00", "")
		}
	}
	vars["PWD"] = spec.Dir
	vars[FenceVar] = strconv.FormatInt(spec.Token, 10)
	vars[HomeVar] = s.home
	out := make([]string, 0, len(vars))
	for k, v := range vars {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}

func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := defaultPath
	for _, entry := range env {
		if v, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = v
		}
	}
	for _, dir := range filepath.SplitList(path) {
		full := filepath.Join(dir, name)
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", fmt.Errorf("%q is not installed on this worker: not found in PATH %s: %w", name, path, fs.ErrNotExist)
}

// startError says in words what is wrong, and whose fault it is.
func startError(spec Spec, path string, err error) *StartError {
	e := &StartError{Err: err}
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		e.Ours = true
		e.Reason = fmt.Sprintf("this worker cannot start another process: %v", err)
	case errors.Is(err, unix.ENOENT):
		if _, serr := os.Stat(spec.Dir); serr != nil {
			e.Ours = true
			e.Reason = fmt.Sprintf("the work folder is gone: %v", serr)
		} else if _, serr := os.Stat(path); serr == nil {
			e.Reason = fmt.Sprintf("%s cannot be run: the interpreter named in its first line, or its loader, is not installed on this worker", path)
		} else {
			e.Reason = fmt.Sprintf("%s is not installed on this worker", path)
		}
	case errors.Is(err, unix.E2BIG):
		e.Reason = fmt.Sprintf("arguments and environment of %s are too long for this system; pass large values in a file", path)
	default:
		e.Reason = fmt.Sprintf("%s cannot be run: %v", path, err)
	}
	return e
}

// buffers for reading output; a task that writes much keeps one busy.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// pump reads the output until every writer has closed it, or Wait sets a deadline.
func (p *Process) pump(to io.Writer) {
	defer close(p.pumped)
	buf, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := p.output.Read(*buf)
		if n > 0 {
			to.Write((*buf)[:n]) //nolint:errcheck // a log that cannot be written does not stop the task
		}
		if err != nil {
			return
		}
	}
}
