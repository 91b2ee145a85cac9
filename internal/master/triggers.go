// Triggers that wait for ends of runs: asked about when a commit marked one and now and then, in case that was not
// seen. Any master may decide for any trigger: the store takes the first decision about each end.

package master

import (
	"cmp"

	"baton/internal/flow"
	"baton/internal/trigger"
)

// heardAtOnce bounds the triggers of one question.
const heardAtOnce = 20

// triggers are asked about what they have heard.
type triggers struct {
	asks[flow.ID]
	next flow.ID // where a look at all goes on when what is being written is done
}

// lookAtTriggers asks the store, one question at a time.
func (c *Core) lookAtTriggers() {
	if !c.ready {
		return
	}
	if q, ok := c.triggers.asks.next(heardAtOnce, cmp.Compare[flow.ID]); ok {
		c.emit(ReadMarks{Triggers: q.keys, After: q.after})
	}
}

// marksRead decides about what triggers have heard.
func (c *Core) marksRead(e MarksRead) {
	c.triggers.next = e.Next
	var decisions []flow.TriggerDecision
	for _, t := range e.Standings {
		d := trigger.Decide(t, c.now, func() flow.ID { return c.ids.Next(c.now) }, c.idOfMine)
		if len(d.Gone)+len(d.Waiting) > 0 {
			decisions = append(decisions, d)
		}
	}
	if e.Err != nil || len(decisions) == 0 {
		c.triggers.answered(e.Err, nil, e.Next)
		return
	}
	c.emit(StartTriggered{decisions})
}

// triggered goes on when decisions are written. What was not written somebody else has decided, or the trigger was
// changed: it is looked at again.
func (c *Core) triggered(e Triggered) {
	var again []flow.ID
	ordered := false
	for i, d := range e.Decisions {
		written := e.Err == nil && e.Written[i]
		if !written || d.More {
			again = append(again, d.Trigger)
		}
		ordered = ordered || written && len(d.Commands) > 0
	}
	c.triggers.answered(e.Err, again, c.triggers.next)
	if ordered {
		c.readCommands()
	}
}
