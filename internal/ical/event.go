// One event: its name, when it begins, how long it lasts, and whether its days are worked.

package ical

import (
	"fmt"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"baton/internal/flow"
)

// event is one event as far as days need it.
type event struct {
	*ics.VEvent
	zone      *time.Location // of times without one
	line      int
	uid, name string
	works     bool
	cancelled bool
	single    bool // it replaces one occurrence of another event
	start     moment
	length    time.Duration
	except    []moment
}

// moment is a date, as its midnight in UTC, or a time.
type moment struct {
	time.Time
	date bool
}

func (e *event) errorf(format string, args ...any) *flow.Error {
	message := fmt.Sprintf(format, args...)
	if e.name != "" {
		message = fmt.Sprintf("event %q: %s", e.name, message)
	} else {
		message = "event: " + message
	}
	return &flow.Error{Code: flow.CodeInvalidFile, Message: message, Line: e.line, Column: 1}
}

func (e *event) read() error {
	e.uid = e.text(ics.ComponentPropertyUniqueId)
	e.name = strings.Join(strings.Fields(e.text(ics.ComponentPropertySummary)), " ")
	e.works = saysWorked(e.name)
	for _, p := range e.GetProperties(ics.ComponentPropertyCategories) {
		e.works = e.works || saysWorked(ics.FromText(p.Value))
	}
	e.cancelled = strings.EqualFold(e.text(ics.ComponentPropertyStatus), "CANCELLED")
	var ok bool
	var err error
	if e.start, ok, err = e.moment(ics.ComponentPropertyDtStart); err != nil {
		return err
	} else if !ok {
		return e.errorf("it has no DTSTART; write when it begins, such as DTSTART;VALUE=DATE:20261001")
	}
	return e.readLength()
}

// readLength takes DTEND, or DURATION, or what the standard says without them: a date lasts a day.
func (e *event) readLength() error {
	end, ok, err := e.moment(ics.ComponentPropertyDtEnd)
	if err != nil {
		return err
	}
	if ok {
		if end.date != e.start.date {
			return e.errorf("DTSTART and DTEND are not of one kind; write dates or times for both")
		}
		if e.length = end.Sub(e.start.Time); e.length < 0 {
			return e.errorf("it ends before it begins; DTEND is after DTSTART")
		}
	}
	if text := e.text(ics.ComponentPropertyDuration); text != "" && !ok {
		if e.length, err = duration(text); err != nil {
			return e.errorf("%s", err)
		}
	}
	if e.start.date {
		e.length = max(e.length, 24*time.Hour)
	}
	if e.length > MaxDates*24*time.Hour {
		return e.errorf("it lasts longer than %d days", MaxDates)
	}
	return nil
}

func (e *event) text(name ics.ComponentProperty) string {
	if p := e.GetProperty(name); p != nil {
		return strings.TrimSpace(ics.FromText(p.Value))
	}
	return ""
}

// moment reads a property that the event has once at most.
func (e *event) moment(name ics.ComponentProperty) (moment, bool, error) {
	p := e.GetProperty(name)
	if p == nil {
		return moment{}, false, nil
	}
	m, err := e.parse(string(name), strings.TrimSpace(p.Value), p.ICalParameters)
	return m, err == nil, err
}

// parse reads a date, a time in UTC, or one in the zone that is said or the calendar's.
func (e *event) parse(name, text string, params map[string][]string) (moment, error) {
	if len(text) == len("20060102") {
		t, err := time.Parse("20060102", text)
		if err != nil {
			return moment{}, e.errorf("%s: %q is no date; write year, month and day as 20261001", name, text)
		}
		return moment{t, true}, nil
	}
	zone := e.zone
	if zone == nil {
		zone = time.UTC
	}
	if id := params["TZID"]; len(id) > 0 {
		var err error
		if zone, err = time.LoadLocation(strings.TrimPrefix(id[0], "/")); err != nil {
			return moment{}, e.errorf("%s: %q is no IANA time zone, such as Asia/Shanghai", name, id[0])
		}
	}
	if utc, ok := strings.CutSuffix(text, "Z"); ok {
		text, zone = utc, time.UTC
	}
	t, err := time.ParseInLocation("20060102T150405", text, zone)
	if err != nil {
		return moment{}, e.errorf("%s: %q is no time; write it as 20261001, 20261001T090000 or 20261001T010000Z", name, text)
	}
	return moment{t, false}, nil
}

// duration reads P1D, PT8H, P2W, P1DT12H30M.
func duration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("DURATION: %q is no duration; write it as P1D, P2W or PT8H30M", text)
	rest, ok := strings.CutPrefix(strings.TrimPrefix(text, "+"), "P")
	if !ok || rest == "" {
		return 0, wrong
	}
	var sum time.Duration
	n, digits, timed := 0, 0, false
	for _, c := range rest {
		units := map[rune]time.Duration{'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour}
		if timed {
			units = map[rune]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
		}
		switch unit := units[c]; {
		case c >= '0' && c <= '9' && digits < 7:
			n, digits = n*10+int(c-'0'), digits+1
		case c == 'T' && digits == 0 && !timed:
			timed = true
		case unit > 0 && digits > 0:
			sum += time.Duration(min(n, MaxDates+1)) * unit
			n, digits = 0, 0
		default:
			return 0, wrong
		}
	}
	if digits > 0 {
		return 0, wrong
	}
	return sum, nil
}
