// Table: a schedule that can be asked.

package timetable

import (
	"encoding/binary"
	"hash/fnv"
	"time"
	_ "time/tzdata" // which zones exist must not depend on the host

	"baton/internal/cron"
	"baton/internal/flow"
)

// Table is a schedule that can be asked when it fires. It is immutable and safe for concurrent use.
type Table struct {
	schedule flow.Schedule
	calendar string // its name, for reasons
	fires    *cron.Schedule
	planned  *cron.Planned
	zone     *time.Location
}

// New compiles a schedule with the calendar that it names, nil if it names none. Errors are *flow.Error, whose
// field is the schedule's key at fault.
func New(s flow.Schedule, c *flow.Calendar) (*Table, error) {
	zone, err := zoneOf("timezone", s.Timezone)
	if err != nil {
		return nil, err
	}
	fires, err := firesOf(s, zone)
	if err != nil {
		return nil, err
	}
	t := &Table{schedule: s, fires: fires, zone: zone}
	var days *cron.Calendar
	if c != nil {
		t.calendar = c.Name
		if days, err = CalendarOf(*c); err != nil {
			return nil, err
		}
	}
	if t.planned, err = cron.Plan(fires, days, cron.ShiftTo(s.Shift)); err != nil {
		return nil, keyed("shift", err)
	}
	return t, nil
}

func firesOf(s flow.Schedule, zone *time.Location) (*cron.Schedule, error) {
	switch {
	case s.Cron != "":
		x, err := cron.Parse(s.Cron, cron.Options{Dialect: cron.Dialect(s.Dialect), Zone: zone, DST: cron.DST(s.DST)})
		return x, keyed("cron", err)
	case s.Every != 0:
		anchor := s.Start.Std().In(zone)
		if s.Start == 0 {
			anchor = time.Date(2001, 1, 1, 0, 0, 0, 0, zone) // a monday
		}
		x, err := cron.Every(s.Every.Std(), anchor)
		return x, keyed("every", err)
	default:
		x, err := cron.At(s.At.Std().In(zone))
		return x, keyed("at", err)
	}
}

// CalendarOf compiles a calendar. Errors are *flow.Error.
func CalendarOf(c flow.Calendar) (*cron.Calendar, error) {
	o := cron.CalendarOptions{Weekdays: c.Weekdays, Holidays: c.Holidays, Workdays: c.Workdays}
	if c.NoWeekdays {
		o.Weekdays = []string{}
	}
	if c.Timezone != "" {
		zone, err := zoneOf("timezone", c.Timezone)
		if err != nil {
			return nil, err
		}
		o.Zone = zone
	}
	days, err := cron.NewCalendar(o)
	return days, keyed("", err)
}

func zoneOf(field, name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, flow.Errorf(flow.CodeBadRequest, field, "there is no time zone %q; write an IANA name such as UTC, Asia/Shanghai or Europe/Berlin", name)
	}
	return zone, nil
}

// Zone is the zone in which the schedule is meant.
func (t *Table) Zone() *time.Location { return t.zone }

// span is one fire, or several in a row that the calendar leaves out on one day.
type span struct {
	at, last flow.Time
	times    int
	skipped  bool
	why      cron.Reason // of one that is left out
	of       flow.Time   // the schedule's own time, another one when the calendar moved it
}

// next returns what comes after a moment; false: nothing any more.
func (t *Table) next(after flow.Time) (span, bool) {
	from := after.Std()
	if s := t.schedule.Start; s != 0 && after < s {
		from = s.Std().Add(-time.Microsecond)
	}
	fire, ok := t.planned.NextFire(from)
	if !ok || t.schedule.End != 0 && flow.At(fire.At) >= t.schedule.End {
		return span{}, false
	}
	out := span{at: flow.At(fire.At), last: flow.At(fire.At), times: 1, of: flow.At(fire.Of)}
	if t.calendar == "" || cron.ShiftTo(t.schedule.Shift) != cron.ShiftSkip && t.schedule.Shift != "" {
		return out, true
	}
	// What the calendar leaves out before it, day by day.
	for f := range t.planned.Fires(from.Add(time.Microsecond), fire.At) {
		switch {
		case !f.Skipped:
			if out.skipped {
				return out, true
			}
			return span{at: flow.At(f.At), last: flow.At(f.At), times: 1, of: flow.At(f.Of)}, true
		case !out.skipped:
			out = span{at: flow.At(f.At), last: flow.At(f.At), times: 1, skipped: true, why: f.Why, of: flow.At(f.Of)}
		case !sameDay(out.at.Std().In(t.zone), f.At) || f.Why != out.why || out.times == mostSkipped:
			return out, true
		default:
			out.last = flow.At(f.At)
			out.times++
		}
	}
	return out, true
}

// mostSkipped bounds what one row stands for: a day of seconds.
const mostSkipped = 86_400

func sameDay(a, b time.Time) bool {
	y, m, d := a.Date()
	v, n, e := b.Date()
	return y == v && m == n && d == e
}

// due is when a time is acted on: its jitter later. The same time of the same schedule has the same jitter,
// whoever asks.
func (t *Table) due(id flow.ID, nominal flow.Time) flow.Time {
	most := t.schedule.Jitter.Std()
	if most <= 0 {
		return nominal
	}
	h := fnv.New64a()
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(id))
	binary.BigEndian.PutUint64(b[8:], uint64(nominal))
	_, _ = h.Write(b[:])
	return nominal.Add(time.Duration(h.Sum64() % uint64(most)).Truncate(time.Millisecond))
}
