// Times as people write them on a command line.

package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"baton/internal/flow"
)

// moment reads a span ago (2h, 1d) or a time; the answer is RFC 3339, "" for "".
func moment(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if d, err := flow.ParseDuration(text); err == nil {
		return time.Now().Add(-d.Std()).UTC().Format(time.RFC3339Nano), nil
	}
	if t, ok := flow.ParseMoment(text, time.Local); ok {
		return t.UTC().Format(time.RFC3339Nano), nil
	}
	return "", fmt.Errorf("%q is neither a span such as 2h nor a time such as 2026-03-01T02:00:00Z", text)
}

// within reads a span that bounds a wait; "" is none.
func within(flag, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := flow.ParseDuration(text)
	if err != nil {
		return 0, usagef("%s: %w", flag, err)
	}
	return d.Std(), nil
}

// Codes of the pure questions.
const (
	codeBadTimezone flow.Code = "bad_timezone"
	codeBadTime     flow.Code = "bad_time"
)

// zones are those that were read before: a question has no time for a file, and a line of thousands
// names the same few.
var zones sync.Map // string → *time.Location

// zoneNamed finds a zone and fills in the default, UTC.
func zoneNamed(field string, name *string) (*time.Location, error) {
	if *name == "" {
		*name = "UTC"
	}
	if known, ok := zones.Load(*name); ok {
		return known.(*time.Location), nil
	}
	zone, err := time.LoadLocation(*name)
	if err != nil || *name == "Local" {
		return nil, flow.Errorf(codeBadTimezone, field, "%q is no IANA time zone, such as UTC or Asia/Shanghai", *name)
	}
	zones.Store(*name, zone)
	return zone, nil
}

// neededTime says what a time is for.
var neededTime = map[string]string{"data_time": "a data time", "after": "an instant to begin after"}

// zonedTime reads a time; without an offset it is one of the zone.
func zonedTime(field, text string, zone *time.Location) (time.Time, error) {
	if t, ok := flow.ParseMoment(text, zone); ok {
		return t, nil
	}
	if text == "" {
		return time.Time{}, flow.Errorf(codeBadTime, field, "%s is needed, such as 2026-03-01T00:00:00Z", neededTime[field])
	}
	return time.Time{}, flow.Errorf(codeBadTime, field, "%q is no time; write 2026-03-01T02:00:00Z, 2026-03-01 or \"2026-03-01 02:00:00\"", text)
}

func join(list []string) string { return strings.Join(list, ",") }
