// The decisions of a worker.

package worker

import (
	"cmp"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// Core is the worker's session as a reactor: one goroutine calls Step, and nothing in it reads a
// clock, a disk or the order of a map. The same events give the same effects.
type Core struct {
	cfg   CoreConfig
	turn  turn
	disk  diskQueue
	held  map[int64]*held
	ended int     // how many of held are in stateEnded
	live  perLane // how many are not, by the places they take

	streams []*stream // ascending
	session session
	cluster string // that everything here belongs to, "": none yet

	tombs     map[int64]bool // tokens that never start; true: on disk
	tombOrder []Tombstone
	done      recent[int64, struct{}] // tokens acknowledged, so that a late copy of the grant is no new one
	owners    recent[int64, owner]    // by instance: the newest owner seen
	fenced    recent[int64, struct{}] // masters declared dead
	unshared  bool                    // rooms are to be shared out again
	load      overload

	told     Guard          // of the lease, to the supervisor
	announce []announcement // Started to be sent, by time
	resendAt flow.Time
	wakeAt   flow.Time // as told to the shell
	appended int       // bytes in the journal since it was written whole, about
	drops    []int64   // acknowledged tokens whose records are not dropped yet
	draining bool
	stopping bool
	ackBy    flow.Time // a stopping worker waits for acknowledgements until then
	stopped  bool
}

// CoreConfig is what a Core is told once.
type CoreConfig struct {
	Name, Home, Version string
	Groups              []string
	Types               []string // task types it announces
	Slots               int
	FunctionSlots       int // 0: functions take places of processes
	Weight              int
	Limits              Limits
	Labels              map[string]string
	PID                 int
	// Kind tells how a task type runs; a pure function.
	Kind func(typeName string) Kind
	// ResendAfter: an unacknowledged result is sent again.
	ResendAfter time.Duration
	// AnnounceAfter: what ends sooner is never announced as started, only as ended.
	AnnounceAfter time.Duration
	// OutageGrace bounds how long a lease outlives an outage of the store.
	OutageGrace time.Duration
	// KillGrace is the grace of attempts whose grant says none.
	KillGrace time.Duration
	// StopGrace bounds the grace of kills, and the wait for acknowledgements, after a Stop.
	StopGrace time.Duration
	// CompactAfter bytes of journal it is written whole.
	CompactAfter int
}

// remember begins to remember what others said, of nothing.
func (c *Core) remember() {
	c.done = newRecent[int64, struct{}](1 << 15)
	c.owners = newRecent[int64, owner](1 << 15)
	c.fenced = newRecent[int64, struct{}](1 << 10)
}

// NewCore returns a Core that goes on from what the journal held. An attempt of it lives only if it
// was adopted: see State.Adopt and State.Bury.
func NewCore(cfg CoreConfig, s State) *Core {
	c := &Core{
		cfg: cfg, held: map[int64]*held{}, tombs: map[int64]bool{}, load: overload{limits: cfg.Limits},
	}
	c.remember()
	c.session.earlier = slices.Clone(s.Earlier)
	c.session.generation, c.cluster = s.Generation, s.Cluster
	switch {
	case s.Same:
		c.session.id, c.session.lease, c.session.renewedAt, c.session.outageAt = s.Session, s.Lease, s.RenewedAt, s.OutageAt
		c.told = c.guard()
	case s.Session != 0:
		c.session.earlier = append(c.session.earlier, s.Session)
	}
	for _, token := range sortedKeys(s.Live) {
		l := s.Live[token]
		c.held[token] = &held{
			token: token, instance: l.Instance, task: l.Task, state: stateRunning, kind: KindProcess,
			process: l.Process, startedAt: l.At, grace: l.Grace,
		}
		c.live[laneProcess]++
	}
	for _, t := range s.Tombstones {
		c.tombs[t.Token] = true
		c.tombOrder = append(c.tombOrder, t)
	}
	for _, token := range s.Done {
		c.done.put(token, struct{}{})
	}
	for _, token := range sortedKeys(s.Ends) {
		end := s.Ends[token]
		c.held[token] = &held{token: token, instance: end.GetInstance(), task: end.GetTask(), state: stateEnded, end: end, durable: true}
		c.ended++
	}
	return c
}

// Step takes what happened since the last call, in order, and returns what is to be done, in
// order. Everything of one call shares one write to the journal and one frame per master. now is
// the wall time of the start carried on by the boot clock: it never goes back and does not stand
// still while the machine sleeps, because leases hang on it.
func (c *Core) Step(now flow.Time, events ...Event) []Effect {
	c.turn = turn{now: now}
	// First of all, whatever came: a process that was frozen past its lease has nothing to say.
	c.checkLease()
	for _, e := range events {
		c.apply(e)
	}
	c.checkTimers()
	c.checkStopped()
	c.sayHellos()
	c.shareRoom()
	c.flush()
	return c.turn.effects
}

func (c *Core) apply(e Event) {
	switch e := e.(type) {
	case StreamUp:
		c.streamUp(e.Stream)
	case StreamDown:
		c.streamDown(e.Stream)
	case Frame:
		c.frame(e.Stream, e.Frame)
	case Persisted:
		c.persisted(e)
	case Began:
		c.began(e)
	case Finished:
		c.finished(e)
	case Measured:
		c.beat(e)
	case Unseen:
		c.session.unseen = e.Masters
	case Drain:
		c.drain()
	case Stop:
		c.stop()
	case Tick:
		c.wakeAt = 0 // it is spent: flush asks for the next one
	}
}

// turn is what one Step gathers.
type turn struct {
	now     flow.Time
	effects []Effect
	records []Record
	sync    bool
	whole   bool // the journal is written whole
	after   after
}

// do adds an effect that depends on nothing.
func (c *Core) do(e Effect) { c.turn.effects = append(c.turn.effects, e) }

// flush writes the journal, then sends the frames that were filled.
func (c *Core) flush() {
	c.write()
	if g := c.guard(); g != c.told {
		c.told = g
		c.do(g)
	}
	for _, s := range c.streams {
		for _, f := range s.out {
			c.do(Send{s.id, f})
		}
		s.out = s.out[:0]
	}
	if at := c.nextWake(); at != c.wakeAt {
		c.wakeAt = at
		c.do(Wake{at})
	}
}

// checkTimers does what has become due.
func (c *Core) checkTimers() {
	c.announceDue()
	c.resendDue()
	c.beatDue()
	c.helloDue()
}

func (c *Core) nextWake() flow.Time {
	var announce flow.Time
	if len(c.announce) > 0 {
		announce = c.announce[0].at
	}
	return flow.Earliest(announce, c.resendAt, c.session.beatAt, c.session.stopAt(), c.helloBy(), c.ackBy)
}

// sortedHeld returns the held attempts by token.
func (c *Core) sortedHeld() []*held {
	out := make([]*held, 0, len(c.held))
	for _, h := range c.held { // sorted below
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b *held) int { return cmp.Compare(a.token, b.token) })
	return out
}

// maxFrame is where a frame is cut; a single result is far smaller.
const maxFrame = 4 << 20

// frame returns the frame that goes to s at the end of the turn, with room for size bytes.
func (s *stream) frame(size int) *rpc.FromWorker {
	if len(s.out) == 0 || s.size+size > maxFrame {
		s.out, s.size = append(s.out, &rpc.FromWorker{}), 0
	}
	s.size += size
	return s.out[len(s.out)-1]
}
