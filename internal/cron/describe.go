// Schedules in words, for people who check what they wrote.

package cron

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"baton/internal/flow"
)

// Language is what Describe speaks.
type Language string

// The languages.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// Describe says in words when the schedule fires; any other language is English. The words are for
// people and may change.
func (s *Schedule) Describe(lang Language) string {
	at := time.Unix(s.at, 0).In(s.zone).Format(time.RFC3339)
	span := flow.Duration(time.Duration(s.every) * time.Second).String()
	chinese := lang == Chinese
	switch {
	case s.kind == once && chinese:
		return "仅在 " + at
	case s.kind == once:
		return "once, at " + at
	case s.kind == repeated && chinese:
		return "每隔 " + span + "，以 " + at + " 为起点"
	case s.kind == repeated:
		return "every " + span + ", counted from " + at
	case chinese:
		return s.clock.chinese()
	}
	return s.clock.english()
}

// maxTimes is how many times of day are listed one by one.
const maxTimes = 6

// times lists the times of day; nil when there are too many.
func (x *expression) times() []string {
	h, m, s := members(x.hours), members(x.minutes), members(x.seconds)
	if len(h)*len(m)*len(s) > maxTimes {
		return nil
	}
	var out []string
	for _, hour := range h {
		for _, minute := range m {
			for _, second := range s {
				text := fmt.Sprintf("%02d:%02d", hour, minute)
				if x.seconds != 1 {
					text += fmt.Sprintf(":%02d", second)
				}
				out = append(out, text)
			}
		}
	}
	return out
}

func members(bits uint64) []int {
	var out []int
	for v := range 64 {
		if bits&(1<<v) != 0 {
			out = append(out, v)
		}
	}
	return out
}

// stride is the step of values that go on evenly to the end of their field, 0 when they do not.
func stride(values []int, top int) int {
	if len(values) < 3 {
		return 0
	}
	step := values[1] - values[0]
	for i := 1; i < len(values); i++ {
		if values[i]-values[i-1] != step {
			return 0
		}
	}
	if step == 1 || values[0] >= step || values[len(values)-1]+step <= top {
		return 0
	}
	return step
}

// ranges writes values as 1-5, 7, each by a function.
func ranges(values []int, separator string, write func(int) string) string {
	var out []string
	for i := 0; i < len(values); i++ {
		from := i
		for i+1 < len(values) && values[i+1] == values[i]+1 {
			i++
		}
		switch i - from {
		case 0:
			out = append(out, write(values[from]))
		case 1:
			out = append(out, write(values[from]), write(values[i]))
		default:
			out = append(out, write(values[from])+"-"+write(values[i]))
		}
	}
	return strings.Join(out, separator)
}

// yearList is nil when every year fits.
func (x *expression) yearList() []int {
	var out []int
	for y := MinYear; y <= MaxYear; y++ {
		if x.years.has(y - MinYear) {
			out = append(out, y)
		}
	}
	if len(out) > MaxYear-MinYear {
		return nil
	}
	return out
}

const everyMonth = 1<<13 - 2

func (x *expression) english() string {
	var parts []string
	if times := x.times(); times != nil {
		parts = append(parts, "at "+strings.Join(times, ", "))
	} else {
		second, minute, hour := englishPart(x.seconds, 59, "second"), englishPart(x.minutes, 59, "minute"), englishPart(x.hours, 23, "hour")
		if hour == "every hour" && strings.HasPrefix(minute, "every") {
			hour = ""
		}
		if x.seconds == 1 {
			second = ""
		} else if minute == "every minute" && strings.HasPrefix(second, "every") {
			minute = ""
		}
		for _, p := range []string{second, minute, hour} {
			if p != "" {
				parts = append(parts, p)
			}
		}
	}
	parts = append(parts, x.days.english())
	if x.months != everyMonth {
		parts = append(parts, "in "+ranges(members(x.months), ", ", func(m int) string { return time.Month(m).String() }))
	}
	if years := x.yearList(); years != nil {
		parts = append(parts, "in "+ranges(years, ", ", strconv.Itoa))
	}
	return strings.Join(parts, ", ")
}

func englishPart(bits uint64, top int, noun string) string {
	values := members(bits)
	if len(values) == top+1 {
		return "every " + noun
	}
	if step := stride(values, top); step > 0 {
		text := fmt.Sprintf("every %d %ss", step, noun)
		if values[0] > 0 {
			text += fmt.Sprintf(" from %s %d on", noun, values[0])
		}
		return text
	}
	if len(values) > 1 {
		noun += "s"
	}
	if strings.HasPrefix(noun, "hour") {
		return "in " + noun + " " + ranges(values, ", ", strconv.Itoa)
	}
	return "at " + noun + " " + ranges(values, ", ", strconv.Itoa)
}

