// What an earlier incarnation of the same data folder left running.

package supervisor

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Bury kills every process that earlier incarnations left: those the journal names, those marked
// with this home, and all below them. It returns when none is left, and how many there were.
func (s *Supervisor) Bury(ctx context.Context, journal []Identity) (int, error) {
	named := map[Identity]bool{}
	for _, id := range journal {
		named[id] = id.PID > 0
	}
	seen := map[Identity]bool{}
	grouped := 0
	if s.groups != nil {
		n, err := s.buryGroups(ctx)
		if err != nil {
			return n, err
		}
		grouped = n
	}
	for quiet, look := 0, firstLook; ; look = min(2*look, slowLook) {
		all := processes()
		above := ancestors(all)
		t := tree{
			// This program may itself run inside a task of the incarnation that it buries.
			exempt: func(q stat) bool { return above[q.pid] },
			root: func(q stat) bool {
				if named[q.identity()] {
					return true
				}
				_, home := mark(q.pid)
				return home != "" && home == s.home
			},
		}
		living, dead := t.members(all)
		for _, d := range dead {
			if d.ppid == os.Getpid() {
				reap(d.pid)
			}
		}
		if len(living) == 0 {
			if quiet++; quiet >= 2 || len(seen) == 0 {
				return grouped + len(seen), nil
			}
			continue
		}
		quiet = 0
		for _, q := range living {
			seen[q.identity()] = true
			if err := unix.Kill(q.pid, unix.SIGKILL); err == unix.EPERM {
				return grouped + len(seen), fmt.Errorf("process %d of an earlier start of this worker still runs and belongs to another user: kill it, then start again", q.pid)
			}
		}
		select {
		case <-ctx.Done():
			return grouped + len(seen), ctx.Err()
		case <-time.After(look):
		}
	}
}

// buryGroups kills what is left in cgroups, which also has what washed its environment and is in no
// journal.
func (s *Supervisor) buryGroups(ctx context.Context) (int, error) {
	most := 0
	for look := firstLook; ; look = min(2*look, slowLook) {
		seen, quiet := s.groups.bury()
		most = max(most, seen)
		if quiet {
			return most, nil
		}
		select {
		case <-ctx.Done():
			return most, ctx.Err()
		case <-time.After(look):
		}
	}
}

// ancestors are this process and those above it.
func ancestors(all map[int]stat) map[int]bool {
	out := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !out[pid]; pid = all[pid].ppid {
		out[pid] = true
	}
	return out
}
