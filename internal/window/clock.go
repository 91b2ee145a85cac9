// Where the hours and days of a zone begin.

package window

import "time"

// An instant is in seconds since 1970 UTC.
type instant = int64

const (
	hour60 = 60 * 60
	day24  = 24 * hour60
	// far lies beyond every instant that is asked about.
	far instant = 1 << 60
)

// clock is what clocks in a zone show.
type clock struct{ zone *time.Location }

// span is a stretch of time, [start, end), in which clocks are off seconds ahead of UTC.
type span struct {
	start, end instant
	off        int64
}

func (c clock) spanAt(t instant) span {
	if c.zone == time.UTC {
		return span{-far, far, 0}
	}
	at := time.Unix(t, 0).In(c.zone)
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

// hour is the last moment up to t at which clocks show a whole hour.
func (c clock) hour(t instant) instant {
	for {
		s := c.spanAt(t)
		if at := t - modulo(t+s.off, hour60); at >= s.start {
			return at
		}
		t = s.start - 1
	}
}

// hourAfter is the first moment after t at which clocks show a whole hour.
func (c clock) hourAfter(t instant) instant {
	t++
	for {
		s := c.spanAt(t)
		if at := t + modulo(-t-s.off, hour60); at < s.end {
			return at
		}
		t = s.end
	}
}

// begin is the first moment at which clocks show a date, or, when they never do, a later one.
func (c clock) begin(d date) instant {
	midnight := d * day24
	t := midnight - 2*day24 // no zone is a day from UTC
	for {
		s := c.spanAt(t)
		if at := max(midnight-s.off, s.start); at < s.end {
			return at
		}
		t = s.end
	}
}

// dateOf is the day that t belongs to. It is the date that clocks show, but where they are set back
// over midnight the day that has begun goes on.
func (c clock) dateOf(t instant) date {
	shown := t + c.spanAt(t).off
	d := (shown - modulo(shown, day24)) / day24
	for c.begin(d+1) <= t {
		d++
	}
	return d
}

func (c clock) interval(start, end instant) Interval {
	return Interval{time.Unix(start, 0).In(c.zone), time.Unix(end, 0).In(c.zone)}
}

// modulo is the remainder that is never negative.
func modulo(a, b int64) int64 { return ((a % b) + b) % b }
