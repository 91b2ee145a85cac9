// Package limit measures what this machine can do at most: disk, SQLite, processes, the wire.
//
// It must not know the product. Programs and figures are those of field/performance.md, part A.
package limit

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"baton/bench/internal/stat"
)

// Rate is how often something went, and how long it took.
type Rate struct {
	PerSecond float64
	P50, P99  time.Duration
}

// loop repeats f on n goroutines for a while.
func loop(n int, d time.Duration, f func(worker, i int) error) (Rate, error) {
	type result struct {
		took []float64
		err  error
	}
	results := make(chan result)
	start := time.Now()
	for w := range n {
		go func() {
			var r result
			for i := 0; r.err == nil && time.Since(start) < d; i++ {
				at := time.Now()
				r.err = f(w, i)
				r.took = append(r.took, float64(time.Since(at)))
			}
			results <- r
		}()
	}
	var all []float64
	var err error
	for range n {
		r := <-results
		all = append(all, r.took...)
		if r.err != nil {
			err = r.err
		}
	}
	return Rate{
		PerSecond: float64(len(all)) / time.Since(start).Seconds(),
		P50:       time.Duration(stat.Percentile(all, 0.5)), P99: time.Duration(stat.Percentile(all, 0.99)),
	}, err
}

const page = 4096

// Append appends a page and syncs, as a log that grows does.
func Append(dir string, d time.Duration) (Rate, error) {
	f, err := os.CreateTemp(dir, "append-")
	if err != nil {
		return Rate{}, fmt.Errorf("measure fsync: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	buf := make([]byte, page)
	return loop(1, d, func(int, int) error {
		if _, err := f.Write(buf); err != nil {
			return fmt.Errorf("append: %w", err)
		}
		return f.Sync()
	})
}

// Overwrite overwrites a page of a file and syncs its data, as a log that is used again does.
func Overwrite(dir string, d time.Duration) (Rate, error) {
	f, err := os.CreateTemp(dir, "overwrite-")
	if err != nil {
		return Rate{}, fmt.Errorf("measure fdatasync: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	const pages = 1024
	buf := make([]byte, page)
	if _, err := f.Write(make([]byte, pages*page)); err != nil {
		return Rate{}, fmt.Errorf("measure fdatasync: %w", err)
	}
	if err := f.Sync(); err != nil {
		return Rate{}, fmt.Errorf("measure fdatasync: %w", err)
	}
	return loop(1, d, func(_, i int) error {
		if _, err := f.WriteAt(buf, int64(i%pages)*page); err != nil {
			return fmt.Errorf("overwrite: %w", err)
		}
		return syscall.Fdatasync(int(f.Fd()))
	})
}
