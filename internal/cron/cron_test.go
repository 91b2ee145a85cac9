package cron_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"baton/internal/cron"
)

const local = "2006-01-02T15:04:05Z07:00"

// fires are the next n in the zone, "end" when there are fewer.
func fires(t *testing.T, s *cron.Schedule, after string, n int) string {
	t.Helper()
	at, err := time.Parse(time.RFC3339, after)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range s.NextN(at, n) {
		out = append(out, f.Format(local))
	}
	if len(out) < n {
		out = append(out, "end")
	}
	return strings.Join(out, " ")
}

func TestDialects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr    string
		dialect cron.Dialect
		want    string // two fires after friday 2026-01-02T12:00:00Z
	}{
		{"0 0 2 * * ?", cron.Quartz, "2026-01-03T02:00:00Z 2026-01-04T02:00:00Z"},
		{"0 0 0 ? * 1", cron.Quartz, "2026-01-04T00:00:00Z 2026-01-11T00:00:00Z"},
		{"0 0 0 ? * sun", cron.Quartz, "2026-01-04T00:00:00Z 2026-01-11T00:00:00Z"},
		{"0 0 0 ? * L", cron.Quartz, "2026-01-03T00:00:00Z 2026-01-10T00:00:00Z"},
		{"0 0 0 ? * FRI-MON", cron.Quartz, "2026-01-03T00:00:00Z 2026-01-04T00:00:00Z"},
		{"0 0 0 ? * MON-FRI/2", cron.Quartz, "2026-01-05T00:00:00Z 2026-01-07T00:00:00Z"},
		{"0 0 22-2/3 * * ?", cron.Quartz, "2026-01-02T22:00:00Z 2026-01-03T01:00:00Z"},
		{"0 0 0 1 NOV-FEB ? 2026-2199", cron.Quartz, "2026-02-01T00:00:00Z 2026-11-01T00:00:00Z"},
		{"0 0 0 31 2 ?", cron.Quartz, "end"},
		{"0 0 0 29 2 ?", cron.Quartz, "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z"},
		{"0 0 0 1 1 ? 2026", cron.Quartz, "end"},
		{"59 59 23 31 12 ? 2199", cron.Quartz, "2199-12-31T23:59:59Z end"},
		{"0 0 0 L-30 2 ?", cron.Quartz, "end"},
		{"0 0 0 31W 2 ?", cron.Quartz, "end"},
		{" 0\t0 2  * * ? ", cron.Quartz, "2026-01-03T02:00:00Z 2026-01-04T02:00:00Z"},

		{"0 0 * * 0", cron.Unix, "2026-01-04T00:00:00Z 2026-01-11T00:00:00Z"},
		{"0 0 * * 7", cron.Unix, "2026-01-04T00:00:00Z 2026-01-11T00:00:00Z"},
		{"0 0 * * 7/2", cron.Unix, "2026-01-03T00:00:00Z 2026-01-04T00:00:00Z"},
		{"0 0 * * */5", cron.Unix, "2026-01-04T00:00:00Z 2026-01-09T00:00:00Z"},
		{"0 0 * * 6-7", cron.Unix, "2026-01-03T00:00:00Z 2026-01-04T00:00:00Z"},
		{"0 0 * * SAT-SUN", cron.Unix, "2026-01-03T00:00:00Z 2026-01-04T00:00:00Z"},
		{"0 0 13 * 5", cron.Unix, "2026-01-09T00:00:00Z 2026-01-13T00:00:00Z"},   // either
		{"0 0 */13 * 5", cron.Unix, "2026-02-27T00:00:00Z 2026-03-27T00:00:00Z"}, // both: the 1st, 14th, 27th
		{"0 0 13 * *", cron.Unix, "2026-01-13T00:00:00Z 2026-02-13T00:00:00Z"},
		{"*/20 * * * *", cron.Unix, "2026-01-02T12:20:00Z 2026-01-02T12:40:00Z"},

		{"@yearly", cron.Unix, "2027-01-01T00:00:00Z 2028-01-01T00:00:00Z"},
		{"@annually", cron.Quartz, "2027-01-01T00:00:00Z 2028-01-01T00:00:00Z"},
		{"@monthly", cron.Quartz, "2026-02-01T00:00:00Z 2026-03-01T00:00:00Z"},
		{"@weekly", cron.Unix, "2026-01-04T00:00:00Z 2026-01-11T00:00:00Z"},
		{"@daily", cron.Quartz, "2026-01-03T00:00:00Z 2026-01-04T00:00:00Z"},
		{"@Midnight", cron.Quartz, "2026-01-03T00:00:00Z 2026-01-04T00:00:00Z"},
		{"@hourly", cron.Unix, "2026-01-02T13:00:00Z 2026-01-02T14:00:00Z"},
	} {
		s, err := cron.Parse(c.expr, cron.Options{Dialect: c.dialect})
		if err != nil {
			t.Errorf("%q: %v", c.expr, err)
			continue
		}
		if got := fires(t, s, "2026-01-02T12:00:00Z", 2); got != c.want {
			t.Errorf("%q fires at %s, not %s", c.expr, got, c.want)
		}
	}
}