var ordinals = []string{"", "first", "second", "third", "fourth", "fifth"}

func (d *days) english() string {
	last := "the last day of the month"
	if d.n > 0 {
		last = count(d.n, "day") + " before " + last
	}
	switch d.rule {
	case lastDay:
		if d.n == 0 {
			return "on " + last
		}
		return last
	case lastWorkday:
		if d.n == 0 {
			return "on the last weekday (monday to friday) of the month"
		}
		return "on the weekday (monday to friday) nearest to " + last
	case nearWorkday:
		return fmt.Sprintf("on the weekday (monday to friday) nearest to day %d of the month", d.n)
	case lastOfWeek:
		return fmt.Sprintf("on the last %s of the month", time.Weekday(d.weekday))
	case nthOfWeek:
		return fmt.Sprintf("on the %s %s of the month", ordinals[d.n], time.Weekday(d.weekday))
	case noRule:
	}
	month := "on day " + ranges(members(uint64(d.ofMonth)), ", ", strconv.Itoa) + " of the month"
	week := "on " + ranges(members(uint64(d.ofWeek)), ", ", func(w int) string { return time.Weekday(w).String() })
	return d.joined("every day", month, week, " or ", " when it is ")
}

// joined puts what is said about days of the month and of the week together.
func (d *days) joined(all, month, week, or, and string) string {
	anyMonth, anyWeek := d.ofMonth == everyDay, d.ofWeek == everyWeekday
	switch {
	case anyMonth && anyWeek, d.either && (anyMonth || anyWeek):
		return all
	case anyMonth:
		return week
	case anyWeek:
		return month
	case d.either:
		return month + or + week
	}
	return month + and + strings.TrimPrefix(week, "on ")
}

func (x *expression) chinese() string {
	var b strings.Builder
	month := "每月"
	if years := x.yearList(); years != nil {
		b.WriteString(ranges(years, "、", strconv.Itoa) + "年")
		if x.months != everyMonth {
			month = ""
		}
	} else if x.months != everyMonth {
		month = "每年"
	}
	if x.months != everyMonth {
		month += ranges(members(x.months), "、", strconv.Itoa) + "月"
	}
	b.WriteString(x.days.chinese(month, x.months != everyMonth) + " ")
	if times := x.times(); times != nil {
		b.WriteString(strings.Join(times, "、"))
		return b.String()
	}
	hour, minute, second := chinesePart(x.hours, 23, "小时", "点"), chinesePart(x.minutes, 59, "分钟", "分"), chinesePart(x.seconds, 59, "秒", "秒")
	if hour == "每小时" && strings.HasPrefix(minute, "每") {
		hour = ""
	}
	if x.seconds == 1 {
		second = ""
	} else if minute == "每分钟" && strings.HasPrefix(second, "每") {
		minute = ""
	}
	b.WriteString(hour + minute + second)
	return b.String()
}

func chinesePart(bits uint64, top int, span, point string) string {
	values := members(bits)
	if len(values) == top+1 {
		return "每" + span
	}
	if step := stride(values, top); step > 0 {
		text := fmt.Sprintf("每%d%s", step, span)
		if values[0] > 0 {
			text += fmt.Sprintf("（从%d%s起）", values[0], point)
		}
		return text
	}
	if point == "点" {
		return ranges(values, "、", strconv.Itoa) + point
	}
	return "第" + ranges(values, "、", strconv.Itoa) + point
}

var (
	chineseDays   = []string{"日", "一", "二", "三", "四", "五", "六"}
	chineseCounts = []string{"", "一", "二", "三", "四", "五"}
)

// chinese says the days after the month they are in; named tells that it is not every month.
func (d *days) chinese(month string, named bool) string {
	last := "最后一天"
	if d.n > 0 {
		last = fmt.Sprintf("倒数第%d天", d.n+1)
	}
	switch d.rule {
	case lastDay:
		return month + last
	case lastWorkday:
		if d.n == 0 {
			return month + "最后一个工作日（周一至周五）"
		}
		return month + "离" + last + "最近的工作日（周一至周五）"
	case nearWorkday:
		return fmt.Sprintf("%s离%d日最近的工作日（周一至周五）", month, d.n)
	case lastOfWeek:
		return month + "最后一个周" + chineseDays[d.weekday]
	case nthOfWeek:
		return month + "第" + chineseCounts[d.n] + "个周" + chineseDays[d.weekday]
	case noRule:
	}
	week := "周" + ranges(members(uint64(d.ofWeek)), "、", func(w int) string { return chineseDays[w] })
	all, every := "每天", "每"+week
	if named {
		all, every = month+"每天", month+"每"+week
	}
	return d.joined(all, month+ranges(members(uint64(d.ofMonth)), "、", strconv.Itoa)+"日", every, "或", "且为")
}
