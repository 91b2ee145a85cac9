package timetable_test

import (
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/timetable"
)

func TestBetween(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		schedule flow.Schedule
		calendar *flow.Calendar
		from, to string
		want     string
	}{
		{
			"both ends are included",
			flow.Schedule{Cron: "0 0 2 * * ?", Timezone: "Asia/Shanghai"},
			nil,
			"2026-03-01T02:00:00+08:00", "2026-03-03T02:00:00+08:00", "2026-02-28T18:00:00Z 2026-03-01T18:00:00Z 2026-03-02T18:00:00Z",
		},
		{
			"a moment short of both",
			flow.Schedule{Cron: "0 0 2 * * ?", Timezone: "Asia/Shanghai"},
			nil,
			"2026-03-01T02:00:01+08:00", "2026-03-03T01:59:59+08:00", "2026-03-01T18:00:00Z",
		},
		{
			"the calendar leaves out",
			flow.Schedule{Cron: "0 0 2 * * ?", Timezone: "UTC", Calendar: "c"},
			&flow.Calendar{Name: "c", Holidays: []string{"2026-03-03"}},
			"2026-02-27T00:00:00Z", "2026-03-04T12:00:00Z", "2026-02-27T02:00:00Z 2026-03-02T02:00:00Z 2026-03-04T02:00:00Z",
		},
		{
			"the calendar moves",
			flow.Schedule{Cron: "0 0 2 1 * ?", Timezone: "UTC", Calendar: "c", Shift: "next"},
			&flow.Calendar{Name: "c"},
			"2026-02-27T00:00:00Z", "2026-04-04T12:00:00Z", "2026-03-02T02:00:00Z 2026-04-01T02:00:00Z",
		},
		{
			"every",
			flow.Schedule{Every: flow.Duration(6 * time.Hour), Timezone: "UTC"},
			nil,
			"2026-03-01T00:00:00Z", "2026-03-01T13:00:00Z", "2026-03-01T00:00:00Z 2026-03-01T06:00:00Z 2026-03-01T12:00:00Z",
		},
		{
			"at",
			flow.Schedule{At: at("2026-03-01T05:00:00Z"), Timezone: "UTC"},
			nil,
			"2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-01T05:00:00Z",
		},
		{
			"its start and its end",
			flow.Schedule{Every: flow.Duration(time.Hour), Timezone: "UTC", Start: at("2026-03-01T05:00:00Z"), End: at("2026-03-01T07:00:00Z")},
			nil,
			"2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-01T05:00:00Z 2026-03-01T06:00:00Z",
		},
		{
			"none",
			flow.Schedule{Cron: "0 0 2 * * ?", Timezone: "UTC"},
			nil,
			"2026-03-01T03:00:00Z", "2026-03-01T20:00:00Z", "",
		},
		{
			"a day that has no midnight", timetable.Daily("America/Sao_Paulo"), nil,
			"2018-11-03T00:00:00-03:00", "2018-11-05T00:00:00-02:00", "2018-11-03T03:00:00Z 2018-11-04T03:00:00Z 2018-11-05T02:00:00Z",
		},
		{
			"a day of 23 hours, and one of 25", timetable.Daily("Europe/Berlin"), nil,
			"2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", "2026-03-28T23:00:00Z 2026-03-29T22:00:00Z",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			times, about := table(t, c.schedule, c.calendar).Between(at(c.from), at(c.to), 100)
			var got []string
			for _, x := range times {
				got = append(got, x.String())
			}
			if text := strings.Join(got, " "); text != c.want || about != len(times) {
				t.Errorf("got %s (about %d)\nwant %s", text, about, c.want)
			}
		})
	}
}

// What is too much is told of without being counted.
func TestBetweenIsBounded(t *testing.T) {
	t.Parallel()
	x := table(t, flow.Schedule{Every: flow.Duration(time.Second), Timezone: "UTC"}, nil)
	times, about := x.Between(at("2016-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"), 10_000)
	if want := 3653*86_400 + 1; len(times) != 10_000 || about != want || times[9_999] != at("2016-01-01T02:46:39Z") {
		t.Errorf("%d times to %s, about %d of %d", len(times), times[len(times)-1], about, want)
	}
	times, about = x.Between(at("2016-01-01T00:00:00Z"), at("2016-01-01T02:46:39Z"), 10_000)
	if len(times) != 10_000 || about != 10_000 {
		t.Errorf("%d times, about %d", len(times), about)
	}
	times, about = x.Between(at("2016-01-01T00:00:00Z"), at("2016-01-01T02:46:40Z"), 10_000)
	if len(times) != 10_000 || about != 10_001 {
		t.Errorf("%d times, about %d", len(times), about)
	}
	never := table(t, flow.Schedule{Every: flow.Duration(time.Second), Timezone: "UTC", Calendar: "c"}, &flow.Calendar{Name: "c", NoWeekdays: true, Workdays: []string{"2036-01-02"}})
	if times, about = never.Between(at("2016-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"), 10_000); len(times) != 0 || about != 0 {
		t.Errorf("%d times, about %d", len(times), about)
	}
}
