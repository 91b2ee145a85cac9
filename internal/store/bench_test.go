package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
)

var kinds = []struct {
	name string
	open func(testing.TB) *store.DB
}{{"sqlite", openSQLite}, {"postgres", openPostgres}, {"pooled", openPooled}}

// cpu returns the processor time of this process and of the PostgreSQL it started. On a machine
// that others use too it is the only figure that means something.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		b.Fatal(err)
	}
	total := time.Duration(self.Utime.Nano() + self.Stime.Nano())
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	parent, ticks := map[int]int{}, map[int]int{}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		var pid int
		_, _ = fmt.Sscan(string(text), &pid)
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		parent[pid], _ = strconv.Atoi(f[1])
		for _, field := range f[11:15] { // its own, and that of children it has waited for
			n, _ := strconv.Atoi(field)
			ticks[pid] += n
		}
	}
	for pid, n := range ticks {
		if me := os.Getpid(); parent[pid] == me || parent[parent[pid]] == me {
			total += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return total
}

// A step is the end of one task and the grant of the next: an update, an insert, a token, and its
// share of the update of the instance. Batches of 100 steps are of 100, 10 or one instance.
func BenchmarkCommit(b *testing.B) {
	for _, kind := range kinds {
		for _, size := range []struct{ steps, instances int }{{1, 1}, {100, 100}, {100, 10}, {100, 1}} {
			b.Run(fmt.Sprintf("%s/steps=%d/instances=%d", kind.name, size.steps, size.instances), func(b *testing.B) {
				w := storetest.NewWorld(b, kind.open(b))
				chs := make([]flow.Change, size.instances)
				for k := range chs {
					chs[k] = w.Run(size.steps / size.instances)
				}
				b.ResetTimer()
				before := cpu(b)
				for range b.N {
					rs, err := w.Commit(w.Steps(chs, size.steps)...)
					if err != nil {
						b.Fatal(err)
					}
					if rs[0].Fate != flow.Committed {
						b.Fatal(rs[0])
					}
				}
				b.ReportMetric(float64(size.steps*b.N)/b.Elapsed().Seconds(), "steps/s")
				b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(size.steps*b.N), "cpu-us/step")
			})
		}
	}
}

// A small run: a command, the commit that begins it with one task, the commit that ends it.
func BenchmarkSmallRuns(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			const size = 100
			before := cpu(b)
			w := storetest.NewWorld(b, kind.open(b))
			for range b.N {
				begin := make([]flow.Change, size)
				for k := range begin {
					c, err := w.Submit()
					if err != nil {
						b.Fatal(err)
					}
					begin[k] = w.Begin(c, 1)
				}
				if _, err := w.Commit(begin...); err != nil {
					b.Fatal(err)
				}
				end := w.Steps(begin, size)
				for k := range end {
					end[k].NewTasks, end[k].Grants = nil, nil
					end[k].Instance.State, end[k].Instance.Owner = flow.InstanceSucceeded, 0
				}
				if _, err := w.Commit(end...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "runs/s")
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(size*b.N), "cpu-us/run")
		})
	}
}