func TestDaylightSaving(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr, zone string
		mode       cron.DST
		after      string
		want       string
	}{
		// A gap, 02:00 to 03:00.
		{"0 0 2 * * ?", "America/New_York", cron.Shift, "2026-03-07T12:00:00-05:00", "2026-03-08T03:00:00-04:00 2026-03-09T02:00:00-04:00"},
		{"0 30 2 * * ?", "America/New_York", cron.Shift, "2026-03-07T12:00:00-05:00", "2026-03-08T03:00:00-04:00 2026-03-09T02:30:00-04:00"},
		{"0 0/20 2,3 * * ?", "America/New_York", cron.Shift, "2026-03-07T12:00:00-05:00", "2026-03-08T03:00:00-04:00 2026-03-08T03:20:00-04:00"}, // merged
		{"0 30 2 * * ?", "America/New_York", cron.Skip, "2026-03-07T12:00:00-05:00", "2026-03-09T02:30:00-04:00 2026-03-10T02:30:00-04:00"},
		{"0 30 2 * * ?", "America/New_York", cron.DSTQuartz, "2026-03-07T12:00:00-05:00", "2026-03-09T02:30:00-04:00 2026-03-10T02:30:00-04:00"},
		{"0 30 * * * ?", "America/New_York", cron.Shift, "2026-03-08T01:00:00-05:00", "2026-03-08T01:30:00-05:00 2026-03-08T03:30:00-04:00"}, // elapsed
		{"0 0 0/2 * * ?", "America/New_York", cron.Shift, "2026-03-07T23:00:00-05:00", "2026-03-08T00:00:00-05:00 2026-03-08T04:00:00-04:00"},
		{"0 0 0-23 * * ?", "America/New_York", cron.Shift, "2026-11-01T00:30:00-04:00", "2026-11-01T01:00:00-04:00 2026-11-01T02:00:00-05:00"}, // fixed, whatever it amounts to
		// 01:00 to 02:00 twice.
		{"0 30 1 * * ?", "America/New_York", cron.Shift, "2026-10-31T12:00:00-04:00", "2026-11-01T01:30:00-04:00 2026-11-02T01:30:00-05:00"},
		{"0 30 1 * * ?", "America/New_York", cron.Skip, "2026-11-01T01:10:00-05:00", "2026-11-02T01:30:00-05:00 2026-11-03T01:30:00-05:00"},
		{"0 30 1 * * ?", "America/New_York", cron.DSTQuartz, "2026-10-31T12:00:00-04:00", "2026-11-01T01:30:00-05:00 2026-11-02T01:30:00-05:00"},
		{"0 30 * * * ?", "America/New_York", cron.Shift, "2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00 2026-11-01T01:30:00-05:00"},
		{"0 30 * * * ?", "America/New_York", cron.DSTQuartz, "2026-11-01T00:40:00-04:00", "2026-11-01T01:30:00-05:00 2026-11-01T02:30:00-05:00"},
		// Half an hour, midnight, a whole day.
		{"0 15 2 * * ?", "Australia/Lord_Howe", cron.Shift, "2026-10-03T12:00:00+10:30", "2026-10-04T02:30:00+11:00 2026-10-05T02:15:00+11:00"},
		{"0 0 0 * * ?", "America/Sao_Paulo", cron.Shift, "2018-11-03T12:00:00-03:00", "2018-11-04T01:00:00-02:00 2018-11-05T00:00:00-02:00"},
		{"0 0 2 ? * FRI", "Pacific/Apia", cron.Shift, "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00 2012-01-06T02:00:00+14:00"},
		{"0 0 0 * * ?", "Pacific/Apia", cron.Shift, "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00 2012-01-01T00:00:00+14:00"}, // both days, once
		{"0 0 2 ? * FRI", "Pacific/Apia", cron.Skip, "2011-12-29T12:00:00-10:00", "2012-01-06T02:00:00+14:00 2012-01-13T02:00:00+14:00"},
		{"0 30 2 * * ?", "Africa/Casablanca", cron.Shift, "2024-03-09T12:00:00+01:00", "2024-03-10T02:30:00+01:00 2024-03-11T02:30:00Z"},
		// The last day of a leap year, which a rule for the years to come ends early.
		{"0 0 12 * * ?", "America/New_York", cron.Shift, "2096-12-30T20:00:00-05:00", "2096-12-31T12:00:00-05:00 2097-01-01T12:00:00-05:00"},
		{"0 0 0 29 2 ?", "America/New_York", cron.Skip, "2092-03-01T00:00:00-05:00", "2096-02-29T00:00:00-05:00 2104-02-29T00:00:00-05:00"},
		// Left out each year: the search ends.
		{"0 30 2 ? 3 1#2 2008-2199", "America/New_York", cron.Skip, "2026-01-01T00:00:00Z", "end"},
	} {
		s, err := cron.Parse(c.expr, cron.Options{Zone: zoneOf(t, c.zone), DST: c.mode})
		if err != nil {
			t.Fatal(err)
		}
		n := len(strings.Fields(c.want))
		if c.want == "end" {
			n = 1
		}
		if got := fires(t, s, c.after, n); got != c.want {
			t.Errorf("%s %s %s: %s, not %s", c.expr, c.zone, c.mode, got, c.want)
		}
	}
}

