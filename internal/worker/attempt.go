// One attempt in the worker's hands, from its grant to the acknowledgement of its result.

package worker

import (
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker/supervisor"
)

// state of a held attempt.
type state uint8

const (
	stateGranted state = 1 // taken; the journal does not have it yet
	stateHolding state = 2 // at most once: announced, waits for leave to begin
	stateRunning state = 3 // started, or about to be
	stateEnded   state = 4 // its result is kept until a master has it
)

type held struct {
	token, instance, task int64

	state     state
	stream    StreamID   // the master that spoke of it last
	grant     *rpc.Grant // until it starts
	kind      Kind
	process   supervisor.Identity
	kill      killReason
	grace     time.Duration
	startedAt flow.Time
	announced bool

	end     *rpc.Ended
	durable bool      // the journal has the end, or cannot take it
	sentAt  flow.Time // 0: not on the present streams
}

// wire is the state as a hello says it.
func (h *held) wire() *rpc.Held {
	s := rpc.HeldState_HELD_STATE_RUNNING
	switch h.state {
	case stateGranted:
		s = rpc.HeldState_HELD_STATE_GRANTED
	case stateEnded:
		s = rpc.HeldState_HELD_STATE_ENDED
	case stateHolding, stateRunning:
		// Holding says running: the owner may have made "started" durable, and then only the leave
		// to begin is missing, which it sends with every KEEP of an at-most-once attempt.
	}
	return &rpc.Held{Token: h.token, Instance: h.instance, Task: h.task, State: s}
}

// begin starts an attempt. A process says itself when it began; a function begins here.
func (c *Core) begin(h *held) {
	h.state = stateRunning
	if h.kind == KindFunction && h.startedAt == 0 {
		h.startedAt = c.turn.now
		c.announceLater(h)
	}
	c.do(Start{h.grant, h.kind})
	h.grant = nil
}

// began notes the process, for the incarnation after this one, and announces it.
func (c *Core) began(e Began) {
	h := c.held[e.Token]
	if h == nil || h.state != stateRunning {
		return
	}
	h.startedAt, h.process = e.At, e.Process
	if !e.Journaled {
		// Nothing waits for this record: without it the survivor is found by its environment.
		c.record(Record{Kind: RecordProcess, Token: h.token, Process: e.Process, At: e.At})
	}
	c.announceLater(h)
}

// maxCause is far more than any cause that retry.if can name.
const maxCause = 256

// announcement is a Started to be sent.
type announcement struct {
	token int64
	at    flow.Time
}

// announceLater says Started a moment later, and not at all when the attempt is over by then: its
// Ended says when it began. A third of all frames of short attempts is saved so.
func (c *Core) announceLater(h *held) {
	if !h.announced {
		c.announce = append(c.announce, announcement{h.token, c.turn.now.Add(c.cfg.AnnounceAfter)})
	}
}

func (c *Core) announceDue() {
	n := 0
	for ; n < len(c.announce) && c.announce[n].at <= c.turn.now; n++ {
		if h := c.held[c.announce[n].token]; h != nil && h.state == stateRunning {
			c.sayStarted(h)
		}
	}
	c.announce = c.announce[n:]
}

// sayStarted sends Started to the master that spoke of the attempt last: the others have no use for it.
// Nothing is lost with its stream: whoever owns the run next speaks of the attempt.
func (c *Core) sayStarted(h *held) {
	if s := c.stream(h.stream); s != nil && s.welcomed {
		h.announced = true
		f := s.frame(recordSize)
		f.Started = append(f.Started, &rpc.Started{Token: h.token, Instance: h.instance, Task: h.task, At: int64(h.startedAt)})
	}
}

// finished takes the runner's word.
func (c *Core) finished(e Finished) {
	if h := c.held[e.Token]; h != nil && h.state == stateRunning {
		c.end(h, e.End)
	}
}

// end makes a result of an attempt and journals it; the send hangs on the journal.
func (c *Core) end(h *held, e End) {
	e = judge(h.kill, e)
	c.tried(h, e)
	h.state, h.grant = stateEnded, nil
	c.ended++
	c.live[c.lane(h.kind)]--
	h.end = &rpc.Ended{
		Token: h.token, Instance: h.instance, Task: h.task, State: uint32(e.State),
		// One text that is not valid would spoil the frame it travels in, for ever.
		Cause: flow.Text(e.Cause, maxCause), Class: string(e.Class), Reason: flow.Text(e.Reason, flow.MaxReason),
		Outputs: e.Outputs, StartedAt: int64(e.StartedAt), EndedAt: int64(e.EndedAt),
		Confirmed: e.Confirmed, Matched: e.Matched, CpuMicros: e.CPU.Microseconds(), PeakMemory: e.Memory,
	}
	if e.ExitCode != flow.NoExit {
		h.end.ExitCode, h.end.HasExitCode = e.ExitCode, true
	}
	c.record(Record{Kind: RecordEnd, End: h.end})
	c.turn.after.ends = append(c.turn.after.ends, h.token)
}

// judge says what a kill makes of an end. What ended by itself before the kill reached it ended
// as it did; what was killed because of the worker is lost, not killed: nobody ordered it.
func judge(why killReason, e End) End {
	if e.State != flow.AttemptKilled {
		return e
	}
	switch why {
	case killIsolated:
		e.State, e.Class, e.Cause = flow.AttemptLost, flow.ClassInfrastructure, flow.ReasonWorkerLost
		e.Reason = "the worker reached no master for most of its lease and stopped the attempt, so that a successor may begin"
	case killStop:
		e.State, e.Class, e.Cause = flow.AttemptLost, flow.ClassInfrastructure, flow.ReasonWorkerStop
		e.Reason = "the worker was stopped"
	case killNone, killOrdered:
	}
	return e
}
