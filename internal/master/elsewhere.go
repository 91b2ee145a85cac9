// Elsewhere: runs that wait for a worker group which only other masters hear a worker of. A network may
// keep a worker from one master for as long as it likes, and so may a master's address that is wrong.

package master

import (
	"slices"

	"baton/internal/dispatch"
	"baton/internal/flow"
)

// elsewhere is the look for workers that others hear.
type elsewhere struct {
	since flow.Time // that something has waited for a group nobody here serves, 0: nothing does
	again flow.Time // not before
	asked bool      // the store is being asked
}

// lookElsewhere asks which groups have a live worker when something waits for one that has none here. It is
// called now and then.
func (c *Core) lookElsewhere() {
	e := &c.elsewhere
	switch {
	case e.asked || !c.ready || !c.sure():
	case len(c.fleet.others(c.lease.Incarnation, 0)) == 0 || len(c.pool.Unserved()) == 0:
		e.since = 0
	case e.since == 0:
		e.since = c.now // a worker that joins tells all masters, but not at the same time
	case c.now.Sub(e.since) > c.cfg.Poll && c.now >= e.again:
		// Whoever gets a run that nobody hears a worker for passes it on again: rarely.
		e.asked, e.again = true, c.now.Add(c.cfg.Lease/2)
		c.emit(ReadGroups{})
	}
}

// groupsRead gives the runs away whose worker group has a live worker which is not connected here.
func (c *Core) groupsRead(e GroupsRead) {
	c.elsewhere.asked = false
	c.storeAnswered(e.Err == nil)
	if e.Err != nil || !c.ready || !c.sure() {
		return
	}
	waits := func(it dispatch.Item) bool {
		in := c.insts[it.Instance]
		if in == nil || in.st == nil {
			return false
		}
		r := in.st.RowByID(it.Task)
		return r >= 0 && in.st.Rows[r].State == flow.TaskQueued
	}
	var ids []flow.ID
	for _, group := range c.pool.Unserved() {
		waiting := c.pool.Waiting(group, waits)
		if slices.Contains(e.Groups, group) {
			ids = append(ids, waiting...)
		}
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id flow.ID) bool { return !c.rests(c.insts[id]) })
	c.passOn(ids, "a worker that they need is out of reach of this one")
}

// passOn gives instances to one of the other masters, whichever: one that cannot reach the worker either
// passes them on in turn, and shares by slot would lead back here.
func (c *Core) passOn(ids []flow.ID, why string) {
	heirs := c.fleet.others(c.lease.Incarnation, 0)
	if len(heirs) == 0 || len(ids) == 0 {
		return
	}
	c.give(ids, []int64{heirs[c.pool.Draw(len(heirs))]}, why)
}