func TestErrorsSayWhereAndWhat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr       string
		dialect    cron.Dialect
		field      string
		position   int
		offset     int
		suggestion string
		says       string
	}{
		{"*/5 * * * *", cron.Quartz, "", 0, 0, "", "has 5 fields; the quartz dialect has 6 or 7: second minute hour day-of-month month day-of-week [year]; it looks like the unix dialect, which is said by dialect: unix (--dialect unix)"},
		{"0 0 2 * * ?", cron.Unix, "", 0, 0, "", "has 6 fields; the unix dialect has 5: minute hour day-of-month month day-of-week; it looks like the quartz dialect"},
		{"0 2 * * ?", cron.Quartz, "", 0, 0, "0 0 2 * * ?", "the second is missing"},
		{"0 0", cron.Quartz, "", 0, 0, "", "has 2 fields"},
		{"0 0 0 1 1 ? 2026 5", cron.Quartz, "", 0, 0, "", "has 8 fields"},
		{"", cron.Quartz, "", 0, 0, "", "has 0 fields"},
		{"0 0 25 * * ?", cron.Quartz, "hour", 3, 4, "", `field 3 (hour), character 5: "25" is not a number from 0 to 23`},
		{"0 0 2 * * *", cron.Quartz, "day of week", 6, 10, "?", `one of the two day fields is ?; write "?" here`},
		{"0 0 2 * * MON", cron.Quartz, "day of month", 4, 6, "?", `write "?" here`},
		{"0 0 2 1 * MON", cron.Quartz, "day of week", 6, 10, "", "make two schedules, or use the unix dialect"},
		{"0 0 2 ? * ?", cron.Quartz, "day of week", 6, 10, "", "both day fields are ?"},
		{"? 0 2 * * ?", cron.Quartz, "second", 1, 0, "*", `write "*" here`},
		{"0 0 2 ?,3 * MON", cron.Quartz, "day of month", 4, 6, "", "? stands alone"},
		{"0 0 2 ? * MUN", cron.Quartz, "day of week", 6, 10, "SUN", `did you mean "SUN"?`},
		{"0 0 2 ? * MONDAY", cron.Quartz, "day of week", 6, 10, "MON", `did you mean "MON"?`},
		{"0 0 2 1 FBE ?", cron.Quartz, "month", 5, 8, "FEB", "or a name from JAN to DEC"},
		{"0 0 2 1 SEPT ?", cron.Quartz, "month", 5, 8, "SEP", `did you mean "SEP"?`},
		{"0 0 2 15,L * ?", cron.Quartz, "day of month", 4, 8, "", "stand alone"},
		{"0 0 2 15W,20 * ?", cron.Quartz, "day of month", 4, 9, "", "stand alone"},
		{"0 0 2 ? * 2,6#3", cron.Quartz, "day of week", 6, 11, "", "stand alone"},
		{"0 0 2 ? * 6#6", cron.Quartz, "day of week", 6, 12, "", "a number from 1 to 5"},
		{"0 0 2 L-31 * ?", cron.Quartz, "day of month", 4, 8, "", "from 0 to 30"},
		{"0 0 2 3L * ?", cron.Quartz, "day of month", 4, 6, "", "L, L-3, LW, L-3W and 15W"},
		{"0 0 2 ? * 6L#1", cron.Quartz, "day of week", 6, 10, "", "is not"},
		{"0 0 2 ? * MON-6", cron.Quartz, "day of week", 6, 10, "", "mixes a name and a number"},
		{"0 1,70 2 * * ?", cron.Quartz, "minute", 2, 4, "", `"70"`},
		{"0 0/60 2 * * ?", cron.Quartz, "minute", 2, 4, "", `the step "60" is not a number from 1 to 59`},
		{"0 0/0 2 * * ?", cron.Quartz, "minute", 2, 4, "", "the step"},
		{"0 1- 2 * * ?", cron.Quartz, "minute", 2, 4, "", "a value is missing"},
		{"0 +1 2 * * ?", cron.Quartz, "minute", 2, 2, "", `"+1" is not`},
		{"0 *5 2 * * ?", cron.Quartz, "minute", 2, 3, "", "write * alone, or */5"},
		{"0 1,,2 2 * * ?", cron.Quartz, "minute", 2, 4, "", "a value is missing"},
		{"0 0 2 1 1 ? 1969", cron.Quartz, "year", 7, 12, "", "from 1970 to 2199"},
		{"0 0 2 1 1 ? 2030-2028", cron.Quartz, "year", 7, 12, "", "write 2028-2030"},
		{"0 2 ? * *", cron.Unix, "day of month", 3, 4, "", "the unix dialect has no ?"},
		{"0 2 L * *", cron.Unix, "day of month", 3, 4, "", "the unix dialect has no L"},
		{"0 2 * * 5#3", cron.Unix, "day of week", 5, 9, "", "the unix dialect has no #"},
		{"0 2 * * 8", cron.Unix, "day of week", 5, 8, "", "from 0 to 7"},
		{"@dayly", cron.Unix, "", 0, 0, "@daily", "is no macro"},
		{"@every 5m", cron.Quartz, "", 0, 0, "", "every: 15m"},
		{"0 0 2 * * ？", cron.Quartz, "", 0, 10, "?", `full-width; write "?" here`},
		{"0 0 2 * * ?", "cron", "", 0, 0, "", "there are quartz, unix"},
		{strings.Repeat("1", 2000), cron.Quartz, "", 0, 0, "", "at most 1024"},
	} {
		_, err := cron.Parse(c.expr, cron.Options{Dialect: c.dialect})
		e, ok := errors.AsType[*cron.Error](err)
		if !ok {
			t.Errorf("%q: %v", c.expr, err)
			continue
		}
		if e.Code != "bad_cron" || e.Field != c.field || e.Position != c.position || e.Offset != c.offset || e.Suggestion != c.suggestion || !strings.Contains(e.Error(), c.says) {
			t.Errorf("%q: %+v; want it to say %q", c.expr, *e, c.says)
		}
	}
}

