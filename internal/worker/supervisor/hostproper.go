// The worker proper: started, listened to, started again.

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"baton/internal/flow"
	"baton/internal/worker/supervisor/link"
)

// LinkVar names the file that a worker proper speaks to its supervisor by.
const LinkVar = "BATON_LINK"

// linkFile is its number: the first after the three that every process has.
const linkFile = 3

// How soon a worker proper that ended is started again: at once, and later each time it does not
// stay.
const (
	firstPause  = 100 * time.Millisecond
	lastPause   = 5 * time.Second
	steadyAfter = 10 * time.Second
)

// startPatience is how long a worker proper may take to its first sign of life: it reads its logs.
const startPatience = 30 * time.Second

// Hopeless is the exit code of a worker proper that cannot begin until a person changes a setting: to start
// it again is of no use.
const Hopeless = 78 // EX_CONFIG of sysexits.h

// errHopeless ends a supervisor whose worker proper cannot begin.
var errHopeless = flow.Errorf(flow.CodeBadRequest, "", "the worker cannot begin with these settings: see its last line above")

// proper is a worker proper.
type proper struct {
	process *os.Process
	conn    *link.Conn
	began   time.Time

	listening   chan struct{} // closed when nobody listens to it
	interrupted atomic.Bool
	dead, deaf  bool      // it is waited for, everything it said was heard
	done        bool      // it has ended everything, as it was told
	hopeless    bool      // it ended because of a setting
	deafAt      time.Time // when deaf
	ready       bool
	unanswered  int
	ending      bool
}

// prepare reads the journal for the next worker proper, behind whatever the last one still has to be
// written, and then starts it: a disk that hangs must not hold up the loop, which guards the lease.
func (h *Host) prepare() {
	h.reading = true
	h.disk.put(diskOrder{read: func(journal []byte, err error) {
		h.reading = false
		if h.handing || h.stopping || h.isolating && h.living() > 0 {
			return // next decides anew
		}
		h.launch(journal, err)
	}})
}

// launch starts a worker proper with the state to go on from.
func (h *Host) launch(journal []byte, err error) {
	h.isolating = false
	var p *proper
	if err == nil {
		p, err = h.startProper(journal)
	}
	if err != nil {
		h.failures++
		h.pause()
		h.log.Error("the worker was not started", slog.Any("error", err), slog.Duration("next_try", time.Until(h.launchAt)))
		return
	}
	h.proper = p
	h.pingAt = time.Now().Add(h.pingEvery())
	go h.listen(p)
	go h.wait(p)
	if !h.drainBy.IsZero() {
		p.conn.Send(&link.ToWorker{Body: &link.ToWorker_Drain{Drain: true}})
	}
}

