// Handing processes to the program that takes this one's place: execve keeps the process, its
// children and its files, and nothing else.

package supervisor

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Snapshot is a process between two programs.
type Snapshot struct {
	Token  int64
	ID     Identity
	Killed bool
	Grace  time.Duration // what is left of it, when Killed
	Reaped bool
	Status Exit  // when Reaped
	Usage  Usage // when Reaped
	// Group is the cgroup, "" without; GroupCPU what had been used in it before.
	Group    string
	GroupCPU time.Duration
}

// Freeze holds everything that would be forgotten if this program ended in the middle of it: no
// child is being started, none is being reaped. What ps are is told; thaw lets go on.
func (s *Supervisor) Freeze(ps []*Process) (snapshots []Snapshot, thaw func()) {
	s.forking.Lock()
	for _, p := range ps {
		p.mu.Lock()
		snap := Snapshot{Token: p.token, ID: p.id, Killed: p.killed, Reaped: p.reaped, Status: p.status, Usage: p.usage}
		if p.killed {
			snap.Grace = max(0, time.Until(p.hardAt))
		}
		if p.group != nil {
			snap.Group, snap.GroupCPU = p.group.path, p.group.base
		}
		snapshots = append(snapshots, snap)
	}
	return snapshots, func() {
		for _, p := range slices.Backward(ps) {
			p.mu.Unlock()
		}
		s.forking.Unlock()
	}
}

// Restore goes on with a process of the program before this one.
func (s *Supervisor) Restore(snap Snapshot, output int) *Process {
	p := &Process{
		s: s, token: snap.Token, id: snap.ID, pidfd: -1, fd: output,
		killed: snap.Killed, reaped: snap.Reaped, status: snap.Status, usage: snap.Usage,
	}
	if snap.Group != "" && s.groups != nil {
		// Without it, its marks and its process group are there as well.
		p.group, _ = reopenCgroup(snap.Group, snap.GroupCPU)
	}
	if snap.Killed {
		p.hardAt = time.Now().Add(snap.Grace)
	}
	s.mu.Lock()
	s.live[p] = true
	if !p.reaped {
		s.running[p.id.PID] = p
	}
	s.mu.Unlock()
	if p.reaped {
		return p
	}
	// It is our child and nobody has reaped it, so the number is its own.
	if fd, err := unix.PidfdOpen(p.id.PID, 0); err == nil {
		p.pidfd = fd
	}
	if p.killed {
		p.mu.Lock()
		p.killHardAfter(snap.Grace)
		p.mu.Unlock()
	}
	return p
}

// reopenCgroup opens the cgroup of an attempt under way. What was used before it began is known for
// the times alone.
func reopenCgroup(path string, base time.Duration) (*cgroup, error) {
	c, err := openCgroup(path)
	if err != nil {
		return nil, err
	}
	c.base, c.once = base, true
	if c.peak >= 0 {
		unix.Close(c.peak) //nolint:errcheck // read only
		c.peak = -1
	}
	return c, nil
}
