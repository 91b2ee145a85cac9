package window_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same zones on every machine

	"baton/internal/flow"
	"baton/internal/window"
)

func zoneOf(t interface{ Fatal(...any) }, name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func parse(t interface{ Fatal(...any) }, cycle, value string) window.Window {
	w, err := window.Parse(cycle, value)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func tell(i window.Interval) string {
	return i.Start.Format(time.RFC3339) + "/" + i.Last().Format(time.RFC3339)
}

// summary is how testdata/windows.txt writes a list: up to three in full.
func summary(list []window.Interval) string {
	if n := len(list); n > 3 {
		return fmt.Sprintf("%s .. %s (%d)", tell(list[0]), tell(list[n-1]), n)
	}
	var parts []string
	for _, i := range list {
		parts = append(parts, tell(i))
	}
	return strings.Join(parts, " ")
}

func TestEveryValue(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/windows.txt")
	if err != nil {
		t.Fatal(err)
	}
	var at time.Time
	var zone *time.Location
	seen := map[string]int{}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		switch words := strings.SplitN(line, " ", 3); {
		case line == "" || words[0] == "#":
		case words[0] == "at":
			zone = zoneOf(t, words[2])
			if at, err = time.Parse(time.RFC3339, words[1]); err != nil {
				t.Fatal(err)
			}
		default:
			want := strings.Join(words[2:], "")
			if got := summary(parse(t, words[0], words[1]).Intervals(at, zone)); got != want {
				t.Errorf("%s %s at %s in %s\n got %s\nwant %s", words[0], words[1], at.In(zone), zone, got, want)
			}
			seen[words[0]+" "+words[1]]++
		}
	}
	for _, cycle := range window.Cycles() {
		for _, value := range window.Values(cycle) {
			if seen[cycle+" "+value] < 10 {
				t.Errorf("%s %s is seen %d times only", cycle, value, seen[cycle+" "+value])
			}
		}
	}
}

// What the contract shows.
func TestLastTwoDaysInShanghai(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 2, 30, 0, 0, time.UTC)
	got := parse(t, "day", "last2Days").Intervals(at, zoneOf(t, "Asia/Shanghai"))
	if text := summary(got); text != "2026-02-27T00:00:00+08:00/2026-02-27T23:59:59+08:00 2026-02-28T00:00:00+08:00/2026-02-28T23:59:59+08:00" {
		t.Error(text)
	}
}

// The words are those of DolphinScheduler, in one list that nobody extends by accident.
func TestWords(t *testing.T) {
	t.Parallel()
	for cycle, want := range map[string]string{
		"hour":  "currentHour last1Hour last2Hours last3Hours last24Hours",
		"day":   "today last1Days last2Days last3Days last7Days",
		"week":  "thisWeek lastWeek lastMonday lastTuesday lastWednesday lastThursday lastFriday lastSaturday lastSunday",
		"month": "thisMonth thisMonthBegin thisMonthEnd lastMonth lastMonthBegin lastMonthEnd",
	} {
		if got := strings.Join(window.Values(cycle), " "); got != want {
			t.Errorf("%s has %s", cycle, got)
		}
		for _, value := range window.Values(cycle) {
			if w := parse(t, cycle, value); w.Cycle() != cycle || w.String() != value {
				t.Errorf("%s %s became %s %s", cycle, value, w.Cycle(), w)
			}
		}
	}
	if got := strings.Join(window.Cycles(), " "); got != "hour day week month" {
		t.Errorf("cycles are %s", got)
	}
}

func TestUnknownWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cycle, value, field, suggestion, message string }{
		{"dya", "today", "cycle", "day", `"dya" is no cycle; there are hour, day, week, month; did you mean "day"?`},
		{"Day", "today", "cycle", "day", `did you mean "day"?`},
		{"", "today", "cycle", "", `"" is no cycle; there are hour, day, week, month`},
		{"quarter", "thisQuarter", "cycle", "", `"quarter" is no cycle`},
		{"day", "last2Day", "value", "last2Days", `"last2Day" is no value of cycle day; there are today, last1Days, last2Days, last3Days, last7Days; did you mean "last2Days"?`},
		{"week", "lastmonday", "value", "lastMonday", `did you mean "lastMonday"?`},
		{"month", "", "value", "", `"" is no value of cycle month`},
		{"day", "same", "value", "", `"same" is no value of cycle day`},
		{"day", "currentHour", "value", "", `"currentHour" is a value of cycle hour, not of day, which has today, `},
	} {
		w, err := window.Parse(c.cycle, c.value)
		e, ok := errors.AsType[*flow.Error](err)
		if !ok || e.Code != window.CodeBadWindow || e.Field != c.field || e.Suggestion != c.suggestion || !strings.Contains(e.Message, c.message) {
			t.Errorf("%q %q: %#v", c.cycle, c.value, err)
		}
		if got := w.Intervals(time.Unix(0, 0), time.UTC); got != nil {
			t.Errorf("%q %q has %v", c.cycle, c.value, got)
		}
	}
}

func TestADateThatWasLeftOutHasNoWindow(t *testing.T) {
	t.Parallel()
	apia := zoneOf(t, "Pacific/Apia")
	nextWeek := time.Date(2012, 1, 4, 12, 0, 0, 0, apia)
	if got := parse(t, "week", "lastFriday").Intervals(nextWeek, apia); len(got) != 0 {
		t.Errorf("2011-12-30 is %s", summary(got))
	}
	dayAfter := time.Date(2011, 12, 31, 12, 0, 0, 0, apia)
	if got := summary(parse(t, "day", "last1Days").Intervals(dayAfter, apia)); got != "2011-12-29T00:00:00-10:00/2011-12-29T23:59:59-10:00" {
		t.Errorf("the day before 2011-12-31 is %s", got)
	}
}

func TestAnIntervalHoldsItsFirstMomentAndNotItsEnd(t *testing.T) {
	t.Parallel()
	i := parse(t, "day", "today").Intervals(time.Date(2026, 3, 1, 23, 59, 59, 999_999_999, time.UTC), time.UTC)[0]
	for at, want := range map[time.Time]bool{
		i.Start: true, i.Start.Add(-1): false, i.Last(): true, i.End.Add(-1): true, i.End: false,
	} {
		if i.Contains(at) != want {
			t.Errorf("%s is in %s: %t", at, tell(i), !want)
		}
	}
	if i.Start.Day() != 1 {
		t.Errorf("today is %s", tell(i))
	}
}

// Who changes a list that was handed out changes nobody else's.
func TestListsAreCopies(t *testing.T) {
	t.Parallel()
	window.Cycles()[0] = "x"
	window.Values("day")[0] = "x"
	if slices.Contains(window.Cycles(), "x") || slices.Contains(window.Values("day"), "x") {
		t.Error("a list is shared")
	}
}
