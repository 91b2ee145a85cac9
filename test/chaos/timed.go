// Schedules as the load applies and edits them, and the times that they have: reckoned here, not asked of Baton.

package chaos

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// timed is a schedule. All of its times are whole seconds, so that a second can be asked whether it is one.
type timed struct {
	name  string
	every int    // seconds, from start on; 0: it has seconds
	cron  [2]int // the first second of each minute, and the step to the next
	// What no edit changes.
	jitter, window time.Duration // 0: none, the usual one
	missed         string
	start, end     time.Time
}

// isTime tells whether the schedule fires at a second.
func (s timed) isTime(t time.Time) bool {
	switch {
	case t.Before(s.start) || !t.Before(s.end):
		return false
	case s.every != 0:
		return t.Sub(s.start)%(time.Duration(s.every)*time.Second) == 0
	}
	after := t.Second() - s.cron[0]
	return after >= 0 && after%s.cron[1] == 0
}

// times are those after one moment, up to another.
func (s *timed) times(after, upTo time.Time) []time.Time {
	if s == nil {
		return nil
	}
	if before := s.start.Add(-time.Second); after.Before(before) {
		after = before
	}
	if upTo.After(s.end) {
		upTo = s.end
	}
	var out []time.Time
	for t := after.Truncate(time.Second).Add(time.Second); !t.After(upTo); t = t.Add(time.Second) {
		if s.isTime(t) {
			out = append(out, t)
		}
	}
	return out
}

func (s timed) span() string {
	if s.every != 0 {
		return fmt.Sprintf("every %ds", s.every)
	}
	return s.expression()
}

func (s timed) expression() string { return fmt.Sprintf("%d/%d * * * * ?", s.cron[0], s.cron[1]) }

// document is the schedule as a file says it.
func (s timed) document(ledger string) map[string]any {
	d := map[string]any{
		"name": s.name, "missed": s.missed, "start": s.start.Format(time.RFC3339), "end": s.end.Format(time.RFC3339),
		"params": map[string]string{"ledger": ledger, "nap": "0.05"},
	}
	if s.every != 0 {
		d["every"] = fmt.Sprintf("%ds", s.every)
	} else {
		d["cron"] = s.expression()
	}
	if s.jitter != 0 {
		d["jitter"] = fmt.Sprintf("%dms", s.jitter.Milliseconds())
	}
	if s.window != 0 {
		d["missed_window"] = fmt.Sprintf("%dms", s.window.Milliseconds())
	}
	return d
}

// clockwork is a workflow that runs by itself.
type clockwork struct {
	workflow
	zone      string
	schedules []timed // without their bounds, which depend on when the load begins
}

func clockworks() []clockwork {
	return []clockwork{
		{workflow{"tick", map[string]step{"a": {}}}, "America/St_Johns", []timed{
			{name: "second", every: 1, missed: "all"},
			{name: "couple", every: 2, missed: "last"},
			{name: "window", every: 3, missed: "all", window: 3 * time.Second},
		}},
		{workflow{"tock", map[string]step{"a": {}, "b": {needs: []string{"a"}}}}, "UTC", []timed{
			{name: "cron", cron: [2]int{3, 7}, missed: "all"},
			{name: "jitter", every: 4, missed: "all", jitter: 3 * time.Second},
			{name: "five", every: 5, missed: "last"},
			{name: brief, every: 2, missed: "none"},
		}},
	}
}

// brief is a schedule that begins later than the others, and ends while the faults go on.
const brief = "brief"

// bounded gives schedules their bounds: from now on, for as long as the faults may take, and longer.
func (c clockwork) bounded(now time.Time, lasts time.Duration) []timed {
	now = now.Truncate(time.Second)
	out := slices.Clone(c.schedules)
	for i := range out {
		s := &out[i]
		s.start, s.end = now.Add(2*time.Second), now.Add(3*lasts+10*time.Minute).Truncate(time.Second)
		if s.name == brief {
			s.start, s.end = now.Add(6*time.Second), now.Add(max(12*time.Second, lasts*2/3)).Truncate(time.Second)
		}
	}
	return out
}

// file is the workflow with some schedules.
func (c clockwork) file(schedules []timed, ledger string) (string, error) {
	d := c.document()
	list := []any{}
	for _, s := range schedules {
		list = append(list, s.document(ledger))
	}
	d["schedules"], d["timezone"] = list, c.zone
	raw, err := json.Marshal(d)
	return string(raw), err
}

// timing is what somebody orders of a schedule.
type timing struct {
	workflow, schedule string
	what               string // span, disable, enable, remove, restore
	every              int
	cron               [2]int
	api                int
	pause              time.Duration // after the order before it
}

func (t timing) String() string {
	s := t.workflow + " " + t.schedule + " " + t.what
	if t.what == "span" {
		s += " " + timed{every: t.every, cron: t.cron}.span()
	}
	return fmt.Sprintf("%s api=%d after %s", s, t.api, t.pause)
}
