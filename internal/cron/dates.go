// The lists of a calendar: dates and days of the week, read with the place of what is wrong.

package cron

import (
	"fmt"
	"strings"
	"time"
)

// calendarError is an error about the n-th entry of a list, 0 for the calendar as a whole.
func calendarError(field string, n int, format string, args ...any) *Error {
	e := &Error{Code: CodeBadCalendar, Field: field, Position: n, Message: fmt.Sprintf(format, args...)}
	switch {
	case field != "":
		e.Message = fmt.Sprintf("%s, entry %d: %s", field, n, e.Message)
	default:
		e.Message = "calendar: " + e.Message
	}
	return e
}

// weekdayNames are those of a calendar, from sunday.
var weekdayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func readWeekdays(names []string) (uint8, error) {
	var set uint8
	for i, name := range names {
		day := -1
		for d, known := range weekdayNames {
			if strings.EqualFold(known, name) {
				day = d
			}
		}
		if day < 0 {
			return 0, calendarError("weekdays", i+1, "%q is no day of the week; there are mon, tue, wed, thu, fri, sat, sun", name).
				suggesting(nearest(name, weekdayNames))
		}
		if set&(1<<day) != 0 {
			return 0, calendarError("weekdays", i+1, "%s is named twice; take one out", name)
		}
		set |= 1 << day
	}
	return set, nil
}

func readDates(field string, texts []string) ([]dayNumber, error) {
	out := make([]dayNumber, len(texts))
	seen := make(map[dayNumber]int, len(texts))
	for i, text := range texts {
		day, err := readDate(field, i+1, text)
		if err != nil {
			return nil, err
		}
		if first := seen[day]; first > 0 {
			return nil, calendarError(field, i+1, "%s is named twice, first as entry %d; take one out", text, first)
		}
		seen[day] = i + 1
		out[i] = day
	}
	return out, nil
}

// readDate tells a date that the month does not have from what is no date at all.
func readDate(field string, n int, text string) (dayNumber, error) {
	var y, m, d int
	form := len(text) == len(time.DateOnly) && text[4] == '-' && text[7] == '-'
	for i := range len(text) {
		form = form && (i == 4 || i == 7 || isDigit(text[i]))
	}
	if !form {
		return 0, calendarError(field, n, "%q is no date; write year, month and day as 2026-01-31", text)
	}
	y, _ = number(text[:4])
	m, _ = number(text[5:7])
	d, _ = number(text[8:])
	switch {
	case m < 1 || m > 12:
		return 0, calendarError(field, n, "%s: there is no month %d; write year, month and day as 2026-01-31", text, m)
	case d < 1 || d > monthLength(y, m):
		return 0, calendarError(field, n, "%s: the month has the days 1 to %d", text, monthLength(y, m))
	case y < MinYear || y > MaxYear:
		return 0, calendarError(field, n, "%s: the year is not from %d to %d", text, MinYear, MaxYear)
	}
	return dayOf(wallOf(y, m, d, 0)), nil
}
