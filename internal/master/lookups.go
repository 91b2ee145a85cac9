// Questions of runs that the store answers, and what runs say to one another.

package master

import (
	"slices"

	"baton/internal/engine"
	"baton/internal/flow"
)

// lookupsAtOnce bounds the questions of rows that are with the store. A hundred thousand rows may ask at the same time, and what
// has waited for a connection for longer than the store may take would be asked again.
const lookupsAtOnce = 16

// lookups are the questions of rows.
type lookups struct {
	waiting  []LookUp
	again    []LookUp // not answered; asked again with the next poll
	underWay int
}

// lookUp asks the store what a row needs to know.
func (c *Core) lookUp(in *inst, r int32) {
	if q, wanted := in.st.Lookup(r); wanted {
		c.lookups.waiting = append(c.lookups.waiting, LookUp{in.id, q})
		c.moreLookups()
	}
}

// moreLookups asks what waits to be asked, as far as there is room. Runs that are not here any more ask nothing.
func (c *Core) moreLookups() {
	l := &c.lookups
	for l.underWay < lookupsAtOnce && len(l.waiting) > 0 {
		ask := l.waiting[0]
		if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
			l.waiting = nil
		}
		if c.insts[ask.Instance] != nil {
			l.underWay++
			c.emit(ask)
		}
	}
}

// lookedUp goes on with the answer. A store that is away is asked again with the next poll.
func (c *Core) lookedUp(e LookedUp) {
	c.lookups.underWay--
	c.moreLookups()
	looked := engine.Looked{Task: e.Ask.Question.Task, Found: e.Found}
	switch code := flow.CodeOf(e.Err); {
	case e.Err == nil:
	case code == flow.CodeInternal || code == flow.CodeUnavailable:
		c.lookups.again = append(c.lookups.again, e.Ask)
		return
	default:
		looked.Found.Missing = e.Err.Error()
	}
	def := &e.Found.Definition
	if def.ID == 0 || looked.Found.Missing != "" {
		c.route(e.Ask.Instance, pending{ev: looked})
		return
	}
	c.withPlan(PlanKey{def.ID, def.Version}, func(p *engine.Plan, err error) {
		looked.Plan = p
		if err != nil {
			looked.Found.Missing = err.Error()
		}
		c.route(e.Ask.Instance, pending{ev: looked})
	})
}

// lookAgain asks again what the store did not answer.
func (c *Core) lookAgain() {
	c.lookups.waiting = append(c.lookups.waiting, c.lookups.again...)
	c.lookups.again = nil
	c.moreLookups()
}

// spread has those looked for that a commit began or told something.
func (c *Core) spread(ch flow.Change) {
	if len(ch.Commands) > 0 {
		c.readCommands()
	}
	told := make([]flow.ID, len(ch.News))
	for i, item := range ch.News {
		told[i] = item.Instance
	}
	c.heardOf(told)
}

// heardOf has the inboxes of runs read, by whoever has them.
func (c *Core) heardOf(runs []flow.ID) {
	switch elsewhere := func(id flow.ID) bool { return c.insts[id] == nil }; {
	case len(runs) == 0:
	case slices.ContainsFunc(runs, elsewhere): // parked, or another master's
		c.tellAll()
	default:
		c.lookIntoInboxes()
	}
}

// tellAll has looked for what is in inboxes, here and by the other masters.
func (c *Core) tellAll() {
	c.lookIntoInboxes()
	c.emit(TellAll{})
}

// lookIntoInboxes reads what was told to runs of this master, and claims parked ones that were told something.
func (c *Core) lookIntoInboxes() {
	c.polls.pokes++
	c.readInbox()
	c.claim()
}
