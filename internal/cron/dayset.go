// Sets of days: a bit for each day from MinYear to MaxYear, so that a search goes 64 days a step.

package cron

import (
	"math/bits"
	"time"
)

// dayNumber counts days from 1970-01-01.
type dayNumber = int64

// The days that a set has, with a margin around the years that fire: another zone may be a day away
// there.
var (
	firstDayNumber = wallOf(MinYear, 1, 1, 0) / day24
	lastDayNumber  = wallOf(MaxYear, 12, 31, 0) / day24
	firstDayMargin = firstDayNumber - 64
	lastDayMargin  = lastDayNumber + 64
)

func dayOf(w wall) dayNumber { return floor(w, day24) }

func dayNumberOf(t time.Time) dayNumber {
	y, m, d := t.Date()
	return dayOf(wallOf(y, int(m), d, 0))
}

func floor(a, b int64) int64 { return (a - modulo(a, b)) / b }

// daySet is a set of days.
type daySet struct{ words []uint64 }

// newDaySet has every day of the given days of the week.
func newDaySet(weekdays uint8) *daySet {
	s := &daySet{make([]uint64, (lastDayMargin-firstDayMargin)/64+1)}
	for d := firstDayMargin; d <= lastDayMargin; d++ {
		if weekdays&(1<<modulo(d+int64(time.Thursday), 7)) != 0 { // 1970-01-01 was a thursday
			s.set(d, true)
		}
	}
	return s
}

func (s *daySet) set(d dayNumber, in bool) {
	i := d - firstDayMargin
	if in {
		s.words[i/64] |= 1 << (i % 64)
	} else {
		s.words[i/64] &^= 1 << (i % 64)
	}
}

// has tells whether a day is in the set; none is that lies outside of all years.
func (s *daySet) has(d dayNumber) bool {
	i := d - firstDayMargin
	return d >= firstDayMargin && d <= lastDayMargin && s.words[i/64]&(1<<(i%64)) != 0
}

// next returns the first day of the set at or after d.
func (s *daySet) next(d dayNumber) (dayNumber, bool) { return s.after(d, 0) }

// nextOut returns the first day at or after d that is not in the set.
func (s *daySet) nextOut(d dayNumber) (dayNumber, bool) { return s.after(d, ^uint64(0)) }

// prev returns the last day of the set at or before d.
func (s *daySet) prev(d dayNumber) (dayNumber, bool) { return s.before(d, 0) }

// prevOut returns the last day at or before d that is not in the set.
func (s *daySet) prevOut(d dayNumber) (dayNumber, bool) { return s.before(d, ^uint64(0)) }

func (s *daySet) after(d dayNumber, flip uint64) (dayNumber, bool) {
	i := max(d, firstDayMargin) - firstDayMargin
	keep := ^uint64(0) << (i % 64)
	for w := i / 64; w < int64(len(s.words)); w++ {
		if left := (s.words[w] ^ flip) & keep; left != 0 {
			d = firstDayMargin + w*64 + int64(bits.TrailingZeros64(left))
			return d, d <= lastDayMargin
		}
		keep = ^uint64(0)
	}
	return 0, false
}

func (s *daySet) before(d dayNumber, flip uint64) (dayNumber, bool) {
	i := min(d, lastDayMargin) - firstDayMargin
	if i < 0 {
		return 0, false
	}
	keep := ^uint64(0) >> (63 - i%64)
	for w := i / 64; w >= 0; w-- {
		if left := (s.words[w] ^ flip) & keep; left != 0 {
			return firstDayMargin + w*64 + int64(bits.Len64(left)) - 1, true
		}
		keep = ^uint64(0)
	}
	return 0, false
}
