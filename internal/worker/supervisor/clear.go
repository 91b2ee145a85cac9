// Clearing away what is left of a tree when its main process has ended.

package supervisor

import (
	"errors"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// How often a dying tree is looked at.
const (
	firstLook = time.Millisecond
	slowLook  = 50 * time.Millisecond
)

// clear returns when no process of the tree is left, and how many there were. After a kill they
// have what remains of the grace; what a process left behind that ended by itself has none.
func (p *Process) clear(killed bool, friendlyUntil time.Time) int {
	seen := map[Identity]bool{}
	p.clearGroup(killed, friendlyUntil, seen)
	if !killed && !groupLives(p.id.PID) && !p.s.hasOrphans(p) {
		return len(seen)
	}
	t := p.s.tree(p)
	quiet := 0
	for look := firstLook; ; look = min(2*look, slowLook) {
		p.s.settleForks()
		all := processes()
		living, dead := t.members(all)
		for _, d := range dead {
			reap(d.pid)
		}
		for id := range seen { // the dead have no environment that tells whose they were
			if q := all[id.PID]; q.zombie && q.identity() == id {
				reap(id.PID)
			}
		}
		if len(living) == 0 {
			// One that forked while the list was read may be missing from it; its child is in the next.
			if quiet++; quiet >= 2 || len(seen) == 0 && !killed {
				p.s.note(all, living)
				return len(seen)
			}
			look = firstLook
			continue
		}
		quiet = 0
		friendly := killed && time.Now().Before(friendlyUntil)
		for _, q := range living {
			isNew := !seen[q.identity()]
			seen[q.identity()] = true
			switch {
			case !friendly:
				unix.Kill(q.pid, unix.SIGKILL) //nolint:errcheck // gone is good
			case isNew:
				unix.Kill(q.pid, unix.SIGTERM) //nolint:errcheck // gone is good
				unix.Kill(q.pid, unix.SIGCONT) //nolint:errcheck // gone is good
			}
		}
		wait(look)
	}
}

// clearGroup does the same for the cgroup, where nothing can hide. What it saw is added to seen.
func (p *Process) clearGroup(killed bool, friendlyUntil time.Time, seen map[Identity]bool) {
	if p.group == nil {
		return
	}
	for look := firstLook; p.group.populated(); look = min(2*look, slowLook) {
		friendly := killed && time.Now().Before(friendlyUntil)
		for _, pid := range p.group.pids() {
			st, err := readStat(pid)
			if err != nil || seen[st.identity()] {
				continue
			}
			seen[st.identity()] = true
			if friendly {
				unix.Kill(pid, unix.SIGTERM) //nolint:errcheck // gone is good
				unix.Kill(pid, unix.SIGCONT) //nolint:errcheck // gone is good
			}
		}
		if !friendly {
			p.group.kill()
		}
		wait(look)
	}
}

// wait lets a dying tree have a moment.
func wait(d time.Duration) { <-time.After(d) }

// settleForks waits until every child that is being started is in the table.
func (s *Supervisor) settleForks() {
	s.forking.Lock()
	s.forking.Unlock() //nolint:staticcheck // a barrier
}

// groupLives tells whether a process group has a member, a dead one included. Its leader has been
// reaped: while a member is left the number cannot be given out again, and right after it hardly.
func groupLives(pgid int) bool {
	return !errors.Is(unix.Kill(-pgid, 0), unix.ESRCH)
}

func parseToken(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

func ownSession() int {
	sid, err := unix.Getsid(0)
	if err != nil {
		return 0
	}
	return sid
}
