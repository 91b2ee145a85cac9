// Instances in memory: routing events to them, applying, parking.

package master

import (
	"fmt"
	"runtime/debug"

	"baton/internal/dispatch"
	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/rpc"
)

// inst is an instance this master owns, or is about to.
type inst struct {
	id       flow.ID
	lane     int
	epoch    int64         // of my ownership: greater than those of all owners before
	st       *engine.State // nil while it is being loaded
	command  flow.ID       // the first commit consumes it
	inflight bool          // a commit with changes of it is under way: no event until it answers
	listed   bool          // in its lane's list of changed ones
	lazy     flow.Time     // since when only changes wait that may ride along; 0: none, or others wait too
	taken    bool          // not committed since it was taken
	loaded   int           // when its rows came, see Core.arrived
	unread   bool          // what waits in its inbox is not known yet: it is not parked before
	claimed  bool          // claimed again while the commit that parks it was under way
	woken    flow.Time     // its entry in the heap of wakes
	queue    []pending
	after    after
	inbox    []flow.ID
	// unsettled is what workers hold that is to be cancelled by rows that are not durable yet.
	unsettled []unsettled
}

// unsettled is an attempt that a worker holds and has had no answer to.
type unsettled struct {
	conn int64
	held *rpc.Held
}

// durable tells whether the rows in memory are those of the store.
func (in *inst) durable() bool { return !in.inflight && !in.listed }

// pending is an event that waits until the instance can take it.
type pending struct {
	ev    engine.Event
	conn  int64   // to acknowledge to
	inbox flow.ID // to consume
}

// after is what is to be done when the present changes are durable.
type after struct {
	granted []int32
	begun   []int32
	killing []int32
	lookups []int32
	acks    []ack
}

type ack struct {
	conn  int64
	token int64
}

// route brings an event to an instance. It is false when this master does not have the instance.
func (c *Core) route(id flow.ID, p pending) bool {
	in := c.insts[id]
	if in == nil {
		return false
	}
	if in.st == nil || in.inflight {
		in.queue = append(in.queue, p)
		return true
	}
	c.apply(in, p)
	return true
}

// routeNews brings what a worker says of an attempt to its instance. It is false when this master does
// not have it, or is only about to make it: what runs of it then was granted by another master, which
// made it first.
func (c *Core) routeNews(id flow.ID, p pending) bool {
	if in := c.insts[id]; in != nil && in.command != 0 {
		return false
	}
	return c.route(id, p)
}

// guard is deferred around decisions about an instance. A panic is a broken invariant of this
// instance: it alone is quarantined.
func (c *Core) guard(in *inst, doing string) {
	if r := recover(); r != nil {
		c.poison(in, fmt.Sprintf("%s: %v", doing, r), debug.Stack())
	}
}

// apply decides one event.
func (c *Core) apply(in *inst, p pending) {
	defer c.guard(in, "the engine refused an event")
	if p.inbox != 0 {
		in.inbox = append(in.inbox, p.inbox) // first: an engine that panics leaves the item to whoever comes next
	}
	fx := engine.Apply(in.st, p.ev, c.env())
	if p.inbox != 0 {
		if _, verb := p.ev.(engine.VerbGiven); !verb {
			in.st.Consume(p.inbox)
		}
	}
	c.follow(in, fx, p)
	if in.st.Dirty() {
		c.list(in, lazy(p.ev) && len(fx.Begun) == 0 && len(fx.Queued) == 0)
	} else {
		c.settleAcks(in)
		if len(fx.Begun) > 0 {
			c.carryOutNow(in)
		}
	}
}

// lazy tells whether an event's changes may wait for the next commit: nobody waits for them.
func lazy(ev engine.Event) bool {
	switch ev.(type) {
	case engine.Started, engine.Alive, engine.Suspected:
		return true
	}
	return false
}

// follow queues the effects: placing at once, the rest for after the commit.
func (c *Core) follow(in *inst, fx engine.Effects, p pending) {
	for _, r := range fx.Queued {
		c.pool.Enqueue(itemOf(in, r))
	}
	for _, r := range fx.Asked {
		c.pool.Ask(itemOf(in, r))
	}
	for _, r := range fx.Freed {
		c.pool.Release(in.st.Rows[r].ID)
	}
	in.after.granted = append(in.after.granted, fx.Granted...)
	in.after.begun = append(in.after.begun, fx.Begun...)
	in.after.killing = append(in.after.killing, fx.Killing...)
	in.after.lookups = append(in.after.lookups, fx.Lookups...)
	for _, token := range fx.Settled {
		if p.conn != 0 {
			in.after.acks = append(in.after.acks, ack{p.conn, token})
		}
	}
}

func itemOf(in *inst, r int32) dispatch.Item {
	row := &in.st.Rows[r]
	return dispatch.Item{
		Instance: in.id, Task: row.ID, Project: in.st.Inst.Project, Group: in.st.Group(r), Type: row.Type, Priority: in.st.Priority(r),
		Again: row.Attempt.Number > 0 && row.Attempt.State == flow.AttemptLost,
	}
}

// list puts an instance on its lane's list of changed ones.
func (c *Core) list(in *inst, lazily bool) {
	switch {
	case !lazily:
		in.lazy = 0
	case !in.listed:
		in.lazy = c.now
	}
	if !in.listed {
		in.listed = true
		c.lanes[in.lane].changed = append(c.lanes[in.lane].changed, in)
	}
}

