// Backfills: asked to go on when a run of them ends, or goes on again, and now and then, in case that was not seen.

package master

import (
	"maps"
	"slices"
	"time"

	"baton/internal/engine"
	"baton/internal/flow"
)

const (
	// backfillsEvery is how often backfills are looked at that nobody was told of: a run that ended where its
	// master died.
	backfillsEvery = 10 * time.Second
	// backfillsAtOnce bounds the backfills of one question.
	backfillsAtOnce = 20
	// startsAtOnce bounds the runs that one question orders.
	startsAtOnce = 64
)

// backfills is what is to be asked of the store.
type backfills struct {
	wanted map[flow.ID][]flow.ID // runs that ended or go on again, by backfill
	asking bool
	all    bool    // of every backfill that goes on
	after  flow.ID // how far that has come
	looked flow.Time
}

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

func (b *backfills) want(backfill flow.ID, runs ...flow.ID) {
	if b.wanted == nil {
		b.wanted = map[flow.ID][]flow.ID{}
	}
	b.wanted[backfill] = append(b.wanted[backfill], runs...)
}

// net has all backfills looked at now and then while one goes on.
func (b *backfills) net(on bool, now flow.Time) {
	if on && now.Sub(b.looked) >= backfillsEvery {
		b.looked, b.all, b.after = now, true, 0
	}
}

// advanceBackfills asks the store, one question at a time. The runs that begin belong to the slot of this master:
// nobody else has to be told of them.
func (c *Core) advanceBackfills() {
	b := &c.backfills
	if b.asking || !c.ready || len(b.wanted) == 0 && !b.all {
		return
	}
	b.asking = true
	var ask AdvanceBackfills
	for _, id := range slices.Sorted(maps.Keys(b.wanted))[:min(len(b.wanted), backfillsAtOnce)] {
		ask.Backfills, ask.Runs = append(ask.Backfills, id), append(ask.Runs, b.wanted[id]...)
		delete(b.wanted, id)
	}
	if len(ask.Backfills) == 0 {
		b.all, ask.After = false, b.after
	}
	for range startsAtOnce {
		ask.IDs = append(ask.IDs, c.idOfMine())
	}
	c.emit(ask)
}

// backfillsAdvanced takes the runs that were ordered.
func (c *Core) backfillsAdvanced(e BackfillsAdvanced) {
	b := &c.backfills
	b.asking = false
	if e.Err != nil {
		b.looked = 0 // all of them with the next poll: what was written is not known
		return
	}
	for _, id := range e.Again {
		b.want(id)
	}
	if e.Next != 0 {
		b.all, b.after = true, e.Next
	}
	if e.Started > 0 {
		c.readCommands()
	}
}
