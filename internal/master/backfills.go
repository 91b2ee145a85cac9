// Backfills: asked to go on when a run of them ends, or goes on again, and now and then, in case that was not seen.

package master

import (
	"cmp"
	"slices"

	"baton/internal/engine"
	"baton/internal/flow"
)

const (
	// backfillsAtOnce bounds the backfills of one question.
	backfillsAtOnce = 20
	// startsAtOnce bounds the runs that one question orders.
	startsAtOnce = 64
)

// backfills are asked about with those of their runs that ended or go on again.
type backfills struct{ asks[flow.ID] }

// changed notes what a committed change makes of a backfill.
func (b *backfills) changed(s *engine.State, ch flow.Change) {
	id := s.Backfill()
	if id == 0 {
		return
	}
	again := slices.ContainsFunc(ch.Outcomes, func(o flow.Outcome) bool {
		return o.Applied && (o.Verb == flow.VerbRecover || o.Verb == flow.VerbRerun)
	})
	if again || ch.Instance.State.Ended() {
		b.want(id, ch.Instance.ID)
	}
}

// advanceBackfills asks the store, one question at a time. The runs that begin belong to the slot of this master:
// nobody else has to be told of them.
func (c *Core) advanceBackfills() {
	if !c.ready {
		return
	}
	q, ok := c.backfills.next(backfillsAtOnce, cmp.Compare[flow.ID])
	if !ok {
		return
	}
	ask := AdvanceBackfills{Backfills: q.keys, Runs: q.runs(), After: q.after}
	for range startsAtOnce {
		ask.IDs = append(ask.IDs, c.idOfMine())
	}
	c.emit(ask)
}

// backfillsAdvanced takes the runs that were ordered.
func (c *Core) backfillsAdvanced(e BackfillsAdvanced) {
	if c.backfills.answered(e.Err, e.Again, e.Next) && e.Started > 0 {
		c.readCommands()
	}
}
