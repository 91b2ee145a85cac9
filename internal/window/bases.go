// The other way round: from which data times a window looks at given moments.

package window

import (
	"slices"
	"time"
)

// Bases are the stretches of data times from which the window has at least one of some moments inside one of its
// intervals, earliest first. None touches another.
func (w Window) Bases(of []time.Time, zone *time.Location) []Interval {
	if w.meaning == nil {
		return nil
	}
	moments := slices.SortedFunc(slices.Values(of), time.Time.Compare)
	c := clock{zone}
	var out []Interval
	done := -far
	for _, m := range moments {
		start, end := w.reach(m.Unix())
		for at := max(w.unit(c, start), done); at <= end; at = done {
			done = w.unitAfter(c, at)
			if !w.sees(moments, time.Unix(at, 0), zone) {
				continue
			}
			unit := c.interval(at, done)
			if n := len(out); n > 0 && out[n-1].End.Equal(unit.Start) {
				out[n-1].End = unit.End
			} else {
				out = append(out, unit)
			}
		}
	}
	return out
}

// sees tells whether the window has one of some moments, earliest first, inside.
func (w Window) sees(moments []time.Time, base time.Time, zone *time.Location) bool {
	return slices.ContainsFunc(w.Intervals(base, zone), func(i Interval) bool {
		n, _ := slices.BinarySearchFunc(moments, i.Start, time.Time.Compare)
		return n < len(moments) && i.Contains(moments[n])
	})
}

// hourly tells whether what the window means depends on the hour of the data time, not on its day alone.
func (w Window) hourly() bool { return w.cycle == "hour" && w.value != "last24Hours" }

// unit is the first moment of the hour, or the day, that a moment belongs to: what the window means is the same all
// through it.
func (w Window) unit(c clock, t instant) instant {
	if w.hourly() {
		return c.hour(t)
	}
	return c.begin(c.dateOf(t))
}

// unitAfter is the first moment of the next one.
func (w Window) unitAfter(c clock, t instant) instant {
	if w.hourly() {
		return c.hourAfter(t)
	}
	for d := c.dateOf(t) + 1; ; d++ {
		if at := c.begin(d); at > t { // else the zone left the date out
			return at
		}
	}
}

// reach is between which data times a window can have a moment inside, and some more at both ends.
func (w Window) reach(m instant) (from, to instant) {
	switch {
	case w.hourly():
		return m - 3*hour60, m + 8*hour60
	case w.cycle == "hour":
		return m - 2*day24, m + 4*day24
	case w.cycle == "day":
		return m - 2*day24, m + 10*day24
	case w.cycle == "week":
		return m - 8*day24, m + 16*day24
	default:
		return m - 33*day24, m + 65*day24
	}
}
