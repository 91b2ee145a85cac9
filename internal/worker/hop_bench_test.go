// What the hop to a supervisor in a process of its own costs, beside BenchmarkShell.

package worker_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/rpc"
)

// cpuOf is what a process has used, without its children.
func cpuOf(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func BenchmarkShellBelowSupervisor(b *testing.B)          { below(b, "script", "true", true) }
func BenchmarkShellBelowSupervisorNoCgroups(b *testing.B) { below(b, "script", "true", false) }
func BenchmarkFunctionBelowSupervisor(b *testing.B)       { below(b, "noop", "", true) }
func BenchmarkShellOverGRPC(b *testing.B)                 { benchmark(b, "script", "true", 4*runtime.NumCPU(), true) }

func below(b *testing.B, typeName, options string, cgroups bool) {
	m := &benchMaster{
		make: func(token int64) *rpc.Grant {
			g := order(token, typeName, options)
			g.Env = map[string]string{"BATON_INSTANCE_ID": "12345678", "BATON_ATTEMPT": "1", "BATON_FENCE": "1"}
			return g
		},
		window: 4 * runtime.NumCPU(), n: b.N, ready: make(chan struct{}), done: make(chan struct{}),
	}
	text, err := json.Marshal(hosted{Masters: []string{listening(b, m)}, Data: b.TempDir(), NoCgroups: !cgroups})
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envHosted+"="+string(text))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	f := &fleet{cmd: cmd}
	proper := f.proper(b)
	b.ResetTimer()
	before := cpuOf(cmd.Process.Pid) + cpuOf(proper)
	close(m.ready)
	<-m.done
	b.StopTimer()
	used := cpuOf(cmd.Process.Pid) + cpuOf(proper) - before
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "attempts/s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/attempt")
	cmd.Process.Signal(unix.SIGTERM)
	cmd.Wait()
}
