package cron_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"baton/internal/cron"
)

//go:generate testdata/quartz/run.sh

// Where Quartz 2.3.2 does something else than its documentation says, or than a person could mean,
// Baton does not follow it.
var differs = map[string]string{
	"0 0 0 31W * ?":   "in a month without day n Quartz fires on the last day when the next month begins on a saturday",
	"0 0 0 30W 2 ?":   "in a month without day n Quartz fires on the last day when the next month begins on a saturday",
	"0 0 0 29W 2 ?":   "in a month without day n Quartz fires on the last day when the next month begins on a saturday",
	"0 0 0 L-30W * ?": "Quartz hangs at a month that is too short",
	"0 0 0 L-28W 2 ?": "Quartz hangs at a month that is too short",
	"0 0 0 0W * ?":    "Quartz takes day 0 and hangs",

	"0 0 0 ? * MON-FRI/2": "Quartz ignores a step after a name",
	"0 0 0 ? * MON/2":     "Quartz ignores a step after a name",
	"0 0 0 1 JAN/2 ?":     "Quartz ignores a step after a name",
	"0 0 0 1 JANUARY ?":   "Quartz ignores what follows three letters",
	"0 0 0 ? * MONDAY":    "Quartz ignores what follows three letters",
	"0 0 0 ? * 6L#1":      "Quartz ignores what follows an L",
	"0 0 0 ? * L-1":       "Quartz ignores what follows an L",
	"0 0 0 ? * LW":        "Quartz ignores what follows an L",
	"0 0 0 L-W * ?":       "Quartz takes a missing number for 0",
	"0 *5 0 * * ?":        "Quartz ignores what follows a *",
	"0 0 0 ?5 * MON":      "Quartz ignores what stands beside a ?",
	"0 0 0 ?,5 * MON":     "Quartz ignores what stands beside a ?",
	"0 0 0 5,? * MON":     "Quartz ignores what stands beside a ?",
	"0 0 0 1 1 ? * 5":     "Quartz ignores an eighth field",
	"0 0 0 1,,2 * ?":      "Quartz ignores an empty item",
	"0 0 0 1, * ?":        "Quartz ignores an empty item",
	"0 0 0 ,1 * ?":        "Quartz ignores an empty item",

	"0 0 0 ? * 6#3,2":  "Quartz takes the list and mixes its items up",
	"0 0 0 ? * 2,6#3":  "Quartz takes the list and mixes its items up",
	"0 0 0 15W,20 * ?": "Quartz takes the list and looks at its first day only",
	"0 0 0 20,15W * ?": "Quartz takes the list and looks at its first day only",
	"0 0 0 1-15W * ?":  "Quartz takes the range and ignores the W",
	"0/0 0 0 * * ?":    "Quartz takes a step of 0",
	"0 */0 0 * * ?":    "Quartz takes a step of 0",

	"0 0 0 1 1 ? 1969": "Quartz takes years that it never fires in",
	"0 0 0 1 1 ? 2200": "Quartz takes years that it never fires in",
	"0 0 0 1 1 ? 99":   "Quartz takes years that are none and fires in all",

	"America/New_York | 2026-11-01T05:10:00Z | 0 0/30 * * * ?":   "asked within the first pass, Quartz forgets a fire of the second",
	"Pacific/Apia | 2011-12-29T22:10:30Z | 0 */7,46/2 11 LW * ?": "Quartz hangs where the last workday is a day that was left out",
	"Pacific/Apia | 2011-12-29T22:10:30Z | 0 15/9 23/4 LW * ?":   "Quartz hangs where the last workday is a day that was left out",
}

// Quartz itself was asked; see testdata/quartz.
func TestQuartzAgrees(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/quartz/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	compared, met := 0, map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		question, want, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " =>")
		part := strings.SplitN(question, " | ", 3)
		got := answer(t, part[0], part[1], part[2], end)
		compared++
		key := question
		if part[0] == "UTC" {
			key = part[2]
		}
		switch reason, known := differs[key]; {
		case known && got == want:
			t.Errorf("%s: it does not differ: %s", question, reason)
		case known:
			met[key] = true
		case got != want:
			t.Errorf("%s:\n  got%s\n want%s", question, got, want)
		}
	}
	if compared < 500 {
		t.Errorf("only %d expressions compared", compared)
	}
	for expr := range differs {
		if !met[expr] {
			t.Errorf("%q is not in the golden file", expr)
		}
	}
}

// answer writes what the harness writes.
func answer(t *testing.T, zone, after, expr string, end time.Time) string {
	t.Helper()
	s, err := cron.Parse(expr, cron.Options{Zone: zoneOf(t, zone), DST: cron.DSTQuartz})
	if err != nil {
		return " refused"
	}
	at, err := time.Parse(time.RFC3339, after)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for range 10 {
		var ok bool
		if at, ok = s.Next(at); !ok || !at.Before(end) {
			out.WriteString(" end")
			break
		}
		out.WriteString(" " + at.UTC().Format(time.RFC3339))
	}
	return out.String()
}
