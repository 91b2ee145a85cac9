package machine

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// files makes a root with /proc and /sys in it.
func files(t *testing.T, contents map[string]string) *Meter {
	t.Helper()
	root := t.TempDir()
	for name, text := range contents {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &Meter{root: root}
}

const (
	cgroup = "sys/fs/cgroup/"
	half   = "MemTotal:       1000 kB\nMemFree:    1 kB\nMemAvailable:    500 kB\n"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		want  float64
	}{
		{"nothing is known", map[string]string{}, 0},
		{"the machine's", map[string]string{"proc/meminfo": half}, 0.5},
		{"no limit", map[string]string{
			"proc/meminfo": half, "proc/self/cgroup": "0::/baton\n",
			cgroup + "baton/memory.max": "max\n", cgroup + "baton/memory.current": "900\n",
		}, 0.5},
		{"a limited group", map[string]string{
			"proc/meminfo": half, "proc/self/cgroup": "0::/baton/worker\n",
			cgroup + "baton/worker/memory.max": "max\n", cgroup + "baton/worker/memory.current": "10\n",
			cgroup + "baton/memory.max": "1000\n", cgroup + "baton/memory.current": "900\n",
			cgroup + "baton/memory.stat": "anon 700\ninactive_file 100\nactive_file 100\n",
		}, 0.8},
		{"a group with room on a full machine", map[string]string{
			"proc/meminfo": half, "proc/self/cgroup": "0::/\n", cgroup + "memory.max": "1000", cgroup + "memory.current": "100",
		}, 0.5},
		{"a container that sees the path of its host", map[string]string{
			"proc/meminfo": half, "proc/self/cgroup": "0::/system.slice/docker-1.scope\n",
			cgroup + "memory.max": "1000", cgroup + "memory.current": "970",
		}, 0.97},
		{"version 1", map[string]string{
			"proc/meminfo": half, "proc/self/cgroup": "5:cpu,cpuacct:/other\n4:memory:/baton\n",
			cgroup + "memory/baton/memory.limit_in_bytes": "1000", cgroup + "memory/baton/memory.usage_in_bytes": "950",
			cgroup + "memory/baton/memory.stat":        "inactive_file 5\ntotal_inactive_file 50\n",
			cgroup + "memory/memory.limit_in_bytes":    "9223372036854771712",
			cgroup + "memory/memory.usage_in_bytes":    "99999",
			cgroup + "cpu/other/memory.usage_in_bytes": "1",
		}, 0.9},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := files(t, c.files).Measure().Memory; math.Abs(got-c.want) > 1e-9 {
				t.Errorf("memory %v, want %v", got, c.want)
			}
		})
	}
}

func TestCPUIsOfTheTimeBetween(t *testing.T) {
	t.Parallel()
	m := files(t, map[string]string{"proc/stat": "cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3\n"})
	if got := m.Measure().CPU; math.Abs(got-0.2) > 1e-9 {
		t.Errorf("since the start %v, want 0.2", got)
	}
	if err := os.WriteFile(filepath.Join(m.root, "proc/stat"), []byte("cpu  190 0 100 710 100 0 0 0 50 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := m.Measure().CPU; math.Abs(got-0.9) > 1e-9 {
		t.Errorf("since then %v, want 0.9", got)
	}
}

func TestThisMachine(t *testing.T) {
	t.Parallel()
	if l := new(Meter).Measure(); l.CPU < 0 || l.CPU > 1 || l.Memory <= 0 || l.Memory >= 1 {
		t.Errorf("load %+v", l)
	}
	if free := FreeDisk(t.TempDir()); free <= 0 {
		t.Errorf("%d bytes are free", free)
	}
	if free := FreeDisk(filepath.Join(t.TempDir(), "missing")); free != -1 {
		t.Errorf("%d bytes are free in a folder that is not there", free)
	}
}
