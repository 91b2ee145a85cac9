// Wall-clock arithmetic: dates as people in a zone read them.

package param

import "time"

// A wall is a time.Time in UTC whose fields are what a clock in some zone shows.
// Calendar steps on it know no daylight saving; settle puts the result back into the zone.

func wallOf(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instantOf returns the instant at which clocks in the zone show wall: the
// earlier one when they show it twice, and, when they never do, the one as far
// behind the gap as wall lies inside it.
func instantOf(wall time.Time, zone *time.Location) time.Time {
	const day = 24 * time.Hour
	before := offsetAt(wall.Add(-day), zone)
	after := offsetAt(wall.Add(day), zone)
	first, second := wall.Add(-before), wall.Add(-after)
	if second.Before(first) {
		first, second = second, first
	}
	for _, t := range [...]time.Time{first, second} {
		if wallOf(t, zone).Equal(wall) {
			return t
		}
	}
	return wall.Add(-before)
}

func offsetAt(t time.Time, zone *time.Location) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}

// settle moves a wall that the zone's clocks never show to the one they show instead.
func settle(wall time.Time, zone *time.Location) time.Time {
	return wallOf(instantOf(wall, zone), zone)
}

// addMonths keeps the day of the month, or takes the last one when the month is shorter.
func addMonths(wall time.Time, n int) time.Time {
	first := firstOfMonth(wall).AddDate(0, n, 0)
	return first.AddDate(0, 0, min(wall.Day(), lastOfMonth(first).Day())-1)
}

func firstOfMonth(wall time.Time) time.Time { return wall.AddDate(0, 0, 1-wall.Day()) }

func lastOfMonth(wall time.Time) time.Time { return firstOfMonth(wall).AddDate(0, 1, -1) }

func monday(wall time.Time) time.Time { return wall.AddDate(0, 0, 1-isoWeekday(wall)) }

// yearWeek numbers the week of a day when weeks begin on firstDay (1 Monday … 7
// Sunday) and the first week of a year has at least four of its days. The year
// is the week's own: 2021-01-01 lies in week 53 of 2020.
func yearWeek(wall time.Time, firstDay int) (year, week int) {
	into := (isoWeekday(wall) - firstDay + 7) % 7
	fourth := wall.AddDate(0, 0, 3-into) // this day's year is the year most of the week lies in
	return fourth.Year(), (fourth.YearDay()-1)/7 + 1
}
