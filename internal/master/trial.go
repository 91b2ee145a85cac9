// Trials: after a crash, what may have been its cause is driven in ever smaller batches, each
// durable before the next, so that a run that ends the whole process is found out alone.

package master

import (
	"fmt"
	"slices"

	"baton/internal/flow"
)

// trialSizes is how many are taken at a time, by how often their owners ended before a commit of
// them. At flow.MaxTakes, which is what one that was tried alone twice comes to, it is quarantined.
var trialSizes = [flow.MaxTakes]int{takeOverAtOnce, 20, 1, 1}

// trials is what is being tried, and what waits to be.
type trials struct {
	on       map[flow.ID]bool // taken, and not committed since: the next trial waits for these
	until    flow.Time        // what cannot be committed now has not ended the process by then
	asking   bool             // for the next batch
	alone    bool             // suspects are being tried: nothing new is begun beside them
	suspects []suspects
	commands *commandTrials // nil: commands are held guilty of nothing
}

// suspects are instances that a dead master left, and that were taken before without a commit.
type suspects struct {
	dead  int64
	takes int
}

// commandTrials goes through the commands that waited when this master began.
type commandTrials struct {
	takes int
	upTo  flow.ID
	tried map[flow.ID]bool // without having been consumed: they did not end this process
}

// try begins the next trial when the last one is over.
func (c *Core) try() {
	t := &c.trials
	if t.until <= c.now {
		clear(t.on)
	}
	if t.asking || len(t.on) > 0 {
		return
	}
	if c.takeovers > len(t.suspects) {
		return // what comes with them may be what is looked for
	}
	over := t.alone
	t.alone = false
	if len(t.suspects) > 0 {
		s := t.suspects[0]
		t.suspects = t.suspects[1:]
		t.asking, t.alone = true, true
		c.emit(TakeOver{Dead: s.dead, Takes: s.takes, Limit: trialSizes[s.takes]})
		return
	}
	if t.commands != nil || over {
		c.moreCommands()
	}
	if over && c.polls.moreC && !c.polls.claim {
		c.claim()
	}
}

// trialOf says which commands may be asked for now: nothing to try is no trial. It is false while
// another trial is on.
func (c *Core) trialOf(e ReadCommands) (ReadCommands, bool) {
	t := &c.trials
	if t.commands == nil {
		return e, !t.alone
	}
	if t.asking || len(t.on)+c.takeovers > 0 {
		return e, false
	}
	for id := range t.commands.tried {
		e.Except = append(e.Except, id)
	}
	slices.Sort(e.Except)
	e.Limit = min(e.Limit, trialSizes[t.commands.takes])
	e.Trial, e.Takes, e.UpTo = true, t.commands.takes, t.commands.upTo
	t.asking, t.alone = true, e.Takes > 0
	return e, true
}

// tryCommands notes which commands are on trial now, before any of them is looked at.
func (c *Core) tryCommands(e CommandsRead, asked int) {
	t := &c.trials
	if t.commands == nil {
		return
	}
	t.asking = false
	if e.Err != nil {
		return
	}
	for i := range e.Commands {
		id := e.Commands[i].ID
		if c.insts[id] == nil && c.poisoned[id] == nil {
			t.on[id] = true
			t.until = c.now.Add(c.cfg.Lease)
		}
		t.commands.tried[id] = true
	}
	c.polls.moreCommands = true // when these are committed
	if len(e.Commands) < asked {
		if t.commands.takes++; t.commands.takes == len(trialSizes) {
			t.commands = nil
		}
	}
}

// tryInstances notes which instances are on trial now.
func (c *Core) tryInstances(ids []flow.ID) {
	for _, id := range ids {
		if c.insts[id] == nil && c.poisoned[id] == nil {
			c.trials.on[id] = true
			c.trials.until = c.now.Add(c.cfg.Lease)
		}
	}
}

// passed ends the trial of one that was committed.
func (t *trials) passed(in *inst) {
	delete(t.on, in.id)
	if t.commands != nil {
		delete(t.commands.tried, in.id)
	}
}

// deadly is the reason of what was tried too often.
func deadly(what string) string {
	return fmt.Sprintf("%d masters in a row ended while they %s, the last two while they did nothing else", flow.MaxTakes, what)
}
