// The shell around Core: it opens the data folder, carries effects out, and tells Core what came
// of them.

package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"baton/internal/clock"
	"baton/internal/flow"
	"baton/internal/machine"
	"baton/internal/task"
	"baton/internal/worker/supervisor"
	"baton/internal/worker/tasklog"
)

// Worker is a worker of the fleet.
type Worker struct {
	cfg     Config
	types   *task.Set
	masters Masters
	log     *slog.Logger

	clock   clock.Clock
	core    *Core
	box     *mailbox[Event] // what happened, for Core
	over    overseer
	logs    *tasklog.Store
	blobs   *blobs
	folders *workdirs
	reads   *logReaders

	seen       sight
	lastStream atomic.Int64

	// Of the loop alone:
	runs    map[int64]*run
	conns   map[StreamID]*conn
	wake    *time.Timer
	machine machine.Meter
	stopped bool
	pid     int  // of the supervisor
	below   bool // the supervisor is the parent process: this one may be replaced
	err     error

	drain   sync.Once
	drained chan struct{} // closed by Drain
	running atomic.Int64  // attempts that have not ended

	wg sync.WaitGroup // every goroutine but the loop and the disk
}

// New returns a worker of masters. Run or RunBelow does everything else.
func New(cfg Config, types *task.Set, masters Masters, log *slog.Logger) *Worker {
	return &Worker{cfg: cfg.Defaults(), types: types, masters: masters, log: log, pid: os.Getpid(), drained: make(chan struct{})}
}

// Run works until ctx is cancelled, with its supervisor in the same process: then it takes nothing
// new, kills what runs, and returns when all is over. See also Drain. Before it speaks to any master
// it kills what an earlier start left running.
func (w *Worker) Run(ctx context.Context) (err error) {
	if err := w.cfg.Validate(); err != nil {
		return err
	}
	lock, err := openData(&w.cfg)
	if err != nil {
		return err
	}
	defer lock.Close()
	w.open()
	sup, err := supervisor.New(w.cfg.Home)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sup.Close()) }()
	journal, state, err := takeUp(ctx, w.cfg, sup.Bury, w.log)
	if err != nil {
		return err
	}
	own := newOwnSupervisor(w, sup, journal)
	w.over = own
	go own.diskLoop()
	w.work(ctx, state)
	return own.close()
}

// work runs Core and all around it until it is stopped.
func (w *Worker) work(ctx context.Context, state State) {
	w.core = NewCore(w.coreConfig(), state)
	// What is under way lives longer than ctx: the stop is told to Core, which ends it in order.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.wg.Go(func() { w.connect(work) })
	w.wg.Go(func() { w.maintain(work) })
	w.loop(ctx, work)
	cancel()
	w.wg.Wait()
}

// Drain makes the worker take nothing new; Run returns when what it has has ended. Cancelling Run's
// context ends a drain.
func (w *Worker) Drain() { w.drain.Do(func() { close(w.drained) }) }

// Running is how many attempts have not ended.
func (w *Worker) Running() int { return int(w.running.Load()) }

func (w *Worker) coreConfig() CoreConfig {
	return CoreConfig{
		Name: w.cfg.Name, Home: w.cfg.Home, Version: w.cfg.Version, Groups: w.cfg.Groups, Types: w.runnable(),
		Slots: w.cfg.Slots, FunctionSlots: w.cfg.FunctionSlots, Weight: w.cfg.Weight, Limits: w.cfg.Limits, Labels: w.cfg.Labels, PID: w.pid, Kind: w.kind,
		ResendAfter: w.cfg.ResendAfter, AnnounceAfter: announceAfter, OutageGrace: w.cfg.OutageGrace,
		KillGrace: w.cfg.KillGrace, StopGrace: w.cfg.StopGrace, CompactAfter: compactAfter,
	}
}

const (
	// announceAfter is below what a person notices and above what a small task takes.
	announceAfter = 5 * time.Millisecond
	// compactAfter is read in a tenth of a second at the next start.
	compactAfter = 32 << 20
)

// runnable lists the types that can run here.
func (w *Worker) runnable() []string {
	var names []string
	for _, t := range w.types.All() {
		if w.kind(t.Name()) != KindUnknown {
			names = append(names, t.Name())
		}
	}
	return names
}

