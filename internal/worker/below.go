// The worker below a supervisor: it can die, or be replaced by another version, and what it ran
// goes on.

package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker/supervisor"
	"baton/internal/worker/tasklog"
)

// RunBelow works as the worker proper of a supervisor, at the other end of the link, and goes on
// with whatever an earlier one held. It returns when the supervisor says stop or drain and all is
// over; when ctx is cancelled or the supervisor is gone it returns at once, with an error.
func (w *Worker) RunBelow(ctx context.Context, end *os.File) error {
	if err := w.cfg.Validate(); err != nil {
		return err
	}
	if err := makeData(&w.cfg); err != nil {
		return err
	}
	client, in, err := supervisor.Connect(end)
	if err != nil {
		return err
	}
	defer client.Close()
	w.cfg.Home, w.pid, w.below = in.Home, in.PID, true
	w.open()
	o := &parentSupervisor{w, client}
	w.over = o
	state, err := o.takeOver(in)
	if err != nil {
		return err
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		client.Serve(supervisor.Callbacks{
			Appended: func(id uint64, err error) { w.box.put(Persisted{ID: id, Err: err}) },
			Ping:     func() { w.box.put(pinged{}) },
			Stop:     func() { w.box.put(Stop{}) },
			Drain:    w.Drain,
			Gone:     w.orphaned,
		})
	}()
	w.work(ctx, state)
	switch {
	case w.err != nil:
	case !w.stopped:
		w.err = errLeft
	default:
		client.Done()
	}
	client.Close()
	<-served
	return w.err
}

// pinged and orphaned are news of the supervisor for the loop; Core has no part in them.
type pinged struct{}

type orphaned struct{}

func (pinged) event()   {}
func (orphaned) event() {}

var errLeft = errors.New("told to end by a signal; the supervisor starts another worker, and what runs goes on")

var errOrphaned = errors.New("the supervisor is gone; what it ran was killed")

// leaveWithin is how long a worker proper without a supervisor may take to end in order.
const leaveWithin = 3 * time.Second

func (w *Worker) orphaned() {
	w.box.put(orphaned{})
	// Nothing it could still say is of any use, also when its loop hangs.
	time.AfterFunc(leaveWithin, func() { os.Exit(1) })
}

// parentSupervisor is the supervisor as the parent process.
type parentSupervisor struct {
	w      *Worker
	client *supervisor.Client
}

// takeOver goes on with what an earlier worker proper held.
func (o *parentSupervisor) takeOver(in supervisor.Inherited) (State, error) {
	records, _, err := parseJournal(in.Journal)
	if err != nil {
		return State{}, fmt.Errorf("journal: %w", err)
	}
	state := Fold(records)
	found := map[int64]Live{}
	for _, a := range in.Running {
		if live, known := state.Live[a.Token]; known {
			r := o.w.adopt(a)
			live.Process, live.At, live.Grace = a.Identity(), r.began, r.grace
			found[a.Token] = live
		} else {
			a.Kill(0) // its result is in the journal, or its grant never was
		}
	}
	cause, why := flow.ReasonWorkerLost, in.Lost
	if in.Same {
		cause, why = flow.ReasonWorkerRestart, "the worker was started again, and what it ran within itself ended with it"
		state.Same, state.Lease, state.RenewedAt = true, in.Length, o.w.clock.FromBoot(in.Renewed)
		if in.Outage != 0 {
			state.OutageAt = o.w.clock.FromBoot(in.Outage)
		}
	}
	if err := clearWork(o.w.path("work"), found); err != nil {
		return State{}, err
	}
	if lost := state.Adopt(flow.At(time.Now()), found, cause, why); len(lost) > 0 {
		o.persist(Persist{Records: lost})
	}
	if len(found) > 0 {
		o.w.log.Info("going on with what runs", slog.Int("count", len(found)))
	}
	return state, nil
}

func (o *parentSupervisor) persist(p Persist) {
	var b []byte
	var ends []int64
	for _, r := range p.Records {
		b = appendRecord(b, r)
		if r.End != nil {
			ends = append(ends, r.End.GetToken())
		}
		ends = append(ends, r.Dropped...)
	}
	o.client.Append(p.ID, b, p.Sync, p.Whole, ends)
}

