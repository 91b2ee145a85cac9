// Schedules that cannot be decided about, or whose decision cannot be written, are put off, each alone, so that they
// hold up no others.

package master

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"baton/internal/flow"
)

// putOffFor is when one that was put off is looked at again. Whoever changes it has it looked at at once.
const putOffFor = 10 * time.Minute

// culprit is a timing whose decision the store refused when it was written alone. It is put off when it is read next;
// if that is refused too, it is decided about once more after that.
type culprit struct {
	tableKey
	why string
}

// decide makes a firing of a timing; false: a newer program wrote it, which looks at it. What panics is put off.
func (c *Core) decide(t flow.Timing, now flow.Time) (f flow.Firing, stack []byte, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			f, stack, ok = c.putOff(t, now, fmt.Sprintf("to decide about it failed: %v", r)), debug.Stack(), true
		}
	}()
	if k := c.fires.culprit; k.tableKey == (tableKey{t.Schedule, t.Revision}) {
		c.fires.culprit = culprit{}
		return c.putOff(t, now, k.why), nil, true
	}
	table := c.table(t)
	if table == nil {
		return f, nil, false
	}
	return c.firing(t, table.Decide(t, now)), nil, true
}

// putOff has a timing looked at later, and says so.
func (c *Core) putOff(t flow.Timing, now flow.Time, why string) flow.Firing {
	again := now.Add(putOffFor)
	return flow.Firing{
		Schedule: t.Schedule, Revision: t.Revision, Workflow: t.Workflow, After: t.After, Until: t.Until, NewAfter: t.After, Next: again,
		Alert: &flow.Alert{ID: c.ids.Next(c.now), Kind: flow.AlertFireMissed, Project: t.Project, At: c.now, Message: fmt.Sprintf(
			"schedule %s: its times after %s are not fired, and it is looked at again at %s, or when it is changed: %s",
			t.Body.Name, t.After, again, flow.Text(why, flow.MaxReason/2))},
	}
}

// refused notes the culprit when one decision, written alone, was refused for what it is: not by a store that cannot be
// reached, nor because this master lives no more.
func (f *fires) refused(e Fired) {
	if len(e.Firings) == 1 && flow.CodeOf(e.Err) != flow.CodeUnavailable && !errors.Is(e.Err, flow.ErrFenced) {
		f.culprit = culprit{tableKey{e.Firings[0].Schedule, e.Firings[0].Revision}, "what became of them cannot be written: " + e.Err.Error()}
	}
}
