package cron_test

import (
	"testing"
	"time"

	"baton/internal/cron"
)

func BenchmarkNext(b *testing.B) {
	for _, c := range []struct{ name, expr, zone string }{
		{"daily/UTC", "0 0 2 * * ?", "UTC"},
		{"daily/NewYork", "0 0 2 * * ?", "America/New_York"},
		{"quarter hours/Shanghai", "0 0/15 * * * ?", "Asia/Shanghai"},
		{"weekdays/NewYork", "0 30 9-17 ? * MON-FRI", "America/New_York"},
		{"last workday/UTC", "0 0 2 LW * ?", "UTC"},
		{"third friday/NewYork", "0 0 2 ? * 6#3", "America/New_York"},
		{"leap days/UTC", "0 0 0 29 2 ?", "UTC"},
		{"leap days/NewYork", "0 0 0 29 2 ?", "America/New_York"},
		{"never/UTC", "0 0 0 31 2 ?", "UTC"},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, err := cron.Parse(c.expr, cron.Options{Zone: zoneOf(b, c.zone)})
			if err != nil {
				b.Fatal(err)
			}
			start := time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)
			at := start
			b.ReportAllocs()
			for b.Loop() {
				next, ok := s.Next(at)
				if at = next; !ok || at.Year() > 2060 {
					at = start
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cron.Parse("0 0/15 9-17 ? * MON-FRI", cron.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPlannedNext(b *testing.B) {
	for _, c := range []struct{ name, expr, calendar string }{
		{"daily", "0 0 2 * * ?", "cn-workdays"},
		{"each second", "* * * * * ?", "cn-workdays"},
		{"sundays", "0 0 2 ? * SUN", "us-federal"},
		{"last of the month", "0 0 2 L * ?", "us-federal"},
		{"four days a year", "0 0 2 * * ?", "listed"},
	} {
		calendar, zone := calendarFrom(b, c.calendar)
		s, err := cron.Parse(c.expr, cron.Options{Zone: zone})
		if err != nil {
			b.Fatal(err)
		}
		for _, to := range []cron.ShiftTo{cron.ShiftSkip, cron.ShiftNext, cron.ShiftPrevious} {
			p, err := cron.Plan(s, calendar, to)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(c.name+"/"+string(to), func(b *testing.B) {
				start := time.Date(2025, 1, 1, 10, 30, 0, 0, time.UTC)
				at := start
				b.ReportAllocs()
				for b.Loop() {
					next, ok := p.Next(at)
					if at = next; !ok || at.Year() > 2026 {
						at = start
					}
				}
			})
		}
	}
}
