// Printing of compiled formats.

package param

import (
	"strconv"
	"time"
)

func (l layout) appendTo(b []byte, wall time.Time) []byte {
	for _, f := range l {
		b = f.appendTo(b, wall)
	}
	return b
}

func (f layoutField) appendTo(b []byte, wall time.Time) []byte {
	switch f.letter {
	case 0:
		return append(b, f.literal...)
	case 'y', 'u':
		return appendYear(b, wall.Year(), f.width)
	case 'Y':
		y, _ := wall.ISOWeek()
		return appendYear(b, y, f.width)
	case 'Q':
		return appendQuarter(b, int(wall.Month()+2)/3, f.width)
	case 'M':
		if f.width > 2 {
			return appendName(b, wall.Month().String(), f.width)
		}
		return appendPadded(b, int(wall.Month()), f.width)
	case 'w':
		_, w := wall.ISOWeek()
		return appendPadded(b, w, f.width)
	case 'D':
		return appendPadded(b, wall.YearDay(), f.width)
	case 'd':
		return appendPadded(b, wall.Day(), f.width)
	case 'E':
		return appendName(b, wall.Weekday().String(), f.width)
	case 'e':
		return appendPadded(b, isoWeekday(wall), f.width)
	case 'a':
		if wall.Hour() < 12 {
			return append(b, "AM"...)
		}
		return append(b, "PM"...)
	case 'H':
		return appendPadded(b, wall.Hour(), f.width)
	case 'k':
		return appendPadded(b, (wall.Hour()+23)%24+1, f.width)
	case 'h':
		return appendPadded(b, (wall.Hour()+11)%12+1, f.width)
	case 'K':
		return appendPadded(b, wall.Hour()%12, f.width)
	case 'm':
		return appendPadded(b, wall.Minute(), f.width)
	case 's':
		return appendPadded(b, wall.Second(), f.width)
	default: // 'S', parseLayout admits no other
		start := len(b)
		return appendPadded(b, wall.Nanosecond(), 9)[:start+f.width]
	}
}

func appendPadded(b []byte, v, width int) []byte {
	for limit, n := 10, 1; n < width; limit, n = limit*10, n+1 {
		if v < limit {
			b = append(b, '0')
		}
	}
	return strconv.AppendInt(b, int64(v), 10)
}

func appendYear(b []byte, year, width int) []byte {
	if width == 2 {
		return appendPadded(b, year%100, 2)
	}
	for ; width > 4; width-- {
		b = append(b, '0')
	}
	return appendPadded(b, year, width)
}

func appendQuarter(b []byte, q, width int) []byte {
	switch width {
	case 3:
		b, width = append(b, 'Q'), 1
	case 4:
		return append(b, [...]string{"1st", "2nd", "3rd", "4th"}[q-1]+" quarter"...)
	}
	return appendPadded(b, q, width)
}

// appendName prints an English name in full (4), by its first letter (5), else by its first three.
func appendName(b []byte, name string, width int) []byte {
	switch width {
	case 4:
		return append(b, name...)
	case 5:
		return append(b, name[0])
	default:
		return append(b, name[:3]...)
	}
}

// isoWeekday counts from 1 (Monday) to 7 (Sunday).
func isoWeekday(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }
