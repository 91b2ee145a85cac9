// The fields of an expression: their bounds, and how one is read into a set of values.

package cron

import (
	"strconv"
	"strings"
)

// The years any schedule fires in, both included, by the clocks of its zone.
const (
	MinYear = 1970
	MaxYear = 2199
)

// set holds the values of one field as bits, counted from the field's base.
type set [4]uint64

func (s *set) add(bit int)     { s[bit>>6] |= 1 << (bit & 63) }
func (s set) has(bit int) bool { return s[bit>>6]&(1<<(bit&63)) != 0 }

// field is what one place of an expression may hold.
type field struct {
	name     string
	min, max int
	top      int      // where an open range (*, 3/2) ends; max but for a sunday that is 7 and 0
	base     int      // value of the first bit of its set
	names    []string // of the values from min on; nil: numbers only
	wraps    bool     // whether a range may run over the end, as 22-2 does
}

var (
	monthNames = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	dayNames   = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

var (
	secondField = field{name: "second", max: 59, top: 59, wraps: true}
	minuteField = field{name: "minute", max: 59, top: 59, wraps: true}
	hourField   = field{name: "hour", max: 23, top: 23, wraps: true}
	dayField    = field{name: "day of month", min: 1, max: 31, top: 31, wraps: true}
	monthField  = field{name: "month", min: 1, max: 12, top: 12, names: monthNames, wraps: true}
	yearField   = field{name: "year", min: MinYear, max: MaxYear, top: MaxYear, base: MinYear}

	quartzWeekday = field{name: "day of week", min: 1, max: 7, top: 7, names: dayNames, wraps: true}
	unixWeekday   = field{name: "day of week", max: 7, top: 6, names: dayNames, wraps: true}

	quartzFields = []field{secondField, minuteField, hourField, dayField, monthField, quartzWeekday, yearField}
	unixFields   = []field{minuteField, hourField, dayField, monthField, unixWeekday}
)

// period is how many values there are before they begin anew.
func (f *field) period() int { return f.top - f.min + 1 }

// place is one field as it is written, and where: what errors name.
type place struct {
	*field
	text   string
	number int // from 1
	offset int // in the expression
}

// errorf is an error about the byte at an offset within the field.
func (p place) errorf(at int, format string, args ...any) *Error {
	e := errorf(format, args...)
	e.Field, e.Position, e.Offset = p.name, p.number, p.offset+at
	e.Message = "field " + strconv.Itoa(p.number) + " (" + p.name + "), character " + strconv.Itoa(e.Offset+1) + ": " + e.Message
	return e
}

// values reads a list of items: *, 5, 1-5, FRI-MON, each perhaps with a step such as /2.
func (p place) values() (set, error) {
	var out set
	at := 0
	for item := range strings.SplitSeq(p.text, ",") {
		if err := p.item(&out, item, at); err != nil {
			return set{}, err
		}
		at += len(item) + 1
	}
	return out, nil
}

// item adds what one item of the list names.
func (p place) item(out *set, text string, at int) error {
	span, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		var err error
		if step, err = p.step(stepText, at+len(span)+1); err != nil {
			return err
		}
	}
	low, high := p.min, p.top
	switch {
	case span == "*" || span == "" && stepped: // Quartz reads /5 as */5
	case strings.HasPrefix(span, "*"):
		return p.errorf(at+1, "%q after * makes no sense; write * alone, or */%s for a step", span[1:], strings.TrimLeft(span, "*"))
	default:
		lowText, highText, ranged := strings.Cut(span, "-")
		var err error
		if low, err = p.value(lowText, at); err != nil {
			return err
		}
		switch {
		case ranged:
			if high, err = p.rangeEnd(lowText, highText, low, at); err != nil {
				return err
			}
		default:
			low = p.min + (low-p.min)%p.period() // sunday is 0 where it is also 7
			if !stepped {
				high = low
			}
		}
	}
	for v := low; v <= high; v += step {
		out.add(p.min + (v-p.min)%p.period() - p.base)
	}
	return nil
}

// rangeEnd reads the end of a range; one that runs over the last value is counted on beyond it.
func (p place) rangeEnd(lowText, highText string, low, at int) (int, error) {
	highAt := at + len(lowText) + 1
	high, err := p.value(highText, highAt)
	if err != nil {
		return 0, err
	}
	if isDigit(lowText[0]) != isDigit(highText[0]) {
		return 0, p.errorf(at, "%q mixes a name and a number; write both ends in one way", lowText+"-"+highText)
	}
	if high < low {
		if !p.wraps {
			return 0, p.errorf(at, "the range %d-%d runs backwards; write %d-%d", low, high, high, low)
		}
		high += p.period()
	}
	return high, nil
}

// value reads a number or a name.
func (p place) value(text string, at int) (int, error) {
	if text == "" {
		return 0, p.errorf(at, "a value is missing; write %s", p.expected())
	}
	if isDigit(text[0]) {
		n, err := number(text)
		if err != nil || n < p.min || n > p.max {
			return 0, p.errorf(at, "%q is not %s", text, p.expected())
		}
		return n, nil
	}
	for i, name := range p.names {
		if strings.EqualFold(name, text) {
			return p.min + i, nil
		}
	}
	return 0, p.errorf(at, "%q is not %s", text, p.expected()).suggesting(nearest(text, p.names))
}

// step reads what follows a slash.
func (p place) step(text string, at int) (int, error) {
	most := p.max
	if p.base != 0 { // years
		most = p.max - p.min
	}
	n, err := number(text)
	if err != nil || n < 1 || n > most {
		return 0, p.errorf(at, "the step %q is not a number from 1 to %d", text, most)
	}
	return n, nil
}

// expected says in words what a value of the field is.
func (p place) expected() string {
	text := "a number from " + strconv.Itoa(p.min) + " to " + strconv.Itoa(p.max)
	if p.names != nil {
		text += " or a name from " + p.names[0] + " to " + p.names[len(p.names)-1]
	}
	return text
}

// number reads digits and nothing else: no sign.
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