// settleAcks acknowledges at once what changed nothing. Who is not sure of its life may not know of the
// attempt because another master granted it, which is to hear of its end: the worker says it again.
func (c *Core) settleAcks(in *inst) {
	for _, a := range in.after.acks {
		if c.sure() {
			c.ack(a.conn, a.token)
		}
	}
	in.after.acks = nil
}

func (c *Core) add(id flow.ID) *inst {
	in := &inst{id: id, taken: true, lane: int(uint64(id) >> 3 % uint64(len(c.lanes)))}
	c.insts[id] = in
	delete(c.skipped, id)
	return in
}

// disown forgets an instance that may be somebody else's. Results that waited for its rows go through
// the inbox to whoever has it.
func (c *Core) disown(in *inst) {
	queue := in.queue
	c.drop(in)
	c.handOverQueued(in.id, queue)
}

// drop forgets an instance: it is parked, somebody else's, or in doubt.
func (c *Core) drop(in *inst) {
	delete(c.insts, in.id)
	delete(c.trials.on, in.id)
	delete(c.skipped, in.id)
	if in.st != nil {
		for r := range in.st.Rows {
			c.pool.Release(in.st.Rows[r].ID)
		}
	}
	for _, id := range in.inbox {
		delete(c.seen, id)
	}
	for _, p := range in.queue {
		delete(c.seen, p.inbox)
	}
	if in.listed {
		l := &c.lanes[in.lane]
		for i, other := range l.changed {
			if other == in {
				l.changed = append(l.changed[:i:i], l.changed[i+1:]...)
				break
			}
		}
	}
}

// loadAtOnce bounds the instances of one Load.
const loadAtOnce = 200

// load asks for the rows of instances that this master owns now.
func (c *Core) load(ids []flow.ID) {
	var ask []flow.ID
	for _, id := range ids {
		if in := c.insts[id]; in != nil {
			in.claimed = true
			continue
		}
		if c.poisoned.claimed(id) {
			continue
		}
		c.add(id)
		if ask = append(ask, id); len(ask) == loadAtOnce {
			c.loading++
			c.emit(Load{ask})
			ask = nil
		}
	}
	if len(ask) > 0 {
		c.loading++
		c.emit(Load{ask})
	}
}

func (c *Core) loaded(e LoadedRows) {
	c.loading--
	if e.Err != nil {
		// The store is away; these instances are still mine. Ask again with the next poll.
		for _, id := range e.Asked {
			if in := c.insts[id]; in != nil && in.st == nil {
				c.retry = append(c.retry, id)
			}
		}
		return
	}
	got := make(map[flow.ID]bool, len(e.Loaded))
	for _, l := range e.Loaded {
		got[l.Instance.ID] = true
		in := c.insts[l.Instance.ID]
		if in == nil || in.st != nil {
			continue
		}
		if l.Err != nil {
			c.poison(in, l.Err.Error(), nil)
			continue
		}
		c.withPlan(PlanKey{l.Instance.Workflow, l.Instance.Version}, func(p *engine.Plan, err error) {
			c.begin(in, p, l, err)
		})
	}
	for _, id := range e.Asked {
		if in := c.insts[id]; in != nil && in.st == nil && !got[id] {
			c.disown(in)
		}
	}
	c.becomeReady()
}

// begin makes the state of a loaded instance and takes up where it was left.
func (c *Core) begin(in *inst, p *engine.Plan, l flow.Loaded, err error) {
	defer c.guard(in, "the engine refused what the store holds")
	var st *engine.State
	if err == nil {
		st, err = engine.Load(p, l)
	}
	if err != nil {
		c.poison(in, err.Error(), nil)
		return
	}
	in.st, in.epoch, in.loaded = st, st.Inst.Seq, c.arrived()
	var presence []engine.Event // of the workers of what runs
	for r := range st.Rows {
		row := &st.Rows[r]
		if !row.Placed() || !row.Attempt.State.Live() {
			continue
		}
		c.pool.Book(itemOf(in, int32(r)), row.Attempt.Session)
		cn := c.sessions[row.Attempt.Session]
		if ev := c.presence(row, cn != nil); ev != nil {
			presence = append(presence, ev)
		}
		if cn == nil {
			c.missing(row.Attempt.Session, row.Attempt.Worker, c.now, askAgainSession)
		} else if row.Attempt.StartedAt == 0 {
			in.after.granted = append(in.after.granted, int32(r)) // it may never have been sent
			_, _ = st.Order(int32(r))                             // what it costs comes before the commit that says that it was survived
		} else if st.Held(int32(r)) {
			in.after.begun = append(in.after.begun, int32(r)) // it may never have been told to begin
		}
	}
	c.follow(in, st.Resume(), pending{})
	for _, ev := range append(presence, engine.Due{}) {
		c.apply(in, pending{ev: ev})
		if c.insts[in.id] != in {
			return
		}
	}
	if c.trials.on[in.id] {
		st.Touch()
		c.list(in, false)
	}
	if !st.Dirty() && !in.listed {
		c.carryOut(in)
	}
	// It was claimed for what waits in its inbox, perhaps: that comes first.
	in.unread = true
	c.settleLate(in)
	c.unread = append(c.unread, in)
	c.readInbox()
	c.drain(in)
}

// drain applies what waited for the instance.
func (c *Core) drain(in *inst) {
	for len(in.queue) > 0 && !in.inflight && c.insts[in.id] == in {
		p := in.queue[0]
		in.queue = in.queue[1:]
		c.apply(in, p)
	}
}
