package attempt

import (
	"math"
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
)

func compile(t *testing.T, r flow.Retry) Rules {
	t.Helper()
	rules, err := Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestDelay(t *testing.T) {
	t.Parallel()
	s := func(n float64) flow.Duration { return flow.Duration(n * float64(time.Second)) }
	for _, c := range []struct {
		name  string
		retry flow.Retry
		try   int
		want  time.Duration
	}{
		{"none", flow.Retry{}, 1, 0},
		{"constant", flow.Retry{Delay: s(10)}, 7, 10 * time.Second},
		{"backoff 1 is constant", flow.Retry{Delay: s(10), Backoff: 1}, 7, 10 * time.Second},
		{"first try", flow.Retry{Delay: s(10), Backoff: 2}, 1, 10 * time.Second},
		{"third try", flow.Retry{Delay: s(10), Backoff: 2}, 3, 40 * time.Second},
		{"fraction", flow.Retry{Delay: s(10), Backoff: 1.5}, 2, 15 * time.Second},
		{"max_delay", flow.Retry{Delay: s(10), Backoff: 2, MaxDelay: s(30)}, 3, 30 * time.Second},
		{"max_delay below the delay", flow.Retry{Delay: s(10), MaxDelay: s(5)}, 1, 5 * time.Second},
		{"unbounded", flow.Retry{Delay: s(10), Backoff: 10}, 400, DefaultMaxDelay},
		{"delay above the default bound", flow.Retry{Delay: flow.Duration(48 * time.Hour), Backoff: 2}, 5, 48 * time.Hour},
		{"no delay times infinity", flow.Retry{Backoff: 10}, 400, 0},
	} {
		if got := compile(t, c.retry).Delay(c.try); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAgain(t *testing.T) {
	t.Parallel()
	exit := func(n int32) End { return End{Cause: "exit", ExitCode: n} }
	signal := End{Cause: "signal:SIGKILL", ExitCode: flow.NoExit}
	timeout := End{Cause: "timeout", ExitCode: flow.NoExit}
	logged := End{Cause: "exit:1", ExitCode: 1, Matched: []string{"dead.*lock"}}
	http := End{Cause: "http:503", ExitCode: flow.NoExit}
	for _, c := range []struct {
		name string
		rule []string
		end  End
		want bool
	}{
		{"no rule, any cause", nil, http, true},
		{"no rule, timeout", nil, timeout, true},
		{"exit", []string{"exit:75"}, exit(75), true},
		{"other exit", []string{"exit:75"}, exit(74), false},
		{"range, low end", []string{"exit:70-79"}, exit(70), true},
		{"range, high end", []string{"exit:70-79"}, exit(79), true},
		{"range, beyond", []string{"exit:70-79"}, exit(80), false},
		{"exit does not match what has none", []string{"exit:0-255"}, signal, false},
		{"signal", []string{"signal"}, signal, true},
		{"signal does not match an exit", []string{"signal"}, exit(137), false},
		{"timeout", []string{"timeout"}, timeout, true},
		{"timeout that left an exit code", []string{"exit:143"}, End{Cause: "timeout", ExitCode: 143}, false},
		{"log", []string{"log:dead.*lock"}, logged, true},
		{"another line", []string{"log:x"}, logged, false},
		{"one of several", []string{"timeout", "exit:1"}, exit(1), true},
		{"excluded", []string{"!exit:2"}, exit(2), false},
		{"not excluded", []string{"!exit:2"}, exit(3), true},
		{"excluded among the included", []string{"exit:1-9", "!exit:2"}, exit(2), false},
		{"excluded log", []string{"!log:dead.*lock"}, logged, false},
	} {
		rules := compile(t, flow.Retry{Times: 1, If: c.rule})
		if _, got := rules.Again(1, c.end); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

func TestAgainCounts(t *testing.T) {
	t.Parallel()
	rules := compile(t, flow.Retry{Times: 2})
	for used, want := range map[int]bool{1: true, 2: true, 3: false, 4: false} {
		if _, got := rules.Again(used, End{}); got != want {
			t.Errorf("after %d tries: %t, want %t", used, got, want)
		}
	}
	if _, got := compile(t, flow.Retry{}).Again(1, End{}); got {
		t.Error("tried again without retry.times")
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]flow.Retry{
		"negative times":   {Times: -1},
		"backoff below 1":  {Backoff: 0.5},
		"negative backoff": {Backoff: -2},
		"backoff NaN":      {Backoff: math.NaN()},
		"backoff infinite": {Backoff: math.Inf(1)},
		"unknown cause":    {If: []string{"moon"}},
		"empty":            {If: []string{""}},
		"only a !":         {If: []string{"!"}},
		"exit without one": {If: []string{"exit"}},
		"exit of text":     {If: []string{"exit:x"}},
		"exit backwards":   {If: []string{"exit:9-1"}},
		"exit negative":    {If: []string{"exit:-1"}},
		"signal with one":  {If: []string{"signal:9"}},
		"log without":      {If: []string{"log:"}},
		"log broken":       {If: []string{"log:("}},
	} {
		if _, err := Compile(r); flow.CodeOf(err) != flow.CodeBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Compile(flow.Retry{If: []string{"timeout", "exit:x"}})
	if err == nil || !strings.Contains(err.Error(), `"exit:x"`) {
		t.Errorf("the error does not name the entry: %v", err)
	}
}

func TestLogPatterns(t *testing.T) {
	t.Parallel()
	got := LogPatterns(flow.Retry{If: []string{"exit:1", "log:a", "!log:b:c"}})
	if len(got) != 2 || got[0] != "a" || got[1] != "b:c" {
		t.Errorf("%q", got)
	}
}
