package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"baton/internal/rpc"
	"baton/internal/store/storetest/pgtest"
	"baton/internal/task"
	"baton/internal/task/all"
	"baton/internal/worker"
	"baton/test/harness"
)

const (
	idleWorkers = 1000
	idleFor     = 30 * time.Second
	live        = "SELECT count(*) FROM node WHERE role = 'worker' AND lease_until > extract(epoch FROM clock_timestamp()) * 1000000"
)

// used is what a process and its children have used.
func used(b *testing.B, pid int) (sum time.Duration) {
	b.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		if filepath.Base(filepath.Dir(path)) != strconv.Itoa(pid) && f[1] != strconv.Itoa(pid) {
			continue
		}
		for _, ticks := range f[11:15] { // its own, and of children that ended
			n, _ := strconv.Atoi(ticks)
			sum += time.Duration(n) * time.Second / 100
		}
	}
	return sum
}

// BenchmarkIdleWorkers measures what a master, a process of its own, and its database pay for workers
// that have nothing to do: their connections, beats and leases. The workers are the real ones, all of them
// in this process.
func BenchmarkIdleWorkers(b *testing.B) {
	dsn := pgtest.Empty(b)
	s := harness.New(b)
	s.Must(b, "migrate", "up", "--store", dsn)
	log, pid := harness.Process(b, s.Dir, "m1", "master", "--store", dsn, "--rpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	address := harness.Said(b, log, "ready", "address")
	db, err := pgx.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(b.Context()))

	ctx, stop := context.WithCancel(b.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	types := task.NewSet(all.Types()...)
	for i := range idleWorkers {
		name := fmt.Sprintf("w%04d", i)
		lists := make(chan []string, 1)
		lists <- []string{address}
		w := worker.New(worker.Config{Name: name, Data: filepath.Join(s.Dir, name)}, types, worker.Masters{
			Lists: lists,
			Dial:  func(ctx context.Context, address string) (rpc.Stream, error) { return rpc.To(address, nil)(ctx) },
		}, slog.New(slog.DiscardHandler))
		group.Go(func() {
			if err := w.Run(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	value := func(query string) (n int64) {
		if err := db.QueryRow(b.Context(), query).Scan(&n); err != nil {
			b.Fatal(err)
		}
		return n
	}
	harness.Eventually(b, "all workers are there", func() bool {
		return value(live) == idleWorkers
	})
	var folder string
	if err := db.QueryRow(b.Context(), "SELECT setting FROM pg_settings WHERE name = 'data_directory'").Scan(&folder); err != nil {
		b.Fatal(err)
	}
	first, err := os.ReadFile(filepath.Join(folder, "postmaster.pid"))
	if err != nil {
		b.Fatal(err)
	}
	postmaster, _ := strconv.Atoi(strings.SplitN(string(first), "\n", 2)[0])
	const statements = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
	settle := time.NewTimer(idleFor / 3) // what the welcomes cost is over
	<-settle.C
	for b.Loop() {
		master, database, asked := used(b, pid), used(b, postmaster), value(statements)
		over := time.NewTimer(idleFor)
		<-over.C
		percent := func(d time.Duration) float64 { return 100 * d.Seconds() / idleFor.Seconds() }
		b.ReportMetric(percent(used(b, pid)-master), "master-%cpu")
		b.ReportMetric(percent(used(b, postmaster)-database), "database-%cpu")
		b.ReportMetric(float64(value(statements)-asked)/idleFor.Seconds(), "statements/s")
	}
	if n := value(live); n != idleWorkers {
		b.Errorf("%d workers are left", n)
	}
}
