package cron_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"baton/internal/cron"
)

func TestCalendarsAreRefusedWithPlaceAndRemedy(t *testing.T) {
	t.Parallel()
	type options = cron.CalendarOptions
	for _, c := range []struct {
		o          options
		field      string
		position   int
		suggestion string
		says       string
	}{
		{options{Holidays: []string{"2026-01-01", "2026-02-30"}}, "holidays", 2, "", "holidays, entry 2: 2026-02-30: the month has the days 1 to 28"},
		{options{Workdays: []string{"2026-13-01"}}, "workdays", 1, "", "there is no month 13"},
		{options{Holidays: []string{"1 January 2026"}}, "holidays", 1, "", "write year, month and day as 2026-01-31"},
		{options{Holidays: []string{"2026-1-01 "}}, "holidays", 1, "", "is no date"},
		{options{Holidays: []string{"1969-12-31"}}, "holidays", 1, "", "the year is not from 1970 to 2199"},
		{options{Holidays: []string{"2200-01-01"}}, "holidays", 1, "", "the year is not from 1970 to 2199"},
		{options{Holidays: []string{"2026-01-01", "2026-01-02", "2026-01-01"}}, "holidays", 3, "", "named twice, first as entry 1"},
		{options{Holidays: []string{"2026-01-01"}, Workdays: []string{"2026-01-03", "2026-01-01"}}, "workdays", 2, "", "is also one of the holidays"},
		{options{Weekdays: []string{"mon", "tuesday"}}, "weekdays", 2, "tue", `did you mean "tue"?`},
		{options{Weekdays: []string{"mno"}}, "weekdays", 1, "mon", `did you mean "mon"?`},
		{options{Weekdays: []string{"mon", "MON"}}, "weekdays", 2, "", "named twice"},
		{options{Weekdays: []string{}}, "", 0, "", "no day works"},
	} {
		_, err := cron.NewCalendar(c.o)
		e, ok := errors.AsType[*cron.Error](err)
		if !ok {
			t.Errorf("%+v: %v", c.o, err)
			continue
		}
		if e.Code != cron.CodeBadCalendar || e.Field != c.field || e.Position != c.position || e.Suggestion != c.suggestion || !strings.Contains(e.Error(), c.says) {
			t.Errorf("%+v: %+v; want it to say %q", c.o, *e, c.says)
		}
	}
	if _, err := cron.ParseShift("nxt"); err == nil || !strings.Contains(err.Error(), `there are skip, next, previous; did you mean "next"?`) {
		t.Error(err)
	}
	if to, err := cron.ParseShift(""); err != nil || to != cron.ShiftSkip {
		t.Error(to, err)
	}
}

func TestWhyADayRests(t *testing.T) {
	t.Parallel()
	c, _ := calendarFrom(t, "cn-workdays")
	for day, want := range map[string]cron.Reason{
		"2026-10-01": cron.Holiday, "2026-10-03": cron.Holiday, "2026-10-10": cron.NoReason, "2026-10-11": cron.Weekday,
		"2026-10-12": cron.NoReason, "1970-01-01": cron.NoReason, "2199-12-31": cron.NoReason, "1970-01-03": cron.Weekday,
	} {
		d, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Why(d); got != want || c.Works(d) != (want == cron.NoReason) {
			t.Errorf("%s: %q, not %q", day, got, want)
		}
	}
}

