// The stretches of time in which a calendar works or rests: its days, by the clocks of a zone.

package cron

import "time"

// worked is a calendar's days in a zone. Stretches are looked for span by span, so that they are
// exact also where clocks that are set back show a date again.
type worked struct {
	*daySet
	zone *time.Location
}

func (c worked) at(t instant) bool { return c.has(dayOf(t + offset(c.zone, t))) }

func offset(zone *time.Location, t instant) int64 {
	if zone == time.UTC {
		return 0
	}
	_, off := time.Unix(t, 0).In(zone).Zone()
	return int64(off)
}

// nextWork returns the first instant at or after t that works.
func (c worked) nextWork(t instant) (instant, bool) { return c.forward(t, c.next) }

// nextRest returns the first instant at or after t that rests.
func (c worked) nextRest(t instant) (instant, bool) { return c.forward(t, c.nextOut) }

// workEnd returns the end of the last stretch of work at or before t, which is cut off at t: the
// instant before works.
func (c worked) workEnd(t instant) (instant, bool) { return c.back(t, c.prev) }

// restEnd is the same of a stretch of rest: where the work that lasts up to t began.
func (c worked) restEnd(t instant) (instant, bool) { return c.back(t, c.prevOut) }

func (c worked) forward(t instant, find func(dayNumber) (dayNumber, bool)) (instant, bool) {
	for {
		s := spanAt(c.zone, t)
		d, ok := find(dayOf(t + s.off))
		from := max(t, d*day24-s.off)
		if ok && from < s.end {
			return from, true
		}
		if s.end-t < near { // the next span may show a day before d
			t = s.end
			continue
		}
		if !ok {
			return 0, false
		}
		t = max(s.end, from-near)
	}
}

func (c worked) back(t instant, find func(dayNumber) (dayNumber, bool)) (instant, bool) {
	for {
		s := spanAt(c.zone, t-1)
		d, ok := find(dayOf(t - 1 + s.off))
		end := min(t, (d+1)*day24-s.off)
		if ok && end > s.start {
			return end, true
		}
		if t-s.start < near { // the span before may show a day after d
			t = s.start
			continue
		}
		if !ok {
			return 0, false
		}
		t = min(s.start, end+near)
	}
}
