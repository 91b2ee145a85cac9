// A running process, from its start to the moment when nothing of it is left.

package supervisor

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a main process and everything that comes of it.
type Process struct {
	s      *Supervisor
	token  int64
	id     Identity
	pidfd  int
	output *os.File
	fd     int           // the same as a plain file, when somebody else reads it; output is nil then
	pumped chan struct{} // closed when the output was read to its end; nil: somebody else reads it
	group  *cgroup       // nil without

	mu     sync.Mutex
	reaped bool // the main process is gone; its number may be another's
	status Exit // how it ended, once it is reaped
	usage  Usage
	killed bool // a kill came while it ran
	hardAt time.Time
	hard   *time.Timer
}

// Usage is what a process and all that came of it has used.
type Usage struct {
	CPU    time.Duration
	Memory int64 // bytes at most; 0: not known
}

// Exit is how a process ended.
type Exit struct {
	Code   int         // when Signal is 0
	Signal unix.Signal // that ended it
	// Killed: it ran when Kill came. Otherwise it ended by itself.
	Killed bool
	// Isolated: the kill was a Host's own, because nobody renewed the lease.
	Isolated bool
	// LeftBehind is how many processes were still there when the main one had ended by itself, and
	// had to be killed.
	LeftBehind int
}

// Identity names the main process.
func (p *Process) Identity() Identity { return p.id }

// Usage is what it has used; it is known when Wait has returned.
func (p *Process) Usage() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.usage
}

// Kill asks the process group to end and, after grace, kills it. It returns at once; Wait tells
// when nothing is left. A further Kill can only shorten the grace. It tells whether it was the
// first that came while the process ran.
func (p *Process) Kill(grace time.Duration) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return false
	}
	at := time.Now().Add(grace)
	if p.killed && !at.Before(p.hardAt) {
		return false
	}
	first = !p.killed
	p.killed, p.hardAt = true, at
	if first && grace > 0 {
		p.signal(unix.SIGTERM)
		p.signal(unix.SIGCONT) // a stopped process would not hear it
	}
	if p.hard != nil {
		p.hard.Stop()
	}
	if grace <= 0 {
		p.signal(unix.SIGKILL)
		return first
	}
	p.killHardAfter(grace)
	return first
}

// killHardAfter ends the grace; the caller holds mu.
func (p *Process) killHardAfter(grace time.Duration) {
	p.hard = time.AfterFunc(grace, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.reaped {
			p.signal(unix.SIGKILL)
		}
	})
}

// signal reaches the main process and its group. Its number cannot be another's: it is not
// reaped, and the caller holds mu.
func (p *Process) signal(sig unix.Signal) {
	unix.Kill(-p.id.PID, sig) //nolint:errcheck // gone is good
}

// Wait returns when the main process has ended, nothing of its tree is left and its output was
// read. It is called once.
func (p *Process) Wait() Exit {
	exit := p.waitMain()
	p.mu.Lock()
	if p.hard != nil {
		p.hard.Stop()
	}
	exit.Killed = p.killed
	friendlyUntil := p.hardAt
	p.mu.Unlock()
	left := p.clear(exit.Killed, friendlyUntil)
	if !exit.Killed {
		exit.LeftBehind = left
	}
	p.settle()
	if p.pumped != nil {
		p.hearOut()
	}
	p.s.gone(p)
	return exit
}

// hearOut waits for the end of the output. Nobody of the tree can write any more. Whoever got hold
// of the pipe otherwise does not hold up the end; what is in the pipe is still read.
func (p *Process) hearOut() {
	select {
	case <-p.pumped:
	default:
		p.output.SetReadDeadline(time.Now().Add(lastWords)) //nolint:errcheck // a pipe has deadlines
		<-p.pumped
	}
	p.output.Close() // read only
}

// lastWords is how long output is waited for when everybody who should write it is gone.
const lastWords = 500 * time.Millisecond

// waitMain waits for the main process and reaps it. It waits on the poller, without a thread,
// where the kernel has pidfds (5.4).
func (p *Process) waitMain() Exit {
	p.mu.Lock()
	reaped, status := p.reaped, p.status
	p.mu.Unlock()
	if reaped { // before this program took over
		return status
	}
	if p.pidfd >= 0 {
		if err := unix.SetNonblock(p.pidfd, true); err == nil {
			f := os.NewFile(uintptr(p.pidfd), "pidfd:"+strconv.Itoa(p.id.PID))
			defer f.Close()
			if raw, err := f.SyscallConn(); err == nil {
				var exit Exit
				var done bool
				if err := raw.Read(func(uintptr) bool { exit, done = p.tryReap(unix.WNOHANG); return done }); err == nil && done {
					return exit
				}
			}
		}
	}
	for {
		// Wait without reaping first: the number must stay ours until mu is held.
		err := unix.Waitid(unix.P_PID, p.id.PID, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil || !errors.Is(err, unix.EINTR) {
			if exit, done := p.tryReap(unix.WNOHANG); done {
				return exit
			}
		}
	}
}

// tryReap takes the exit status if the main process has ended. Nobody signals its number after.
func (p *Process) tryReap(options int) (Exit, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	var status unix.WaitStatus
	var used unix.Rusage
	for {
		pid, err := unix.Wait4(p.id.PID, &status, options, &used)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			// Somebody else in this program reaped it. That must not happen; it is over all the same.
			p.status = Exit{Code: -1}
		case pid == 0:
			return Exit{}, false
		case status.Signaled():
			p.status = Exit{Signal: status.Signal()}
		default:
			p.status = Exit{Code: status.ExitStatus()}
		}
		p.reaped = true
		p.s.reaped(p)
		p.usage = Usage{CPU: time.Duration(used.Utime.Nano() + used.Stime.Nano()), Memory: peakOf(used)}
		return p.status, true
	}
}

// settle adds up what was used and gives the cgroup back.
func (p *Process) settle() {
	if p.group == nil {
		return
	}
	used := p.group.usage()
	p.mu.Lock()
	p.usage.CPU = max(p.usage.CPU, used.CPU)
	if used.Memory > 0 {
		p.usage.Memory = used.Memory
	}
	p.mu.Unlock()
	p.s.groups.give(p.group)
}

// peakOf is the most memory that a process or one it waited for had. The kernel counts what the
// process was before its exec, a copy of this one: less than that cannot be told from it.
func peakOf(used unix.Rusage) int64 {
	var own unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &own); err == nil && used.Maxrss <= own.Maxrss {
		return 0
	}
	return used.Maxrss << 10
}
