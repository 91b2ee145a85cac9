package cron_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same zones on every machine

	"pgregory.net/rapid"

	"baton/internal/cron"
)

// A written expression and, beside it, what it means, told naively: these two share nothing with
// the package.
type written struct {
	text    string
	dialect cron.Dialect
	elapsed bool
	fits    func(wall time.Time) bool // fields of a time in UTC
	days    func(wall time.Time) bool // the part of fits that is about days
}

type writtenField struct {
	text string
	fits func(int) bool
}

// fieldOf draws a list of one or two items.
func fieldOf(t *rapid.T, name string, low, high int) writtenField {
	item := func() writtenField {
		a := rapid.IntRange(low, high).Draw(t, name)
		b := rapid.IntRange(low, high).Draw(t, name+" end")
		step := rapid.IntRange(1, min(high, 9)).Draw(t, name+" step")
		in := func(v int) bool { // of a-b, perhaps over the end
			if a <= b {
				return a <= v && v <= b
			}
			return v >= a || v <= b
		}
		period := high - low + 1
		switch rapid.IntRange(0, 5).Draw(t, name+" form") {
		case 0:
			return writtenField{"*", func(int) bool { return true }}
		case 1:
			return writtenField{fmt.Sprintf("*/%d", step), func(v int) bool { return (v-low)%step == 0 }}
		case 2:
			return writtenField{fmt.Sprintf("%d/%d", a, step), func(v int) bool { return v >= a && (v-a)%step == 0 }}
		case 3:
			return writtenField{fmt.Sprintf("%d-%d", a, b), in}
		case 4:
			return writtenField{fmt.Sprintf("%d-%d/%d", a, b, step), func(v int) bool { return in(v) && (v-a+period)%period%step == 0 }}
		default:
			return writtenField{fmt.Sprint(a), func(v int) bool { return v == a }}
		}
	}
	one := item()
	if rapid.IntRange(0, 3).Draw(t, name+" list") > 0 {
		return one
	}
	two := item()
	return writtenField{one.text + "," + two.text, func(v int) bool { return one.fits(v) || two.fits(v) }}
}

