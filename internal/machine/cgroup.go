// Memory of control groups: in a container the machine's own memory is not what runs out.

package machine

import (
	"bytes"
	"path"
	"strconv"
	"strings"
)

// group is the share used of the tightest limit on memory that lies on this process, 0 without one.
func (m *Meter) group() (share float64) {
	b, ok := m.read("/proc/self/cgroup")
	if !ok {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		// hierarchy:controllers:path. Version 2 has one hierarchy, 0, and names no controllers.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		folder, files := "/sys/fs/cgroup", second
		if parts[1] != "" {
			if !hasController(parts[1], "memory") {
				continue
			}
			folder, files = "/sys/fs/cgroup/memory", first
		}
		// A limit on any of those above counts too. Without a namespace of its own a container sees a
		// path that is not there; its own group is at the root then.
		for p := path.Clean("/" + parts[2]); ; p = path.Dir(p) {
			share = max(share, m.groupAt(path.Join(folder, p), files))
			if p == "/" {
				break
			}
		}
	}
	return share
}

func hasController(list, name string) bool {
	for c := range strings.SplitSeq(list, ",") {
		if c == name {
			return true
		}
	}
	return false
}

// groupFiles are the names of files of a group.
type groupFiles struct{ limit, used, inactive string }

var (
	first  = groupFiles{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
	second = groupFiles{"memory.max", "memory.current", "inactive_file"}
)

// groupAt is the share used of the limit of one group.
func (m *Meter) groupAt(folder string, f groupFiles) float64 {
	limit, limited := m.number(path.Join(folder, f.limit))
	if !limited || limit <= 0 || limit >= 1<<60 { // version 1 writes a huge number for none
		return 0
	}
	used, ok := m.number(path.Join(folder, f.used))
	if !ok {
		return 0
	}
	// Files that nobody has looked at lately are dropped before anybody runs out of memory.
	if stat, ok := m.read(path.Join(folder, "memory.stat")); ok {
		used -= field(stat, f.inactive+" ")
	}
	return min(max(used/limit, 0), 1)
}

func (m *Meter) number(file string) (float64, bool) {
	b, ok := m.read(file)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(bytes.TrimSpace(b)), 64) // "max" is none
	return n, err == nil
}
