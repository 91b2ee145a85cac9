// Lanes: group commit. One commit is under way per lane; what becomes ready meanwhile goes into
// the next.

package master

import (
	"errors"
	"fmt"
	"slices"

	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/rpc"
)

type lane struct {
	changed  []*inst // in order of their first change
	inflight []*inst // of the commit under way
	grants   [][]int32
	busy     bool
	pokes    int       // heard when the commit under way began
	began    flow.Time // when it did
	changes  []flow.Change
}

// flush places what waits and starts a commit in every idle lane that has something to write.
func (c *Core) flush() {
	c.place()
	for i := range c.lanes {
		if l := &c.lanes[i]; !l.busy && l.due(c.now, c.cfg) {
			c.commit(i)
		}
	}
}

func (l *lane) due(now flow.Time, cfg Config) bool {
	for _, in := range l.changed {
		if in.lazy == 0 || now.Sub(in.lazy) >= cfg.Lazy {
			return true
		}
	}
	return false
}

// place grants slots to what waits. The end of one step and the grant of the next are one commit,
// so this runs before every commit.
func (c *Core) place() {
	for {
		p, ok := c.pool.Next()
		if !ok {
			break
		}
		in := c.insts[p.Item.Instance]
		if in == nil || in.st == nil {
			c.pool.Release(p.Item.Task)
			continue
		}
		r := in.st.RowByID(p.Item.Task)
		if r < 0 {
			c.pool.Release(p.Item.Task)
			continue
		}
		c.route(in.id, pending{ev: engine.Placed{Row: r, Session: p.Session, Worker: p.Worker}})
	}
	if !c.ready {
		return // workers may be about to come back
	}
	type queue struct {
		group, typ string
		project    flow.ID
		priority   flow.Priority
	}
	why := map[queue]string{} // most are of one
	for _, it := range c.pool.Untold(c.cfg.BatchRows) {
		if in := c.insts[it.Instance]; in != nil && in.st != nil {
			if r := in.st.RowByID(it.Task); r >= 0 {
				place := queue{it.Group, it.Type, it.Project, it.Priority}
				if why[place] == "" {
					why[place] = c.pool.WhyOf(it)
				}
				c.route(in.id, pending{ev: engine.Stuck{Row: r, Reason: why[place]}})
			}
		}
	}
}

// commit takes the changes of a lane and hands them to the store.
func (c *Core) commit(i int) {
	l := &c.lanes[i]
	batch := flow.Batch{Owner: c.lease.Incarnation, Epoch: c.lease.Epoch, Followed: c.followed}
	l.inflight, l.grants = nil, nil
	rows := 0
	var later []*inst
	for k, in := range l.changed {
		if rows >= c.cfg.BatchRows {
			later = append(later, l.changed[k:]...)
			break
		}
		n := in.st.Changed()
		if rows > 0 && n > c.cfg.BatchRows {
			later = append(later, in) // a whole batch by itself: nobody waits for it who need not
			continue
		}
		if c.parks(in) {
			in.st.Inst.Owner = 0
		} else {
			in.st.Inst.Owner = c.lease.Incarnation
		}
		ch, grants := in.st.Take(in.command)
		c.followed = c.followed || len(ch.Follows) > 0
		c.wake(in)
		rows += n
		batch.Changes = append(batch.Changes, ch)
		l.inflight, l.grants = append(l.inflight, in), append(l.grants, grants)
		in.inflight, in.listed, in.lazy = true, false, 0
	}
	l.changed = later
	l.busy, l.changes, l.pokes, l.began = true, batch.Changes, c.polls.pokes, c.now
	c.emit(Commit{i, batch})
}

// parks tells whether an instance needs no owner after this commit: nothing of it is in flight or
// due soon.
func (c *Core) parks(in *inst) bool {
	wake := in.st.Wake()
	return in.st.Resting() && !in.unread && len(in.queue) == 0 && (wake == 0 || wake.Sub(c.now) > c.cfg.Linger)
}

