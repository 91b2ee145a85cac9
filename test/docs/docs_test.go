// Package docs keeps the documentation true where a program can tell: its YAML is parsed, its
// dates are computed, its links lead somewhere.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"baton/internal/cron"
	"baton/internal/param"
	"baton/internal/spec"
	"baton/internal/task"
	"baton/internal/task/all"
	"baton/internal/window"
)

const root = "../.."

// pages are what people read.
func pages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md", "examples/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	if len(out) < 5 {
		t.Fatalf("only %d pages: %v", len(out), out)
	}
	return out
}

func read(t *testing.T, page string) string {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	types := task.NewSet(all.Types()...)
	checked := 0
	for _, page := range pages(t) {
		for _, b := range blocks(read(t, page), "yaml") {
			name := filepath.Base(page) + " line " + strconv.Itoa(b.line)
			if _, errs := spec.Parse([]spec.Source{{Name: name, Content: []byte(b.text)}}, types, spec.Defaults{}); len(errs) > 0 {
				t.Errorf("%v", errs)
			}
			checked++
		}
	}
	if checked < 10 {
		t.Errorf("only %d examples found", checked)
	}
}

type block struct {
	text string
	line int
}

// blocks cuts the fenced blocks of a language out of a page.
func blocks(page, language string) []block {
	var out []block
	var b *block
	for i, line := range strings.Split(page, "\n") {
		switch {
		case b == nil && line == "```"+language:
			b = &block{line: i + 1}
		case b != nil && line == "```":
			out = append(out, *b)
			b = nil
		case b != nil:
			b.text += line + "\n"
		}
	}
	return out
}

// A table of dates: placeholders in the first column, their values for the data time of the head
// in the second.
var (
	datesHead = regexp.MustCompile(`(?m)^\|[^|]*\|[^|]*data time (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)[^|]*\|\n\|---\|---\|\n((?:\|.*\n)+)`)
	code      = regexp.MustCompile("`([^`]+)`")
)

