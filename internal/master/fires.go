// Fires: schedules that are due are looked at, decided about, and moved on. Any master may do it for any schedule:
// the store takes the first decision about each.

package master

import (
	"encoding/json"
	"fmt"
	"time"

	"baton/internal/flow"
	"baton/internal/timetable"
)

const (
	// timingsAtOnce bounds what is read and decided about at a time.
	timingsAtOnce = 1000
	// rowsAtOnce bounds the rows of one Fire: after a long outage a few schedules have thousands of times.
	rowsAtOnce = 2000
	// tablesKept bounds the compiled schedules in memory: each is read again when it is due.
	tablesKept = 10_000
)

// fires is what the core knows of schedules.
type fires struct {
	next    flow.Time     // when somebody has to look, by this clock; 0: nothing is known to be due
	ahead   time.Duration // how far the clock of the store is before this one
	reading bool
	writing bool
	more    bool // there is more than was read, or decided
	most    int  // timings at once: fewer after a failure, for one of them may be its cause
	culprit culprit
	tables  map[tableKey]*timetable.Table
}

type tableKey struct {
	schedule flow.ID
	revision int64
}

// firesAt notes when the first schedule is to be looked at, by the clock of the store.
func (c *Core) firesAt(at, now flow.Time) {
	if now != 0 {
		c.fires.ahead = now.Sub(c.now)
	}
	c.fires.next = at.Add(-c.fires.ahead)
}

// lookAtSchedules reads what is due, unless that is being done.
func (c *Core) lookAtSchedules() {
	if !c.ready || c.fires.reading || c.fires.writing || c.fires.next == 0 || c.fires.next > c.now {
		return
	}
	c.fires.reading, c.fires.next = true, 0
	slot, slots := c.slot()
	if c.fires.most == 0 {
		c.fires.most = timingsAtOnce
	}
	c.emit(ReadDue{Limit: c.fires.most, Slot: slot, Slots: slots})
}

// dueRead decides about what is due.
func (c *Core) dueRead(e DueRead) {
	c.fires.reading = false
	if e.Err != nil {
		return // the next poll shows it again
	}
	c.firesAt(e.Due.Next, e.Due.Now)
	c.fires.more = len(e.Due.Timings) >= c.fires.most
	var out Fire
	rows := 0
	for _, t := range e.Due.Timings {
		if rows >= rowsAtOnce {
			c.fires.more = true
			break
		}
		f, stack, ok := c.decide(t, e.Due.Now)
		if !ok {
			continue
		}
		rows += 1 + len(f.Fires) + len(f.Commands)
		out.Firings = append(out.Firings, f)
		out.Stack = append(out.Stack, stack...)
	}
	if len(out.Firings) > 0 {
		c.fires.writing = true
		c.emit(out)
	}
}

// table is the compiled form of a timing, nil if it cannot be read.
func (c *Core) table(t flow.Timing) *timetable.Table {
	key := tableKey{t.Schedule, t.Revision}
	if kept := c.fires.tables[key]; kept != nil {
		return kept
	}
	table, err := timetable.New(t.Body, t.Calendar)
	if err != nil {
		return nil
	}
	if len(c.fires.tables) >= tablesKept {
		clear(c.fires.tables)
	}
	if c.fires.tables == nil {
		c.fires.tables = map[tableKey]*timetable.Table{}
	}
	c.fires.tables[key] = table
	return table
}

// firing makes rows and commands of a decision. A run that is due belongs to the slot of this master: nobody else
// has to be told of it.
func (c *Core) firing(t flow.Timing, d timetable.Decision) flow.Firing {
	f := flow.Firing{Schedule: t.Schedule, Revision: t.Revision, After: t.After, Until: t.Until, NewAfter: d.After, Nominal: d.Nominal, Next: d.Next, Fires: d.Fires, Workflow: t.Workflow}
	for i := range f.Fires {
		fire := &f.Fires[i]
		fire.ID, fire.Schedule, fire.Project, fire.Workflow, fire.At = c.ids.Next(c.now), t.Schedule, t.Project, t.Workflow, c.now
		if fire.State == flow.FireFired {
			fire.Instance = c.idOfMine()
			f.Commands = append(f.Commands, commandOf(t, *fire))
		}
	}
	if d.Missed > 0 {
		f.Alert = &flow.Alert{ID: c.ids.Next(c.now), Kind: flow.AlertFireMissed, Project: t.Project, At: c.now, Message: fmt.Sprintf(
			"schedule %s: %d of its times up to %s were not fired, for nobody was there; `baton get fires --state skipped,missed` has them", t.Body.Name, d.Missed, d.After)}
	}
	return f
}

// idOfMine is an id of this master's slot.
func (c *Core) idOfMine() flow.ID {
	slot, slots := c.slot()
	id := c.ids.Next(c.now)
	for range slots {
		if id.Slot(slots) == slot {
			break
		}
		id = c.ids.Next(c.now)
	}
	return id
}

// commandOf is the order to start the run of a fire.
func commandOf(t flow.Timing, fire flow.Fire) flow.Command {
	start := flow.Start{DataTime: fire.Nominal, Trigger: flow.TriggerSchedule, Schedule: t.Body.Name}
	if len(t.Body.Params) > 0 {
		start.Params = make(map[string]string, len(t.Body.Params))
		for _, p := range t.Body.Params {
			start.Params[p.Name] = p.Value
		}
	}
	raw, _ := json.Marshal(start) // texts and numbers: it cannot fail
	return flow.Command{
		ID: fire.Instance, Project: t.Project, Workflow: t.Workflow, Priority: t.Priority,
		Start: raw, Zone: t.Body.Timezone, At: fire.At,
	}
}

// fired goes on when decisions are written. Whether an error wrote them the store shows when it is looked at again.
func (c *Core) fired(e Fired) {
	c.fires.writing = false
	if e.Err != nil {
		c.fires.next = c.now.Add(c.cfg.Poll)
		c.fires.most = max(len(e.Firings)/2, 1)
		c.fires.refused(e)
		return
	}
	c.fires.most = min(max(2*c.fires.most, 1), timingsAtOnce)
	next, ordered := c.fires.next, false
	if c.fires.more {
		next = c.now
	}
	for i, f := range e.Firings {
		if !e.Written[i] {
			continue // somebody else was faster, or holds it: then the next poll shows it
		}
		if f.Next != 0 {
			next = flow.Earliest(next, max(f.Next.Add(-c.fires.ahead), c.now))
		}
		ordered = ordered || len(f.Commands) > 0
	}
	c.fires.next = next
	if ordered {
		c.readCommands()
	}
}
