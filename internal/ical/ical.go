// From a file to its dates.

package ical

import (
	"bytes"
	"slices"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"baton/internal/flow"
)

// The bounds.
const (
	MaxBytes = 5 << 20
	MaxDates = 10_000
)

// Options say what of a file is wanted.
type Options struct {
	From, To int            // years, both included; 0: no bound
	Zone     *time.Location // whose days timed events fill; nil: each event's own
}

// Date is one day that the file says something about.
type Date struct {
	Day   string // 2026-10-01
	Name  string // of the event; several are joined by a comma
	Works bool   // an event says that the day is worked; otherwise it rests
}

// Dates returns the days of a file's events, ascending, each once. A day that some events rest and
// another works is worked: that one says more.
func Dates(raw []byte, o Options) ([]Date, error) {
	events, err := read(raw, o.Zone)
	if err != nil {
		return nil, err
	}
	days := map[string]*Date{}
	budget := maxStarts
	for _, e := range events {
		starts, err := e.starts(o, &budget)
		if err != nil {
			return nil, err
		}
		for _, start := range starts {
			for day := range e.days(start, o) {
				d := days[day]
				if d == nil {
					if len(days) == MaxDates {
						return nil, e.errorf("the file has more than %d dates; say fewer years (--from, --to)", MaxDates)
					}
					d = &Date{Day: day}
					days[day] = d
				}
				d.add(e)
			}
		}
	}
	out := make([]Date, 0, len(days))
	for _, d := range days {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b Date) int { return strings.Compare(a.Day, b.Day) })
	return out, nil
}

// add names a day after one more event; of a day that is worked only what says so is told.
func (d *Date) add(e *event) {
	switch {
	case d.Works && !e.works:
		return
	case e.works && !d.Works:
		d.Works, d.Name = true, ""
	}
	if e.name == "" || slices.Contains(strings.Split(d.Name, ", "), e.name) {
		return
	}
	if d.Name != "" {
		d.Name += ", "
	}
	d.Name += e.name
}

// read parses the file into its events, without those that are cancelled.
func read(raw []byte, zone *time.Location) ([]*event, error) {
	if len(raw) > MaxBytes {
		return nil, flow.Errorf(flow.CodeTooLarge, "", "the file has %d bytes; at most %d are read", len(raw), MaxBytes)
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	begin := bytes.TrimSpace(raw)
	if !bytes.HasPrefix(bytes.ToUpper(begin[:min(len(begin), 15)]), []byte("BEGIN:VCALENDAR")) {
		return nil, flow.Errorf(flow.CodeInvalidFile, "", "no iCalendar file: it does not begin with BEGIN:VCALENDAR")
	}
	if !bytes.HasSuffix(bytes.ToUpper(begin), []byte("END:VCALENDAR")) {
		return nil, flow.Errorf(flow.CodeInvalidFile, "", "the file is cut off: it does not end with END:VCALENDAR")
	}
	file, err := ics.ParseCalendar(bytes.NewReader(begin))
	if err != nil {
		return nil, flow.Errorf(flow.CodeInvalidFile, "", "no iCalendar file: %s", err)
	}
	lines := eventLines(raw)
	var out []*event
	replaced := map[string][]moment{} // single occurrences that have an event of their own
	for i, v := range file.Events() {
		e := &event{VEvent: v, zone: zone}
		if i < len(lines) {
			e.line = lines[i]
		}
		if err := e.read(); err != nil {
			return nil, err
		}
		if id, ok, err := e.moment(ics.ComponentPropertyRecurrenceId); err != nil {
			return nil, err
		} else if ok {
			replaced[e.uid] = append(replaced[e.uid], id)
			e.single = true
		}
		if !e.cancelled {
			out = append(out, e)
		}
	}
	for _, e := range out {
		if !e.single {
			e.except = append(e.except, replaced[e.uid]...)
		}
	}
	return out, nil
}

// eventLines are the lines, from 1, at which events begin.
func eventLines(raw []byte) []int {
	var out []int
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		if bytes.EqualFold(bytes.TrimSpace(line), []byte("BEGIN:VEVENT")) {
			out = append(out, n)
		}
	}
	return out
}