// planned is a plan of an expression, a span ("every 36h from T") or an instant ("at T").
func planned(t *testing.T, text, zone, calendarZone string, o cron.CalendarOptions, to cron.ShiftTo) *cron.Planned {
	t.Helper()
	var s *cron.Schedule
	var err error
	parse := func(text string) time.Time {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at.In(zoneOf(t, zone))
	}
	words := strings.Fields(text)
	switch words[0] {
	case "every":
		span, wrong := time.ParseDuration(words[1])
		if wrong != nil {
			t.Fatal(wrong)
		}
		s, err = cron.Every(span, parse(words[3]))
	case "at":
		s, err = cron.At(parse(words[1]))
	default:
		s, err = cron.Parse(text, cron.Options{Zone: zoneOf(t, zone)})
	}
	if err != nil {
		t.Fatal(err)
	}
	if calendarZone != "" {
		o.Zone = zoneOf(t, calendarZone)
	}
	c, err := cron.NewCalendar(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := cron.Plan(s, c, to)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestShifts(t *testing.T) {
	t.Parallel()
	none := []string{}
	holidays := func(days ...string) cron.CalendarOptions { return cron.CalendarOptions{Holidays: days} }
	works := func(days ...string) cron.CalendarOptions {
		return cron.CalendarOptions{Weekdays: none, Workdays: days}
	}
	for _, c := range []struct {
		name           string
		text           string
		zone, calendar string // zones
		o              cron.CalendarOptions
		to             cron.ShiftTo
		after          string
		want           string // two fires
	}{
		{"skip", "0 0 2 * * ?", "UTC", "", holidays(), cron.ShiftSkip, "2026-01-09T01:00:00Z", "2026-01-09T02:00:00Z 2026-01-12T02:00:00Z"},
		{"merged with a native one", "0 0 2 * * ?", "UTC", "", holidays(), cron.ShiftNext, "2026-01-09T02:00:00Z", "2026-01-12T02:00:00Z 2026-01-13T02:00:00Z"},
		{"moved over after", "0 0 2 ? * SUN", "UTC", "", holidays(), cron.ShiftNext, "2026-01-12T01:00:00Z", "2026-01-12T02:00:00Z 2026-01-19T02:00:00Z"},
		{"moved back from behind after", "0 0 2 ? * SUN", "UTC", "", holidays(), cron.ShiftPrevious, "2026-01-09T01:00:00Z", "2026-01-09T02:00:00Z 2026-01-16T02:00:00Z"},
		{"moved back before after", "0 0 2 ? * SUN", "UTC", "", holidays(), cron.ShiftPrevious, "2026-01-09T02:00:00Z", "2026-01-16T02:00:00Z 2026-01-23T02:00:00Z"},
		{"over the end of a month", "0 0 2 L * ?", "UTC", "", holidays(), cron.ShiftNext, "2026-01-31T03:00:00Z", "2026-02-02T02:00:00Z 2026-03-02T02:00:00Z"},
		{"the last workday of a month", "0 0 2 L * ?", "UTC", "", holidays("2026-01-30"), cron.ShiftPrevious, "2026-01-01T00:00:00Z", "2026-01-29T02:00:00Z 2026-02-27T02:00:00Z"},
		{"onto a gap", "0 30 2 ? * SAT", "America/New_York", "", works("2026-03-08", "2026-03-15"), cron.ShiftNext, "2026-03-01T00:00:00Z", "2026-03-08T03:00:00-04:00 2026-03-15T02:30:00-04:00"},
		{"out of a gap, as it is written", "0 30 2 * * ?", "America/New_York", "", holidays(), cron.ShiftNext, "2026-03-07T00:00:00Z", "2026-03-09T02:30:00-04:00 2026-03-10T02:30:00-04:00"},
		{"onto the first of two", "0 30 1 ? * SAT", "America/New_York", "", works("2026-11-01", "2026-11-08"), cron.ShiftNext, "2026-10-30T00:00:00Z", "2026-11-01T01:30:00-04:00 2026-11-08T01:30:00-05:00"},
		{"the calendar's day is another", "0 0 20 * * ?", "UTC", "Asia/Shanghai", holidays(), cron.ShiftSkip, "2026-01-08T21:00:00Z", "2026-01-11T20:00:00Z 2026-01-12T20:00:00Z"},
		{"and moves there", "0 0 20 ? * FRI", "UTC", "Asia/Shanghai", holidays(), cron.ShiftNext, "2026-01-08T21:00:00Z", "2026-01-11T20:00:00Z 2026-01-18T20:00:00Z"},
		{"later ones land earlier there", "0 0 10,20 ? * SAT", "UTC", "Asia/Shanghai", holidays(), cron.ShiftNext, "2026-01-09T21:00:00Z", "2026-01-11T20:00:00Z 2026-01-12T10:00:00Z"},
		{"a day of 25 hours steps over the only one", "at 2026-10-31T23:30:00Z", "America/New_York", "UTC", works("2026-11-01", "2026-11-08"), cron.ShiftNext, "2026-11-02T01:00:00Z", "2026-11-07T19:30:00-05:00 end"},
		{"a span", "every 36h from 2026-01-09T08:00:00Z", "UTC", "", holidays(), cron.ShiftNext, "2026-01-09T08:00:00Z", "2026-01-12T08:00:00Z 2026-01-12T20:00:00Z"},
		{"an instant", "at 2026-01-10T08:00:00Z", "UTC", "", holidays(), cron.ShiftNext, "2026-01-11T00:00:00Z", "2026-01-12T08:00:00Z end"},
		{"a year of holidays", "at 2026-01-10T08:00:00Z", "UTC", "", works("2027-01-11"), cron.ShiftNext, "2026-01-11T00:00:00Z", "2027-01-11T08:00:00Z end"},
		{"more than a year", "at 2026-01-10T08:00:00Z", "UTC", "", works("2027-01-12"), cron.ShiftNext, "2026-01-11T00:00:00Z", "end"},
		{"no more day of work", "* * * * * ?", "UTC", "", works("2026-01-01"), cron.ShiftNext, "2026-01-02T00:00:00Z", "end"},
		{"no more, skipped", "* * * * * ?", "UTC", "", works("2026-01-01"), cron.ShiftSkip, "2026-01-02T00:00:00Z", "end"},
		{"no more, back", "* * * * * ?", "UTC", "", works("2026-01-01"), cron.ShiftPrevious, "2026-01-02T00:00:00Z", "end"},
		{"never", "0 0 2 ? * SUN", "UTC", "", holidays(), cron.ShiftSkip, "2026-01-02T00:00:00Z", "end"},
		{"each second", "* * * * * ?", "UTC", "", holidays(), cron.ShiftNext, "2026-01-09T23:59:58Z", "2026-01-09T23:59:59Z 2026-01-12T00:00:00Z"},
		{"to the end of all years", "0 0 2 31 12 ? 2199", "UTC", "", holidays("2199-12-31"), cron.ShiftNext, "2199-01-01T00:00:00Z", "end"},
		{"and back from there", "0 0 2 31 12 ? 2199", "UTC", "", holidays("2199-12-31"), cron.ShiftPrevious, "2199-01-01T00:00:00Z", "2199-12-30T02:00:00Z end"},
		{"before the first of all years", "0 0 2 1 1 ? 1970", "UTC", "", holidays("1970-01-01"), cron.ShiftPrevious, "1960-01-01T00:00:00Z", "end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := planned(t, c.text, c.zone, c.calendar, c.o, c.to)
			after, err := time.Parse(time.RFC3339, c.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			found := p.NextN(after, 2)
			for i, f := range found {
				got = append(got, f.Format(local))
				if back, ok := p.Prev(f.Add(time.Second)); !ok || !back.Equal(f) {
					t.Errorf("Prev says %v, Next %v", back, f)
				}
				if back, ok := p.Prev(f); i > 0 && (!ok || !back.Equal(found[0])) {
					t.Errorf("before %v comes %v, not %v", f, back, found[0])
				}
			}
			if len(found) < 2 {
				got = append(got, "end")
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("\n got %s\nwant %s", text, c.want)
			}
		})
	}
}

func TestFiresTellWhatBecameOfThem(t *testing.T) {
	t.Parallel()
	days := func(to cron.ShiftTo) string {
		p := planned(t, "0 0 2 1-5 5 ? 2026", "UTC", "", cron.CalendarOptions{Holidays: []string{"2026-05-01", "2026-05-05"}, Workdays: []string{"2026-05-09"}}, to)
		var out []string
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for f := range p.Fires(from, from.AddDate(1, 0, 0)) {
			out = append(out, fmt.Sprintf("%d of %d %t %s", f.At.Day(), f.Of.Day(), f.Skipped, f.Why))
		}
		return strings.Join(out, "; ")
	}
	for to, want := range map[cron.ShiftTo]string{
		cron.ShiftSkip:     "1 of 1 true holiday; 2 of 2 true weekday; 3 of 3 true weekday; 4 of 4 false ; 5 of 5 true holiday",
		cron.ShiftNext:     "4 of 4 false ; 6 of 5 false holiday",
		cron.ShiftPrevious: "30 of 1 false holiday; 4 of 4 false ",
	} {
		if got := days(to); got != want {
			t.Errorf("%s:\n got %s\nwant %s", to, got, want)
		}
	}
	p := planned(t, "0 0 2 1-5 5 ? 2026", "UTC", "", cron.CalendarOptions{}, cron.ShiftNext)
	if f, ok := p.NextFire(time.Date(2026, 5, 1, 2, 0, 0, 0, time.UTC)); !ok || f.At.Day() != 4 || !f.Of.Equal(f.At) || f.Moved() {
		t.Errorf("native and moved: %+v", f)
	}
}

func TestWithoutACalendarEveryDayWorks(t *testing.T) {
	t.Parallel()
	s, err := cron.Parse("0 0 2 ? * SAT,SUN", cron.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, to := range []cron.ShiftTo{"", cron.ShiftNext, cron.ShiftPrevious} {
		p, err := cron.Plan(s, nil, to)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(p.NextN(at, 9)), fmt.Sprint(s.NextN(at, 9)); got != want {
			t.Errorf("%s: %s, not %s", to, got, want)
		}
	}
	if _, err := cron.Plan(s, nil, "never"); err == nil {
		t.Error("an unknown shift is taken")
	}
}

func TestPlansAllocateNothing(t *testing.T) { // not in parallel: it would count for others
	c, zone := calendarFrom(t, "cn-workdays")
	s, err := cron.Parse("0 0 2 * * ?", cron.Options{Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 10, 1, 0, 0, 0, 0, zone)
	if n := testing.AllocsPerRun(100, func() { c.Works(day); c.Why(day) }); n > 0 {
		t.Errorf("a question to a calendar allocates %v times", n)
	}
	for _, to := range []cron.ShiftTo{cron.ShiftSkip, cron.ShiftNext, cron.ShiftPrevious} {
		p, err := cron.Plan(s, c, to)
		if err != nil {
			t.Fatal(err)
		}
		at := day
		if n := testing.AllocsPerRun(100, func() { at, _ = p.Next(at); p.Prev(at) }); n > 0 {
			t.Errorf("%s: Next and Prev allocate %v times", to, n)
		}
	}
}
