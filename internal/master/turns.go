// Turns of workflows that limit how many of their runs go on, or begin in a time: asked for when a run begins to wait or
// makes room, when the time comes that the store has named, and now and then, in case one of these was not seen.

package master

import (
	"time"

	"baton/internal/engine"
	"baton/internal/flow"
)

const (
	// turnsAtOnce bounds the keys of one question.
	turnsAtOnce = 50
	// turnsApart is the least time between two questions about a key that a time alone calls for: a rate may let a
	// run begin each millisecond.
	turnsApart = 20 * time.Millisecond
)

// turns are asked for by workflow and key.
type turns struct {
	asks[flow.TurnKey]
	later map[flow.TurnKey]flow.Time // when somebody's turn comes although nobody asks
	next  flow.Time                  // the first of these; 0: there is none
}

// changed notes what a committed change makes of turns.
func (t *turns) changed(s *engine.State, ch flow.Change) {
	if s.Limited() && (ch.Instance.State == flow.InstanceQueued || ch.Instance.State.Ended()) {
		t.want(flow.TurnKey{Workflow: ch.Instance.Workflow, Key: ch.Instance.TurnKey})
	}
}

// wait notes when to ask about a key. The time that was said last counts.
func (t *turns) wait(w flow.TurnWait, now flow.Time) {
	if t.later == nil {
		t.later = map[flow.TurnKey]flow.Time{}
	}
	at := now.Add(max(w.In, turnsApart))
	t.later[w.TurnKey] = at
	t.next = flow.Earliest(t.next, at)
}

// due has those asked about whose time has come.
func (t *turns) due(now flow.Time) {
	if t.next == 0 || t.next > now {
		return
	}
	t.next = 0
	for k, at := range t.later {
		if at > now {
			t.next = flow.Earliest(t.next, at)
			continue
		}
		delete(t.later, k)
		t.want(k)
	}
}

// giveTurns asks the store, one question at a time.
func (c *Core) giveTurns() {
	if !c.ready {
		return
	}
	if q, ok := c.turns.asks.next(turnsAtOnce, flow.TurnKey.Compare); ok {
		c.emit(Admit{Keys: q.keys, After: q.after})
	}
}

// admitted has those looked after whose turn has come: they are parked, or another master's, which finds it. Of what a
// look at all has found, each master waits for the times of its own workflows: all look.
func (c *Core) admitted(e Admitted) {
	if !c.turns.answered(e.Err, e.Again, e.Next) {
		return
	}
	slot, slots := c.slot()
	for _, w := range e.Later {
		if len(e.Keys) > 0 || w.Workflow.Slot(slots) == slot {
			c.turns.wait(w, c.now)
		}
	}
	if e.Given > 0 {
		c.lookIntoInboxes()
	}
}
