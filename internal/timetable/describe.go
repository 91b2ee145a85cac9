// A schedule in words.

package timetable

import (
	"fmt"
	"time"

	"baton/internal/cron"
)

// Describe says in words when the schedule fires, without its bounds and its calendar.
func (t *Table) Describe() string { return t.fires.Describe(cron.English) }

// WhyNever says why a schedule that fires no more does not.
func (t *Table) WhyNever() string {
	s := t.schedule
	switch {
	case s.End != 0:
		return fmt.Sprintf("its end, %s, has come, or nothing is left before it", s.End.Std().In(t.zone).Format(time.RFC3339))
	case s.At != 0:
		return fmt.Sprintf("its one moment, %s, is over", s.At.Std().In(t.zone).Format(time.RFC3339))
	case t.calendar != "" && t.firesWithout():
		return fmt.Sprintf("calendar %s has no workday left on which it fires", t.calendar)
	default:
		return "no time is left that its expression fits"
	}
}

// firesWithout tells whether the schedule would go on firing without its calendar.
func (t *Table) firesWithout() bool {
	_, ok := t.fires.Next(time.Date(2150, 1, 1, 0, 0, 0, 0, time.UTC))
	return ok
}