func (h *Host) startProper(journal []byte) (_ *proper, err error) {
	state, files, err := h.state(journal)
	defer func() {
		if err != nil {
			closeFiles(files)
		}
	}()
	if err != nil {
		return nil, err
	}
	path, err := h.cfg.Program()
	if err != nil {
		return nil, err
	}
	mine, its, err := link.Pair()
	if err != nil {
		return nil, err
	}
	defer its.Close()
	conn, err := link.Open(mine)
	if err != nil {
		return nil, err
	}
	p := &proper{conn: conn, began: time.Now(), listening: make(chan struct{})}
	err = h.sup.StartAside(func() (int, error) {
		p.process, err = os.StartProcess(path, h.cfg.Proper, &os.ProcAttr{
			Env:   append(os.Environ(), LinkVar+"="+strconv.Itoa(linkFile)),
			Files: []*os.File{h.sup.null, os.Stdout, os.Stderr, its},
			// A group of its own: an interrupt from the terminal is for the supervisor alone.
			Sys: &syscall.SysProcAttr{Setpgid: true},
		})
		if err != nil {
			return 0, err
		}
		return p.process.Pid, nil
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	conn.Send(&link.ToWorker{Body: &link.ToWorker_State{State: state}}, files...)
	return p, nil
}

// state is what a worker proper goes on from, with copies of the files of what runs; those that were
// made before an error are returned with it.
func (h *Host) state(journal []byte) (*link.State, []int, error) {
	s := &link.State{
		Journal: journal, Lease: h.lease.wire(), Same: h.same, Home: h.cfg.Home, Pid: int32(os.Getpid()), Lost: h.lost,
	}
	var files []int
	for token, a := range h.attempts {
		r := a.running(token)
		output, err := duplicate(a.p.fd)
		if err != nil {
			return nil, files, err
		}
		files = append(files, output)
		if a.staging >= 0 {
			staging, err := duplicate(a.staging)
			if err != nil {
				return nil, files, err
			}
			files = append(files, staging)
		}
		s.Running = append(s.Running, r)
	}
	return s, files, nil
}

func (a *hosted) running(token int64) *link.Running {
	id := a.p.Identity()
	return &link.Running{
		Token: token, Pid: int32(id.PID), Start: id.Start, Began: a.began.UnixMicro(), Keep: a.keep,
		Staging: a.staging >= 0, Exit: a.exit,
	}
}

// listen hears what it says until the link ends.
func (h *Host) listen(p *proper) {
	defer close(p.listening)
	for {
		m := &link.ToSupervisor{}
		files, err := p.conn.Receive(m)
		if err != nil {
			if !p.interrupted.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
				h.do(func() { h.deaf(p) })
			}
			return
		}
		h.do(func() { h.hear(p, m, files) })
	}
}

func (h *Host) wait(p *proper) {
	state, err := p.process.Wait()
	h.do(func() {
		p.dead = true
		h.sup.ForgetAside(p.process.Pid)
		how := "unknown"
		if err == nil {
			how, p.hopeless = state.String(), state.ExitCode() == Hopeless
		}
		if !h.stopping && h.drainBy.IsZero() && !p.hopeless {
			h.log.Warn("the worker ended and is started again, tasks run on", slog.String("how", how), slog.Int("running", h.living()))
		}
		h.gone(p)
	})
}

// deaf is called when everything it said was heard. Who hangs up is of no use any more, and has a
// moment to go.
func (h *Host) deaf(p *proper) {
	p.deaf, p.deafAt = true, time.Now()
	p.conn.Close()
	h.gone(p)
}

// goWithin is how long a worker proper that has hung up may take to go.
const goWithin = 3 * time.Second

// end kills a worker proper: nothing is lost by that but what it runs within itself.
func (h *Host) end(p *proper) {
	if p != nil && !p.dead && !p.ending {
		p.ending = true
		p.process.Kill() //nolint:errcheck // gone is good
	}
}

// gone lets the next one begin when the last is dead and all it said was heard.
func (h *Host) gone(p *proper) {
	if !p.dead || !p.deaf || h.proper != p {
		return
	}
	h.proper = nil
	if p.done && !h.drainBy.IsZero() {
		h.stop() // it has drained
	}
	if p.hopeless && len(h.attempts) == 0 && !h.stopping {
		h.err = errHopeless
		h.stop()
	}
	if time.Since(p.began) > steadyAfter {
		h.failures = 0
	}
	h.failures++
	h.pause()
}

// pause sets when the next one begins.
func (h *Host) pause() {
	pause := time.Duration(0)
	if h.failures > 1 {
		pause = min(firstPause<<min(h.failures-2, 10), lastPause)
	}
	h.launchAt = time.Now().Add(pause)
}

// hear takes one message.
func (h *Host) hear(p *proper, m *link.ToSupervisor, files []int) {
	p.ready = true
	switch b := m.GetBody().(type) {
	case *link.ToSupervisor_Append:
		h.disk.put(diskOrder{from: p, a: b.Append})
	case *link.ToSupervisor_Start:
		h.start(b.Start, files)
	case *link.ToSupervisor_Kill:
		if a := h.attempts[b.Kill.GetToken()]; a != nil && a.exit == nil {
			a.p.Kill(time.Duration(b.Kill.GetGrace()))
		}
	case *link.ToSupervisor_Lease:
		if !p.ending {
			h.renewed(b.Lease)
		}
	case *link.ToSupervisor_Pong:
		p.unanswered = 0
	case *link.ToSupervisor_Done:
		p.done = true
	}
}

// renewed guards what the worker proper says it holds.
func (h *Host) renewed(l *link.Lease) {
	if h.isolating && h.living() > 0 {
		return // too late
	}
	if l.GetOver() {
		h.lease = leaseOf(l)
		h.isolate("the worker reached no master for most of its lease and stopped its attempts, so that a successor may begin")
		return
	}
	h.isolating = false
	h.lease, h.same, h.lost = leaseOf(l), l.GetLength() > 0, ""
}

func (h *Host) pingEvery() time.Duration { return h.hangAfter() / silentPings }

// silentPings unanswered in a row are a hang. They are counted, not timed: when the machine stood
// still both sides did.
const silentPings = 4

func (h *Host) hangAfter() time.Duration {
	switch {
	case h.cfg.HangAfter > 0:
		return h.cfg.HangAfter
	case h.lease.length > 0:
		return min(max(h.lease.length*3/10, time.Second), 10*time.Second)
	}
	return 3 * time.Second
}

// checkProper looks whether the worker proper lives.
func (h *Host) checkProper() {
	p := h.proper
	if p == nil || p.ending {
		return
	}
	now := time.Now()
	switch {
	case h.stopping && now.After(h.stopBy):
		h.log.Warn("the worker did not stop in time and is killed")
		h.end(p)
	case p.deaf:
		if now.Sub(p.deafAt) > goWithin {
			h.end(p)
		}
	case now.Before(h.pingAt):
	case p.unanswered >= silentPings && (p.ready || now.Sub(p.began) > startPatience):
		h.log.Warn("the worker hangs and is killed", slog.Duration("silent", h.hangAfter()))
		h.end(p)
	default:
		p.unanswered++
		h.pingAt = now.Add(h.pingEvery())
		p.conn.Send(&link.ToWorker{Body: &link.ToWorker_Ping{Ping: true}})
	}
}

// tryProgram finds out whether the program on disk runs at all, before anything is given up for it.
func (h *Host) tryProgram(ctx context.Context) error {
	path, err := h.cfg.Program()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "version")
	err = h.sup.StartAside(func() (int, error) {
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	})
	if err == nil {
		err = cmd.Wait()
		h.sup.ForgetAside(cmd.Process.Pid)
	}
	if err != nil {
		return fmt.Errorf("%s does not run: %w", path, err)
	}
	return nil
}

const tryWithin = 5 * time.Second
