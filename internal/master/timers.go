// Times the core waits for.

package master

import (
	"container/heap"
	"slices"

	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/rpc"
)

type wakeAt struct {
	at flow.Time
	id flow.ID
}

type wakeHeap []wakeAt

func (h wakeHeap) Len() int      { return len(h) }
func (h wakeHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h wakeHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].id < h[j].id
}
func (h *wakeHeap) Push(x any) { *h = append(*h, x.(wakeAt)) }
func (h *wakeHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// wake notes when an owned instance is due. Entries are checked when they come up, never removed.
func (c *Core) wake(in *inst) {
	if at := in.st.Wake(); at != 0 && at != in.woken {
		in.woken = at
		heap.Push(&c.wakes, wakeAt{at, in.id})
	}
}

func (c *Core) tick() {
	for len(c.wakes) > 0 && c.wakes[0].at <= c.now {
		w := heap.Pop(&c.wakes).(wakeAt)
		in := c.insts[w.id]
		if in == nil || in.st == nil {
			continue
		}
		if in.woken == w.at {
			in.woken = 0
		}
		if at := in.st.Wake(); at != 0 && at <= c.now {
			c.route(w.id, pending{ev: engine.Due{}})
		} else {
			c.wake(in)
		}
	}
	if p := c.polls.parked; p != 0 && p <= c.now {
		c.polls.parked = 0
		c.claim()
	}
	c.turns.due(c.now)
	c.resendKills()
	c.suspectAbsent()
	c.loseAbsent()
	if c.polls.next <= c.now {
		c.poll()
	}
}

// poll is the net under the pokes: one question for all that may have come.
func (c *Core) poll() {
	c.polls.next = c.now.Add(c.cfg.Poll)
	c.hangUpOnSilent()
	if c.polls.owned <= c.now && !c.polls.owning {
		c.readOwned(0)
	}
	for ids := range slices.Chunk(c.retry, loadAtOnce) {
		ids = slices.DeleteFunc(slices.Clone(ids), func(id flow.ID) bool {
			in := c.insts[id]
			return in == nil || in.st != nil
		})
		if len(ids) > 0 {
			c.loading++
			c.emit(Load{ids})
		}
	}
	c.retry = nil
	for _, key := range c.reread {
		c.emit(ReadDefinition{key})
	}
	c.reread = nil
	c.lookAgain()
	for _, dead := range c.again {
		c.takeOver(dead)
	}
	c.again = nil
	c.quarantineAgain()
	c.becomeReady()
	c.lookElsewhere()
	c.askWhatWaits()
}

// askWhatWaits has the store asked what there is, unless it is being asked.
func (c *Core) askWhatWaits() {
	if c.ready && !c.polls.poll {
		c.polls.poll = true
		c.emit(Poll{})
	}
}

// pollNow has the store asked at once, and again when what is under way may have looked too early.
func (c *Core) pollNow() {
	c.polls.pollAgain = c.polls.poll
	c.askWhatWaits()
}

// polled reads what was found to be there: an idle master asks for nothing else.
func (c *Core) polled(e Polled) {
	c.polls.poll = false
	if c.polls.pollAgain {
		c.pollNow()
	}
	if e.Err != nil {
		return
	}
	c.drainsAre(e.Waiting.Draining)
	c.firesAt(e.Waiting.NextFire, e.Waiting.Now)
	c.turns.net(e.Waiting.Queued, c.now)
	c.followed = e.Waiting.Followed
	c.backfills.net(e.Waiting.Backfills, c.now)
	c.pools.net(e.Waiting.Pooled, c.now)
	c.triggers.net(e.Waiting.Marked, c.now)
	if e.Waiting.Outside || c.outside {
		c.outside = e.Waiting.Outside
		c.emit(LookOut{})
	}
	if e.Waiting.Commands {
		c.readCommands()
	}
	if e.Waiting.Inbox || c.polls.moreInbox || len(c.unread)+len(c.doomed) > 0 {
		c.readInbox() // a read that failed is wanted still
	}
	wake := e.Waiting.NextWake
	if e.Waiting.Addressed || wake != 0 && wake <= c.now {
		c.claim()
		return
	}
	c.polls.parked = wake
}

// nextTick is when Tick has something to do.
func (c *Core) nextTick() flow.Time {
	at := flow.Earliest(c.polls.next, c.polls.parked, c.turns.next, c.fleet.next(c.now))
	if !c.fires.reading && !c.fires.writing {
		at = flow.Earliest(at, c.fires.next)
	}
	if len(c.wakes) > 0 {
		at = flow.Earliest(at, c.wakes[0].at)
	}
	for _, k := range c.kills {
		at = flow.Earliest(at, k.next)
	}
	if c.own.beating {
		at = flow.Earliest(at, c.own.late)
	} else {
		at = flow.Earliest(at, c.nextBeat())
	}
	for _, a := range c.away {
		at = flow.Earliest(at, a.until)
		if !a.suspect {
			at = flow.Earliest(at, a.since.Add(suspectAfter))
		}
	}
	if len(c.trials.on) > 0 {
		at = flow.Earliest(at, c.trials.until)
	}
	for i := range c.lanes {
		for _, in := range c.lanes[i].changed {
			if in.lazy != 0 && !c.lanes[i].busy {
				at = flow.Earliest(at, in.lazy.Add(c.cfg.Lazy))
				break // the first of a list is the oldest
			}
		}
	}
	return at
}

// kill is an intent that no worker has confirmed yet.
type kill struct {
	instance flow.ID
	task     flow.ID
	next     flow.Time
}

// kill sends the order to kill a row's attempt and remembers to send it again.
func (c *Core) kill(in *inst, r int32) {
	row := &in.st.Rows[r]
	if row.Kill == flow.KillNone || !row.Placed() {
		return
	}
	c.sendKill(in, row)
	if !slices.ContainsFunc(c.kills, func(k kill) bool { return k.task == row.ID }) {
		c.kills = append(c.kills, kill{in.id, row.ID, c.now.Add(c.cfg.KillResend)})
	}
}

func (c *Core) sendKill(in *inst, row *flow.TaskRow) {
	if cn := c.sessions[row.Attempt.Session]; cn != nil && row.Attempt.Token != 0 {
		c.send(cn.id, func(f *rpc.FromMaster) {
			f.Kills = append(f.Kills, &rpc.Kill{Token: row.Attempt.Token, Instance: int64(row.Instance), Task: int64(row.ID), Epoch: in.epoch})
		})
	}
}

// resendKills repeats orders until the rows say that they are carried out.
func (c *Core) resendKills() {
	left := c.kills[:0]
	for _, k := range c.kills {
		in := c.insts[k.instance]
		if in == nil || in.st == nil {
			continue
		}
		r := in.st.RowByID(k.task)
		if r < 0 || in.st.Rows[r].Kill == flow.KillNone || !in.st.Rows[r].Placed() {
			continue
		}
		if k.next <= c.now {
			if c.sure() {
				c.sendKill(in, &in.st.Rows[r])
			}
			k.next = c.now.Add(c.cfg.KillResend)
		}
		left = append(left, k)
	}
	c.kills = left
}
