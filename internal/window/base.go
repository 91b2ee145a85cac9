// Hours, days, weeks and months as seen from a data time.

package window

import (
	"slices"
	"time"
)

// A date is the number of days since 1970-01-01, a thursday.
type date = int64

// base is a data time in a zone, and the day that it belongs to.
type base struct {
	clock
	at    instant
	today date
}

func baseOf(t time.Time, zone *time.Location) base {
	b := base{clock: clock{zone}, at: t.Unix()}
	b.today = b.dateOf(b.at)
	return b
}

// currentHour is the one that the data time lies in.
func (b base) currentHour() []Interval {
	start := b.hour(b.at)
	return []Interval{b.interval(start, b.hourAfter(start))}
}

// hoursBefore are the n hours before the current one.
func (b base) hoursBefore(n int) []Interval {
	out := make([]Interval, n)
	end := b.hour(b.at)
	for i := range slices.Backward(out) {
		start := b.hour(end - 1)
		out[i] = b.interval(start, end)
		end = start
	}
	return out
}

// hoursAfterYesterdays are, for each hour that began yesterday, the one after it: that is when its
// data is complete and what works on it is due. So the first is yesterday's 01:00 and the last
// today's 00:00, and there are as many as yesterday has hours.
func (b base) hoursAfterYesterdays() []Interval {
	yesterday := b.daysBefore(1)[0]
	var out []Interval
	start := b.hourAfter(yesterday.Start.Unix() - 1)
	for start < yesterday.End.Unix() {
		start = b.hourAfter(start)
		out = append(out, b.interval(start, b.hourAfter(start)))
	}
	return out
}

// dates are the days from one to another, both included.
func (b base) dates(from, to date) []Interval {
	out := make([]Interval, 0, to-from+1)
	start := b.begin(from)
	for d := from; d <= to; d++ {
		end := b.begin(d + 1)
		if start < end { // else the zone left it out
			out = append(out, b.interval(start, end))
		}
		start = end
	}
	return out
}

// daysBefore are the n days before today.
func (b base) daysBefore(n int) []Interval {
	out := make([]Interval, n)
	end := b.begin(b.today)
	d := b.today
	for i := range slices.Backward(out) {
		start := end
		for start == end { // again where the zone left a date out
			d--
			start = b.begin(d)
		}
		out[i] = b.interval(start, end)
		end = start
	}
	return out
}

// monday is the one that begins this week.
func (b base) monday() date { return b.today - modulo(b.today+3, 7) }

// ofLastWeek is a day of last week; monday is 0.
func (b base) ofLastWeek(n date) []Interval {
	d := b.monday() - 7 + n
	return b.dates(d, d)
}

// month is the 1st of this month, or of one that is some months away.
func (b base) month(away int) date {
	y, m, _ := time.Unix(b.today*day24, 0).UTC().Date()
	return time.Date(y, m+time.Month(away), 1, 0, 0, 0, 0, time.UTC).Unix() / day24
}

// ofMonth are all days of this month, or of one that is some months away.
func (b base) ofMonth(away int) []Interval { return b.dates(b.month(away), b.month(away+1)-1) }
