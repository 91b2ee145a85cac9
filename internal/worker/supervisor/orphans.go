// What a process left behind, found cheaply.
//
// The supervisor is a subreaper: whoever loses its parent below it becomes its child. So when a
// main process has ended, all that is left of its tree hangs on new children of ours, and mostly
// there are none. Asking the kernel "is this number a child of mine" costs a fraction of a
// microsecond and no file; only numbers given out since the process began can be meant.

package supervisor

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// mostAsked is how many numbers are asked for one by one; beyond, listing /proc is cheaper.
const mostAsked = 4096

// hasOrphans tells whether the supervisor has a child of unknown origin with a number given out
// after that of p.
func (s *Supervisor) hasOrphans(p *Process) bool {
	suspects := s.strangers(p.id.PID)
	if len(suspects) == 0 {
		return false
	}
	// A child that is being started is no stranger: it is not in the table yet. Wait for those.
	s.forking.Lock()
	s.forking.Unlock() //nolint:staticcheck // a barrier
	return slices.ContainsFunc(suspects, s.stranger)
}

func (s *Supervisor) strangers(first int) []int {
	var out []int
	last := lastPID()
	if last >= first && last-first <= mostAsked {
		for pid := first + 1; pid <= last; pid++ {
			if s.stranger(pid) {
				out = append(out, pid)
			}
		}
		return out
	}
	for _, pid := range pids() {
		if s.stranger(pid) {
			out = append(out, pid)
		}
	}
	return out
}

func (s *Supervisor) stranger(pid int) bool {
	return isChild(pid) && !s.started(pid) && !s.known(pid)
}

// isChild tells whether pid is a child of this process, dead ones included. It reaps nothing.
func isChild(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// reap takes the exit status of a dead child that nobody waits for. It does nothing to a living
// one, or to a process that is no child.
func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// Sweep reaps the dead that nobody waits for. It is called now and then: what an attempt's
// processes leave behind while it still runs would else fill the process table. One that died
// only just now is left for the next sweep, since somebody else in this program may be about to
// wait for it.
func (s *Supervisor) Sweep() {
	s.mu.Lock()
	before := s.corpses
	s.corpses = map[Identity]bool{}
	s.mu.Unlock()
	for _, pid := range pids() {
		if s.started(pid) || !isChild(pid) {
			continue
		}
		p, err := readStat(pid)
		switch {
		case err != nil || !p.zombie:
		case before[p.identity()]:
			reap(pid)
			s.mu.Lock()
			delete(s.others, pid)
			s.mu.Unlock()
		default:
			s.mu.Lock()
			s.corpses[p.identity()] = true
			s.mu.Unlock()
		}
	}
}
