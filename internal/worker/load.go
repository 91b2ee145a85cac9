// How busy the machine is.

package worker

import (
	"bytes"
	"os"
	"strconv"
)

// machine measures the use of all cores since the last time it was asked, and of memory.
type machine struct{ busy, total uint64 }

func (m *machine) measure() (cpu, memory float64) {
	if b, err := os.ReadFile("/proc/stat"); err == nil {
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
			cpu = float64(busy-m.busy) / float64(total-m.total)
		}
		m.busy, m.total = busy, total
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		total, available := meminfo(b, "MemTotal:"), meminfo(b, "MemAvailable:")
		if total > 0 {
			memory = 1 - available/total
		}
	}
	return min(cpu, 1), memory
}

func meminfo(b []byte, name string) float64 {
	_, rest, ok := bytes.Cut(b, []byte(name))
	if !ok {
		return 0
	}
	fields := bytes.Fields(rest[:min(len(rest), 64)])
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseFloat(string(fields[0]), 64)
	return n
}
