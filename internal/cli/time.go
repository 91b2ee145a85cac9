// Times as people write them on a command line.

package cli

import (
	"fmt"
	"strings"
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
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly, time.DateTime, "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t.UTC().Format(time.RFC3339Nano), nil
		}
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

func join(list []string) string { return strings.Join(list, ",") }