func lengthOf(t time.Time) int {
	return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// nearestWorkday looks at every day of the month.
func nearestWorkday(t time.Time, target int) int {
	best := 0
	for d := 1; d <= lengthOf(t); d++ {
		w := time.Date(t.Year(), t.Month(), d, 0, 0, 0, 0, time.UTC).Weekday()
		if w != time.Saturday && w != time.Sunday && (best == 0 || abs(d-target) < abs(best-target)) {
			best = d
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// daysOf draws both day fields of Quartz.
func daysOf(t *rapid.T) (month, week string, fits func(time.Time) bool) {
	n := rapid.IntRange(1, 31).Draw(t, "n")
	k := rapid.IntRange(1, 5).Draw(t, "k")
	w := rapid.IntRange(1, 7).Draw(t, "weekday")
	is := func(t time.Time) bool { return int(t.Weekday()) == w-1 }
	switch rapid.IntRange(0, 8).Draw(t, "days") {
	case 0:
		return "L", "?", func(t time.Time) bool { return t.Day() == lengthOf(t) }
	case 1:
		return fmt.Sprintf("L-%d", n-1), "?", func(t time.Time) bool { return t.Day() == lengthOf(t)-n+1 }
	case 2:
		return "LW", "?", func(t time.Time) bool { return t.Day() == nearestWorkday(t, lengthOf(t)) }
	case 3:
		return fmt.Sprintf("L-%dW", n-1), "?", func(t time.Time) bool {
			target := lengthOf(t) - n + 1
			return target >= 1 && t.Day() == nearestWorkday(t, target)
		}
	case 4:
		return fmt.Sprintf("%dW", n), "?", func(t time.Time) bool { return n <= lengthOf(t) && t.Day() == nearestWorkday(t, n) }
	case 5:
		return "?", fmt.Sprintf("%dL", w), func(t time.Time) bool { return is(t) && t.Day()+7 > lengthOf(t) }
	case 6:
		return "?", fmt.Sprintf("%d#%d", w, k), func(t time.Time) bool { return is(t) && (t.Day()-1)/7 == k-1 }
	case 7:
		f := fieldOf(t, "weekdays", 1, 7)
		return "?", f.text, func(t time.Time) bool { return f.fits(int(t.Weekday()) + 1) }
	default:
		f := fieldOf(t, "days of month", 1, 31)
		return f.text, "?", func(t time.Time) bool { return f.fits(t.Day()) }
	}
}

func expressionOf(t *rapid.T, unix, bySecond, daily bool) written {
	second := writtenField{"0", func(v int) bool { return v == 0 }}
	if bySecond && !unix {
		second = fieldOf(t, "second", 0, 59)
	}
	minute, hour := fieldOf(t, "minute", 0, 59), fieldOf(t, "hour", 0, 23)
	month := writtenField{"*", func(int) bool { return true }}
	dom, dow, days := "*", "?", func(time.Time) bool { return true }
	switch {
	case unix && !daily:
		m, w := fieldOf(t, "day of month", 1, 31), fieldOf(t, "weekday", 0, 6)
		dom, dow = m.text, strings.ReplaceAll(w.text, "0", rapid.SampledFrom([]string{"0", "sun"}).Draw(t, "sunday"))
		if strings.Contains(dow, "sun") && strings.ContainsAny(dow, "-") { // mixes names and numbers
			dow = w.text
		}
		both := dom[0] == '*' || dow[0] == '*'
		days = func(t time.Time) bool {
			d, w := m.fits(t.Day()), w.fits(int(t.Weekday()))
			return d && w || !both && (d || w)
		}
		month = fieldOf(t, "month", 1, 12)
	case unix:
		dow = "*"
	case !daily:
		dom, dow, days = daysOf(t)
		month = fieldOf(t, "month", 1, 12)
	}
	w := written{
		days:    func(t time.Time) bool { return month.fits(int(t.Month())) && days(t) },
		elapsed: hour.text == "*" || strings.Contains(hour.text, "/"),
		fits: func(t time.Time) bool {
			return second.fits(t.Second()) && minute.fits(t.Minute()) && hour.fits(t.Hour()) && month.fits(int(t.Month())) && days(t)
		},
		dialect: cron.Quartz,
	}
	w.text = strings.Join([]string{second.text, minute.text, hour.text, dom, month.text, dow}, " ")
	if unix {
		w.dialect = cron.Unix
		w.text = strings.Join([]string{minute.text, hour.text, dom, month.text, dow}, " ")
	}
	return w
}

// scan looks at every step of time and says which fires, by the words of the contract.
func scan(x written, zone *time.Location, mode cron.DST, from, to time.Time, step int64) []int64 {
	const margin = 26 * 60 * 60 // no clock is changed by more
	wallAt := func(t int64) int64 {
		_, off := time.Unix(t, 0).In(zone).Zone()
		return t + int64(off)
	}
	fits := func(w int64) bool { return x.fits(time.Unix(w, 0).UTC()) }
	last := map[int64]int64{}
	for t := from.Unix(); t <= to.Unix()+margin && mode == cron.DSTQuartz; t += step {
		last[wallAt(t)] = t
	}
	var out []int64
	highest := wallAt(from.Unix() - margin - step)
	for t := from.Unix() - margin; t <= to.Unix(); t += step {
		w := wallAt(t)
		fires := fits(w)
		switch {
		case mode == cron.DSTQuartz:
			fires = fires && last[w] == t
		case x.elapsed:
		default:
			fires = fires && w > highest // not shown before
			for left := highest + step; left < w && mode == cron.Shift; left += step {
				fires = fires || fits(left)
			}
		}
		highest = max(highest, w)
		if fires && t >= from.Unix() {
			out = append(out, t)
		}
	}
	return out
}

// changes of clocks worth looking at.
var changes = []struct{ zone, at string }{
	{"UTC", "2026-03-08T07:00:00Z"},
	{"America/New_York", "2026-03-08T07:00:00Z"},
	{"America/New_York", "2026-11-01T06:00:00Z"},
	{"Australia/Lord_Howe", "2026-10-03T15:30:00Z"}, // half an hour
	{"Australia/Lord_Howe", "2026-04-04T15:00:00Z"},
	{"America/Sao_Paulo", "2018-11-04T03:00:00Z"}, // at midnight
	{"America/Sao_Paulo", "2018-02-18T02:00:00Z"},
	{"Pacific/Apia", "2011-12-30T10:00:00Z"}, // a whole day
	{"Pacific/Apia", "2012-03-31T14:00:00Z"},
	{"Africa/Casablanca", "2024-03-10T02:00:00Z"}, // ramadan, backwards
	{"Africa/Casablanca", "2024-04-14T02:00:00Z"},
}

func zoneOf(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// check holds every question against the scan.
func check(t *rapid.T, x written, zone *time.Location, mode cron.DST, from, to time.Time, step int64) {
	s, err := cron.Parse(x.text, cron.Options{Dialect: x.dialect, Zone: zone, DST: mode})
	if err != nil {
		t.Fatalf("%q: %v", x.text, err)
	}
	want := scan(x, zone, mode, from, to, step)
	compare := func(question string, got []int64) {
		if !slices.Equal(got, want) {
			t.Fatalf("%q %s in %s, %s:\n got %s\nwant %s", x.text, mode, zone, question, inZone(got, zone), inZone(want, zone))
		}
	}
	var next, prev, between []int64
	for f, ok := s.Next(from.Add(-1)); ok && !f.After(to); f, ok = s.Next(f) {
		next = append(next, f.Unix())
	}
	compare("Next", next)
	for f, ok := s.Prev(to.Add(1)); ok && !f.Before(from); f, ok = s.Prev(f) {
		prev = append(prev, f.Unix())
	}
	slices.Reverse(prev)
	compare("Prev", prev)
	for f := range s.Between(from, to) {
		between = append(between, f.Unix())
	}
	compare("Between", between)
}

func inZone(list []int64, zone *time.Location) string {
	var b strings.Builder
	for i, t := range list {
		if i == 30 {
			return b.String() + "…"
		}
		b.WriteString(time.Unix(t, 0).In(zone).Format(time.RFC3339) + " ")
	}
	return b.String()
}

func TestClocksChange(t *testing.T) {
	t.Parallel()
	for _, c := range changes {
		t.Run(c.zone+" "+c.at[:10], func(t *testing.T) {
			t.Parallel()
			zone := zoneOf(t, c.zone)
			at, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(t *rapid.T) {
				x := expressionOf(t, rapid.Bool().Draw(t, "unix"), false, rapid.Bool().Draw(t, "daily"))
				// Where the questions begin matters: before, in and after a change.
				from := at.Add(time.Duration(rapid.IntRange(-26*60, 2*60).Draw(t, "from")) * time.Minute)
				for _, mode := range modes {
					check(t, x, zone, mode, from, from.Add(28*time.Hour), 60)
				}
			})
		})
	}
}

var modes = []cron.DST{cron.Shift, cron.Skip, cron.DSTQuartz}

func TestSeconds(t *testing.T) {
	t.Parallel()
	zone := zoneOf(t, "America/New_York")
	rapid.Check(t, func(t *rapid.T) {
		c := changes[rapid.IntRange(1, 2).Draw(t, "change")]
		at, _ := time.Parse(time.RFC3339, c.at)
		mode := rapid.SampledFrom(modes).Draw(t, "mode")
		from := at.Add(time.Duration(rapid.IntRange(-5400, 3600).Draw(t, "from")) * time.Second)
		check(t, expressionOf(t, false, true, true), zone, mode, from, from.Add(20*time.Minute), 1)
	})
}

// Days are looked at for years.
func TestDays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := expressionOf(t, rapid.Bool().Draw(t, "unix"), false, false)
		s, err := cron.Parse(x.text, cron.Options{Dialect: x.dialect})
		if err != nil {
			t.Fatalf("%q: %v", x.text, err)
		}
		from := time.Date(rapid.IntRange(1970, 2190).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month")), 1, 0, 0, 0, 0, time.UTC)
		to := from.AddDate(4, 0, 0)
		var want, got []string
		for d := from; d.Before(to); d = d.AddDate(0, 0, 1) {
			if x.days(d) { // every day has a time that fits
				want = append(want, d.Format(time.DateOnly))
			}
		}
		for f, ok := s.Next(from.Add(-1)); ok && f.Before(to); {
			got = append(got, f.Format(time.DateOnly))
			f, ok = s.Next(time.Date(f.Year(), f.Month(), f.Day(), 23, 59, 59, 0, time.UTC))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q from %s:\n got %v\nwant %v", x.text, from, got, want)
		}
		for i := len(want) - 1; i > 0; i-- { // and back
			day, _ := time.Parse(time.DateOnly, want[i])
			if f, ok := s.Prev(day); !ok || f.Format(time.DateOnly) != want[i-1] {
				t.Fatalf("%q: before %s comes %v %v, not %s", x.text, want[i], f, ok, want[i-1])
			}
		}
	})
}

// An instant between two fires has the one as its Prev and the other as its Next.
func TestPrevIsTheInverseOfNext(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{time.UTC}
	for _, c := range changes {
		zones = append(zones, zoneOf(t, c.zone))
	}
	rapid.Check(t, func(t *rapid.T) {
		x := expressionOf(t, rapid.Bool().Draw(t, "unix"), true, rapid.Bool().Draw(t, "daily"))
		s, err := cron.Parse(x.text, cron.Options{
			Dialect: x.dialect, Zone: rapid.SampledFrom(zones).Draw(t, "zone"),
			DST: rapid.SampledFrom(modes).Draw(t, "mode"),
		})
		if err != nil {
			t.Fatalf("%q: %v", x.text, err)
		}
		after := time.Unix(rapid.Int64Range(-1<<31, 7_300_000_000).Draw(t, "after"), 0)
		fires := s.NextN(after, 20)
		for i := 1; i < len(fires); i++ {
			if !fires[i].After(fires[i-1]) {
				t.Fatalf("%q: %v comes after %v", x.text, fires[i], fires[i-1])
			}
			if back, ok := s.Prev(fires[i]); !ok || !back.Equal(fires[i-1]) {
				t.Fatalf("%q: before %v comes %v %v, not %v", x.text, fires[i], back, ok, fires[i-1])
			}
		}
		if len(fires) > 0 {
			if back, ok := s.Prev(fires[0]); ok && back.After(after) {
				t.Fatalf("%q: after %v Next skipped %v", x.text, after, back)
			}
		}
	})
}
