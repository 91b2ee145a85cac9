// The supervisor as a process of its own: one loop that keeps a worker proper running, starts
// processes for it, and ends them all when nobody renews the lease.

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/clock"
	"baton/internal/worker/supervisor/link"
)

// Journal is what a Host keeps on disk, in records that it does not understand.
type Journal interface {
	Contents() ([]byte, error)
	Append(records []byte) error
	// Replace puts records in the place of everything but the processes that run.
	Replace(records []byte) error
	Sync() error
	// Began records a process, before anybody is told of it; Ended forgets it.
	Began(token int64, id Identity, at time.Time) error
	Ended(tokens []int64)
}

// HostConfig is what a Host is told once.
type HostConfig struct {
	Home    string
	Journal Journal
	Lock    *os.File // of the data folder; it goes on to the next program
	Log     *slog.Logger
	// Program is the file that is run for a worker proper, and in this one's place; it is asked each
	// time, since another version may lie there.
	Program func() (string, error)
	// Proper and Self are the arguments for either, the name of the program included.
	Proper, Self []string
	// Cgroups puts every attempt into one, where the host has some for us.
	Cgroups bool
	// DrainFor is how long what runs may go on after the end of Run's context; a word on Hurry ends
	// that.
	DrainFor time.Duration
	Hurry    <-chan struct{}
	// StopWithin is how long a worker proper may take to end what runs after a stop.
	StopWithin time.Duration
	// HangAfter is how long a worker proper may be silent; 0: three tenths of the lease.
	HangAfter time.Duration
}

// Host is the supervisor as a process.
type Host struct {
	cfg HostConfig
	sup *Supervisor
	log *slog.Logger

	events  chan func() // what happened, for the loop
	done    chan struct{}
	signals chan os.Signal
	disk    *hostDisk

	// Of the loop alone:
	attempts  map[int64]*hosted
	forking   int // processes that are being started
	noting    int // and written down, before they are told of
	lease     lease
	same      bool   // the session of the journal goes on with the next worker proper
	lost      string // why what it does not find is gone
	isolating bool   // everything is being killed, because nobody renewed the lease
	proper    *proper
	reading   bool // the journal, for the next worker proper
	handing   bool // this process to the program on disk
	failures  int
	launchAt  time.Time
	drainBy   time.Time // zero: it does not end
	stopping  bool
	stopBy    time.Time
	over      bool
	err       error // why it ends without being asked to
	alarm     *time.Timer
	pingAt    time.Time
	sweepAt   time.Time
}

// hosted is an attempt that has a process, until its result is in the journal.
type hosted struct {
	p        *Process
	keep     []byte
	staging  int // a file; -1 without
	began    time.Time
	isolated bool
	told     bool // the worker proper knows of it, or the next one will from the beginning
	exit     *link.Exit
}

// NewHost returns a Host. Whatever an earlier one left must be gone: see Bury.
func NewHost(cfg HostConfig) (*Host, error) {
	sup, err := New(cfg.Home)
	if err != nil {
		return nil, err
	}
	h := &Host{
		cfg: cfg, sup: sup, log: cfg.Log,
		events: make(chan func(), 256), done: make(chan struct{}), signals: make(chan os.Signal, 4),
		attempts: map[int64]*hosted{}, alarm: time.NewTimer(time.Hour),
	}
	h.disk = newHostDisk(h)
	if !cfg.Cgroups {
		return h, nil
	}
	if dir, why := sup.UseCgroups(); dir != "" {
		h.log.Info("each attempt runs in a cgroup of its own", slog.String("folder", dir))
	} else {
		h.log.Info("attempts run without cgroups: process groups and marks in their environment tell what belongs to them", slog.String("why", why))
	}
	return h, nil
}

// Bury kills what earlier incarnations of the same home left: see Supervisor.Bury.
func (h *Host) Bury(ctx context.Context, journal []Identity) (int, error) {
	return h.sup.Bury(ctx, journal)
}

// Run works until ctx is cancelled and everything is over, or the worker proper cannot begin because of a
// setting and nothing runs.
func (h *Host) Run(ctx context.Context) error {
	signal.Notify(h.signals, unix.SIGHUP, unix.SIGUSR2)
	defer signal.Stop(h.signals)
	defer close(h.done)
	go h.disk.run()
	stop, hurry := ctx.Done(), h.cfg.Hurry
	for h.next(); !h.over; h.next() {
		h.setAlarm()
		select {
		case <-stop:
			stop = nil
			h.drain()
		case <-hurry:
			hurry = nil
			h.stop()
		case s := <-h.signals:
			h.signalled(ctx, s)
		case do := <-h.events:
			do()
		case <-h.alarm.C:
		}
		h.checkLease()
		h.checkProper()
	}
	h.disk.close()
	return errors.Join(h.err, h.sup.Close())
}

// do hands something to the loop.
func (h *Host) do(f func()) {
	select {
	case h.events <- f:
	case <-h.done:
	}
}

// next does what can be done now that something has changed.
func (h *Host) next() {
	if h.proper != nil || h.forking > 0 {
		return
	}
	switch {
	case h.stopping:
		if h.killAll(0) == 0 {
			h.over = true
		}
	case h.isolating && h.living() > 0:
		// A new incarnation says nothing before all of the last one is gone.
	case h.reading, h.noting > 0, time.Now().Before(h.launchAt):
	default:
		h.prepare()
	}
}

