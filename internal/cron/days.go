// Which days of a month fit: both day fields of an expression, as one bit set for each month.

package cron

import (
	"math/bits"
	"strings"
	"time"
)

// rule is a day that must be computed for each month: those with L, W or #.
type rule uint8

const (
	noRule      rule = iota
	lastDay          // L, L-3: the n-th day before the last
	lastWorkday      // LW, L-3W: the weekday nearest to that
	nearWorkday      // 15W: the weekday nearest to day n, in the same month
	lastOfWeek       // 6L: the last one of a day of the week
	nthOfWeek        // 6#3: the n-th one of a day of the week
)

// days are the day fields. Days of the week are counted from 0, sunday.
type days struct {
	rule    rule
	n       int // of the rule
	weekday int // of the rule

	ofMonth uint32    // bit 1 is the first
	ofWeek  uint8     // bit 0 is sunday
	weeks   [7]uint32 // ofWeek spread over a month, by the day of the week of its first
	either  bool      // whether a day that fits one of the two fields is enough
}

const everyDay, everyWeekday = 1<<32 - 2, 1<<7 - 1

// spread computes weeks from ofWeek.
func (d *days) spread() {
	for first := range d.weeks {
		for weekday := range d.weeks {
			if d.ofWeek&(1<<weekday) != 0 {
				d.weeks[first] |= oneWeekday(first, weekday)
			}
		}
	}
}

// in returns the days that fit in a month that has length days and begins on a day of the week.
func (d *days) in(first, length int) uint32 {
	all := uint32(1)<<(length+1) - 2
	switch d.rule {
	case noRule:
		if d.either {
			return (d.ofMonth | d.weeks[first]) & all
		}
		return d.ofMonth & d.weeks[first] & all
	case lastDay:
		return day(length-d.n, length)
	case lastWorkday:
		return workday(length-d.n, first, length)
	case nearWorkday:
		return workday(d.n, first, length)
	case lastOfWeek:
		return 1 << (bits.Len32(oneWeekday(first, d.weekday)&all) - 1)
	case nthOfWeek:
		return day(1+(d.weekday-first+7)%7+7*(d.n-1), length)
	}
	return 0
}

// day is the set of one day, empty when the month does not have it.
func day(n, length int) uint32 {
	if n < 1 || n > length {
		return 0
	}
	return 1 << n
}

// workday is the day from monday to friday that is nearest to day n and lies in the same month; a
// month without day n has none.
func workday(n, first, length int) uint32 {
	if n < 1 || n > length {
		return 0
	}
	switch time.Weekday((first + n - 1) % 7) {
	case time.Saturday:
		if n == 1 {
			return 1 << 3
		}
		n--
	case time.Sunday:
		if n == length {
			n -= 2
		} else {
			n++
		}
	default:
	}
	return 1 << n
}

// oneWeekday is every such day of a month of 31.
func oneWeekday(first, weekday int) uint32 {
	const weekly = 1<<1 | 1<<8 | 1<<15 | 1<<22 | 1<<29
	return weekly << ((weekday - first + 7) % 7) // the sixth runs out of the 32 bits
}

// quartzDays reads the two day fields of a Quartz expression, one of which is ?.
func quartzDays(month, week place) (days, error) {
	d := days{ofMonth: everyDay, ofWeek: everyWeekday}
	if err := oneQuestionMark(month, week); err != nil {
		return d, err
	}
	var err error
	switch {
	case month.text == "?" && strings.ContainsAny(week.text, "Ll#"): // no name of a day has an L
		err = d.weekRule(week)
	case month.text == "?":
		d.ofWeek, err = week.weekdays()
	case strings.ContainsAny(month.text, "LlWw"):
		err = d.monthRule(month)
	default:
		d.ofMonth, err = month.monthDays()
	}
	d.spread()
	return d, err
}

func oneQuestionMark(month, week place) error {
	switch {
	case month.text == "?" && week.text == "?":
		return week.errorf(0, "both day fields are ?; write * for one of them to mean every day")
	case month.text == "?" || week.text == "?":
		return nil
	case week.text == "*":
		return week.errorf(0, "one of the two day fields is ?").instead("?")
	case month.text == "*":
		return month.errorf(0, "one of the two day fields is ?").instead("?")
	}
	return week.errorf(0, "one of the two day fields is ?: quartz has no rule for both; make two schedules, or use the unix dialect")
}

// unixDays reads the two day fields of a unix expression.
func unixDays(month, week place) (d days, err error) {
	if d.ofMonth, err = month.monthDays(); err != nil {
		return d, err
	}
	d.ofWeek, err = week.weekdays()
	d.either = !strings.HasPrefix(month.text, "*") && !strings.HasPrefix(week.text, "*")
	d.spread()
	return d, err
}

func (p place) monthDays() (uint32, error) {
	s, err := p.values()
	return uint32(s[0]), err
}

// weekdays counts from sunday, whatever number the dialect gives it.
func (p place) weekdays() (uint8, error) {
	s, err := p.values()
	return uint8(s[0] >> p.min), err
}

// monthRule reads L, L-3, LW, L-3W and 15W.
func (d *days) monthRule(p place) error {
	text := strings.ToUpper(p.text)
	if err := p.alone(text); err != nil {
		return err
	}
	body, workday := strings.CutSuffix(text, "W")
	back, last := strings.CutPrefix(body, "L")
	switch {
	case last && back == "":
		d.rule = lastDay
	case last && back[0] == '-':
		n, err := number(back[1:])
		if err != nil || n > 30 {
			return p.errorf(2, "%q is not a number of days before the last, from 0 to 30", back[1:])
		}
		d.rule, d.n = lastDay, n
	case workday && body != "" && isDigit(body[0]):
		n, err := p.value(body, 0)
		if err != nil {
			return err
		}
		d.rule, d.n = nearWorkday, n
		return nil
	default:
		return p.errorf(0, "%q is no day; with L and W there are L, L-3, LW, L-3W and 15W", p.text)
	}
	if workday {
		d.rule = lastWorkday
	}
	return nil
}

// weekRule reads L, 6L, FRIL and 6#3.
func (d *days) weekRule(p place) error {
	text := strings.ToUpper(p.text)
	if err := p.alone(text); err != nil {
		return err
	}
	if text == "L" {
		d.ofWeek = 1 << time.Saturday
		return nil
	}
	name, nth, counted := strings.Cut(text, "#")
	if counted {
		n, err := number(nth)
		if err != nil || n < 1 || n > 5 {
			return p.errorf(len(name)+1, "%q after # is not a number from 1 to 5", nth)
		}
		d.rule, d.n = nthOfWeek, n
	} else {
		var last bool
		if name, last = strings.CutSuffix(text, "L"); !last {
			return p.errorf(0, "%q is no day; with L and # there are L, 6L, FRIL and 6#3", p.text)
		}
		d.rule = lastOfWeek
	}
	v, err := p.value(name, 0)
	d.weekday = v - p.min
	return err
}

// alone refuses a list around a computed day.
func (p place) alone(text string) error {
	if at := strings.IndexByte(text, ','); at >= 0 {
		return p.errorf(at, "L, W and # stand alone in quartz; make a schedule for each day of %q", p.text)
	}
	return nil
}
