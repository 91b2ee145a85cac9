// River, driven by bench through package driver.
//
// drain inserts jobs, starts the workers and waits until the database says that all are done;
// latency inserts at a rate and tells how long each job took from insert to start; periodic has
// periodic jobs of ten seconds, a tenth of them due at each, and tells how late each began. All are as durable
// as PostgreSQL's defaults.
package main

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"baton/bench/peers/driver"
)

type order struct {
	Shape   string  `json:"shape"` // drain, latency, shell, periodic
	Jobs    int     `json:"jobs"`
	Tuned   bool    `json:"tuned"` // 2,000 workers and a fetch each millisecond, in place of 100 and 100 ms
	Rate    float64 `json:"rate"`
	Seconds float64 `json:"seconds"`
}

type answer struct {
	Done    int       `json:"done"`
	Seconds float64   `json:"seconds"`
	Gaps    []float64 `json:"gaps"` // µs
}

type noop struct {
	T int64 `json:"t"`
}

func (noop) Kind() string { return "noop" }

type shell struct{}

func (shell) Kind() string { return "shell" }

type timed struct{}

func (timed) Kind() string { return "timed" }

// turn is a schedule of ten seconds that is due at its own of them.
type turn int64

const turns = 10

func (t turn) Next(now time.Time) time.Time {
	s := now.Unix() + 1
	for s%turns != int64(t) {
		s++
	}
	return time.Unix(s, 0)
}

type world struct {
	pool *pgxpool.Pool
	done atomic.Int64
	mu   sync.Mutex
	gaps []float64

	from, to time.Time // of periodic jobs that count
}

type timedWorker struct {
	river.WorkerDefaults[timed]
	w *world
}

func (t timedWorker) Work(_ context.Context, j *river.Job[timed]) error {
	if j.ScheduledAt.Before(t.w.from) || !j.ScheduledAt.Before(t.w.to) {
		return nil
	}
	gap := time.Since(j.ScheduledAt)
	t.w.mu.Lock()
	t.w.gaps = append(t.w.gaps, float64(gap.Microseconds()))
	t.w.mu.Unlock()
	t.w.done.Add(1)
	return nil
}

type noopWorker struct {
	river.WorkerDefaults[noop]
	w *world
}

func (n noopWorker) Work(_ context.Context, j *river.Job[noop]) error {
	gap := time.Since(time.Unix(0, j.Args.T))
	n.w.mu.Lock()
	n.w.gaps = append(n.w.gaps, float64(gap.Microseconds()))
	n.w.mu.Unlock()
	n.w.done.Add(1)
	return nil
}

type shellWorker struct {
	river.WorkerDefaults[shell]
	w *world
}

func (s shellWorker) Work(ctx context.Context, _ *river.Job[shell]) error {
	out, err := driver.Shell()
	if err != nil {
		return err
	}
	s.w.done.Add(1)
	return river.RecordOutput(ctx, out)
}

func (w *world) client(tuned bool, workers, periodic int) (*river.Client[pgx.Tx], error) {
	ws := river.NewWorkers()
	river.AddWorker(ws, noopWorker{w: w})
	river.AddWorker(ws, shellWorker{w: w})
	river.AddWorker(ws, timedWorker{w: w})
	cfg := &river.Config{Workers: ws, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))}
	if tuned {
		cfg.FetchCooldown, cfg.FetchPollInterval = time.Millisecond, 50*time.Millisecond
	}
	cfg.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}}
	for i := range periodic {
		make := func() (river.JobArgs, *river.InsertOpts) { return timed{}, nil }
		cfg.PeriodicJobs = append(cfg.PeriodicJobs, river.NewPeriodicJob(turn(i%turns), make, nil))
	}
	return river.NewClient(riverpgxv5.New(w.pool), cfg)
}

func (w *world) run(ctx context.Context, o order) (a answer, err error) {
	if _, err := w.pool.Exec(ctx, "TRUNCATE river_job"); err != nil {
		return a, err
	}
	workers := 100
	if o.Tuned {
		workers = 2000
	}
	if o.Shape == "shell" {
		workers = 16 // as many as Baton's slots on two cores
	}
	periodic := 0
	if o.Shape == "periodic" {
		periodic = o.Jobs
	}
	cl, err := w.client(o.Tuned, workers, periodic)
	if err != nil {
		return a, err
	}
	w.done.Store(0)
	w.gaps = nil
	if o.Shape == "periodic" {
		return w.periodic(ctx, cl, o)
	}
	if o.Shape == "latency" {
		return w.latency(ctx, cl, o)
	}
	var args river.JobArgs = noop{T: time.Now().UnixNano()}
	if o.Shape == "shell" {
		args = shell{}
	}
	for inserted := 0; inserted < o.Jobs; inserted += 1000 {
		batch := make([]river.InsertManyParams, min(1000, o.Jobs-inserted))
		for i := range batch {
			batch[i].Args = args
		}
		if _, err := cl.InsertManyFast(ctx, batch); err != nil {
			return a, err
		}
	}
	start := time.Now()
	if err := cl.Start(ctx); err != nil {
		return a, err
	}
	for left := 1; left > 0; {
		time.Sleep(20 * time.Millisecond)
		if w.done.Load() >= int64(o.Jobs) {
			if err := w.pool.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE state <> 'completed'").Scan(&left); err != nil {
				return a, err
			}
		}
	}
	a.Done, a.Seconds = o.Jobs, time.Since(start).Seconds()
	return a, cl.Stop(ctx)
}

func (w *world) latency(ctx context.Context, cl *river.Client[pgx.Tx], o order) (a answer, err error) {
	if err := cl.Start(ctx); err != nil {
		return a, err
	}
	start := time.Now()
	n := int(o.Rate * o.Seconds)
	for i := range n {
		time.Sleep(time.Until(start.Add(time.Duration(float64(i) / o.Rate * float64(time.Second)))))
		if _, err := cl.Insert(ctx, noop{time.Now().UnixNano()}, nil); err != nil {
			return a, err
		}
	}
	for w.done.Load() < int64(n) {
		time.Sleep(10 * time.Millisecond)
	}
	a.Done, a.Seconds = n, time.Since(start).Seconds()
	if err := cl.Stop(ctx); err != nil {
		return a, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.Gaps = w.gaps
	return a, nil
}

// periodic counts whole seconds, the first of which leaves time to become the leader.
func (w *world) periodic(ctx context.Context, cl *river.Client[pgx.Tx], o order) (a answer, err error) {
	w.from = time.Now().Truncate(time.Second).Add(8 * time.Second)
	w.to = w.from.Add(time.Duration(o.Seconds) * time.Second)
	if err := cl.Start(ctx); err != nil {
		return a, err
	}
	due := int64(0)
	for s := w.from.Unix(); s < w.to.Unix(); s++ {
		for i := range o.Jobs {
			if int64(i%turns) == s%turns {
				due++
			}
		}
	}
	time.Sleep(time.Until(w.to))
	for until := w.to.Add(time.Minute); w.done.Load() < due && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
	if err := cl.Stop(ctx); err != nil {
		return a, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.Done, a.Seconds, a.Gaps = int(due), o.Seconds, w.gaps
	return a, nil
}

func main() {
	driver.Main(func(address string) error { return serve(context.Background(), address) })
}

func serve(ctx context.Context, url string) error {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return err
	}
	cfg.MaxConns = 20
	w := &world{}
	if w.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return err
	}
	mig, err := rivermigrate.New(riverpgxv5.New(w.pool), nil)
	if err != nil {
		return err
	}
	if _, err := mig.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	return driver.Serve(func(o order) (answer, error) { return w.run(ctx, o) })
}
