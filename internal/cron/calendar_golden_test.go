package cron_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"baton/internal/cron"
)

var update = flag.Bool("update", false, "write the golden files anew")

// calendarFile is a calendar of testdata, in the keys of a workflow file.
type calendarFile struct {
	Kind     string
	Name     string
	Timezone string
	Weekdays []string
	Holidays []string
	Workdays []string
}

func calendarFrom(t testing.TB, name string) (*cron.Calendar, *time.Location) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var f calendarFile
	if err := yaml.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	o := cron.CalendarOptions{Weekdays: f.Weekdays, Holidays: f.Holidays, Workdays: f.Workdays}
	zone := time.UTC
	if f.Timezone != "" {
		zone = zoneOf(t, f.Timezone)
		o.Zone = zone
	}
	c, err := cron.NewCalendar(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, zone
}

// Two years of fires under each calendar: a line a month, of each day 07>09 for one that moved, -07h
// for one skipped on a holiday, -07w on a day of the week.
func TestYearsUnderCalendars(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cn-workdays", "mon-fri", "us-federal", "sun-thu", "six-days", "listed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calendar, zone := calendarFrom(t, name)
			var got bytes.Buffer
			for _, expr := range []string{"0 0 2 * * ?", "0 30 18 LW * ?", "0 0 9 1,15 * ?"} {
				s, err := cron.Parse(expr, cron.Options{Zone: zone})
				if err != nil {
					t.Fatal(err)
				}
				for _, to := range []cron.ShiftTo{cron.ShiftSkip, cron.ShiftNext, cron.ShiftPrevious} {
					plan, err := cron.Plan(s, calendar, to)
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&got, "%s, shift: %s, %s\n%s\n", expr, to, zone, years(plan))
				}
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s has changed; go test ./internal/cron -update, and look at the difference. Now:\n%s", golden, got.String())
			}
		})
	}
}

func years(plan *cron.Planned) string {
	var b strings.Builder
	fires, moved, skipped := 0, 0, 0
	month := ""
	from := time.Date(2025, 1, 1, 0, 0, 0, 0, plan.Zone())
	for f := range plan.Fires(from, from.AddDate(2, 0, 0).Add(-time.Second)) {
		if m := f.At.Format("2006-01"); m != month {
			month = m
			b.WriteString("\n  " + m)
		}
		switch {
		case f.Skipped:
			skipped++
			b.WriteString(f.At.Format(" -02") + string(f.Why[0]))
		case f.Moved():
			moved++
			day := f.Of.Format(" 02>")
			if f.Of.Month() != f.At.Month() {
				day = f.Of.Format(" 01-02>")
			}
			b.WriteString(day + f.At.Format("02"))
		default:
			b.WriteString(f.At.Format(" 02"))
		}
		if !f.Skipped {
			fires++
		}
	}
	return fmt.Sprintf("  %d fires, %d of them moved; %d skipped%s\n", fires, moved, skipped, b.String())
}

// The announcements say how many days are free and which saturdays and sundays work; every make-up
// workday is one of those, and without them nobody would work then.
func TestChineseWorkdays(t *testing.T) {
	t.Parallel()
	c, _ := calendarFrom(t, "cn-workdays")
	for year, want := range map[int]struct{ worked, free, madeUp int }{2025: {248, 28, 5}, 2026: {248, 33, 6}} {
		worked, free, madeUp := 0, 0, 0
		for d := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() == year; d = d.AddDate(0, 0, 1) {
			weekend := d.Weekday() == time.Saturday || d.Weekday() == time.Sunday
			switch c.Why(d) {
			case cron.NoReason:
				worked++
				if weekend {
					madeUp++
				}
			case cron.Holiday:
				free++
			case cron.Weekday:
			}
		}
		if worked != want.worked || free != want.free || madeUp != want.madeUp {
			t.Errorf("%d: %d days work, %d are free, %d made up; want %+v", year, worked, free, madeUp, want)
		}
	}
}
