package cron_test

import (
	"testing"
	"time"

	"baton/internal/cron"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expr    string
		dialect cron.Dialect
		en, zh  string
	}{
		{"0 0 2 * * ?", cron.Quartz, "at 02:00, every day", "每天 02:00"},
		{"30 0 2,14 ? * MON-FRI", cron.Quartz, "at 02:00:30, 14:00:30, on Monday-Friday", "每周一-五 02:00:30、14:00:30"},
		{"* * * * * ?", cron.Quartz, "every second, every day", "每天 每秒"},
		{"0/10 * * * * ?", cron.Quartz, "every 10 seconds, every day", "每天 每10秒"},
		{"5 * * * * ?", cron.Quartz, "at second 5, every minute, every day", "每天 每分钟第5秒"},
		{"0 0/15 * * * ?", cron.Quartz, "every 15 minutes, every day", "每天 每15分钟"},
		{"0 5/15 9-17 * * ?", cron.Quartz, "every 15 minutes from minute 5 on, in hours 9-17, every day", "每天 9-17点每15分钟（从5分起）"},
		{"0 5 * * * ?", cron.Quartz, "at minute 5, every hour, every day", "每天 每小时第5分"},
		{"0 0 */2 * * ?", cron.Quartz, "at minute 0, every 2 hours, every day", "每天 每2小时第0分"},
		{"0 0 0 L * ?", cron.Quartz, "at 00:00, on the last day of the month", "每月最后一天 00:00"},
		{"0 0 0 L-3 * ?", cron.Quartz, "at 00:00, 3 days before the last day of the month", "每月倒数第4天 00:00"},
		{"0 0 0 LW * ?", cron.Quartz, "at 00:00, on the last weekday (monday to friday) of the month", "每月最后一个工作日（周一至周五） 00:00"},
		{"0 0 0 15W 1,3 ?", cron.Quartz, "at 00:00, on the weekday (monday to friday) nearest to day 15 of the month, in January, March", "每年1、3月离15日最近的工作日（周一至周五） 00:00"},
		{"0 0 0 ? * 6L", cron.Quartz, "at 00:00, on the last Friday of the month", "每月最后一个周五 00:00"},
		{"0 0 0 ? * 6#3 2026-2028", cron.Quartz, "at 00:00, on the third Friday of the month, in 2026-2028", "2026-2028年每月第三个周五 00:00"},
		{"0 0 0 1 1 ? 2027", cron.Quartz, "at 00:00, on day 1 of the month, in January, in 2027", "2027年1月1日 00:00"},
		{"0 0 13 * 5", cron.Unix, "at 00:00, on day 13 of the month or on Friday", "每月13日或每周五 00:00"},
		{"0 0 */15 * 5", cron.Unix, "at 00:00, on day 1, 16, 31 of the month when it is Friday", "每月1、16、31日且为每周五 00:00"},
		{"@hourly", cron.Unix, "at minute 0, every hour, every day", "每天 每小时第0分"},
	} {
		s, err := cron.Parse(c.expr, cron.Options{Dialect: c.dialect})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Describe(cron.English); got != c.en {
			t.Errorf("%s: %q, not %q", c.expr, got, c.en)
		}
		if got := s.Describe(cron.Chinese); got != c.zh {
			t.Errorf("%s: %q, not %q", c.expr, got, c.zh)
		}
	}
	at := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	every, _ := cron.Every(90*time.Minute, at)
	once, _ := cron.At(at)
	for got, want := range map[string]string{
		every.Describe(cron.English): "every 1h30m, counted from 2026-12-01T08:00:00Z",
		every.Describe(cron.Chinese): "每隔 1h30m，以 2026-12-01T08:00:00Z 为起点",
		once.Describe(cron.English):  "once, at 2026-12-01T08:00:00Z",
		once.Describe(cron.Chinese):  "仅在 2026-12-01T08:00:00Z",
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
