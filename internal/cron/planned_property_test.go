package cron_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"baton/internal/cron"
)

// clocks are a zone's, minute by minute around an instant: what the model knows of time.
type clocks struct {
	zone  *time.Location
	start int64           // unix
	walls []int64         // what clocks show at each minute
	first map[int64]int64 // of a local time, the instant it stands for
}

// clocksOf looks at 80 days before and after an instant.
func clocksOf(zone *time.Location, at time.Time) *clocks {
	const days = 80
	c := &clocks{zone: zone, start: at.Unix()/60*60 - days*86400, first: make(map[int64]int64, 2*days*1440)}
	highest := int64(0)
	for i := range int64(2 * days * 1440) {
		t := c.start + i*60
		_, off := time.Unix(t, 0).In(zone).Zone()
		w := t + int64(off)
		c.walls = append(c.walls, w)
		for left := highest + 60; i > 0 && left < w; left += 60 { // a gap
			c.first[left] = t
		}
		if i == 0 || w > highest {
			c.first[w], highest = t, w
		}
	}
	return c
}

func (c *clocks) wall(t int64) int64 { return c.walls[(t-c.start)/60] + modulo(t, 60) }

func modulo(a, b int64) int64 { return (a%b + b) % b }

// model is a calendar told naively, and the plan over it.
type model struct {
	schedule, calendar *clocks
	weekdays           [7]bool
	holidays, workdays map[string]bool
	to                 cron.ShiftTo
	meant              func(int64) int64 // the local time of a fire
	options            cron.CalendarOptions
	fires              []int64
	landed             map[int64]int64 // at → of
	skipped            []int64
}

func (m *model) works(t int64) bool {
	day := time.Unix(m.calendar.wall(t), 0).UTC()
	date := day.Format(time.DateOnly)
	return m.workdays[date] || m.weekdays[day.Weekday()] && !m.holidays[date]
}

