// The supervisor and its table of processes.

package supervisor

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Supervisor starts task processes. There is at most one in a program, because being a subreaper
// is a property of the whole program. It is safe for concurrent use.
type Supervisor struct {
	home    string
	base    []string // environment every process gets
	null    *os.File
	forking sync.RWMutex // read: a child exists that is not in the table yet
	groups  *cgroups     // nil without

	mu      sync.Mutex
	running map[int]*Process  // by pid of the main process, until it is reaped
	live    map[*Process]bool // until the tree is gone
	others  map[int]int64     // children of unknown origin that were looked at, by pid: token of the live attempt they are of, 0 nobody's
	corpses map[Identity]bool // dead at the last Sweep
	aside   map[int]bool      // children that are no attempt's: the worker proper
}

// New returns the supervisor of a data folder, whose identity marks its processes, and makes this
// program a subreaper.
func New(home string) (*Supervisor, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become a subreaper: %w", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("open stdin for tasks: %w", err)
	}
	return &Supervisor{
		home: home, base: baseEnv(os.Environ()), null: null,
		running: map[int]*Process{}, live: map[*Process]bool{}, others: map[int]int64{}, corpses: map[Identity]bool{}, aside: map[int]bool{},
	}, nil
}

// UseCgroups puts every attempt into a cgroup of its own from now on, where the host has some for
// us. It returns the folder they are in, or why there are none.
func (s *Supervisor) UseCgroups() (dir, why string) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err.Error()
	}
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err.Error()
	}
	base, why := findCgroup(mountinfo, self, os.Geteuid() == 0)
	if base == "" {
		return "", why
	}
	groups, err := openCgroups(base, s.home)
	if err != nil {
		return "", err.Error()
	}
	s.groups = groups
	return groups.dir, ""
}

// Close releases what New took. No process may run any more.
func (s *Supervisor) Close() error {
	if s.groups != nil {
		s.groups.close()
	}
	return s.null.Close()
}

// baseNames is what a task gets of the worker's own environment. The rest (credentials of the
// worker, its settings) is none of its business.
var baseNames = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"}

// defaultPath is used where the worker itself has none, as under a bare service manager.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func baseEnv(own []string) []string {
	var out []string
	path := false
	for _, entry := range own {
		name, _, _ := strings.Cut(entry, "=")
		keep := strings.HasPrefix(name, "LC_")
		for _, n := range baseNames {
			keep = keep || n == name
		}
		if keep {
			out = append(out, entry)
		}
		path = path || name == "PATH"
	}
	if !path {
		out = append(out, "PATH="+defaultPath)
	}
	return out
}

// StartAside starts a child that is no attempt's: whoever looks for what attempts left behind
// passes it by, until ForgetAside.
func (s *Supervisor) StartAside(start func() (pid int, err error)) error {
	s.forking.RLock()
	defer s.forking.RUnlock()
	pid, err := start()
	if err == nil {
		s.SetAside(pid)
	}
	return err
}

// SetAside marks a child as no attempt's.
func (s *Supervisor) SetAside(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aside[pid] = true
}

// ForgetAside is called when such a child was waited for.
func (s *Supervisor) ForgetAside(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.aside, pid)
}

// started tells whether somebody waits for a child.
func (s *Supervisor) started(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[pid] != nil || s.aside[pid]
}

func (s *Supervisor) known(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.others[pid]
	return ok
}

// alone tells whether no attempt but p's can have made q: all others began later.
func (s *Supervisor) alone(p *Process, q stat) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.live {
		if other != p && other.id.Start <= q.start {
			return false
		}
	}
	return true
}

// note remembers strangers that are not of p's tree, so that they are not looked at again each
// time some attempt ends. They are forgotten when an attempt ends that they may be of.
func (s *Supervisor) note(all map[int]stat, mine []stat) {
	of := map[int]bool{}
	for _, m := range mine {
		of[m.pid] = true
	}
	self := os.Getpid()
	for _, pid := range sortedPIDs(all) {
		if all[pid].ppid != self || of[pid] || s.started(pid) {
			continue
		}
		token, _ := mark(pid)
		s.mu.Lock()
		s.others[pid] = parseToken(token)
		s.mu.Unlock()
	}
}

func (s *Supervisor) register(p *Process) {
	s.mu.Lock()
	s.running[p.id.PID] = p
	s.live[p] = true
	delete(s.others, p.id.PID)
	s.mu.Unlock()
}

// reaped takes the number of a main process out of the table, before it can be used again.
func (s *Supervisor) reaped(p *Process) {
	delete(s.running, p.id.PID)
}

func (s *Supervisor) gone(p *Process) {
	s.mu.Lock()
	delete(s.live, p)
	for pid, token := range s.others {
		if token == p.token || token == 0 {
			delete(s.others, pid)
		}
	}
	s.mu.Unlock()
}
