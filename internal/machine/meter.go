// How busy cores and memory are, and how much room a disk has.

package machine

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Meter measures one machine. It belongs to one goroutine.
type Meter struct {
	root        string // of /proc and /sys, "" for the real ones
	busy, total uint64
}

// Load is how busy a machine is.
type Load struct {
	CPU float64 // 0..1 of all cores, since the last measurement
	// Memory is 0..1: what is not available of the machine's, or of what the process's control group may
	// use, whichever is more.
	Memory float64
}

// Measure measures now.
func (m *Meter) Measure() Load {
	return Load{CPU: m.cpu(), Memory: max(m.host(), m.group())}
}

func (m *Meter) read(path string) ([]byte, bool) {
	b, err := os.ReadFile(filepath.Join("/", m.root, path))
	return b, err == nil
}

func (m *Meter) cpu() (share float64) {
	b, ok := m.read("/proc/stat")
	if !ok {
		return 0
	}
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	var total, idle uint64
	for i, f := range bytes.Fields(line) {
		n, err := strconv.ParseUint(string(f), 10, 64)
		if err != nil || i > 8 { // guest time is in user time already
			continue
		}
		total += n
		if i == 4 || i == 5 { // idle and waiting for disks
			idle += n
		}
	}
	busy := total - idle
	if total > m.total && busy >= m.busy {
		share = float64(busy-m.busy) / float64(total-m.total)
	}
	m.busy, m.total = busy, total
	return min(share, 1)
}

func (m *Meter) host() float64 {
	b, ok := m.read("/proc/meminfo")
	if !ok {
		return 0
	}
	total, available := field(b, "MemTotal:"), field(b, "MemAvailable:")
	if total <= 0 || available <= 0 {
		return 0
	}
	return max(0, 1-available/total)
}

// field returns the number after a name, which stands at the beginning of a line.
func field(b []byte, name string) float64 {
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, []byte(name))
		if !ok {
			continue
		}
		if fields := bytes.Fields(rest); len(fields) > 0 {
			n, _ := strconv.ParseFloat(string(fields[0]), 64)
			return n
		}
	}
	return 0
}

// FreeDisk is how many bytes there are left, for one who is not root, on the disk that a folder is on; -1:
// it is not known.
func FreeDisk(folder string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return -1
	}
	return int64(s.Bavail) * int64(s.Bsize) //nolint:unconvert // its type differs between systems
}
