// Control groups, version 2: what is started in one stays in it, whatever it does to its
// environment, session or parents; the kernel counts what it uses and kills all of it at once.
//
// They are used where the worker owns a part of the tree: below a cgroup that was delegated to it
// (systemd: Delegate=yes), or in a container of its own. Elsewhere marks and process groups have
// to do.

package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// ownGroup is the cgroup of the supervisor itself beside those of the attempts, when the service
	// manager puts it into one (systemd: DelegateSubgroup=). Only then controllers can be switched on:
	// a cgroup that has any for its children has no processes of its own.
	ownGroup = "baton-supervisor"
	// mostFreeGroups bounds the empty cgroups that are kept for the next attempts.
	mostFreeGroups = 64
)

// cgroups are those of the attempts of one supervisor. It is safe for concurrent use.
type cgroups struct {
	dir string

	mu   sync.Mutex
	free []*cgroup
	made int
}

// cgroup is the one of an attempt, or waits for the next.
type cgroup struct {
	path   string
	fd     int // of the folder
	events int // its file that tells whether it is empty
	cpu    int // its file of times
	peak   int // its file of memory, -1 without
	base   time.Duration
	once   bool // it serves one attempt only: what it counts cannot be forgotten, or it was killed
}

// findCgroup returns the folder below which the worker may make cgroups, "" and why not.
func findCgroup(mountinfo, self []byte, root bool) (base, why string) {
	var mount string
	for line := range strings.Lines(string(mountinfo)) {
		before, after, _ := strings.Cut(line, " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if len(f) > 4 && len(kind) > 0 && kind[0] == "cgroup2" && f[3] == "/" {
			mount = unescape(f[4])
		}
	}
	if mount == "" {
		return "", "this host mounts no cgroup of version 2"
	}
	own := ""
	for line := range strings.Lines(string(self)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			own = path
		}
	}
	switch {
	case own == "" || strings.HasPrefix(own, "/.."):
		return "", "this process is in no cgroup that it can see"
	case root && own != "/" && !delegated(filepath.Join(mount, own)) && !delegated(filepath.Join(mount, filepath.Dir(own))):
		return "", "the cgroup " + own + " is not delegated to the worker (systemd: Delegate=yes)"
	case filepath.Base(own) == ownGroup:
		own = filepath.Dir(own)
	}
	return filepath.Join(mount, own), ""
}

// unescape reads the way spaces are written in mountinfo.
func unescape(path string) string { return strings.ReplaceAll(path, `\040`, " ") }

// delegated tells whether the service manager said so.
func delegated(path string) bool {
	var b [8]byte
	for _, name := range []string{"trusted.delegate", "user.delegate"} {
		if n, err := unix.Getxattr(path, name, b[:]); err == nil && string(b[:n]) == "1" {
			return true
		}
	}
	return false
}

// openCgroups prepares the cgroups of a home below base.
func openCgroups(base, home string) (*cgroups, error) {
	dir := filepath.Join(base, "baton-"+home)
	if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err == nil && (bytes.Contains(own, []byte("0::/\n")) || bytes.Contains(own, []byte("/"+ownGroup+"\n"))) {
		// What is missing is not counted, nothing more.
		os.WriteFile(filepath.Join(base, "cgroup.subtree_control"), []byte("+memory"), 0) //nolint:errcheck // see above
		os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+memory"), 0)  //nolint:errcheck // see above
	}
	g := &cgroups{dir: dir}
	c, err := g.take()
	if err != nil {
		return nil, err
	}
	g.give(c)
	return g, nil
}

// take returns an empty cgroup.
func (g *cgroups) take() (*cgroup, error) {
	g.mu.Lock()
	if n := len(g.free); n > 0 {
		c := g.free[n-1]
		g.free = g.free[:n-1]
		g.mu.Unlock()
		c.begin()
		return c, nil
	}
	g.made++
	n := g.made
	g.mu.Unlock()
	path := filepath.Join(g.dir, strconv.Itoa(n))
	for err := os.Mkdir(path, 0o750); err != nil; err = os.Mkdir(path, 0o750) {
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
		g.mu.Lock() // an earlier start made it
		g.made++
		n = g.made
		g.mu.Unlock()
		path = filepath.Join(g.dir, strconv.Itoa(n))
	}
	c, err := openCgroup(path)
	if err != nil {
		return nil, err
	}
	c.begin()
	return c, nil
}

