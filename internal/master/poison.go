// Quarantine: what cannot be driven is set aside, alone, and remembered until that is durable.

package master

import (
	"cmp"
	"slices"

	"baton/internal/flow"
)

// poisoned is what is being quarantined. Until the store has it, an instance is still mine there and
// a command still waits: neither is taken again, for that would only be the same poison.
type poisoned map[flow.ID]*poisoning

type poisoning struct {
	order    Quarantine
	underWay bool
	// claimed: it came back to me, so it was durable and a person has released it since.
	claimed bool
}

// claimed tells whether an instance that the store has just given to this master waits for the
// answer of its quarantine. That it was there to be given says what the answer must be.
func (p poisoned) claimed(id flow.ID) bool {
	q := p[id]
	if q == nil {
		return false
	}
	if q.underWay {
		q.claimed = true
		return true
	}
	delete(p, id)
	return false
}

// commands are those still to be quarantined, in order.
func (p poisoned) commands() []flow.ID {
	var ids []flow.ID
	for id, q := range p {
		if q.order.Command {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// quarantineRemedy ends every reason of a quarantine.
const quarantineRemedy = "; `baton release` tries again, `baton stop` ends the run"

// poison quarantines an instance that cannot be driven.
func (c *Core) poison(in *inst, reason string, stack []byte) {
	q := Quarantine{
		ID: in.id, Command: in.command != 0, Stack: stack,
		Reason: flow.Text(flow.ReasonQuarantine+": "+reason, flow.MaxReason-len(quarantineRemedy)) + quarantineRemedy,
	}
	c.poisoned[in.id] = &poisoning{order: q, underWay: true}
	c.emit(q)
	c.drop(in)
}

// quarantined forgets what is durable; what is not is ordered again with the next poll.
func (c *Core) quarantined(e Quarantined) {
	q := c.poisoned[e.ID]
	if q == nil {
		return
	}
	q.underWay = false
	switch {
	case q.claimed:
		delete(c.poisoned, e.ID)
		c.load([]flow.ID{e.ID})
	case e.Err == nil || flow.CodeOf(e.Err) == flow.CodeNotFound:
		delete(c.poisoned, e.ID)
		c.moreCommands() // there may have been no room before
	}
}

// quarantineAgain orders what the store refused.
func (c *Core) quarantineAgain() {
	var again []*poisoning
	for _, q := range c.poisoned {
		if !q.underWay {
			again = append(again, q)
		}
	}
	slices.SortFunc(again, func(a, b *poisoning) int { return cmp.Compare(a.order.ID, b.order.ID) })
	for _, q := range again {
		q.underWay, q.order.Again = true, true
		c.emit(q.order)
	}
}
