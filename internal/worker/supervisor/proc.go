// Reading /proc.

package supervisor

import (
	"bytes"
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// stat is what the supervisor needs of /proc/PID/stat.
type stat struct {
	pid, ppid, pgid, sid int
	start                uint64 // clock ticks since boot
	zombie               bool   // dead, and waits for its parent
}

func (s stat) identity() Identity { return Identity{s.pid, s.start} }

var errGone = errors.New("no such process")

// readStat reads one process; errGone when there is none.
func readStat(pid int) (stat, error) {
	var buf [1024]byte
	b, err := readSmall("/proc/"+strconv.Itoa(pid)+"/stat", buf[:])
	if err != nil {
		return stat{}, err
	}
	return parseStat(pid, b)
}

// parseStat finds the fields behind the command's name, which may hold anything, ")" too.
func parseStat(pid int, b []byte) (stat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 || i+2 >= len(b) {
		return stat{}, errGone
	}
	f := bytes.Fields(b[i+2:])
	if len(f) < 20 {
		return stat{}, errGone
	}
	s := stat{pid: pid, zombie: f[0][0] == 'Z' || f[0][0] == 'X'}
	s.ppid, s.pgid, s.sid = atoi(f[1]), atoi(f[2]), atoi(f[3])
	s.start, _ = strconv.ParseUint(string(f[19]), 10, 64)
	return s, nil
}

func atoi(b []byte) int {
	n, _ := strconv.Atoi(string(b))
	return n
}

// readSmall reads a file of /proc into buf; a longer one is cut. It goes past package os, whose
// poller and finalizers cost more than the file.
func readSmall(path string, buf []byte) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errGone
	}
	defer unix.Close(fd) //nolint:errcheck // read only
	n := 0
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, errGone
		}
		if m == 0 {
			break
		}
		n += m
	}
	return buf[:n], nil
}

// environ returns a process's first environment, nil when it is not readable: gone, or of another
// user.
func environ(pid int) []byte {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil
	}
	return b
}

// lookup returns a variable of an environ.
func lookup(environ []byte, name string) (string, bool) {
	for len(environ) > 0 {
		entry, rest, _ := bytes.Cut(environ, []byte{0})
		environ = rest
		if k, v, ok := bytes.Cut(entry, []byte{'='}); ok && string(k) == name {
			return string(v), true
		}
	}
	return "", false
}

// pids lists every process.
func pids() []int {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	out := make([]int, 0, len(names))
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// processes reads every process, by pid. Those that vanish meanwhile are left out.
func processes() map[int]stat {
	list := pids()
	out := make(map[int]stat, len(list))
	for _, pid := range list {
		if s, err := readStat(pid); err == nil {
			out[pid] = s
		}
	}
	return out
}

// lastPID returns the number given to a process last, 0 if the kernel does not say.
func lastPID() int {
	var buf [128]byte
	b, err := readSmall("/proc/loadavg", buf[:])
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	return atoi(f[len(f)-1])
}
