package window_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"baton/internal/cron"
	"baton/internal/window"
)

// Zones and days on which clocks there did something: by an hour at night, at midnight, from one
// minute past it, by half an hour, by a day. Others are off by no whole hour, or end a leap year far
// ahead.
var eventful = []struct{ zone, day string }{
	{"UTC", "2028-02-29"},
	{"America/New_York", "2026-03-08"},
	{"America/New_York", "2026-11-01"},
	{"America/New_York", "2040-11-04"},
	{"America/New_York", "2040-12-31"},
	{"America/Sao_Paulo", "2018-11-04"},
	{"America/Sao_Paulo", "2018-02-18"},
	{"Asia/Beirut", "2022-03-27"},
	{"Asia/Beirut", "2021-10-31"},
	{"America/St_Johns", "2006-10-29"},
	{"America/St_Johns", "2007-03-11"},
	{"America/St_Johns", "1988-04-03"},
	{"Australia/Lord_Howe", "2026-04-05"},
	{"Australia/Lord_Howe", "2025-10-05"},
	{"Asia/Pyongyang", "2018-05-05"},
	{"Asia/Kathmandu", "1986-01-01"},
	{"Pacific/Apia", "2011-12-30"},
	{"Pacific/Kwajalein", "1993-08-21"},
	{"Pacific/Kwajalein", "1969-09-30"},
	{"Europe/Dublin", "2026-10-25"},
	{"Antarctica/Troll", "2026-03-29"},
	{"America/Toronto", "1919-03-31"},
}

// asked draws a zone and a data time in it, mostly near something that happened there.
func asked(t *rapid.T) (time.Time, *time.Location) {
	e := rapid.SampledFrom(eventful).Draw(t, "eventful")
	zone := zoneOf(t, e.zone)
	day, err := time.Parse(time.DateOnly, e.day)
	if err != nil {
		t.Fatal(err)
	}
	away := rapid.IntRange(-3, 3).Draw(t, "days away")
	if rapid.IntRange(0, 3).Draw(t, "far") == 0 {
		away = rapid.IntRange(-60, 60).Draw(t, "far away")
	}
	second := rapid.IntRange(0, 24*60*60-1).Draw(t, "second")
	return day.AddDate(0, 0, away).Add(time.Duration(second) * time.Second), zone
}

// scan looks at every minute from some days before a moment to some days after it. A day is a
// stretch in which no later date was shown, an hour one that begins where a whole hour is shown.
func scan(at time.Time, zone *time.Location, before, after int) (days, hours []window.Interval) {
	var latest time.Time
	var dayStarts, hourStarts []time.Time
	end := at.AddDate(0, 0, after)
	for m := at.AddDate(0, 0, -before).Truncate(time.Minute); m.Before(end); m = m.Add(time.Minute) {
		shown := m.In(zone)
		if y, mo, d := shown.Date(); time.Date(y, mo, d, 0, 0, 0, 0, time.UTC).After(latest) {
			latest = time.Date(y, mo, d, 0, 0, 0, 0, time.UTC)
			dayStarts = append(dayStarts, shown)
		}
		if shown.Minute() == 0 {
			hourStarts = append(hourStarts, shown)
		}
	}
	return between(dayStarts[1:]), between(hourStarts)
}

func between(starts []time.Time) []window.Interval {
	out := make([]window.Interval, len(starts)-1)
	for i := range out {
		out[i] = window.Interval{Start: starts[i], End: starts[i+1]}
	}
	return out
}

// expect holds a window against what the scan found.
func expect(t *rapid.T, cycle, value string, at time.Time, zone *time.Location, want []window.Interval) {
	t.Helper()
	got := parse(t, cycle, value).Intervals(at, zone)
	same := func(a, b window.Interval) bool { return a.Start.Equal(b.Start) && a.End.Equal(b.End) }
	if !slices.EqualFunc(got, want, same) {
		t.Fatalf("%s %s at %s in %s\n got %s\nwant %s", cycle, value, at.In(zone), zone, summary(got), summary(want))
	}
}

func indexAt(list []window.Interval, at time.Time) int {
	return slices.IndexFunc(list, func(i window.Interval) bool { return i.Contains(at) })
}