func (o *parentSupervisor) guard(g Guard) {
	var renewed, outage time.Duration
	if g.Length > 0 {
		renewed = o.w.clock.Boot(g.RenewedAt)
	}
	if g.OutageAt != 0 {
		outage = o.w.clock.Boot(g.OutageAt)
	}
	o.client.Lease(g.Length, renewed, outage, g.Over)
}

func (o *parentSupervisor) pong() { o.client.Pong() }

func (o *parentSupervisor) sweep() {}

func (o *parentSupervisor) start(r *run, spec supervisor.Spec) (process, error) {
	keep, err := r.keep()
	if err != nil {
		return nil, err
	}
	remote, began, err := o.client.Start(spec, keep, r.staging)
	if err != nil {
		return nil, err
	}
	r.began = flow.At(began)
	return pump(remote, r.log), nil
}

// piped is a process whose output goes from its pipe into a log.
type piped struct {
	*supervisor.Remote
	pumped chan struct{}
}

func pump(remote *supervisor.Remote, log *tasklog.Log) *piped {
	p := &piped{remote, make(chan struct{})}
	go func() {
		defer close(p.pumped)
		log.Pump(remote.Output())
	}()
	return p
}

// lastWords is how long output is waited for when everybody who should write it is gone.
const lastWords = 500 * time.Millisecond

// Wait also waits for the end of the output. Whoever got hold of the pipe otherwise does not hold it
// up; what is in the pipe is still read.
func (p *piped) Wait() supervisor.Exit {
	exit := p.Remote.Wait()
	select {
	case <-p.pumped:
	default:
		p.Output().SetReadDeadline(time.Now().Add(lastWords)) //nolint:errcheck // a pipe has deadlines
		<-p.pumped
	}
	p.Output().Close() // read only
	return exit
}

// kept is what the supervisor keeps of an attempt for the next worker proper, in memory: it has
// secrets in it.
type kept struct {
	Grant   []byte   `json:"grant"`
	Secrets []string `json:"secrets,omitempty"`
}

// keep is what it takes to see an attempt out that runs already.
func (r *run) keep() ([]byte, error) {
	g := r.grant
	grant, err := proto.Marshal(&rpc.Grant{
		Token: g.GetToken(), Instance: g.GetInstance(), Task: g.GetTask(), Attempt: g.GetAttempt(), TaskName: g.GetTaskName(),
		Type: g.GetType(), KillGraceMicros: g.GetKillGraceMicros(), LogPatterns: g.GetLogPatterns(),
	})
	if err != nil {
		return nil, fmt.Errorf("keep grant: %w", err)
	}
	return json.Marshal(kept{grant, r.secrets})
}

// adopt goes on with an attempt that an earlier worker proper started.
func (w *Worker) adopt(a *supervisor.Adopted) *run {
	r := &run{w: w, grant: &rpc.Grant{}, began: flow.At(a.Began), staging: a.Staging, cancel: func() {}}
	var k kept
	err := json.Unmarshal(a.Keep, &k)
	if err == nil {
		err = proto.Unmarshal(k.Grant, r.grant)
	}
	if err != nil { // a version that keeps it otherwise: its log and outputs are of no less use
		w.log.Warn("what was kept of an attempt cannot be read", slog.Int64("token", a.Token), slog.Any("error", err))
		r.grant.Token = a.Token
	}
	r.secrets = k.Secrets
	r.found.patterns = r.grant.GetLogPatterns()
	if r.grace = time.Duration(r.grant.GetKillGraceMicros()) * time.Microsecond; r.grace <= 0 {
		r.grace = w.cfg.KillGrace
	}
	r.log = w.logs.Resume(r.key(), tasklog.Options{Secrets: r.secrets, Line: r.found.line, Staging: a.Staging})
	r.process = a.Remote
	r.clearLater(r.dir())
	w.runs[a.Token] = r
	go func() {
		if err := r.log.Recall(); err != nil {
			w.log.Warn("log of attempt not read again: outputs in it are missing", slog.Int64("token", a.Token), slog.Any("error", err))
		}
		r.finish(r.seeOut(pump(a.Remote, r.log), r.dir()+outputSuffix))
		r.clearAway()
	}()
	return r
}
