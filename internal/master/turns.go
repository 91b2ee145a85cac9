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
	all    bool // of every workflow of which a run waits
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
		t.looked, t.all = now, true
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
	if ids = ids[:min(len(ids), turnsAtOnce)]; len(ids) == 0 {
		t.all = false
	}
	for _, id := range ids {
		delete(t.wanted, id)
	}
	c.emit(Admit{ids})
}

// admitted has those looked after whose turn has come: they are parked, or another master's, which finds it.
func (c *Core) admitted(e Admitted) {
	c.turns.asking = false
	if e.Err != nil {
		c.turns.looked = 0 // with the next poll
		return
	}
	if e.More {
		for _, id := range e.Workflows {
			c.turns.want(id)
		}
		c.turns.all = c.turns.all || len(e.Workflows) == 0
	}
	if e.Given > 0 {
		c.polls.pokes++
		c.readInbox()
		c.claim()
	}
}
