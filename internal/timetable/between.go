// Between: the times of a schedule in a range, for those who want them all at once.

package timetable

import "baton/internal/flow"

// Daily is the schedule of what has none: midnight of each day in a zone, where there is no midnight the first moment
// of the day.
func Daily(zone string) flow.Schedule {
	return flow.Schedule{Name: "daily", Cron: "0 0 0 * * ?", Timezone: zone}
}

// Between lists when the schedule fires from one moment to another, both included, up to most times. Of more it tells
// about how many there are, by how close the first lie together: a schedule of seconds over years is not counted.
func (t *Table) Between(from, to flow.Time, most int) (times []flow.Time, about int) {
	for after := from - 1; len(times) <= most; {
		at, ok := t.Next(after)
		if !ok || at > to {
			return times, len(times)
		}
		times = append(times, at)
		after = at
	}
	last := times[most]
	times = times[:most]
	if last <= times[0] || to <= last {
		return times, most + 1
	}
	return times, 1 + int(float64(most)*float64(to-times[0])/float64(last-times[0]))
}

// Next is when the schedule fires next after a moment; false: never again.
func (t *Table) Next(after flow.Time) (flow.Time, bool) {
	s, ok := t.coming(after, false)
	return s.at, ok
}