func (h *Host) living() int {
	n := 0
	for _, a := range h.attempts {
		if a.exit == nil {
			n++
		}
	}
	return n
}

// killAll kills every attempt that lives and tells how many there are.
func (h *Host) killAll(grace time.Duration) int {
	n := 0
	for _, a := range h.attempts {
		if a.exit == nil {
			n++
			a.p.Kill(grace)
			// Also one that the worker proper had begun to kill, for the same reason or by an order: who
			// lost its session has nobody to confirm that to.
			a.isolated = a.isolated || h.isolating
		}
	}
	return n
}

// drain begins the end: the worker proper takes nothing new, and what runs may go on for a while.
func (h *Host) drain() {
	if h.cfg.DrainFor <= 0 {
		h.stop()
		return
	}
	h.drainBy = time.Now().Add(h.cfg.DrainFor)
	h.log.Info("draining: nothing new is taken, what runs may end", slog.Duration("within", h.cfg.DrainFor), slog.Int("running", h.living()))
	h.tell(&link.ToWorker{Body: &link.ToWorker_Drain{Drain: true}})
}

// stop lets the worker proper end everything. What it does not end in time is killed.
func (h *Host) stop() {
	if h.stopping {
		return
	}
	h.stopping, h.stopBy = true, time.Now().Add(h.cfg.StopWithin)
	if h.proper != nil {
		h.proper.conn.Send(&link.ToWorker{Body: &link.ToWorker_Stop{Stop: true}})
	}
}

// signalled carries out an order to take up another program, when that runs at all.
func (h *Host) signalled(ctx context.Context, s os.Signal) {
	go func() {
		err := h.tryProgram(ctx)
		h.do(func() {
			if h.handing || h.stopping || !h.drainBy.IsZero() {
				return
			}
			if err != nil {
				h.log.ErrorContext(ctx, "going on with the present program", slog.Any("error", err))
				return
			}
			switch s {
			case unix.SIGHUP:
				h.log.InfoContext(ctx, "starting the worker anew, tasks run on")
				h.failures = 0
				h.end(h.proper)
			case unix.SIGUSR2:
				// It comes back only when that failed.
				err := h.handOver()
				h.log.ErrorContext(ctx, "the supervisor goes on with its present program", slog.Any("error", err))
			}
		})
	}()
}

// setAlarm wakes the loop for what is due next, and every second: the timers of a process stand
// still while the machine sleeps, the lease does not.
func (h *Host) setAlarm() {
	at := time.Now().Add(time.Second)
	earliest := func(t time.Time) {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	if left, guarded := h.lease.left(); guarded && !h.isolating {
		earliest(time.Now().Add(left))
	}
	if h.proper != nil {
		earliest(h.pingAt)
	} else {
		earliest(h.launchAt)
	}
	if h.stopping {
		earliest(h.stopBy)
	} else {
		earliest(h.drainBy)
	}
	h.alarm.Reset(max(0, time.Until(at)))
}

// sweepEvery is how often the dead that nobody waits for are reaped.
const sweepEvery = 5 * time.Second

// checkLease ends everything when no news of a renewal came in time. Whoever hangs or is gone
// cannot be renewed; orphans do not outlive the fence.
func (h *Host) checkLease() {
	if now := time.Now(); now.After(h.sweepAt) {
		h.sweepAt = now.Add(sweepEvery)
		go h.sup.Sweep()
	}
	if !h.drainBy.IsZero() && !h.stopping && time.Now().After(h.drainBy) {
		h.stop()
	}
	left, guarded := h.lease.left()
	if !guarded || left > 0 || h.isolating {
		return
	}
	h.log.Warn("the worker did not tell of a renewal of the lease: killing every attempt", slog.Int("count", h.living()))
	h.isolate("nobody renewed the lease of the worker, which hung or was gone, and its attempts were stopped, so that a successor may begin")
	h.end(h.proper)
}

// isolate ends the session: everything is killed before anybody else can be granted it.
func (h *Host) isolate(why string) {
	h.isolating, h.same, h.lost = true, false, why
	h.killAll(h.lease.grace())
	h.lease = lease{}
}

// lease is what the worker proper told last.
type lease struct{ length, renewed, outage time.Duration }

// left is the time until everything is killed. The worker proper does it itself at three quarters
// of the lease; this side waits a moment longer, for one that was on the point of doing so.
func (l lease) left() (time.Duration, bool) {
	return l.renewed + l.length*3/4 + l.length/20 - clock.SinceBoot(), l.length > 0
}

// grace is what is left for a friendly end: nine tenths of the lease see the hard one.
func (l lease) grace() time.Duration {
	return min(l.length*15/100, max(0, l.renewed+l.length*9/10-clock.SinceBoot()))
}

func (l lease) wire() *link.Lease {
	return &link.Lease{Length: int64(l.length), Renewed: int64(l.renewed), Outage: int64(l.outage)}
}

func leaseOf(l *link.Lease) lease {
	return lease{time.Duration(l.GetLength()), time.Duration(l.GetRenewed()), time.Duration(l.GetOutage())}
}

// duplicate returns a copy of a file.
func duplicate(fd int) (int, error) {
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, fmt.Errorf("copy file: %w", err)
	}
	return copied, nil
}