func openCgroup(path string) (*cgroup, error) {
	c := &cgroup{path: path, fd: -1, events: -1, cpu: -1, peak: -1}
	open := func(name string, flags int) (int, error) {
		return unix.Open(filepath.Join(path, name), flags|unix.O_CLOEXEC, 0)
	}
	var err error
	if c.fd, err = open("", unix.O_DIRECTORY); err == nil {
		c.events, err = open("cgroup.events", unix.O_RDONLY)
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("open cgroup %s: %w", path, err)
	}
	c.cpu, _ = open("cpu.stat", unix.O_RDONLY)
	if c.peak, err = open("memory.peak", unix.O_RDWR); err != nil {
		c.peak, _ = open("memory.peak", unix.O_RDONLY)
		c.once = c.peak >= 0
	}
	return c, nil
}

// begin starts counting at nothing.
func (c *cgroup) begin() {
	c.base = c.cpuTime()
	if c.peak >= 0 && !c.once {
		if _, err := unix.Pwrite(c.peak, []byte("reset\n"), 0); err != nil {
			c.once = true // before Linux 6.12
		}
	}
}

func (c *cgroup) close() {
	for _, fd := range []int{c.fd, c.events, c.cpu, c.peak} {
		if fd >= 0 {
			unix.Close(fd) //nolint:errcheck // read only
		}
	}
}

// give takes a cgroup back. One that is not empty is left to the next Bury.
func (g *cgroups) give(c *cgroup) {
	g.mu.Lock()
	keep := len(g.free) < mostFreeGroups && !c.once && !c.populated()
	if keep {
		g.free = append(g.free, c)
	}
	g.mu.Unlock()
	if !keep {
		c.close()
		removeCgroup(c.path)
	}
}

// removeCgroup removes a cgroup and what a task made below it. It fails while anything runs there.
func removeCgroup(path string) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			removeCgroup(filepath.Join(path, e.Name()))
		}
	}
	unix.Rmdir(path) //nolint:errcheck // see above
}

// close removes what is empty.
func (g *cgroups) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.free {
		c.close()
	}
	g.free = nil
	removeCgroup(g.dir)
}

// populated tells whether anything lives in the cgroup or below it.
func (c *cgroup) populated() bool {
	var buf [128]byte
	n, err := unix.Pread(c.events, buf[:], 0)
	return err == nil && bytes.Contains(buf[:n], []byte("populated 1"))
}

// pids lists what lives in the cgroup itself.
func (c *cgroup) pids() []int {
	b, err := os.ReadFile(filepath.Join(c.path, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var out []int
	for f := range bytes.FieldsSeq(b) {
		out = append(out, atoi(f))
	}
	return out
}

// kill kills everything in the cgroup and below it. Linux 6.18 also kills whatever is started in it
// later from another cgroup (it compares the count of kills with that of the other), so it is not used
// again.
func (c *cgroup) kill() {
	c.once = true
	killCgroup(c.path)
}

func killCgroup(path string) {
	if os.WriteFile(filepath.Join(path, "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	c := cgroup{path: path} // before Linux 5.14
	for _, pid := range c.pids() {
		unix.Kill(pid, unix.SIGKILL) //nolint:errcheck // gone is good
	}
}

func (c *cgroup) cpuTime() time.Duration {
	if c.cpu < 0 {
		return 0
	}
	var buf [512]byte
	n, err := unix.Pread(c.cpu, buf[:], 0)
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(buf[:n], []byte("usage_usec "))
	number, _, _ := bytes.Cut(after, []byte("\n"))
	return time.Duration(atoi(number)) * time.Microsecond
}

// usage is what the attempt has used, as far as the kernel says.
func (c *cgroup) usage() Usage {
	u := Usage{CPU: c.cpuTime() - c.base}
	var buf [32]byte
	if c.peak >= 0 {
		if n, err := unix.Pread(c.peak, buf[:], 0); err == nil {
			u.Memory = int64(atoi(bytes.TrimSpace(buf[:n])))
		}
	}
	return u
}

// bury kills what earlier starts left in cgroups of this home; it tells how many processes it
// saw and whether all are gone.
func (g *cgroups) bury() (seen int, quiet bool) {
	quiet = true
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return 0, true
	}
	for _, e := range entries {
		path := filepath.Join(g.dir, e.Name())
		events, err := os.ReadFile(filepath.Join(path, "cgroup.events"))
		if !e.IsDir() || err != nil {
			continue
		}
		if bytes.Contains(events, []byte("populated 1")) {
			quiet = false
			c := cgroup{path: path}
			seen += len(c.pids())
			c.kill()
			continue
		}
		if !g.has(path) {
			removeCgroup(path)
		}
	}
	return seen, quiet
}

// tidy removes the empty cgroups that the program before this one kept.
func (g *cgroups) tidy() {
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if path := filepath.Join(g.dir, e.Name()); e.IsDir() && !g.has(path) {
			removeCgroup(path)
		}
	}
}

func (g *cgroups) has(path string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.free {
		if c.path == path {
			return true
		}
	}
	return false
}
