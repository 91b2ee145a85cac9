// What becomes of a fire whose day rests: the choice, and the schedule that makes it.

package cron

import (
	"sync"
	"time"
)

// ShiftTo says what happens to a fire on a day that rests.
type ShiftTo string

// The choices.
const (
	// ShiftSkip leaves it out.
	ShiftSkip ShiftTo = "skip"
	// ShiftNext moves it to the nearest later day that works, at the same local time.
	ShiftNext ShiftTo = "next"
	// ShiftPrevious moves it to the nearest earlier day that works, at the same local time.
	ShiftPrevious ShiftTo = "previous"
)

// ParseShift reads a choice; empty is ShiftSkip.
func ParseShift(word string) (ShiftTo, error) {
	return choice("shift", word, ShiftSkip, ShiftNext, ShiftPrevious)
}

// Planned is a [Schedule] under a [Calendar]. Its questions mean what they mean on a schedule. It is
// immutable and safe for concurrent use.
//
// The day of a fire is the local date of its instant in the calendar's zone. One whose day rests is
// skipped or moved by whole days: its local time in the schedule's zone stays the same, and the day
// is the nearest one at which that instant works. A local time that does not exist there stands for
// the first instant after the gap, one that is there twice for its first occurrence; a fire that
// itself stands for a local time that a gap left out moves with the time that the expression says.
//
// Fires that meet at one instant are one: the one that is native there, otherwise the earliest of
// those that were moved. A fire is moved by 366 days at most; one that no day is left for is skipped.
type Planned struct {
	schedule *Schedule
	calendar *Calendar
	worked   worked
	to       ShiftTo
}

// allDays is the calendar of schedules that have none.
var allDays = sync.OnceValue(func() *Calendar {
	return &Calendar{weekdays: everyWeekday, works: newDaySet(everyWeekday)}
})

// Plan puts a schedule under a calendar; without one, nil, every day works.
func Plan(s *Schedule, c *Calendar, to ShiftTo) (*Planned, error) {
	to, err := ParseShift(string(to))
	if err != nil {
		return nil, err
	}
	if c == nil {
		c = allDays()
	}
	zone := c.zone
	if zone == nil {
		zone = s.zone
	}
	return &Planned{schedule: s, calendar: c, worked: worked{c.works, zone}, to: to}, nil
}

// Zone is the zone in which fires are told: the schedule's.
func (p *Planned) Zone() *time.Location { return p.schedule.zone }

// why tells why the day of an instant rests.
func (p *Planned) why(t instant) Reason {
	return p.calendar.why(dayOf(t + offset(p.worked.zone, t)))
}
