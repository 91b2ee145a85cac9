// The tree of an attempt: every process that is of it, wherever it hides.

package supervisor

import (
	"os"
	"slices"
	"strconv"
)

// Variables that mark the processes of an attempt, inherited by whatever they start.
const (
	FenceVar = "BATON_FENCE"
	HomeVar  = "BATON_WORKER_HOME"
)

// tree tells which processes belong together: those that root says are of it, and all below them.
type tree struct {
	root   func(stat) bool
	exempt func(stat) bool // neither it nor what is below it, unless that is a root itself
}

// members returns the living processes of the tree, and the dead ones that wait to be reaped, by
// pid.
func (t tree) members(all map[int]stat) (living, dead []stat) {
	memo := map[int]bool{}
	for _, pid := range sortedPIDs(all) {
		p := all[pid]
		if !t.has(all, p, memo, 0) {
			continue
		}
		if p.zombie {
			dead = append(dead, p)
		} else {
			living = append(living, p)
		}
	}
	return living, dead
}

// maxDepth ends a walk over parents that changed while they were read and form a circle.
const maxDepth = 1 << 10

func (t tree) has(all map[int]stat, p stat, memo map[int]bool, depth int) bool {
	if known, ok := memo[p.pid]; ok {
		return known
	}
	if p.pid <= 1 || depth > maxDepth || t.exempt(p) {
		memo[p.pid] = false
		return false
	}
	is := t.root(p)
	if parent, ok := all[p.ppid]; !is && ok {
		is = t.has(all, parent, memo, depth+1)
	}
	memo[p.pid] = is
	return is
}

// mark returns the token and the home that a process was marked with, "" without.
func mark(pid int) (token, home string) {
	env := environ(pid)
	token, _ = lookup(env, FenceVar)
	home, _ = lookup(env, HomeVar)
	return token, home
}

// tree returns the tree of a process that the supervisor started.
func (s *Supervisor) tree(p *Process) tree {
	self, selfSID := os.Getpid(), ownSession()
	wanted := strconv.FormatInt(p.token, 10)
	return tree{
		exempt: func(q stat) bool { return q.pid == self || q.pid != p.id.PID && s.started(q.pid) },
		root: func(q stat) bool {
			// A number is believed only with the time: what began earlier is somebody else's.
			if q.start < p.id.Start {
				return false
			}
			if q.pid == p.id.PID || q.pgid == p.id.PID {
				return true
			}
			// Whoever still has a parent in the tree is found through it. The parentless are our
			// children now, since we are a subreaper.
			if q.ppid != self {
				return false
			}
			token, home := mark(q.pid)
			if token != "" || home != "" {
				return token == wanted && home == s.home
			}
			// It washed its environment and left session and group. If no other attempt that is old
			// enough to have made it runs, it is of this one.
			return !q.zombie && q.sid != selfSID && s.alone(p, q)
		},
	}
}

func sortedPIDs(all map[int]stat) []int {
	out := make([]int, 0, len(all))
	for pid := range all {
		out = append(out, pid)
	}
	slices.Sort(out)
	return out
}