func (c *Core) committed(e Committed) {
	l := &c.lanes[e.Lane]
	insts, grants, changes := l.inflight, l.grants, l.changes
	c.pace.committed(c.now.Sub(l.began))
	l.inflight, l.grants, l.changes, l.busy = nil, nil, nil, false
	if e.Err != nil {
		c.doubt(insts, e.Err)
		return
	}
	if e.Result.Told {
		c.tellAll()
	}
	for _, id := range e.Result.Marked {
		c.triggers.want(id)
	}
	for i, in := range insts {
		in.inflight = false
		if c.insts[in.id] != in {
			continue
		}
		switch res := e.Result.Changes[i]; res.Fate {
		case flow.Committed:
			for g, r := range grants[i] {
				in.st.SetToken(r, res.Tokens[g])
			}
			in.command, in.taken = 0, false
			c.trials.passed(in)
			for _, id := range in.inbox {
				delete(c.seen, id)
			}
			in.inbox = nil
			c.carryOut(in)
			c.settleLate(in)
			c.emit(Publish{changes[i]})
			c.turns.changed(in.st, changes[i])
			c.pools.changed(changes[i])
			c.spread(changes[i])
			c.backfills.changed(in.st, changes[i])
			if in.st.Inst.Owner == 0 {
				c.park(in)
				if l.pokes != c.polls.pokes {
					c.claim() // what was poked for may be in its inbox, seen by neither read nor claim
				}
				continue
			}
			c.drain(in)
			c.letGo(in)
		case flow.Gone:
			// Somebody else's; or a commit of mine that was held for failed went through after the rows
			// were read again. Then they are mine still, and nobody else drives them.
			c.reload(in)
		case flow.Poison:
			c.poison(in, fmt.Sprintf("the store refused it: %v", res.Err), nil)
		}
	}
	c.moreCommands() // there may have been no room before
}

// letGo has an instance parked by a commit of its own when the last one could not know that
// nothing more would come.
func (c *Core) letGo(in *inst) {
	if c.insts[in.id] == in && !in.listed && !in.inflight && c.parks(in) {
		in.st.Touch()
		c.list(in, false)
	}
}

// park lets go of an instance that waits. What came for it meanwhile finds it in the store.
func (c *Core) park(in *inst) {
	c.disown(in)
	if in.claimed {
		c.load([]flow.ID{in.id})
	}
	if wake := in.st.Inst.WakeAt; wake != 0 {
		c.polls.parked = flow.Earliest(c.polls.parked, wake)
	}
	if slices.ContainsFunc(in.queue, func(p pending) bool { return p.inbox != 0 }) {
		c.claim() // that is in the inbox still: the claim brings it back
	}
}

// handOverQueued makes the results durable among events that an instance did not live to take here.
func (c *Core) handOverQueued(id flow.ID, queue []pending) {
	for _, p := range queue {
		if ev, ok := p.ev.(engine.Ended); ok && p.inbox == 0 && p.conn != 0 {
			c.handOver(p.conn, id, ev)
		}
	}
}

// carryOut does what the committed rows call for.
func (c *Core) carryOut(in *inst) {
	defer c.guard(in, "the engine refused what was committed")
	do := in.after
	in.after = after{}
	if !c.sure() && len(do.granted)+len(do.begun)+len(do.killing) > 0 {
		in.after.granted, in.after.begun, in.after.killing = do.granted, do.begun, do.killing
		do = after{acks: do.acks, lookups: do.lookups}
		c.muffle(in)
	}
	for _, r := range do.granted {
		c.grant(in, r)
	}
	for _, r := range do.begun {
		a := in.st.Rows[r].Attempt
		if cn := c.sessions[a.Session]; cn != nil && a.State.Live() {
			c.send(cn.id, func(f *rpc.FromMaster) { f.Begins = append(f.Begins, a.Token) })
		}
	}
	for _, r := range do.killing {
		c.kill(in, r)
	}
	for _, r := range do.lookups {
		c.lookUp(in, r)
	}
	for _, a := range do.acks {
		c.ack(a.conn, a.token)
	}
}

// carryOutNow carries out what does not hang on a commit; what does goes with that.
func (c *Core) carryOutNow(in *inst) {
	if !in.inflight && !in.listed {
		c.carryOut(in)
	}
}

// doubt handles a commit whose outcome is unknown: what it touched is forgotten and read again;
// Seq tells which way it went.
func (c *Core) doubt(insts []*inst, err error) {
	if errors.Is(err, flow.ErrFenced) {
		c.failed = true
		c.emit(Stop{err})
		return
	}
	for _, in := range insts {
		in.inflight = false
		if c.insts[in.id] == in {
			c.reload(in)
		}
	}
}

// reload forgets what is known of an instance and reads it again, soon.
func (c *Core) reload(in *inst) {
	onTrial, late := c.trials.on[in.id], in.unsettled
	c.disown(in)
	c.add(in.id).unsettled = late
	if onTrial {
		c.trials.on[in.id] = true
	}
	c.retry = append(c.retry, in.id)
	c.polls.next = flow.Earliest(c.polls.next, c.now.Add(c.cfg.Poll/4))
}
