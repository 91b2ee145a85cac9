// Time as the store keeps it, and durations as people write them.

package flow

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Time is an instant in microseconds since 1970 UTC; zero means "none". Eight bytes instead of
// twenty-four matter where a million rows are kept, and one integer is the same in every
// database.
type Time int64

// At converts from the standard library; the zero time becomes none.
func At(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMicro())
}

// localLayouts are the times of day and date that people write without an offset.
var localLayouts = [...]string{time.DateOnly, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04"}

// ParseMoment reads what people write: RFC 3339, or a date, with or without a time of day, in the zone.
func ParseMoment(text string, zone *time.Location) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, true
	}
	if t, err := time.Parse(time.DateTime+"Z", text); err == nil { // as tables show it
		return t, true
	}
	for _, layout := range localLayouts {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// ParseTimeOfDay reads HH:MM or HH:MM:SS.
func ParseTimeOfDay(text string) (hour, minute, second int, ok bool) {
	for _, layout := range []string{"15:04", time.TimeOnly} {
		if t, err := time.Parse(layout, text); err == nil && len(text) == len(layout) {
			hour, minute, second = t.Clock()
			return hour, minute, second, true
		}
	}
	return 0, 0, 0, false
}

// Std converts to the standard library, in UTC; none becomes the zero time.
func (t Time) Std() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(t)).UTC()
}

// Add returns t+d. Adding to none stays none; the sum saturates instead of wrapping.
func (t Time) Add(d time.Duration) Time {
	if t == 0 {
		return 0
	}
	sum := t + Time(d.Microseconds())
	if d > 0 && sum < t {
		return math.MaxInt64
	}
	return sum
}

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Microsecond }

// String is RFC 3339 in UTC, "" for none.
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return t.Std().Format(time.RFC3339Nano)
}

// MarshalJSON writes RFC 3339 in UTC with up to microseconds, null for none.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	b := append(make([]byte, 0, len(time.RFC3339Nano)+2), '"') // nothing in it needs quoting, and lists are full of times
	return append(t.Std().AppendFormat(b, time.RFC3339Nano), '"'), nil
}

// UnmarshalJSON accepts RFC 3339 or null.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = 0
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("time: %w", err)
	}
	if s == "" {
		*t = 0
		return nil
	}
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	*t = At(v)
	return nil
}

// Earliest returns the smallest of the given times that is not none; none if all are.
func Earliest(ts ...Time) Time {
	var m Time
	for _, t := range ts {
		if t != 0 && (m == 0 || t < m) {
			m = t
		}
	}
	return m
}

// Duration is a span as people write it in files: "30s", "1h30m", "2d". Zero means "not set".
type Duration time.Duration

// Std converts to the standard library.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes days, hours, minutes, seconds as ParseDuration reads them.
func (d Duration) String() string {
	v := time.Duration(d)
	if v == 0 {
		return "0s"
	}
	var b strings.Builder
	if v < 0 {
		b.WriteByte('-')
		v = -v
	}
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}} {
		if n := v / u.unit; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10))
			b.WriteString(u.name)
			v -= n * u.unit
		}
	}
	return b.String()
}

// MarshalJSON writes the String form.
func (d Duration) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, d.String()), nil }

// UnmarshalJSON accepts the String form.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("duration: %w", err)
	}
	v, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// MaxDuration bounds what a file may ask for: ten years.
const MaxDuration = Duration(10 * 366 * 24 * time.Hour)

// ParseDuration reads Go's durations with "d" for days of 24 hours beside them. Negative ones
// and those above MaxDuration are refused. A bare number is refused: its unit would be a guess.
func ParseDuration(s string) (Duration, error) {
	bad := func() (Duration, error) {
		return 0, &Error{Code: CodeBadRequest, Message: fmt.Sprintf("%q is not a duration; write a number with its unit, such as 30s, 5m, 2h or 1d", s)}
	}
	rest := s
	var days float64
	if i := strings.IndexByte(rest, 'd'); i >= 0 {
		n, err := strconv.ParseFloat(rest[:i], 64)
		if err != nil || n < 0 || n > 3660 || math.IsNaN(n) {
			return bad()
		}
		days, rest = n, rest[i+1:]
		if rest == "" {
			rest = "0s"
		}
	}
	v, err := time.ParseDuration(rest)
	if err != nil {
		return bad()
	}
	total := Duration(days*float64(24*time.Hour)) + Duration(v)
	if v < 0 || total < 0 || total > MaxDuration {
		return 0, &Error{Code: CodeBadRequest, Message: fmt.Sprintf("duration %q is out of range; between 0s and 3660d", s)}
	}
	return total, nil
}
