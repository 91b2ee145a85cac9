package store_test

import (
	"fmt"
	"testing"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
)

var kinds = []struct {
	name string
	open func(testing.TB) *store.DB
}{{"sqlite", openSQLite}, {"postgres", openPostgres}}

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
				for range b.N {
					b.StopTimer()
					batch := w.Steps(chs, size.steps)
					b.StartTimer()
					rs, err := w.Commit(batch...)
					if err != nil {
						b.Fatal(err)
					}
					if rs[0].Fate != flow.Committed {
						b.Fatal(rs[0])
					}
				}
				b.ReportMetric(float64(size.steps*b.N)/b.Elapsed().Seconds(), "steps/s")
			})
		}
	}
}

// A small run: a command, the commit that begins it with one task, the commit that ends it.
func BenchmarkSmallRuns(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			const size = 100
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
		})
	}
}
