// The occurrences of an event: its rule, more dates, fewer dates, and the days that each fills.

package ical

import (
	"iter"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/teambition/rrule-go"
)

// maxStarts bounds the occurrences of a whole file, also of those beyond the years asked for.
const maxStarts = 200_000

// starts returns when the event begins, each time, up to the end of the years.
func (e *event) starts(o Options, budget *int) ([]time.Time, error) {
	out := []time.Time{e.start.Time}
	for _, p := range e.GetProperties(ics.ComponentPropertyRrule) {
		more, err := e.repeat(p.Value, o, budget)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	more, err := e.list(ics.ComponentPropertyRdate)
	if err != nil {
		return nil, err
	}
	for _, m := range more {
		out = append(out, m.Time)
	}
	if *budget -= len(out); *budget < 0 {
		return nil, e.errorf("the file has more than %d occurrences; say fewer years (--from, --to)", maxStarts)
	}
	fewer, err := e.list(ics.ComponentPropertyExdate)
	if err != nil {
		return nil, err
	}
	fewer = append(fewer, e.except...)
	kept := out[:0]
	for _, t := range out {
		if !excluded(t, fewer) {
			kept = append(kept, t)
		}
	}
	return kept, nil
}

func excluded(t time.Time, by []moment) bool {
	for _, m := range by {
		if t.Equal(m.Time) || m.date && t.Format(time.DateOnly) == m.Format(time.DateOnly) {
			return true
		}
	}
	return false
}

// repeat follows a rule. One that has no end needs a last year.
func (e *event) repeat(text string, o Options, budget *int) ([]time.Time, error) {
	rule, err := rrule.StrToROptionInLocation(text, e.start.Location())
	if err != nil {
		return nil, e.errorf("RRULE: %q is no rule: %s; write it as FREQ=YEARLY;BYMONTH=10;BYMONTHDAY=1", text, err)
	}
	if rule.Freq > rrule.DAILY {
		return nil, e.errorf("RRULE: it repeats %s; days repeat DAILY, WEEKLY, MONTHLY or YEARLY", rule.Freq)
	}
	if rule.Count == 0 && rule.Until.IsZero() && o.To == 0 {
		return nil, e.errorf("it repeats without an end; say up to which year (--to 2027)")
	}
	rule.Dtstart = e.start.Time
	last := time.Date(lastYear(o)+1, 1, 2, 0, 0, 0, 0, time.UTC)
	if rule.Until.IsZero() || rule.Until.After(last) {
		rule.Until = last
	}
	r, err := rrule.NewRRule(*rule)
	if err != nil {
		return nil, e.errorf("RRULE: %q is no rule: %s", text, err)
	}
	var out []time.Time
	next := r.Iterator()
	for t, ok := next(); ok; t, ok = next() {
		if len(out) > *budget {
			return nil, e.errorf("the file has more than %d occurrences; say fewer years (--from, --to)", maxStarts)
		}
		out = append(out, t)
	}
	return out, nil
}

// lastYear is where rules end that name no year that is earlier.
func lastYear(o Options) int {
	if o.To == 0 {
		return 2199
	}
	return o.To
}

// list reads RDATE or EXDATE: several lines, each with several values, of which periods count by
// their beginning.
func (e *event) list(name ics.ComponentProperty) ([]moment, error) {
	var out []moment
	for _, p := range e.GetProperties(name) {
		for text := range strings.SplitSeq(p.Value, ",") {
			text, _, _ = strings.Cut(strings.TrimSpace(text), "/")
			m, err := e.parse(string(name), text, p.ICalParameters)
			if err != nil {
				return nil, err
			}
			out = append(out, m)
		}
	}
	return out, nil
}

// days yields the dates that an occurrence fills within the years. Its end is not part of it.
func (e *event) days(start time.Time, o Options) iter.Seq[string] {
	if !e.start.date && o.Zone != nil {
		start = start.In(o.Zone)
	}
	last := start
	if e.length > 0 {
		last = start.Add(e.length - 1)
	}
	end := last.Format(time.DateOnly)
	y, m, d := start.Date()
	return func(yield func(string) bool) {
		for t := time.Date(y, m, d, 0, 0, 0, 0, time.UTC); ; t = t.AddDate(0, 0, 1) {
			day := t.Format(time.DateOnly)
			if day > end || o.To != 0 && t.Year() > o.To {
				return
			}
			if t.Year() >= o.From && !yield(day) {
				return
			}
		}
	}
}
