// The words of each cycle, and what they mean.

package window

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
)

// CodeBadWindow is the code of an unknown cycle or value. It is part of the published contract.
const CodeBadWindow flow.Code = "bad_window"

// Window is a value of a cycle. Its zero value has no intervals.
type Window struct {
	cycle, value string
	meaning      func(base) []Interval
}

// cycles are in the order in which they are told, and so are their values.
var cycles = []string{"hour", "day", "week", "month"}

var windows = []Window{
	{"hour", "currentHour", base.currentHour},
	{"hour", "last1Hour", func(b base) []Interval { return b.hoursBefore(1) }},
	{"hour", "last2Hours", func(b base) []Interval { return b.hoursBefore(2) }},
	{"hour", "last3Hours", func(b base) []Interval { return b.hoursBefore(3) }},
	{"hour", "last24Hours", base.hoursAfterYesterdays},

	{"day", "today", func(b base) []Interval { return b.dates(b.today, b.today) }},
	{"day", "last1Days", func(b base) []Interval { return b.daysBefore(1) }},
	{"day", "last2Days", func(b base) []Interval { return b.daysBefore(2) }},
	{"day", "last3Days", func(b base) []Interval { return b.daysBefore(3) }},
	{"day", "last7Days", func(b base) []Interval { return b.daysBefore(7) }},

	{"week", "thisWeek", func(b base) []Interval { return b.dates(b.monday(), b.today) }},
	{"week", "lastWeek", func(b base) []Interval { return b.dates(b.monday()-7, b.monday()-1) }},
	{"week", "lastMonday", func(b base) []Interval { return b.ofLastWeek(0) }},
	{"week", "lastTuesday", func(b base) []Interval { return b.ofLastWeek(1) }},
	{"week", "lastWednesday", func(b base) []Interval { return b.ofLastWeek(2) }},
	{"week", "lastThursday", func(b base) []Interval { return b.ofLastWeek(3) }},
	{"week", "lastFriday", func(b base) []Interval { return b.ofLastWeek(4) }},
	{"week", "lastSaturday", func(b base) []Interval { return b.ofLastWeek(5) }},
	{"week", "lastSunday", func(b base) []Interval { return b.ofLastWeek(6) }},

	{"month", "thisMonth", func(b base) []Interval { return b.dates(b.month(0), b.today) }},
	{"month", "thisMonthBegin", func(b base) []Interval { return first(b.ofMonth(0)) }},
	{"month", "thisMonthEnd", func(b base) []Interval { return last(b.ofMonth(0)) }},
	{"month", "lastMonth", func(b base) []Interval { return b.ofMonth(-1) }},
	{"month", "lastMonthBegin", func(b base) []Interval { return first(b.ofMonth(-1)) }},
	{"month", "lastMonthEnd", func(b base) []Interval { return last(b.ofMonth(-1)) }},
}

// Cycles lists the cycles.
func Cycles() []string { return slices.Clone(cycles) }

// Values lists the values of a cycle; none of one that there is not.
func Values(cycle string) []string {
	var out []string
	for _, w := range windows {
		if w.cycle == cycle {
			out = append(out, w.value)
		}
	}
	return out
}

// Parse finds the window of a cycle that a value names.
func Parse(cycle, value string) (Window, error) {
	if !slices.Contains(cycles, cycle) {
		return Window{}, unknown("cycle", "cycle", cycle, cycles)
	}
	for _, w := range windows {
		if w.value != value {
			continue
		}
		if w.cycle != cycle {
			return Window{}, flow.Errorf(CodeBadWindow, "value", "%q is a value of cycle %s, not of %s, which has %s", value, w.cycle, cycle, strings.Join(Values(cycle), ", "))
		}
		return w, nil
	}
	return Window{}, unknown("value", "value of cycle "+cycle, value, Values(cycle))
}

// Same names no window: the runs with the very data time.
const Same = "same"

// Find finds the window that a value names, whatever its cycle.
func Find(value string) (Window, error) {
	for _, w := range windows {
		if w.value == value {
			return w, nil
		}
	}
	return Window{}, unknown("window", "window", value, Words())
}

// Words lists all values, and Same.
func Words() []string {
	out := make([]string, len(windows), len(windows)+1)
	for i, w := range windows {
		out[i] = w.value
	}
	return append(out, Same)
}

func unknown(field, what, word string, valid []string) *flow.Error {
	e := flow.Errorf(CodeBadWindow, field, "%q is no %s; there are %s", word, what, strings.Join(valid, ", "))
	if e.Suggestion = flow.Nearest(word, valid); e.Suggestion != "" {
		e.Message += fmt.Sprintf("; did you mean %q?", e.Suggestion)
	}
	return e
}

// Cycle returns the cycle of the window: hour, day, week or month.
func (w Window) Cycle() string { return w.cycle }

// String returns the value that names the window.
func (w Window) String() string { return w.value }

// Intervals returns what the window means at a data time, earliest first; none overlaps another.
// There is none where it names a single date that the zone left out.
func (w Window) Intervals(dataTime time.Time, zone *time.Location) []Interval {
	if w.meaning == nil {
		return nil
	}
	return w.meaning(baseOf(dataTime, zone))
}

// Interval is a stretch of time from Start on, up to and without End, both whole seconds.
type Interval struct{ Start, End time.Time }

// Last is the last whole second inside.
func (i Interval) Last() time.Time { return i.End.Add(-time.Second) }

// Contains tells whether a moment lies inside.
func (i Interval) Contains(t time.Time) bool { return !t.Before(i.Start) && t.Before(i.End) }

func first(list []Interval) []Interval { return list[:min(1, len(list))] }

func last(list []Interval) []Interval { return list[max(0, len(list)-1):] }
