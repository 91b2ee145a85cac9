package ical_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same zones on every machine

	"baton/internal/flow"
	"baton/internal/ical"
)

// file puts events, each as its lines, into a calendar.
func file(events ...string) string {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test\r\n")
	for _, e := range events {
		b.WriteString("BEGIN:VEVENT\r\n" + strings.ReplaceAll(e, "\n", "\r\n") + "\r\nEND:VEVENT\r\n")
	}
	b.WriteString("END:VCALENDAR\r\n")
	return b.String()
}

func told(dates []ical.Date) string {
	var out []string
	for _, d := range dates {
		kind := ""
		if d.Works {
			kind = "+"
		}
		out = append(out, kind+d.Day+" "+d.Name)
	}
	return strings.Join(out, "; ")
}

func TestDates(t *testing.T) {
	t.Parallel()
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	years := ical.Options{From: 2026, To: 2027}
	for _, c := range []struct {
		name string
		text string
		o    ical.Options
		want string
	}{
		{"a day without an end", file("SUMMARY:New Year\nDTSTART;VALUE=DATE:20260101"), ical.Options{}, "2026-01-01 New Year"},
		{"the end is not part of it", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:20260103"), ical.Options{}, "2026-01-01 A; 2026-01-02 A"},
		{"a duration", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260101\nDURATION:P2D"), ical.Options{}, "2026-01-01 A; 2026-01-02 A"},
		{"a time in UTC, in the zone", file("SUMMARY:A\nDTSTART:20260101T170000Z\nDTEND:20260101T180000Z"), ical.Options{Zone: shanghai}, "2026-01-02 A"},
		{"a time that ends at midnight", file("SUMMARY:A\nDTSTART;TZID=Asia/Shanghai:20260101T080000\nDTEND;TZID=Asia/Shanghai:20260102T000000"), ical.Options{}, "2026-01-01 A"},
		{"a time over midnight", file("SUMMARY:A\nDTSTART;TZID=Asia/Shanghai:20260101T220000\nDURATION:PT3H30M"), ical.Options{Zone: shanghai}, "2026-01-01 A; 2026-01-02 A"},
		{"a time without length", file("SUMMARY:A\nDTSTART:20260101T080000"), ical.Options{}, "2026-01-01 A"},
		{"each year", file("SUMMARY:A\nDTSTART;VALUE=DATE:20201225\nRRULE:FREQ=YEARLY"), years, "2026-12-25 A; 2027-12-25 A"},
		{"a rule that counts", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;COUNT=2"), ical.Options{}, "2026-01-05 A; 2026-01-12 A"},
		{"the fourth thursday", file("SUMMARY:Thanksgiving\nDTSTART;VALUE=DATE:20251127\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"), years, "2026-11-26 Thanksgiving; 2027-11-25 Thanksgiving"},
		{"until, less one, and one more", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;UNTIL=20260103\nEXDATE;VALUE=DATE:20260102\nRDATE;VALUE=DATE:20260201,20260203"), ical.Options{}, "2026-01-01 A; 2026-01-03 A; 2026-02-01 A; 2026-02-03 A"},
		{"a timed rule keeps its clock", file("SUMMARY:A\nDTSTART;TZID=America/New_York:20260307T233000\nRRULE:FREQ=DAILY;COUNT=2\nDURATION:PT15M"), ical.Options{}, "2026-03-07 A; 2026-03-08 A"},
		{"one occurrence elsewhere", file("UID:1\nSUMMARY:A\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;COUNT=2", "UID:1\nSUMMARY:B\nRECURRENCE-ID;VALUE=DATE:20260102\nDTSTART;VALUE=DATE:20260110"), ical.Options{}, "2026-01-01 A; 2026-01-10 B"},
		{"one occurrence cancelled", file("UID:1\nSUMMARY:A\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;COUNT=2", "UID:1\nSTATUS:CANCELLED\nRECURRENCE-ID;VALUE=DATE:20260102\nDTSTART;VALUE=DATE:20260102"), ical.Options{}, "2026-01-01 A"},
		{"cancelled, transparent", file("SUMMARY:A\nSTATUS:CANCELLED\nDTSTART;VALUE=DATE:20260101", "SUMMARY:B\nTRANSP:TRANSPARENT\nDTSTART;VALUE=DATE:20260102"), ical.Options{}, "2026-01-02 B"},
		{"folded, escaped, with a mark before it", "\xef\xbb\xbf" + file("SUMMARY:National Day\\, Mid-Au\n tumn\nDTSTART;VALUE=DATE:20251001"), ical.Options{}, "2025-10-01 National Day, Mid-Autumn"},
		{"line feeds alone", strings.ReplaceAll(file("SUMMARY:A\nDTSTART;VALUE=DATE:20260101"), "\r", ""), ical.Options{}, "2026-01-01 A"},
		{"worked", file("SUMMARY:上班(补春节假期)\nDTSTART;VALUE=DATE:20260214", "SUMMARY:国庆节（班）\nDTSTART;VALUE=DATE:20261010", "SUMMARY:X\nCATEGORIES:Working Day\nDTSTART;VALUE=DATE:20260228"), ical.Options{}, "+2026-02-14 上班(补春节假期); +2026-02-28 X; +2026-10-10 国庆节（班）"},
		{"a non-working day rests", file("SUMMARY:Non-working day\nDTSTART;VALUE=DATE:20260101", "SUMMARY:不上班\nDTSTART;VALUE=DATE:20260102"), ical.Options{}, "2026-01-01 Non-working day; 2026-01-02 不上班"},
		{"two of a day, and work wins", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260101", "SUMMARY:B\nDTSTART;VALUE=DATE:20260101", "SUMMARY:情人节\nDTSTART;VALUE=DATE:20260214", "SUMMARY:春节（班）\nDTSTART;VALUE=DATE:20260214"), ical.Options{}, "2026-01-01 A, B; +2026-02-14 春节（班）"},
		{"only the years asked for", file("SUMMARY:A\nDTSTART;VALUE=DATE:20251230\nDTEND;VALUE=DATE:20260103"), years, "2026-01-01 A; 2026-01-02 A"},
		{"nothing", file(), ical.Options{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dates, err := ical.Dates([]byte(c.text), c.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := told(dates); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		line       int
		says       string
	}{
		{"empty", "", 0, "does not begin with BEGIN:VCALENDAR"},
		{"a page", "<html>", 0, "does not begin with BEGIN:VCALENDAR"},
		{"cut off", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:A\r\n", 0, "cut off"},
		{"an event without an end", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:A\r\nEND:VCALENDAR\r\n", 0, "no iCalendar file"},
		{"no line of it", "BEGIN:VCALENDAR\r\nnonsense\r\nEND:VCALENDAR\r\n", 0, "no iCalendar file"},
		{"no beginning", file("SUMMARY:A"), 4, `event "A": it has no DTSTART`},
		{"no date", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260230"), 4, `DTSTART: "20260230" is no date; write year, month and day`},
		{"no time", file("DTSTART:tomorrow at noon"), 4, `"tomorrow at noon" is no time`},
		{"the second event", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260101", "SUMMARY:B"), 8, `event "B"`},
		{"backwards", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260102\nDTEND;VALUE=DATE:20260101"), 4, "ends before it begins"},
		{"a date and a time", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260102\nDTEND:20260103T000000Z"), 4, "not of one kind"},
		{"no zone", file("SUMMARY:A\nDTSTART;TZID=China Standard Time:20260102T000000"), 4, "no IANA time zone"},
		{"no duration", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260102\nDURATION:2 days"), 4, "no duration; write it as P1D"},
		{"no rule", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260102\nRRULE:FREQ=NEVER"), 4, "is no rule"},
		{"each second", file("SUMMARY:A\nDTSTART:20260102T000000Z\nRRULE:FREQ=SECONDLY"), 4, "days repeat DAILY"},
		{"for ever", file("SUMMARY:A\nDTSTART;VALUE=DATE:20260102\nRRULE:FREQ=YEARLY"), 4, "say up to which year (--to 2027)"},
		{"too long", file("SUMMARY:A\nDTSTART;VALUE=DATE:19700102\nDTEND;VALUE=DATE:21000101"), 4, "longer than 10000 days"},
		{"too many", file("SUMMARY:A\nDTSTART;VALUE=DATE:19700102\nRRULE:FREQ=DAILY;COUNT=20000"), 4, "more than 10000 dates"},
		{"too many times", file("SUMMARY:A\nDTSTART:19700102T000000Z\nRRULE:FREQ=DAILY;COUNT=9000000;BYHOUR=1,2,3,4;BYMINUTE=1,2,3,4,5,6,7,8,9"), 4, "more than 200000 occurrences"},
		{"too large", file(strings.Repeat("X-A:0123456789\n", 400_000) + "DTSTART;VALUE=DATE:20260101"), 0, "at most 5242880 are read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := ical.Dates([]byte(c.text), ical.Options{})
			e, ok := errors.AsType[*flow.Error](err)
			if !ok {
				t.Fatalf("%v, %v", got, err)
			}
			if e.Line != c.line || !strings.Contains(e.Message, c.says) {
				t.Errorf("line %d: %s; want line %d: %s", e.Line, e.Message, c.line, c.says)
			}
		})
	}
}

// Whatever the bytes are: an error of its own, or dates in order.
func FuzzDates(f *testing.F) {
	f.Add(file("SUMMARY:A\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;UNTIL=20260103\nEXDATE;VALUE=DATE:20260102"))
	f.Add(file("UID:1\nDTSTART;TZID=Asia/Shanghai:20260101T220000\nDURATION:PT3H30M", "UID:1\nRECURRENCE-ID:20260101T140000Z\nDTSTART:20260102"))
	f.Add("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR")
	f.Fuzz(func(t *testing.T, text string) {
		dates, err := ical.Dates([]byte(text), ical.Options{From: 2020, To: 2030})
		if _, ours := errors.AsType[*flow.Error](err); err != nil && !ours {
			t.Fatal(err)
		}
		for i := 1; i < len(dates); i++ {
			if dates[i].Day <= dates[i-1].Day {
				t.Fatalf("%v", dates)
			}
		}
	})
}
