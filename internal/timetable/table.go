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
	due      flow.Time   // when it is acted on
	of       flow.Time   // the schedule's own time, another one when the calendar moved it
}

// next returns what comes after a moment; false: nothing any more. Times of one day that the calendar leaves out
// are one span, up to a limit, or for a minute, and never beyond a hard one, if that is not 0: what comes later may be
// another revision's.
func (t *Table) next(after, limit, hard flow.Time) (span, bool) {
	from := after.Std()
	if s := t.schedule.Start; s != 0 && after < s {
		from = s.Std().Add(-time.Microsecond)
	}
	fire, ok := t.planned.NextFire(from)
	if t.schedule.End != 0 && ok && flow.At(fire.At) >= t.schedule.End {
		ok = false
	}
	var out span
	if ok {
		out = span{at: flow.At(fire.At), last: flow.At(fire.At), times: 1, of: flow.At(fire.Of)}
	}
	skips := t.calendar != "" && (t.schedule.Shift == "" || cron.ShiftTo(t.schedule.Shift) == cron.ShiftSkip)
	if !skips || !ok && t.schedule.End == 0 {
		return out, ok
	}
	until := fire.At
	if !ok { // what is left out before the end is told of, too
		until = t.schedule.End.Std().Add(-time.Microsecond)
	}
	if hard != 0 && hard.Std().Before(until) {
		until = hard.Std()
	}
	rest, found := t.rest(from.Add(time.Microsecond), until, limit)
	if found && (!ok || rest.at < out.at) {
		return rest, true
	}
	return out, ok
}

// rest returns the first times that the calendar leaves out, one after another on one day.
func (t *Table) rest(from, until time.Time, limit flow.Time) (out span, found bool) {
	for f := range t.planned.Fires(from, until) {
		at := flow.At(f.At)
		switch {
		case !f.Skipped:
			return out, found
		case !found:
			out, found = span{at: at, last: at, times: 1, skipped: true, why: f.Why, of: flow.At(f.Of)}, true
			limit = max(limit, at.Add(time.Minute))
		case at > limit || f.Why != out.why || !sameDay(out.at.Std().In(t.zone), f.At):
			return out, true
		default:
			out.last = at
			out.times++
		}
	}
	return out, found
}

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
