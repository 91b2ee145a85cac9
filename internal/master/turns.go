// Turns of workflows that limit how many of their runs go on: asked for when a run begins to wait or makes room, and
// now and then, in case that was not seen.

package master

import (
	"cmp"

	"baton/internal/engine"
	"baton/internal/flow"
)

// turnsAtOnce bounds the workflows of one question.
const turnsAtOnce = 50

// turns are asked for by workflow.
type turns struct{ asks[flow.ID] }

// changed notes what a committed change makes of turns.
func (t *turns) changed(s *engine.State, ch flow.Change) {
	if s.Limited() && (ch.Instance.State == flow.InstanceQueued || ch.Instance.State.Ended()) {
		t.want(ch.Instance.Workflow)
	}
}

// giveTurns asks the store, one question at a time.
func (c *Core) giveTurns() {
	if !c.ready {
		return
	}
	if q, ok := c.turns.next(turnsAtOnce, cmp.Compare[flow.ID]); ok {
		c.emit(Admit{Workflows: q.keys, After: q.after})
	}
}

// admitted has those looked after whose turn has come: they are parked, or another master's, which finds it.
func (c *Core) admitted(e Admitted) {
	if c.turns.answered(e.Err, e.Again, e.Next) && e.Given > 0 {
		c.lookIntoInboxes()
	}
}