func TestHoursAndDaysAreThoseThatAScanFinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at, zone := asked(t)
		days, hours := scan(at, zone, 12, 4)
		h, d := indexAt(hours, at), indexAt(days, at)
		expect(t, "hour", "currentHour", at, zone, hours[h:h+1])
		expect(t, "hour", "last1Hour", at, zone, hours[h-1:h])
		expect(t, "hour", "last2Hours", at, zone, hours[h-2:h])
		expect(t, "hour", "last3Hours", at, zone, hours[h-3:h])
		var after []window.Interval
		for i := range hours {
			if i > 0 && days[d-1].Contains(hours[i-1].Start) {
				after = append(after, hours[i])
			}
		}
		expect(t, "hour", "last24Hours", at, zone, after)
		expect(t, "day", "today", at, zone, days[d:d+1])
		expect(t, "day", "last1Days", at, zone, days[d-1:d])
		expect(t, "day", "last2Days", at, zone, days[d-2:d])
		expect(t, "day", "last3Days", at, zone, days[d-3:d])
		expect(t, "day", "last7Days", at, zone, days[d-7:d])
	})
}

func TestWeeksAndMonthsAreThoseThatAScanFinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at, zone := asked(t)
		var days []window.Interval // of every hour the day, which the test above looks at
		for near := at.AddDate(0, 0, -70); near.Before(at.AddDate(0, 0, 40)); near = near.Add(time.Hour) {
			today := parse(t, "day", "today").Intervals(near, zone)[0]
			if len(days) == 0 || !today.Start.Equal(days[len(days)-1].Start) {
				days = append(days, today)
			}
		}
		today := dateOf(days[indexAt(days, at)])
		choose := func(fits func(day time.Time) bool) []window.Interval {
			var out []window.Interval
			for _, d := range days {
				if fits(dateOf(d)) {
					out = append(out, d)
				}
			}
			return out
		}
		sameWeek := func(a, b time.Time) bool {
			ay, aw := a.ISOWeek()
			by, bw := b.ISOWeek()
			return ay == by && aw == bw
		}
		sameMonth := func(a, b time.Time) bool { return a.Year() == b.Year() && a.Month() == b.Month() }
		weekAgo, monthAgo := today.AddDate(0, 0, -7), today.AddDate(0, 0, -today.Day())

		expect(t, "week", "thisWeek", at, zone, choose(func(d time.Time) bool { return sameWeek(d, today) && !d.After(today) }))
		expect(t, "week", "lastWeek", at, zone, choose(func(d time.Time) bool { return sameWeek(d, weekAgo) }))
		for weekday := time.Sunday; weekday <= time.Saturday; weekday++ {
			expect(t, "week", "last"+weekday.String(), at, zone, choose(func(d time.Time) bool { return sameWeek(d, weekAgo) && d.Weekday() == weekday }))
		}
		this := choose(func(d time.Time) bool { return sameMonth(d, today) })
		before := choose(func(d time.Time) bool { return sameMonth(d, monthAgo) })
		expect(t, "month", "thisMonth", at, zone, choose(func(d time.Time) bool { return sameMonth(d, today) && !d.After(today) }))
		expect(t, "month", "thisMonthBegin", at, zone, this[:1])
		expect(t, "month", "thisMonthEnd", at, zone, this[len(this)-1:])
		expect(t, "month", "lastMonth", at, zone, before)
		expect(t, "month", "lastMonthBegin", at, zone, before[:1])
		expect(t, "month", "lastMonthEnd", at, zone, before[len(before)-1:])
	})
}

// dateOf is the date that clocks show as a day begins, as its midnight in UTC.
func dateOf(day window.Interval) time.Time {
	y, m, d := day.Start.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// What runs on every whole hour, or at every midnight, runs once in each window, when it begins: a
// dependent of it never waits for a run that no schedule makes.
func TestHourlyAndDailySchedulesFireOnceInEachWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at, zone := asked(t)
		if at.Year() < cron.MinYear+1 {
			return
		}
		for _, c := range []struct{ expression, cycle, value string }{
			{"0 0 * * * ?", "hour", "last24Hours"}, {"0 0 * * * ?", "hour", "currentHour"}, {"0 0 0 * * ?", "day", "last7Days"}, {"0 0 0 * * ?", "month", "lastMonth"},
		} {
			schedule, err := cron.Parse(c.expression, cron.Options{Zone: zone})
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range parse(t, c.cycle, c.value).Intervals(at, zone) {
				first, _ := schedule.Next(i.Start.Add(-time.Second))
				second, _ := schedule.Next(first)
				if !first.Equal(i.Start) || !second.Equal(i.End) {
					t.Fatalf("%s: %q fires at %s and %s", tell(i), c.expression, first, second)
				}
			}
		}
	})
}
