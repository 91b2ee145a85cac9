// Calendars: which days work, as data that is handed in.

package cron

import "time"

// CalendarOptions are a calendar as it is written.
type CalendarOptions struct {
	Zone     *time.Location // whose days are meant; nil: the zone of the schedule that is planned
	Weekdays []string       // those that work, mon to sun; nil: monday to friday; empty: none
	Holidays []string       // dates that rest, such as 2026-10-01
	Workdays []string       // dates that work although their day of the week rests
}

// Calendar says which days work. It is immutable and safe for concurrent use; a question allocates
// nothing.
type Calendar struct {
	zone     *time.Location // nil: the schedule's
	works    *daySet
	weekdays uint8 // bit 0 is sunday
	holidays map[dayNumber]bool
}

// Reason is why a day rests.
type Reason string

// The reasons.
const (
	NoReason Reason = ""        // the day works
	Holiday  Reason = "holiday" // the date is one of the calendar's holidays
	Weekday  Reason = "weekday" // the day of the week does not work
)

// workWeek is what a calendar has that names no days of the week.
var workWeek = []string{"mon", "tue", "wed", "thu", "fri"}

// NewCalendar makes a calendar. Its errors are of type [*Error].
func NewCalendar(o CalendarOptions) (*Calendar, error) {
	if o.Weekdays == nil {
		o.Weekdays = workWeek
	}
	weekdays, err := readWeekdays(o.Weekdays)
	if err != nil {
		return nil, err
	}
	holidays, err := readDates("holidays", o.Holidays)
	if err != nil {
		return nil, err
	}
	workdays, err := readDates("workdays", o.Workdays)
	if err != nil {
		return nil, err
	}
	c := &Calendar{zone: o.Zone, weekdays: weekdays, works: newDaySet(weekdays), holidays: make(map[dayNumber]bool, len(holidays))}
	for _, d := range holidays {
		c.holidays[d] = true
		c.works.set(d, false)
	}
	for i, d := range workdays {
		if c.holidays[d] {
			return nil, calendarError("workdays", i+1, "%s is also one of the holidays; a day works or rests, take it out of one list", o.Workdays[i])
		}
		c.works.set(d, true)
	}
	if first, ok := c.works.next(firstDayMargin); !ok || first > lastDayNumber {
		return nil, calendarError("", 0, "no day works; name days of the week (weekdays: [mon, fri]) or dates (workdays: [2026-01-02])")
	}
	return c, nil
}

// Zone is the zone whose days are meant; nil: that of the schedule.
func (c *Calendar) Zone() *time.Location { return c.zone }

// Works tells whether a date works: the one that day shows in its own zone.
func (c *Calendar) Works(day time.Time) bool { return c.works.has(dayNumberOf(day)) }

// Why tells why a date rests, NoReason when it works.
func (c *Calendar) Why(day time.Time) Reason { return c.why(dayNumberOf(day)) }

func (c *Calendar) why(d dayNumber) Reason {
	switch {
	case c.works.has(d):
		return NoReason
	case c.holidays[d]:
		return Holiday
	}
	return Weekday
}
