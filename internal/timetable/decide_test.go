package timetable_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"baton/internal/flow"
	"baton/internal/timetable"
)

func at(text string) flow.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return flow.At(t)
}

func table(t *testing.T, s flow.Schedule, c *flow.Calendar) *timetable.Table {
	t.Helper()
	x, err := timetable.New(s, c)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// told is a decision as text.
func told(d timetable.Decision) string {
	var b strings.Builder
	for _, f := range d.Fires {
		fmt.Fprintf(&b, "%s %s", f.Nominal, f.State)
		if f.Times > 1 {
			fmt.Fprintf(&b, " and %d more to %s", f.Times-1, f.Last)
		}
		if f.Reason != "" {
			fmt.Fprintf(&b, " (%s)", f.Reason)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "after %s, next %s", d.After, d.Next)
	return b.String()
}

func TestDecide(t *testing.T) {
	t.Parallel()
	daily := flow.Schedule{Name: "nightly", Cron: "0 0 2 * * ?", Timezone: "Asia/Shanghai"}
	with := func(change func(*flow.Schedule)) flow.Schedule {
		s := daily
		change(&s)
		return s
	}
	cn := &flow.Calendar{Name: "cn", Holidays: []string{"2026-10-01"}, Workdays: []string{"2026-10-10"}}
	for _, c := range []struct {
		name     string
		schedule flow.Schedule
		calendar *flow.Calendar
		after    string
		now      string
		until    string
		want     string
	}{
		{
			name: "nothing is due", schedule: daily, after: "2026-03-01T00:00:00+08:00", now: "2026-03-01T01:59:59+08:00",
			want: "after 2026-02-28T16:00:00Z, next 2026-02-28T18:00:00Z",
		},
		{
			name: "on time", schedule: daily, after: "2026-03-01T00:00:00+08:00", now: "2026-03-01T02:00:00+08:00",
			want: "2026-02-28T18:00:00Z fired\nafter 2026-02-28T18:00:00Z, next 2026-03-01T18:00:00Z",
		},
		{
			name: "a moment late is on time", schedule: with(func(s *flow.Schedule) { s.Missed = flow.MissedNone }), after: "2026-03-01T00:00:00+08:00", now: "2026-03-01T02:01:00+08:00",
			want: "2026-02-28T18:00:00Z fired\nafter 2026-02-28T18:00:00Z, next 2026-03-01T18:00:00Z",
		},
		{
			name: "missed: last", schedule: daily, after: "2026-03-01T00:00:00+08:00", now: "2026-03-03T03:00:00+08:00",
			want: "2026-02-28T18:00:00Z missed (window: nobody was there to fire it, and it was 2d1h ago; missed_window is 1d)\n" +
				"2026-03-01T18:00:00Z missed (window: nobody was there to fire it, and it was 1d1h ago; missed_window is 1d)\n" +
				"2026-03-02T18:00:00Z fired (late: nobody was there to fire it, and it was 1h ago)\n" +
				"after 2026-03-02T18:00:00Z, next 2026-03-03T18:00:00Z",
		},
		{
			name: "missed: last in a wide window", schedule: with(func(s *flow.Schedule) { s.MissedWindow = flow.Duration(72 * time.Hour) }), after: "2026-03-01T00:00:00+08:00", now: "2026-03-02T03:00:00+08:00",
			want: "2026-02-28T18:00:00Z skipped (missed: nobody was there to fire it, and it was 1d1h ago; missed: last fires only the latest)\n" +
				"2026-03-01T18:00:00Z fired (late: nobody was there to fire it, and it was 1h ago)\n" +
				"after 2026-03-01T18:00:00Z, next 2026-03-02T18:00:00Z",
		},
		{
			name: "missed: none", schedule: with(func(s *flow.Schedule) { s.Missed = flow.MissedNone }), after: "2026-03-01T00:00:00+08:00", now: "2026-03-01T03:00:00+08:00",
			want: "2026-02-28T18:00:00Z skipped (missed: nobody was there to fire it, and it was 1h ago; missed: none leaves it out)\n" +
				"after 2026-02-28T18:00:00Z, next 2026-03-01T18:00:00Z",
		},
		{
			name: "missed: all", schedule: with(func(s *flow.Schedule) { s.Missed = flow.MissedAll }), after: "2026-03-01T03:00:00+08:00", now: "2026-03-03T01:00:00+08:00",
			want: "2026-03-01T18:00:00Z fired (late: nobody was there to fire it, and it was 23h ago)\n" +
				"after 2026-03-01T18:00:00Z, next 2026-03-02T18:00:00Z",
		},
		{
			name: "the calendar leaves out, and what was missed before it is made up for", schedule: with(func(s *flow.Schedule) { s.MissedWindow = flow.Duration(72 * time.Hour) }), calendar: cn,
			after: "2026-09-30T01:00:00+08:00", now: "2026-10-01T02:30:00+08:00",
			want: "2026-09-29T18:00:00Z fired (late: nobody was there to fire it, and it was 1d30m ago)\n" +
				"2026-09-30T18:00:00Z skipped (calendar: 2026-10-01 is a holiday of calendar cn)\n" +
				"after 2026-09-30T18:00:00Z, next 2026-10-01T18:00:00Z",
		},
		{
			name: "a weekend", schedule: daily, calendar: cn, after: "2026-10-02T03:00:00+08:00", now: "2026-10-05T02:00:00+08:00",
			want: "2026-10-02T18:00:00Z skipped (calendar: 2026-10-03, a Saturday, is no workday of calendar cn)\n" +
				"2026-10-03T18:00:00Z skipped (calendar: 2026-10-04, a Sunday, is no workday of calendar cn)\n" +
				"2026-10-04T18:00:00Z fired\n" +
				"after 2026-10-04T18:00:00Z, next 2026-10-05T18:00:00Z",
		},
		{
			name: "moved to the next workday", schedule: with(func(s *flow.Schedule) { s.Cron, s.Shift = "0 0 2 1 * ?", "next" }), calendar: cn,
			after: "2026-09-30T03:00:00+08:00", now: "2026-10-02T02:00:01+08:00",
			want: "2026-10-01T18:00:00Z fired (calendar: moved from 2026-10-01T02:00:00+08:00)\nafter 2026-10-01T18:00:00Z, next 2026-11-01T18:00:00Z",
		},
		{
			name: "another revision has what comes later", schedule: daily, after: "2026-03-01T00:00:00+08:00", until: "2026-03-02T01:00:00+08:00", now: "2026-03-02T02:00:00+08:00",
			want: "2026-02-28T18:00:00Z fired (late: nobody was there to fire it, and it was 1d ago)\nafter 2026-02-28T18:00:00Z, next ",
		},
		{
			name: "start and end", schedule: with(func(s *flow.Schedule) {
				s.Start, s.End = at("2026-03-02T02:00:00+08:00"), at("2026-03-03T02:00:00+08:00")
			}),
			after: "2026-03-01T00:00:00+08:00", now: "2026-03-02T02:00:00+08:00",
			want: "2026-03-01T18:00:00Z fired\nafter 2026-03-01T18:00:00Z, next ",
		},
		{
			name: "once", schedule: flow.Schedule{Name: "once", At: at("2026-03-01T02:00:00Z"), Timezone: "UTC"}, after: "2026-03-01T00:00:00Z", now: "2026-03-01T02:00:05Z",
			want: "2026-03-01T02:00:00Z fired\nafter 2026-03-01T02:00:00Z, next ",
		},
		{
			name: "every from a start", schedule: flow.Schedule{Every: flow.Duration(7 * time.Minute), Start: at("2026-03-01T02:03:00Z"), Timezone: "UTC"}, after: "2026-03-01T00:00:00Z", now: "2026-03-01T02:10:00Z",
			want: "2026-03-01T02:03:00Z skipped (missed: nobody was there to fire it, and it was 7m ago; missed: last fires only the latest)\n" +
				"2026-03-01T02:10:00Z fired\nafter 2026-03-01T02:10:00Z, next 2026-03-01T02:17:00Z",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			timing := flow.Timing{Schedule: 7, After: at(c.after)}
			if c.until != "" {
				timing.Until = at(c.until)
			}
			if got := told(table(t, c.schedule, c.calendar).Decide(timing, at(c.now))); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// However the moments lie at which somebody looks, also when the clock is set back, each time has one fate, in order, and
// nothing is made up.
func TestEveryTimeHasOneFate(t *testing.T) {
	t.Parallel()
	calendars := []*flow.Calendar{nil, {Name: "c"}, {Name: "c", Weekdays: []string{"sun", "tue"}, Holidays: []string{"2026-03-03"}, Workdays: []string{"2026-03-06"}}}
	rapid.Check(t, func(r *rapid.T) {
		s := flow.Schedule{
			Name:     "s",
			Timezone: rapid.SampledFrom([]string{"UTC", "America/New_York"}).Draw(r, "zone"),
			Missed:   rapid.SampledFrom([]flow.MissedPolicy{"", flow.MissedNone, flow.MissedAll}).Draw(r, "missed"),
			Jitter:   rapid.SampledFrom([]flow.Duration{0, flow.Duration(90 * time.Second)}).Draw(r, "jitter"),
		}
		if rapid.Bool().Draw(r, "cron") {
			s.Cron = rapid.SampledFrom([]string{"0 */10 * * * ?", "0 30 2 * * ?", "0 0 0/3 * * ?"}).Draw(r, "expression")
		} else {
			s.Every = flow.Duration(rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, 5 * time.Hour}).Draw(r, "every"))
		}
		c := rapid.SampledFrom(calendars).Draw(r, "calendar")
		plain, err := timetable.New(s, nil)
		if err != nil {
			r.Fatal(err)
		}
		x, err := timetable.New(s, c)
		if err != nil {
			r.Fatal(err)
		}
		began := at("2026-03-01T00:00:00Z")
		timing := flow.Timing{Schedule: 3, After: began}
		now, latest := began, began
		fired := map[flow.Time]bool{}
		left := 0
		for range rapid.IntRange(1, 12).Draw(r, "looks") {
			now = now.Add(time.Duration(rapid.Int64Range(-int64(2*time.Hour), int64(30*time.Hour)).Draw(r, "pause")))
			latest = max(latest, now)
			for again := true; again; {
				d := x.Decide(timing, now)
				if d.After < timing.After || d.Next != 0 && d.Next <= now && d.After == timing.After {
					r.Fatalf("no progress: %+v", d)
				}
				last := timing.After
				for _, f := range d.Fires {
					if f.Nominal <= last || f.Last < f.Nominal || f.Times < 1 || f.State == 0 || f.State != flow.FireFired && f.Reason == "" {
						r.Fatalf("after %s: %+v", last, f)
					}
					last = f.Last
					if f.State == flow.FireFired {
						if fired[f.Nominal] {
							r.Fatalf("%s is fired twice", f.Nominal)
						}
						fired[f.Nominal] = true
					} else {
						left += f.Times
					}
				}
				timing.After = d.After
				again = d.Next != 0 && d.Next <= now
			}
		}
		want := 0
		for after := began; ; want++ {
			p := plain.Preview(after, 1)
			if len(p) == 0 || p[0].At > timing.After {
				break
			}
			after = p[0].At
		}
		if len(fired)+left != want {
			r.Fatalf("%d fired, %d left out, of %d", len(fired), left, want)
		}
		if s.Missed == flow.MissedAll && c == nil && len(fired) != want && latest.Sub(began) < 24*time.Hour {
			r.Fatalf("%d of %d are made up for", len(fired), want)
		}
	})
}

// A year of seconds in which nobody was there is no year of rows.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	x := table(t, flow.Schedule{Every: flow.Duration(time.Second), Timezone: "UTC"}, nil)
	timing := flow.Timing{After: at("2026-03-01T00:00:00Z")}
	now := at("2026-03-03T00:00:00Z")
	rows, times, looks := 0, 0, 0
	for {
		d := x.Decide(timing, now)
		looks++
		rows += len(d.Fires)
		for _, f := range d.Fires {
			times += f.Times
		}
		timing.After = d.After
		if d.Next > now {
			break
		}
	}
	if times != 2*86_400 || rows > looks*101 {
		t.Errorf("%d times in %d rows of %d decisions", times, rows, looks)
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	x := table(t, flow.Schedule{Cron: "0 0 2 * * ?", Timezone: "UTC", Jitter: flow.Duration(10 * time.Minute)}, nil)
	seen := map[time.Duration]bool{}
	for id := flow.ID(1); id <= 20; id++ {
		d := x.Decide(flow.Timing{Schedule: id, After: at("2026-03-01T00:00:00Z")}, at("2026-03-01T00:00:00Z"))
		late := d.Next.Sub(d.Nominal)
		if d.Nominal != at("2026-03-01T02:00:00Z") || late < 0 || late >= 10*time.Minute {
			t.Errorf("schedule %d: %s for %s", id, d.Next, d.Nominal)
		}
		if again := x.Decide(flow.Timing{Schedule: id, After: at("2026-03-01T00:00:00Z")}, at("2026-03-01T01:00:00Z")); again.Next != d.Next {
			t.Errorf("schedule %d: another jitter for the same time", id)
		}
		seen[late] = true
		if d := x.Decide(flow.Timing{Schedule: id, After: at("2026-03-01T00:00:00Z")}, d.Next); len(d.Fires) != 1 || d.Fires[0].State != flow.FireFired || d.Fires[0].Reason != "" {
			t.Errorf("schedule %d: at its time: %s", id, told(d))
		}
	}
	if len(seen) < 15 {
		t.Errorf("20 schedules have %d different times", len(seen))
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	x := table(t, flow.Schedule{Cron: "0 0 2 * * ?", Timezone: "UTC", Calendar: "cn"}, &flow.Calendar{Name: "cn"})
	got := x.Preview(at("2026-02-27T00:00:00Z"), 2)
	want := []timetable.Preview{
		{At: at("2026-02-27T02:00:00Z"), Times: 1},
		{At: at("2026-02-28T02:00:00Z"), Skipped: true, Times: 1, Reason: "calendar: 2026-02-28, a Saturday, is no workday of calendar cn"},
		{At: at("2026-03-01T02:00:00Z"), Skipped: true, Times: 1, Reason: "calendar: 2026-03-01, a Sunday, is no workday of calendar cn"},
		{At: at("2026-03-02T02:00:00Z"), Times: 1},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v", got)
	}
	none := table(t, flow.Schedule{Every: flow.Duration(time.Hour), Timezone: "UTC", Calendar: "c"}, &flow.Calendar{Name: "c", NoWeekdays: true, Workdays: []string{"2026-01-02"}})
	if got := none.Preview(at("2026-02-27T00:00:00Z"), 2); len(got) != 0 {
		t.Errorf("no workday is left: %+v", got)
	}
}

// With a master that looks exactly when it was asked to, everything is on time, however long the jitter.
func TestPunctualMasterMissesNothing(t *testing.T) {
	t.Parallel()
	for _, s := range []flow.Schedule{
		{Every: flow.Duration(time.Minute), Jitter: flow.Duration(5 * time.Minute), Timezone: "UTC", Missed: flow.MissedNone},
		{Every: flow.Duration(time.Second), Jitter: flow.Duration(10 * time.Second), Timezone: "UTC"},
	} {
		x := table(t, s, nil)
		timing := flow.Timing{Schedule: 11, After: at("2026-03-01T00:00:00Z")}
		fired, now := 0, timing.After
		for now < at("2026-03-01T01:00:00Z") {
			d := x.Decide(timing, now)
			for _, f := range d.Fires {
				if f.State != flow.FireFired || f.Reason != "" {
					t.Fatalf("%s with jitter %s: %+v at %s", s.Every, s.Jitter, f, now)
				}
				fired++
			}
			timing.After, now = d.After, d.Next
		}
		if want := int(time.Hour/s.Every.Std()) - int(s.Jitter.Std()/s.Every.Std()) - 1; fired < want {
			t.Errorf("%s with jitter %s: %d fired in an hour", s.Every, s.Jitter, fired)
		}
	}
}

// A clock that is set an hour on, and back again, loses and doubles no fire: what was passed over is made up for or says
// why not, and nothing fires a second time.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for _, policy := range []flow.MissedPolicy{flow.MissedAll, flow.MissedLast, flow.MissedNone} {
		x := table(t, flow.Schedule{Every: flow.Duration(time.Minute), Timezone: "UTC", Missed: policy}, nil)
		timing := flow.Timing{After: at("2026-03-01T00:00:00Z")}
		fates, fired := map[flow.Time]int{}, 0
		look := func(now flow.Time) (d timetable.Decision) {
			t.Helper()
			for again := true; again; again = d.Next <= now {
				d = x.Decide(timing, now)
				for _, f := range d.Fires {
					for i := range f.Times { // of one fate
						fates[f.Nominal.Add(time.Duration(i)*time.Minute)]++
					}
					if f.State == flow.FireFired {
						fired++
					} else if f.Reason == "" {
						t.Errorf("%s: %+v says not why", policy, f)
					}
				}
				timing.After = d.After
			}
			return d
		}
		for now := timing.After; now <= at("2026-03-01T00:10:00Z"); now = now.Add(20 * time.Second) {
			look(now)
		}
		look(at("2026-03-01T01:10:30Z")) // an hour on
		onward := fired
		for now := at("2026-03-01T00:11:00Z"); now < at("2026-03-01T01:11:00Z"); now = now.Add(20 * time.Second) { // and back
			if d := look(now); d.Next != at("2026-03-01T01:11:00Z") {
				t.Fatalf("%s: looks again at %s", policy, d.Next)
			}
		}
		if fired != onward {
			t.Errorf("%s: %d fires when the clock was set back", policy, fired-onward)
		}
		for now := at("2026-03-01T01:11:00Z"); now <= at("2026-03-01T01:20:00Z"); now = now.Add(20 * time.Second) {
			look(now)
		}
		for at := at("2026-03-01T00:01:00Z"); at <= timing.After; at = at.Add(time.Minute) {
			if fates[at] != 1 {
				t.Errorf("%s: %s has %d fates", policy, at, fates[at])
			}
		}
		if want := map[flow.MissedPolicy]int{flow.MissedAll: 80, flow.MissedLast: 21, flow.MissedNone: 21}[policy]; fired != want {
			t.Errorf("%s: %d fired, want %d", policy, fired, want)
		}
	}
}

// A busy moment misses nothing, whatever the policy.
func TestHiccup(t *testing.T) {
	t.Parallel()
	x := table(t, flow.Schedule{Every: flow.Duration(time.Second), Timezone: "UTC", Missed: flow.MissedNone}, nil)
	d := x.Decide(flow.Timing{After: at("2026-03-01T00:00:00Z")}, at("2026-03-01T00:00:30Z"))
	if len(d.Fires) != 30 || d.Fires[0].State != flow.FireFired {
		t.Error(told(d))
	}
}

// Of a schedule that was disabled nothing is fired that had come before; each time says why.
func TestHalted(t *testing.T) {
	t.Parallel()
	x := table(t, flow.Schedule{Every: flow.Duration(time.Hour), Timezone: "UTC", Missed: flow.MissedAll}, nil)
	d := x.Decide(flow.Timing{After: at("2026-03-01T00:00:00Z"), Until: at("2026-03-01T02:30:00Z"), Halted: true}, at("2026-03-01T02:30:01Z"))
	if len(d.Fires) != 2 || d.Fires[1].State != flow.FireSkipped || !strings.HasPrefix(d.Fires[1].Reason, "disabled: ") || d.Next != 0 {
		t.Error(told(d))
	}
}

// What the calendar leaves out has a row, also when nothing is fired any more, and no row reaches beyond the end of
// its revision.
func TestRestsToTheEnd(t *testing.T) {
	t.Parallel()
	s := flow.Schedule{Cron: "0 0 * * * ?", Timezone: "UTC", End: at("2026-03-02T00:00:00Z")} // saturday and sunday before
	x := table(t, s, &flow.Calendar{Name: "c"})
	timing := flow.Timing{After: at("2026-02-27T22:30:00Z")}
	times := 0
	for now := timing.After; ; {
		d := x.Decide(timing, now)
		for _, f := range d.Fires {
			times += f.Times
			if f.Last >= s.End || f.Nominal > now {
				t.Errorf("%+v at %s", f, now)
			}
		}
		if timing.After = d.After; d.Next == 0 {
			break
		}
		now = d.Next
	}
	if times != 49 {
		t.Errorf("%d times of 1 and 48", times)
	}
	d := x.Decide(flow.Timing{After: at("2026-02-28T00:30:00Z"), Until: at("2026-02-28T10:30:00Z")}, at("2026-03-01T00:00:00Z"))
	if n := len(d.Fires); n != 1 || d.Fires[0].Times != 10 || d.Fires[0].Last != at("2026-02-28T10:00:00Z") {
		t.Error(told(d))
	}
	if p := x.Preview(at("2026-02-27T23:30:00Z"), 1); len(p) != 0 {
		t.Errorf("it fires no more: %+v", p)
	}
}

// A preview is bounded, however many times a calendar leaves out.
func TestPreviewIsBounded(t *testing.T) {
	t.Parallel()
	x := table(t, flow.Schedule{Every: flow.Duration(time.Second), Timezone: "UTC"}, &flow.Calendar{Name: "c", NoWeekdays: true, Workdays: []string{"2036-01-02"}})
	p := x.Preview(at("2026-03-01T00:00:00Z"), 1)
	if n := len(p); n == 0 || n > 10 || p[n-1].Skipped || p[n-1].At != at("2036-01-02T00:00:00Z") {
		t.Errorf("%d: %+v", len(p), p[len(p)-1])
	}
}
