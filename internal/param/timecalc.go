// Evaluation of compiled time placeholders.

package param

import (
	"strconv"
	"time"
)

// Append appends the value of the placeholder for a data time, read in zone.
//
// Days, weeks and months are steps of the calendar: the clock keeps showing the
// same time, and where a zone skips that time it moves on by the gap. Fractions
// of days are minutes that really pass. A result outside the years 1 to 9999 is
// an error of code bad_placeholder.
func (e *TimeExpr) Append(b []byte, data time.Time, zone *time.Location) ([]byte, error) {
	wall := e.move(data, zone)
	if e.op != opPlain && e.op != opMinutes {
		wall = settle(wall, zone)
	}
	if y := wall.Year(); y < 1 || y > 9999 {
		return b, errorAt(CodePlaceholder, 0, "the result lies in the year %d; only the years 1 to 9999 can be printed", y)
	}
	switch {
	case e.op == opYearWeek:
		year, week := yearWeek(wall, e.n)
		b = appendPadded(b, year, 4)
		if e.dash {
			b = append(b, '-')
		}
		return appendPadded(b, week, 2), nil
	case e.stamp:
		return e.appendStamp(b, wall, zone)
	default:
		return e.layout.appendTo(b, wall), nil
	}
}

// Eval is [TimeExpr.Append] as a string.
func (e *TimeExpr) Eval(data time.Time, zone *time.Location) (string, error) {
	var buf [64]byte
	b, err := e.Append(buf[:0], data, zone)
	return string(b), err
}

// move returns the wall-clock time that the placeholder prints.
func (e *TimeExpr) move(data time.Time, zone *time.Location) time.Time {
	if e.op == opMinutes {
		// In seconds, not as a Duration: that ends after 292 years.
		t := time.Unix(data.Unix()+int64(e.n)*60, int64(data.Nanosecond()))
		return wallOf(t, zone)
	}
	wall := wallOf(data, zone)
	switch e.op {
	case opDays:
		return wall.AddDate(0, 0, e.n)
	case opAddMonths:
		return addMonths(wall, e.n)
	case opMonthBegin:
		return firstOfMonth(wall).AddDate(0, 0, e.n)
	case opMonthEnd:
		return lastOfMonth(wall).AddDate(0, 0, e.n)
	case opWeekBegin:
		return monday(wall).AddDate(0, 0, e.n)
	case opWeekEnd:
		return monday(wall).AddDate(0, 0, 6+e.n)
	case opMonthFirst:
		return firstOfMonth(wall).AddDate(0, e.n, 0)
	case opMonthLast:
		return lastOfMonth(firstOfMonth(wall).AddDate(0, e.n, 0))
	case opWeekFirst:
		return monday(wall).AddDate(0, 0, 7*e.n)
	case opWeekLast:
		return monday(wall).AddDate(0, 0, 7*e.n+6)
	default: // opPlain, opYearWeek
		return wall
	}
}

// appendStamp prints Unix seconds of what the format shows, not of wall: in
// timestamp(yyyyMMdd000000) the literal zeros make it midnight.
func (e *TimeExpr) appendStamp(b []byte, wall time.Time, zone *time.Location) ([]byte, error) {
	var buf [14]byte
	shown := e.layout.appendTo(buf[:0], wall)
	var part [6]int // yyyy MM dd HH mm ss
	for i, width := 0, 4; i < len(part); i, width = i+1, 2 {
		part[i], _ = strconv.Atoi(string(shown[:width])) // digits by layout.digits
		shown = shown[width:]
	}
	year, month, day, hour, minute, second := part[0], part[1], part[2], part[3], part[4], part[5]
	if year < 1 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return b, errorAt(CodePlaceholder, 0, "timestamp(…) cannot read %s as yyyyMMddHHmmss", e.layout.appendTo(nil, wall))
	}
	first := time.Date(year, time.Month(month), 1, hour, minute, second, 0, time.UTC)
	shownWall := first.AddDate(0, 0, min(day, lastOfMonth(first).Day())-1) // a literal 31 means the last day
	return strconv.AppendInt(b, instantOf(shownWall, zone).Unix(), 10), nil
}
