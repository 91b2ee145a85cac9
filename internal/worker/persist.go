// What hangs on the journal: starts, results and refusals wait for their records.

package worker

import "baton/internal/rpc"

// after is what one write lets go on, in order.
type after struct {
	starts   []int64
	ends     []int64
	refusals []refusal
}

func (a after) empty() bool { return len(a.starts)+len(a.ends)+len(a.refusals) == 0 }

// diskQueue is the writes under way, oldest first.
type diskQueue struct {
	last    uint64
	waiting []write
}

type write struct {
	id    uint64
	after after
}

// recordSize is about what a record takes on disk, apart from outputs.
const recordSize = 48

// A drop alone is not worth a write: without it a result is held as not acknowledged by whoever comes
// after a restart, and offered once more.
const dropsPerWrite = 512

func (c *Core) record(r Record) {
	c.turn.records = append(c.turn.records, r)
	c.appended += endSize(r.End)
}

func endSize(e *rpc.Ended) int { return recordSize + len(e.GetOutputs()) + len(e.GetReason()) }

// write makes one Persist of everything the turn recorded.
func (c *Core) write() {
	t := &c.turn
	ending := (c.draining || c.stopping) && len(c.drops) > 0 // nothing comes that they could go with
	if len(t.records) == 0 && len(c.drops) < dropsPerWrite && !ending && !t.whole {
		return
	}
	if len(c.drops) > 0 {
		c.appended += len(c.drops) * 9
		t.records = append(t.records, Record{Kind: RecordDrop, Dropped: c.drops})
		c.drops = nil
	}
	c.disk.last++
	p := Persist{ID: c.disk.last, Records: t.records, Sync: t.sync}
	if t.whole || c.appended > c.cfg.CompactAfter {
		p.Records, p.Whole, c.appended = c.snapshot().Records(), true, 0
	}
	if !t.after.empty() {
		c.disk.waiting = append(c.disk.waiting, write{p.ID, t.after})
	}
	c.do(p)
}

// snapshot is what the journal must add up to now.
func (c *Core) snapshot() State {
	s := State{
		Session: c.session.id, Generation: c.session.generation, Cluster: c.cluster, Earlier: c.session.earlier,
		Live: map[int64]Live{}, Ends: map[int64]*rpc.Ended{}, Tombstones: c.tombOrder,
		Done: c.done.last(keepDone),
	}
	for _, h := range c.sortedHeld() {
		if h.state == stateEnded {
			s.Ends[h.token] = h.end
		} else {
			s.Live[h.token] = Live{Instance: h.instance, Task: h.task, Process: h.process, At: h.startedAt}
		}
	}
	return s
}

// persisted lets go on what waited for the write.
func (c *Core) persisted(e Persisted) {
	n := 0
	for ; n < len(c.disk.waiting) && c.disk.waiting[n].id <= e.ID; n++ {
		c.goOn(c.disk.waiting[n].after, e.Err)
	}
	c.disk.waiting = c.disk.waiting[n:]
	if e.Err != nil {
		c.do(Note{Text: "journal not written", Err: e.Err})
	}
}

func (c *Core) goOn(a after, err error) {
	for _, token := range a.starts {
		if err != nil {
			c.giveBack(token)
		} else {
			c.taken(token)
		}
	}
	for _, token := range a.ends {
		// A result is sent although the disk refused it: keeping it back helps nobody, and lost with
		// this process it is no more lost than one that died a moment earlier.
		if h := c.held[token]; h != nil && h.state == stateEnded {
			h.durable = true
			c.sendEnd(h)
		}
	}
	for _, r := range a.refusals {
		// The same holds for a tombstone: within this process the one in memory is as good, and
		// grants of this session cannot reach another.
		if _, known := c.tombs[r.refused.GetToken()]; known {
			c.tombs[r.refused.GetToken()] = true
		}
		c.sayRefused(r)
	}
}

// giveBack refuses a grant that the disk did not take.
func (c *Core) giveBack(token int64) {
	h := c.held[token]
	if h == nil || h.state != stateGranted {
		return
	}
	delete(c.held, token)
	c.live[c.lane(h.kind)]--
	c.roomChanged()
	c.tombs[token] = true
	c.tombOrder = append(c.tombOrder, Tombstone{token, h.instance, h.task})
	c.sayRefused(refusal{h.stream, &rpc.Refused{Token: token, Instance: h.instance, Task: h.task, Reason: refusedDisk}})
}
