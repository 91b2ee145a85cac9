package param

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type timeCase struct {
	line     int
	data     time.Time
	zone     *time.Location
	text     string
	want     string
	offset   int
	complain bool
}

func goldenTimes(t testing.TB) []timeCase {
	t.Helper()
	b, err := os.ReadFile("testdata/time.golden")
	if err != nil {
		t.Fatal(err)
	}
	var cases []timeCase
	for i, line := range strings.Split(string(b), "\n") {
		if line = strings.TrimSuffix(line, " # baton"); line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, " | ", 4)
		c := timeCase{line: i + 1, text: f[2], want: f[3]}
		if c.data, err = time.Parse(time.RFC3339Nano, f[0]); err != nil {
			t.Fatal(err)
		}
		if c.zone, err = time.LoadLocation(f[1]); err != nil {
			t.Fatal(err)
		}
		if rest, ok := strings.CutPrefix(c.want, "! "); ok {
			n, message, _ := strings.Cut(rest, " ")
			c.complain, c.want = true, message
			if c.offset, err = strconv.Atoi(n); err != nil {
				t.Fatal(err)
			}
		}
		cases = append(cases, c)
	}
	return cases
}

func TestEvalTimeGolden(t *testing.T) {
	t.Parallel()
	for _, c := range goldenTimes(t) {
		got, err := EvalTime(c.text, c.data, c.zone)
		if !c.complain {
			if err != nil || got != c.want {
				t.Errorf("line %d: %s = %q, %v; want %q", c.line, c.text, got, err, c.want)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != CodePlaceholder || e.Offset != c.offset || !strings.Contains(e.Message, c.want) {
			t.Errorf("line %d: %s = %q, %+v; want offset %d, %q", c.line, c.text, got, e, c.offset, c.want)
		}
	}
}

func TestEvalTimeText(t *testing.T) {
	t.Parallel()
	data := time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"":                                   "",
		"plain":                              "plain",
		"d=$[yyyyMMdd-1]":                    "d=20260228",
		"$[yyyy]/$[MM]/$[dd]":                "2026/03/01",
		"$[yyyy]test1$[yyyy:***]":            "2026test12026:***",
		"${x} $${y} ${{ z }} $[dd]":          "${x} $${y} ${{ z }} 01",
		"$ $$ $5 cost$":                      "$ $$ $5 cost$",
		"$$[yyyy] $[yyyy]":                   "$[yyyy] 2026",
		"每日 $[yyyy-MM-dd] 订单":                "每日 2026-03-01 订单",
		"]$[yyyy]]":                          "]2026]",
		"$[add_months(yyyyMM,-1)]_$[HHmm-1]": "202602_1030",
	} {
		if got, err := EvalTime(text, data, nil); err != nil || got != want {
			t.Errorf("EvalTime(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
}

// Whole days are steps of the calendar in every zone, and never land on a time no clock shows.
func TestDaysAreCalendarDays(t *testing.T) {
	t.Parallel()
	var zones []*time.Location
	for _, n := range []string{"UTC", "America/New_York", "Europe/Berlin", "Asia/Shanghai", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "Pacific/Apia"} {
		z, err := time.LoadLocation(n)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, z)
	}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		data := time.Unix(rapid.Int64Range(946684800, 4102444800).Draw(t, "unix"), 0)
		days := rapid.IntRange(-400, 400).Draw(t, "days")
		e := TimeExpr{op: opDays, n: days}
		e.layout, _ = parseLayout("yyyyMMddHHmmss")
		got, err := e.Eval(data, zone)
		if err != nil {
			t.Fatal(err)
		}
		wall := wallOf(data, zone).AddDate(0, 0, days)
		shown, _ := time.Parse("20060102150405", got)
		if d := shown.Sub(wall); d != 0 && (d < 0 || d > 24*time.Hour) {
			t.Fatalf("%v %+d days in %v = %s, want %v", data, days, zone, got, wall)
		}
		if !wallOf(instantOf(shown, zone), zone).Equal(shown) {
			t.Fatalf("%s is shown by no clock in %v", got, zone)
		}
	})
}

// Whatever clocks show is found again, at the first instant they show it.
func TestInstantOf(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 4102444800).Draw(t, "unix"), 0)
		got := instantOf(wallOf(at, zone), zone)
		if got.After(at) || !wallOf(got, zone).Equal(wallOf(at, zone)) {
			t.Fatalf("instantOf(wallOf(%v)) = %v", at, got)
		}
	})
}

func TestYearWeekOfISO(t *testing.T) {
	t.Parallel()
	for day := time.Date(1999, 12, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2030; day = day.AddDate(0, 0, 1) {
		y, w := yearWeek(day, 1)
		wantY, wantW := day.ISOWeek()
		if y != wantY || w != wantW {
			t.Fatalf("%v: %d-%d, want %d-%d", day, y, w, wantY, wantW)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, c := range goldenTimes(f) {
		f.Add(strings.TrimSuffix(strings.TrimPrefix(c.text, "$["), "]"))
	}
	f.Add("timestamp(timestamp(")
	f.Add("((((((((((((((((((((((((((((((")
	f.Add("yyyy-1/-/((")
	data := time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, expr string) {
		e, err := ParseTime(expr)
		if err == nil {
			_, err = e.Eval(data, time.UTC)
		}
		checkError(t, expr, err)
	})
}

// checkError fails unless an error is of this package and its offset lies in the text.
func checkError(t *testing.T, text string, err error) {
	t.Helper()
	var e *Error
	if err == nil {
		return
	}
	if !errors.As(err, &e) || e.Code == "" || e.Message == "" || e.Offset < 0 || e.Param == "" && e.Offset > len(text) {
		t.Fatalf("%q: %#v", text, err)
	}
}
