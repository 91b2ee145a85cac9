// Turns of workflows that limit how many of their runs go on: asked for when a run begins to wait or makes room, and
// now and then, in case that was not seen.

package master

import (
	"maps"
	"slices"
	"time"

	"baton/internal/engine"
	"baton/internal/flow"
)

const (
	// turnsEvery is how often turns are looked for that nobody was told of: a run that made room where its
	// master died, a workflow whose limit was raised.
	turnsEvery = 10 * time.Second
	// turnsAtOnce bounds the workflows of one question.
	turnsAtOnce = 50
)

// turns is what is to be asked of the store.
type turns struct {
	wanted map[flow.ID]bool // workflows
	asking bool
	all    bool    // of every workflow of which a run waits
	after  flow.ID // how far that has come
	looked flow.Time
}

// changed notes what a committed change makes of turns.
func (t *turns) changed(s *engine.State, ch flow.Change) {
	if s.Limited() && (ch.Instance.State == flow.InstanceQueued || ch.Instance.State.Ended()) {
		t.want(ch.Instance.Workflow)
	}
}

func (t *turns) want(workflow flow.ID) {
	if t.wanted == nil {
		t.wanted = map[flow.ID]bool{}
	}
	t.wanted[workflow] = true
}

// net has all turns looked for now and then while some run waits.
func (t *turns) net(queued bool, now flow.Time) {
	if queued && now.Sub(t.looked) >= turnsEvery {
		t.looked, t.all, t.after = now, true, 0
	}
}

// giveTurns asks the store, one question at a time.
func (c *Core) giveTurns() {
	t := &c.turns
	if t.asking || !c.ready || len(t.wanted) == 0 && !t.all {
		return
	}
	t.asking = true
	ids := slices.Sorted(maps.Keys(t.wanted))
	ids = ids[:min(len(ids), turnsAtOnce)]
	for _, id := range ids {
		delete(t.wanted, id)
	}
	ask := Admit{Workflows: ids}
	if len(ids) == 0 {
		t.all, ask.After = false, t.after
	}
	c.emit(ask)
}

// admitted has those looked after whose turn has come: they are parked, or another master's, which finds it.
func (c *Core) admitted(e Admitted) {
	c.turns.asking = false
	if e.Err != nil {
		c.turns.looked = 0 // all of them with the next poll
		return
	}
	for _, id := range e.Again {
		c.turns.want(id)
	}
	if e.Next != 0 {
		c.turns.all, c.turns.after = true, e.Next
	}
	if e.Given > 0 {
		c.lookIntoInboxes()
	}
}