func (w *Worker) kind(name string) Kind {
	t, known := w.types.Get(name)
	if !known {
		return KindUnknown
	}
	switch t.(type) {
	case task.Process:
		return KindProcess
	case task.Function:
		return KindFunction
	}
	return KindUnknown
}

func (w *Worker) path(parts ...string) string { return w.cfg.path(parts...) }

// loop is the one goroutine that Core runs on.
func (w *Worker) loop(ctx, work context.Context) {
	stop, drained := ctx.Done(), w.drained
	for !w.stopped {
		select {
		case <-drained:
			drained = nil
			w.box.put(Drain{})
		case <-stop:
			if w.below {
				return // the supervisor starts another one, and what runs goes on
			}
			stop = nil
			w.box.put(Stop{})
		case <-w.wake.C:
			w.box.put(Tick{})
		case <-w.box.ready:
			if events := w.box.take(); len(events) > 0 {
				w.keepTables(events)
				w.carryOut(work, w.core.Step(w.clock.Now(), events...))
				w.running.Store(int64(w.core.alive()))
			}
		}
	}
}

// keepTables follows in the shell's own tables what the events tell.
func (w *Worker) keepTables(events []Event) {
	for _, e := range events {
		switch e := e.(type) {
		case opened:
			w.conns[e.c.id] = e.c
		case closed:
			delete(w.conns, e.c.id)
		case Finished:
			delete(w.runs, e.Token)
		case pinged:
			w.over.pong()
		case orphaned:
			w.err, w.stopped = errOrphaned, true
		}
	}
}

func (w *Worker) carryOut(ctx context.Context, effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case Persist:
			w.over.persist(e)
		case Start:
			w.start(ctx, e)
		case KillAttempt:
			if r := w.runs[e.Token]; r != nil {
				r.kill(e.Grace)
			}
		case Send:
			if c := w.conns[e.Stream]; c != nil {
				c.out.put(e.Frame)
			}
		case Close:
			if c := w.conns[e.Stream]; c != nil {
				err := fmt.Errorf("closed: %s", e.Reason)
				if e.Foreign {
					err = &foreignError{err}
				}
				c.end(err)
			}
		case Guard:
			w.over.guard(e)
		case Wake:
			w.setWake(e.At)
		case Measure:
			w.measure()
		case Note:
			w.note(e) //nolint:contextcheck // a note outlives what it is about
		case Stopped:
			w.stopped = true
		}
	}
}

func (w *Worker) setWake(at flow.Time) {
	if at == 0 {
		w.wake.Stop()
		return
	}
	w.wake.Reset(max(0, at.Sub(w.clock.Now())))
}

func (w *Worker) measure() {
	load := w.machine.Measure()
	m := Measured{CPU: load.CPU, Memory: load.Memory, Free: machine.FreeDisk(w.cfg.Data)}
	for _, token := range sortedKeys(w.runs) {
		if w.runs[token].log.TakeAlive() {
			m.Live = append(m.Live, token)
		}
	}
	w.box.put(m)
}

func (w *Worker) note(n Note) {
	attrs := make([]slog.Attr, 0, 3)
	if n.Token != 0 {
		attrs = append(attrs, slog.Int64("token", n.Token))
	}
	if n.Count != 0 {
		attrs = append(attrs, slog.Int("count", n.Count))
	}
	if n.Err != nil {
		attrs = append(attrs, slog.Any("error", n.Err))
	}
	w.log.LogAttrs(context.Background(), slog.LevelWarn, n.Text, attrs...) //nolint:sloglint // the reactor words its notes
}

// maintain does what is due now and then.
func (w *Worker) maintain(ctx context.Context) {
	sweep, prune := time.NewTicker(sweepEvery), time.NewTicker(pruneEvery)
	defer sweep.Stop()
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			w.over.sweep()
		case <-prune.C:
			if w.cfg.LogKeep < 0 {
				continue
			}
			if n, err := w.logs.Prune(ctx, time.Now().Add(-w.cfg.LogKeep)); err != nil && ctx.Err() == nil {
				w.log.WarnContext(ctx, "logs not pruned", slog.Any("error", err))
			} else if n > 0 {
				w.log.InfoContext(ctx, "pruned logs", slog.Int("count", n))
			}
		}
	}
}

const (
	sweepEvery = 5 * time.Second
	pruneEvery = time.Hour
)