// run moves every fire day by day.
func (m *model) run() {
	m.landed = map[int64]int64{}
	put := func(at, of int64) {
		if had, ok := m.landed[at]; !ok || had != at && (of == at || of < had) {
			m.landed[at] = of
		}
	}
	for _, f := range m.fires {
		if m.works(f) {
			put(f, f)
			continue
		}
		lands := false
		step := map[cron.ShiftTo]int64{cron.ShiftNext: 86400, cron.ShiftPrevious: -86400}[m.to]
		for w := m.meant(f) + step; step != 0; w += step {
			at, known := m.schedule.first[w]
			if !known || at < m.calendar.start || at >= m.calendar.start+int64(len(m.calendar.walls))*60 {
				break // so far that nothing listed is there
			}
			if m.works(at) {
				put(at, f)
				lands = true
				break
			}
		}
		if !lands {
			m.skipped = append(m.skipped, f)
		}
	}
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// calendarOf draws a calendar whose exceptions lie within days of a date.
func calendarOf(t *rapid.T, m *model, around time.Time) {
	m.holidays, m.workdays = map[string]bool{}, map[string]bool{}
	m.options.Weekdays = []string{}
	for d, name := range dayNames {
		if rapid.IntRange(0, 6).Draw(t, name) < 4 {
			m.weekdays[d] = true
			m.options.Weekdays = append(m.options.Weekdays, name)
		}
	}
	if len(m.options.Weekdays) == 0 {
		m.weekdays[time.Monday] = true
		m.options.Weekdays = []string{"mon"}
	}
	long := rapid.IntRange(0, 4).Draw(t, "long") == 0 // a rest of weeks, in which some dates work
	for range rapid.IntRange(1, 8).Draw(t, "dates") {
		date := around.AddDate(0, 0, rapid.IntRange(-8, 8).Draw(t, "day")).Format(time.DateOnly)
		if m.holidays[date] || m.workdays[date] {
			continue
		}
		if long || rapid.Bool().Draw(t, "works") {
			m.workdays[date] = true
			m.options.Workdays = append(m.options.Workdays, date)
		} else {
			m.holidays[date] = true
			m.options.Holidays = append(m.options.Holidays, date)
		}
	}
	for day := -7; long && day < 8; day++ {
		date := around.AddDate(0, 0, day).Format(time.DateOnly)
		if !m.workdays[date] {
			m.holidays[date] = true
			m.options.Holidays = append(m.options.Holidays, date)
		}
	}
	m.options.Zone = m.calendar.zone
}

// planOf draws a schedule: an expression, a span or an instant.
func planOf(t *rapid.T, zone *time.Location, at time.Time) (s *cron.Schedule, x written, mode cron.DST) {
	var err error
	mode = cron.Shift
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		span := time.Duration(rapid.IntRange(5, 3000).Draw(t, "span")) * time.Minute
		s, err = cron.Every(span, at.Add(time.Duration(rapid.IntRange(0, 9999).Draw(t, "anchor"))*time.Minute).In(zone))
	case 1:
		s, err = cron.At(at.Add(time.Duration(rapid.IntRange(-9999, 9999).Draw(t, "instant")) * time.Minute).In(zone))
	default:
		x = expressionOf(t, rapid.Bool().Draw(t, "unix"), false, rapid.Bool().Draw(t, "daily"))
		mode = rapid.SampledFrom(modes).Draw(t, "mode")
		s, err = cron.Parse(x.text, cron.Options{Dialect: x.dialect, Zone: zone, DST: mode})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, x, mode
}

// meantOf is the local time a fire has: that of the expression where a gap left it out.
func meantOf(c *clocks, x written, mode cron.DST) func(int64) int64 {
	return func(f int64) int64 {
		w := c.wall(f)
		before := c.wall(f - 60)
		if x.fits == nil || x.elapsed || mode != cron.Shift || w == before+60 || x.fits(time.Unix(w, 0).UTC()) {
			return w
		}
		for left := before + 60; left < w; left += 60 {
			if x.fits(time.Unix(left, 0).UTC()) && c.first[left] == f {
				return left
			}
		}
		return w
	}
}

// Every question about every plan has the answer of a model that moves each fire day by day.
func TestPlansAreWhatTheModelSays(t *testing.T) {
	t.Parallel()
	more := append([]struct{ zone, at string }{
		{"America/St_Johns", "2010-11-07T02:31:00Z"}, // a date is shown twice
		{"Africa/Cairo", "2014-05-15T22:00:00Z"},
		{"Pacific/Kwajalein", "1993-08-21T12:00:00Z"},
	}, changes...)
	for _, c := range more {
		t.Run(c.zone+" "+c.at[:10], func(t *testing.T) {
			t.Parallel()
			at, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			zones := []*clocks{clocksOf(zoneOf(t, c.zone), at), clocksOf(time.UTC, at), clocksOf(zoneOf(t, "Asia/Shanghai"), at)}
			rapid.Check(t, func(t *rapid.T) {
				m := &model{
					schedule: zones[rapid.IntRange(0, 2).Draw(t, "zone")],
					calendar: zones[rapid.IntRange(0, 2).Draw(t, "calendar's")],
					to:       rapid.SampledFrom([]cron.ShiftTo{cron.ShiftSkip, cron.ShiftNext, cron.ShiftPrevious}).Draw(t, "shift"),
				}
				calendarOf(t, m, at)
				calendar, err := cron.NewCalendar(m.options)
				if err != nil {
					t.Skip(err)
				}
				s, x, mode := planOf(t, m.schedule.zone, at)
				m.meant = meantOf(m.schedule, x, mode)
				for f := range s.Between(at.AddDate(0, 0, -40), at.AddDate(0, 0, 40)) {
					if m.fires = append(m.fires, f.Unix()); len(m.fires) > 10_000 {
						return // too many to try each
					}
				}
				m.run()
				plan, err := cron.Plan(s, calendar, m.to)
				if err != nil {
					t.Fatal(err)
				}
				from := at.Add(time.Duration(rapid.IntRange(-9*1440, 7*1440).Draw(t, "from")) * time.Minute)
				m.check(t, plan, x.text, from, from.Add(72*time.Hour))
			})
		})
	}
}

func (m *model) check(t *rapid.T, plan *cron.Planned, text string, from, to time.Time) {
	var at []int64
	want := map[string]bool{}
	inside := func(f int64) bool { return from.Unix() <= f && f <= to.Unix() }
	for f, of := range m.landed {
		if inside(f) {
			at = append(at, f)
			want[fmt.Sprint(f, of, false)] = true
		}
	}
	slices.Sort(at)
	for _, f := range m.skipped {
		if inside(f) {
			want[fmt.Sprint(f, f, true)] = true
		}
	}
	compare := func(question string, got []int64) {
		if !slices.Equal(got, at) {
			t.Fatalf("%q %s in %s, calendar %+v, %s:\n got %s\nwant %s", text, m.to, plan.Zone(), m.options, question, inZone(got, plan.Zone()), inZone(at, plan.Zone()))
		}
	}
	var next, prev, between []int64
	for f, ok := plan.Next(from.Add(-1)); ok && !f.After(to); f, ok = plan.Next(f) {
		next = append(next, f.Unix())
	}
	compare("Next", next)
	for f, ok := plan.Prev(to.Add(1)); ok && !f.Before(from) && len(prev) <= 40; f, ok = plan.Prev(f) {
		prev = append(prev, f.Unix())
	}
	slices.Reverse(prev)
	if len(prev) <= 40 {
		compare("Prev", prev)
	}
	for f := range plan.Between(from, to) {
		between = append(between, f.Unix())
	}
	compare("Between", between)
	var got []string
	last := int64(0)
	for f := range plan.Fires(from, to) {
		line := fmt.Sprint(f.At.Unix(), f.Of.Unix(), f.Skipped)
		got = append(got, line)
		if !want[line] || f.At.Unix() < last || (f.Why != cron.NoReason) != (f.Skipped || f.Moved()) {
			t.Fatalf("%q %s in %s, calendar %+v: %+v is wrong", text, m.to, plan.Zone(), m.options, f)
		}
		last = f.At.Unix()
	}
	if len(got) != len(want) {
		t.Fatalf("%q %s in %s, calendar %+v: fires %s, not %d", text, m.to, plan.Zone(), m.options, strings.Join(got, "\n"), len(want))
	}
}
