// CPU and memory of process trees, from /proc.

package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is USER_HZ, which Linux fixes at 100 for everything it shows.
const tick = time.Second / 100

type process struct {
	parent int
	cpu    time.Duration // its own and that of the children it waited for
}

func processes() (map[int]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("read /proc: %w", err)
	}
	all := map[int]process{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it ended meanwhile
		}
		// The name, in parentheses, may hold anything.
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		if len(fields) < 15 {
			continue
		}
		p := process{}
		p.parent, _ = strconv.Atoi(fields[1])
		for _, f := range fields[11:15] { // utime stime cutime cstime
			n, _ := strconv.ParseInt(f, 10, 64)
			p.cpu += time.Duration(n) * tick
		}
		all[pid] = p
	}
	return all, nil
}

// tree lists root and everything below it.
func tree(all map[int]process, root int) []int {
	if _, ok := all[root]; !ok {
		return nil
	}
	children := map[int][]int{}
	for pid, p := range all {
		children[p.parent] = append(children[p.parent], pid)
	}
	out := []int{root}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}

// CPU is what the trees of the roots have used so far, with what ended and was waited for.
func CPU(roots ...int) time.Duration {
	all, err := processes()
	if err != nil {
		return 0
	}
	var sum time.Duration
	for _, root := range roots {
		for _, pid := range tree(all, root) {
			sum += all[pid].cpu
		}
	}
	return sum
}

// PSS is the proportional memory of a tree, in bytes: shared pages count in part.
func PSS(root int) (int64, error) {
	all, err := processes()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range tree(all, root) {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, fmt.Errorf("memory of %d: %w", pid, err)
		}
		for line := range strings.Lines(string(raw)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				sum += kib << 10
			}
		}
	}
	return sum, nil
}

// Machine is how long the CPUs of this machine were busy since boot, with anything.
func Machine() time.Duration {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	var sum time.Duration
	for i, f := range strings.Fields(line) {
		n, _ := strconv.ParseInt(f, 10, 64)
		switch i {
		case 1, 2, 3, 6, 7, 8: // user nice system irq softirq steal
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// Child is the child of a process whose command line ends with a word.
func Child(parent int, word string) (int, error) {
	all, err := processes()
	if err != nil {
		return 0, err
	}
	for pid, p := range all {
		if p.parent != parent {
			continue
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.HasSuffix(string(line), "\x00"+word+"\x00") {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("process %d has no child %s", parent, word)
}

// KillTree kills a process and everything below it, the root first.
func KillTree(root int) error {
	all, err := processes()
	if err != nil {
		return err
	}
	for _, pid := range tree(all, root) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
	}
	return nil
}