func TestDatesAreRight(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, page := range pages(t) {
		for _, table := range datesHead.FindAllStringSubmatch(read(t, page), -1) {
			at, err := time.Parse(time.DateTime, table[1])
			if err != nil {
				t.Fatal(err)
			}
			for row := range strings.Lines(table[2]) {
				cells := strings.Split(row, "|")
				values, _, _ := strings.Cut(cells[2], ":  ")
				var got []string
				for _, c := range code.FindAllStringSubmatch(cells[1], -1) {
					v, err := param.EvalTime(c[1], at, nil)
					if err != nil {
						t.Errorf("%s: %s: %v", filepath.Base(page), c[1], err)
					}
					got = append(got, v)
					checked++
				}
				if want := strings.Join(got, ", "); !strings.HasPrefix(strings.TrimSpace(values), want) {
					t.Errorf("%s: %s is %s, the page says %s", filepath.Base(page), cells[1], want, values)
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d dates found", checked)
	}
}

// A table of cron expressions: the first column has them, the second when they fire next.
var firesHead = regexp.MustCompile(`(?m)^\|[^|]*\|[^|]*next after (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)[^|]*\|\n\|---\|---\|\n((?:\|.*\n)+)`)

func TestCronExpressionsFireAsThePagesSay(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, page := range pages(t) {
		for _, table := range firesHead.FindAllStringSubmatch(read(t, page), -1) {
			after, err := time.Parse(time.DateTime, table[1])
			if err != nil {
				t.Fatal(err)
			}
			for row := range strings.Lines(table[2]) {
				cells := strings.Split(row, "|")
				want, _, _ := strings.Cut(strings.TrimSpace(cells[2]), ": ")
				times := strings.Split(want, ", ")
				expressions := code.FindAllStringSubmatch(cells[1], -1)
				var got []string
				for _, e := range expressions {
					s, err := cron.Parse(e[1], cron.Options{})
					if err != nil {
						t.Fatalf("%s: %s: %v", filepath.Base(page), e[1], err)
					}
					for _, fire := range s.NextN(after, max(1, len(times)/len(expressions))) {
						got = append(got, fire.Format(time.DateTime))
					}
					checked++
				}
				if !slices.Equal(got, times) {
					t.Errorf("%s: %s fires at %v, the page says %v", filepath.Base(page), cells[1], got, times)
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d expressions found", checked)
	}
}

// A table of shifts: the head names an expression, a calendar that the tests of cron have, and an
// instant in its zone; each row has a shift and when it fires next.
var shiftsHead = regexp.MustCompile("(?m)^\\| `shift` \\| `([^`]+)` under `([^`]+)`, after (\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d) \\|\n\\|---\\|---\\|\n((?:\\|.*\n)+)")

func TestCalendarsShiftAsThePagesSay(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, page := range pages(t) {
		for _, table := range shiftsHead.FindAllStringSubmatch(read(t, page), -1) {
			calendar, zone := calendarOf(t, table[2])
			after, err := time.ParseInLocation(time.DateTime, table[3], zone)
			if err != nil {
				t.Fatal(err)
			}
			s, err := cron.Parse(table[1], cron.Options{Zone: zone})
			if err != nil {
				t.Fatal(err)
			}
			for row := range strings.Lines(table[4]) {
				cells := strings.Split(row, "|")
				plan, err := cron.Plan(s, calendar, cron.ShiftTo(code.FindStringSubmatch(cells[1])[1]))
				if err != nil {
					t.Fatal(err)
				}
				want, _, _ := strings.Cut(strings.TrimSpace(cells[2]), ": ")
				var got []string
				for _, fire := range plan.NextN(after, strings.Count(want, ",")+1) {
					got = append(got, fire.Format(time.DateTime))
				}
				if text := strings.Join(got, ", "); text != want {
					t.Errorf("%s: %s fires at %s, the page says %s", filepath.Base(page), cells[1], text, want)
				}
				checked++
			}
		}
	}
	if checked < 3 {
		t.Errorf("only %d shifts found", checked)
	}
}

// Tables of windows: the head names a cycle and a data time, each row a value and the hours or days
// that it means. And one about clocks that change: each row has a zone, a data time and a value.
var (
	windowsHead = regexp.MustCompile("(?m)^\\| cycle `([^`]+)` \\| seen from (\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d) \\|\n\\|---\\|---\\|\n((?:\\|.*\n)+)")
	clocksHead  = regexp.MustCompile(`(?m)^\| zone, data time, value \| windows \|\n\|---\|---\|\n((?:\|.*\n)+)`)
)

func TestWindowsAreWhatThePagesSay(t *testing.T) {
	t.Parallel()
	checked := map[string]int{}
	for _, page := range pages(t) {
		for _, table := range windowsHead.FindAllStringSubmatch(read(t, page), -1) {
			for row := range strings.Lines(table[3]) {
				cells := strings.Split(row, "|")
				value := code.FindStringSubmatch(cells[1])[1]
				layout := time.DateOnly
				if table[1] == "hour" {
					layout = "2006-01-02 15:04"
				}
				var starts []string
				for _, w := range windowsOf(t, table[1], value, table[2], time.UTC) {
					starts = append(starts, w.Start.Format(layout))
				}
				got := strings.Join(starts, ", ")
				if n := len(starts); n > 3 {
					got = fmt.Sprintf("%s to %s (%d)", starts[0], starts[n-1], n)
				}
				if want, _, _ := strings.Cut(strings.TrimSpace(cells[2]), ": "); got != want {
					t.Errorf("%s: %s is %s, the page says %s", filepath.Base(page), value, got, want)
				}
				checked[table[1]]++
			}
		}
		for _, table := range clocksHead.FindAllStringSubmatch(read(t, page), -1) {
			for row := range strings.Lines(table[1]) {
				cells := strings.Split(row, "|")
				asked := code.FindAllStringSubmatch(cells[1], -1)
				zone, err := time.LoadLocation(asked[0][1])
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, w := range windowsOf(t, "", asked[2][1], asked[1][1], zone) {
					got = append(got, w.Start.Format(time.RFC3339)+" to "+w.Last().Format(time.RFC3339))
				}
				if want, _, _ := strings.Cut(strings.TrimSpace(cells[2]), ": "); strings.Join(got, ", ") != want {
					t.Errorf("%s: %s is %s, the page says %s", filepath.Base(page), cells[1], strings.Join(got, ", "), want)
				}
				checked["clocks"]++
			}
		}
	}
	for _, cycle := range window.Cycles() {
		if all := len(window.Values(cycle)); checked[cycle] < all {
			t.Errorf("the pages tell of %d values of cycle %s, there are %d", checked[cycle], cycle, all)
		}
	}
	if checked["clocks"] < 5 {
		t.Errorf("only %d windows where clocks change found", checked["clocks"])
	}
}

// windowsOf finds a value in its cycle, or in any when that is not said.
func windowsOf(t *testing.T, cycle, value, dataTime string, zone *time.Location) []window.Interval {
	t.Helper()
	at, err := time.ParseInLocation(time.DateTime, dataTime, zone)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range window.Cycles() {
		if cycle == "" && slices.Contains(window.Values(c), value) {
			cycle = c
		}
	}
	w, err := window.Parse(cycle, value)
	if err != nil {
		t.Fatal(err)
	}
	return w.Intervals(at, zone)
}

func calendarOf(t *testing.T, name string) (*cron.Calendar, *time.Location) {
	t.Helper()
	var file struct {
		Timezone           string
		Holidays, Workdays []string
	}
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(root, "internal/cron/testdata", name+".yaml"))), &file); err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation(file.Timezone)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cron.NewCalendar(cron.CalendarOptions{Zone: zone, Holidays: file.Holidays, Workdays: file.Workdays})
	if err != nil {
		t.Fatal(err)
	}
	return c, zone
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		for _, l := range link.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, page), ""), -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(l[1], "#")
			to := page
			if file != "" {
				to = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %v", filepath.Base(page), err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, to)), anchor) {
				t.Errorf("%s: there is no heading #%s in %s", filepath.Base(page), anchor, filepath.Base(to))
			}
		}
	}
}

// anchors are the headings as GitHub names them.
func anchors(page string) []string {
	var out []string
	for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		kept := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case strings.ContainsRune("`.,:;!?()'\"/&", r):
				return -1
			}
			return r
		}, strings.ToLower(h[1]))
		out = append(out, kept)
	}
	return out
}
