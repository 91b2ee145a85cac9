// From wall times to instants: which of its wall times each stretch of a zone fires, and when.

package cron

import "time"

// An instant is in seconds since 1970 UTC.
type instant = int64

const (
	// far lies beyond every instant that is asked about.
	far instant = 1 << 60
	// near bounds how far from a change of the clocks walls are left out or repeated: no zone is a
	// day from UTC.
	near = 2 * day24
)

// Beyond these nothing fires, whatever the zone.
var (
	earliest = wallOf(MinYear, 1, 1, 0) - near
	latest   = wallOf(MaxYear+1, 1, 1, 0) + near
)

// span is a stretch of time, [start, end), in which clocks are off seconds ahead of UTC.
type span struct {
	start, end instant
	off        int64
}

func spanAt(zone *time.Location, t instant) span {
	if zone == time.UTC {
		return span{-far, far, 0}
	}
	at := time.Unix(t, 0).In(zone)
	_, off := at.Zone()
	start, end := at.ZoneBounds()
	s := span{-far, far, int64(off)}
	if !start.IsZero() {
		s.start = start.Unix()
	}
	if !end.IsZero() {
		s.end = end.Unix()
	}
	if s.end <= t { // the library ends a leap year a day early where it computes by a rule
		s.end = max(s.end+day24, t+1)
	}
	return s
}

// unshown is the wall after the highest that was shown before a span: those from it on to the first
// of the span were left out, or, when it is the later one, those between are shown again.
func unshown(zone *time.Location, s span) wall {
	before := -far
	for at := s.start - 1; at >= s.start-near; {
		p := spanAt(zone, at)
		before = max(before, at+p.off)
		at = p.start - 1
	}
	return before + 1
}

// clocked is an expression in a zone. Each wall that fits is fired by the one span that owns it, or,
// when it is elapsed, by every span that shows it.
type clocked struct {
	*expression
	zone *time.Location
	mode DST
}

func (c *clocked) everyPass() bool { return c.elapsed && c.mode != DSTQuartz }

// from is the first wall that a span owns. With Shift those that the change at its start left out
// are its own too, and fire there.
func (c *clocked) from(s span) wall {
	shown := s.start + s.off
	if s.start == -far || c.mode == DSTQuartz || c.everyPass() {
		return shown
	}
	if c.mode == Skip {
		return max(shown, unshown(c.zone, s))
	}
	return unshown(c.zone, s)
}

// to is the wall after the last that a span owns: with DSTQuartz one that is shown again later is not
// its own.
func (c *clocked) to(s span) wall {
	end := s.end + s.off
	if s.end == far || c.mode != DSTQuartz {
		return end
	}
	for at := s.end; at < s.end+near; {
		n := spanAt(c.zone, at)
		end = min(end, at+n.off)
		at = n.end
	}
	return end
}

// next returns the first fire at or after t.
func (c *clocked) next(t instant) (instant, bool) {
	for t = max(t, earliest); t <= latest; {
		s := spanAt(c.zone, t)
		low := t + s.off
		if t-s.start < near {
			if low = c.from(s); t > s.start {
				low = max(low, t+s.off)
			}
		}
		w, ok := c.expression.next(low)
		if ok && w-s.off < s.end && (s.end-(w-s.off) > near || w < c.to(s)) {
			return max(w-s.off, s.start), true
		}
		if s.end-t < near { // the walls of the next span may begin before w
			t = s.end
			continue
		}
		if !ok {
			break
		}
		t = max(s.end, w-day24)
	}
	return 0, false
}

// prev returns the last fire at or before t.
func (c *clocked) prev(t instant) (instant, bool) {
	for t = min(t, latest); t >= earliest; {
		s := spanAt(c.zone, t)
		high := t + s.off
		if s.end-t < near {
			high = min(high, c.to(s)-1)
		}
		w, ok := c.expression.prev(high)
		if ok && (w-s.off-s.start > near || w >= c.from(s)) {
			return max(w-s.off, s.start), true
		}
		if t-s.start < near { // the walls of the span before may end after w
			t = s.start - 1
			continue
		}
		if !ok {
			break
		}
		t = min(s.start-1, w+day24)
	}
	return 0, false
}
