// Wall times that fit an expression, forwards and backwards: calendar arithmetic without a zone.

package cron

import (
	"math/bits"
	"time"
)

// A wall is what clocks show, as the seconds from 1970-01-01T00:00:00 that it would be in UTC.
type wall = int64

const day24 = 24 * 60 * 60

// date splits a wall into its day and the second of that day.
func date(w wall) (year, month, day int, second int) {
	t := time.Unix(w, 0).UTC()
	y, m, d := t.Date()
	return y, int(m), d, t.Hour()*3600 + t.Minute()*60 + t.Second()
}

func wallOf(year, month, day, second int) wall {
	return time.Date(year, time.Month(month), day, 0, 0, second, 0, time.UTC).Unix()
}

// next returns the first wall at or after w that fits; false when there is none up to MaxYear.
func (x *expression) next(w wall) (wall, bool) {
	y, m, d, s := date(w)
	if y < MinYear {
		y, m, d, s = MinYear, 1, 1, 0
	}
	s, ok := x.secondAfter(s)
	if !ok {
		d++ // perhaps beyond the month: then no day of it is left
		s = x.firstSecond()
	}
	for ; y <= MaxYear; y, m, d, s = y+1, 1, 1, x.firstSecond() {
		if !x.years.has(y - MinYear) {
			continue
		}
		for ; m <= 12; m, d, s = m+1, 1, x.firstSecond() {
			if x.months&(1<<m) == 0 {
				continue
			}
			if fit := x.daysIn(y, m) >> d << d; fit != 0 {
				first := bits.TrailingZeros32(fit)
				if first != d {
					s = x.firstSecond()
				}
				return wallOf(y, m, first, s), true
			}
		}
	}
	return 0, false
}

// prev returns the last wall at or before w that fits; false when there is none from MinYear on.
func (x *expression) prev(w wall) (wall, bool) {
	y, m, d, s := date(w)
	if y > MaxYear {
		y, m, d, s = MaxYear, 12, 31, day24-1
	}
	s, ok := x.secondBefore(s)
	if !ok {
		d-- // perhaps 0: then no day of the month is left
		s = x.lastSecond()
	}
	for ; y >= MinYear; y, m, d, s = y-1, 12, 31, x.lastSecond() {
		if !x.years.has(y - MinYear) {
			continue
		}
		for ; m >= 1; m, d, s = m-1, 31, x.lastSecond() {
			if x.months&(1<<m) == 0 {
				continue
			}
			if fit := x.daysIn(y, m) & upTo(d); fit != 0 {
				last := bits.Len32(fit) - 1
				if last != d {
					s = x.lastSecond()
				}
				return wallOf(y, m, last, s), true
			}
		}
	}
	return 0, false
}

// upTo is the days 1 to d.
func upTo(d int) uint32 { return uint32(uint64(2)<<d - 1) }

// daysIn returns the days of a month that fit.
func (x *expression) daysIn(year, month int) uint32 {
	first := time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC).Weekday()
	return x.days.in(int(first), monthLength(year, month))
}

func monthLength(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// secondAfter returns the first second of a day at or after s that fits; false when the day has none.
func (x *expression) secondAfter(s int) (int, bool) {
	hour, minute, second := s/3600, s/60%60, s%60
	if x.hours&(1<<hour) != 0 {
		if x.minutes&(1<<minute) != 0 {
			if left := x.seconds >> second; left != 0 {
				return s + bits.TrailingZeros64(left), true
			}
		}
		if left := x.minutes >> (minute + 1); left != 0 {
			return hour*3600 + (minute+1+bits.TrailingZeros64(left))*60 + lowest(x.seconds), true
		}
	}
	if left := x.hours >> (hour + 1); left != 0 {
		return (hour+1+bits.TrailingZeros64(left))*3600 + lowest(x.minutes)*60 + lowest(x.seconds), true
	}
	return 0, false
}

// secondBefore returns the last second of a day at or before s that fits; false when the day has none.
func (x *expression) secondBefore(s int) (int, bool) {
	hour, minute, second := s/3600, s/60%60, s%60
	if x.hours&(1<<hour) != 0 {
		if x.minutes&(1<<minute) != 0 {
			if left := x.seconds & (2<<second - 1); left != 0 {
				return s - second + highest(left), true
			}
		}
		if left := x.minutes & (1<<minute - 1); left != 0 {
			return hour*3600 + highest(left)*60 + highest(x.seconds), true
		}
	}
	if left := x.hours & (1<<hour - 1); left != 0 {
		return highest(left)*3600 + highest(x.minutes)*60 + highest(x.seconds), true
	}
	return 0, false
}

func (x *expression) firstSecond() int {
	return lowest(x.hours)*3600 + lowest(x.minutes)*60 + lowest(x.seconds)
}

func (x *expression) lastSecond() int {
	return highest(x.hours)*3600 + highest(x.minutes)*60 + highest(x.seconds)
}

func lowest(set uint64) int  { return bits.TrailingZeros64(set) }
func highest(set uint64) int { return bits.Len64(set) - 1 }