func TestEveryAndAt(t *testing.T) {
	t.Parallel()
	anchor := time.Date(2026, 3, 1, 0, 5, 0, 0, zoneOf(t, "Asia/Shanghai"))
	every, err := cron.Every(15*time.Minute, anchor)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fires(t, every, "2026-03-01T00:05:00+08:00", 2), "2026-03-01T00:20:00+08:00 2026-03-01T00:35:00+08:00"; got != want {
		t.Errorf("every: %s, not %s", got, want)
	}
	if got, want := fires(t, every, "2026-02-28T23:50:01+08:00", 1), "2026-03-01T00:05:00+08:00"; got != want {
		t.Errorf("every: %s, not %s", got, want)
	}
	if got, ok := every.Prev(anchor); !ok || !got.Equal(anchor.Add(-15*time.Minute)) {
		t.Errorf("every: before the anchor comes %v", got)
	}
	if got, ok := every.Prev(anchor.Add(time.Millisecond)); !ok || !got.Equal(anchor) {
		t.Errorf("every: before a part of a second comes %v", got)
	}
	if got := fires(t, every, "2199-12-31T23:46:00Z", 2); got != "2200-01-01T07:50:00+08:00 end" {
		t.Errorf("every: %s", got)
	}
	if got := slices.Collect(every.Between(anchor, anchor.Add(30*time.Minute))); len(got) != 3 {
		t.Errorf("every: %v", got)
	}
	at, err := cron.At(anchor)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fires(t, at, "2026-03-01T00:04:59+08:00", 2), "2026-03-01T00:05:00+08:00 end"; got != want {
		t.Errorf("at: %s, not %s", got, want)
	}
	if got, ok := at.Prev(anchor); ok {
		t.Errorf("at: before it comes %v", got)
	}
	for _, wrong := range []time.Duration{0, -time.Hour, 1500 * time.Millisecond} {
		if _, err := cron.Every(wrong, anchor); err == nil {
			t.Errorf("every %v is taken", wrong)
		}
	}
	if _, err := cron.At(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil {
		t.Error("the year 2200 is taken")
	}
}

func TestNothingIsAskedBeyondTheYears(t *testing.T) {
	t.Parallel()
	s, err := cron.Parse("* * * * * ?", cron.Options{Zone: zoneOf(t, "America/New_York")})
	if err != nil {
		t.Fatal(err)
	}
	early, late := time.Date(-9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	if f, ok := s.Next(early); !ok || f.Format(local) != "1970-01-01T00:00:00-05:00" {
		t.Error(f, ok)
	}
	if f, ok := s.Prev(late); !ok || f.Format(local) != "2199-12-31T23:59:59-05:00" {
		t.Error(f, ok)
	}
	if f, ok := s.Next(late); ok {
		t.Error(f)
	}
	if f, ok := s.Prev(early); ok {
		t.Error(f)
	}
}

func TestNextAllocatesNothing(t *testing.T) { // not in parallel: it would count for others
	zone := zoneOf(t, "America/New_York")
	s, err := cron.Parse("0 0 2 ? * MON-FRI", cron.Options{Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, zone)
	if n := testing.AllocsPerRun(100, func() { at, _ = s.Next(at) }); n > 0 {
		t.Errorf("Next allocates %v times", n)
	}
}

// Whatever the text is: an error of this package, or a schedule whose questions end.
func FuzzParse(f *testing.F) {
	for _, expr := range []string{
		"0 0 2 * * ?", "0 0/15 9-17 ? * MON-FRI 2026-2030", "0 0 0 L-3W * ?", "0 0 0 ? * 6#3", "0 0 0 ? 2 FRIL", "0 0 0 15W NOV-FEB ?", "0 0 0 31 2 ?",
		"*/5 * * * *", "0 0 13 * 5", "0 0 * * 7/2", "@daily", "@every 5m", "？", "", " ", "0 0 0 ,1- * ?", "0 0 22-2/3,/5 * * ?", "0 0 0 1 1 ? 1970/229",
	} {
		f.Add(expr, true)
		f.Add(expr, false)
	}
	zone := zoneOf(f, "Pacific/Apia")
	f.Fuzz(func(t *testing.T, expr string, unix bool) {
		o := cron.Options{Zone: zone, DST: cron.Skip}
		if unix {
			o.Dialect = cron.Unix
		}
		s, err := cron.Parse(expr, o)
		if err != nil {
			e, ok := errors.AsType[*cron.Error](err)
			if !ok || e.Message == "" || e.Offset < 0 || e.Offset > len(expr) {
				t.Fatalf("%q: %#v", expr, err)
			}
			return
		}
		after := time.Date(2011, 12, 1, 0, 0, 0, 0, time.UTC)
		next, ok := s.Next(after)
		if back, found := s.Prev(next); ok && found && back.After(after) {
			t.Fatalf("%q: Next skipped %v", expr, back)
		}
	})
}
