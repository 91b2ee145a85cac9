// Retry rules: which ends are tried again, and after how long.

package attempt

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"baton/internal/flow"
)

// InfrastructureBudget is how many infrastructure losses one task instance may suffer before it
// fails with reason worker_lost. They do not use up the user's tries.
const InfrastructureBudget = 5

// DefaultMaxDelay bounds the backoff of a task that names no max_delay.
const DefaultMaxDelay = 24 * time.Hour

// Rules are the compiled retry rules of a task. Immutable.
type Rules struct {
	times    int
	delay    time.Duration
	backoff  float64
	maxDelay time.Duration
	yes, no  []condition
}

// End is what the rules look at.
type End struct {
	Cause    string   // exit:N, signal:NAME, timeout, …
	ExitCode int32    // flow.NoExit: none
	Matched  []string // entries log:REGEX that a log line matched
}

type condition struct {
	entry  string // without "!"
	lo, hi int32  // of exit:
	kind   string // exit, signal, timeout, log
}

// Compile checks and compiles retry rules. The error names the entry at fault.
func Compile(r flow.Retry) (Rules, error) {
	rules := Rules{times: r.Times, delay: r.Delay.Std(), backoff: r.Backoff, maxDelay: r.MaxDelay.Std()}
	if r.Times < 0 {
		return Rules{}, flow.Errorf(flow.CodeBadRequest, "times", "retry.times is %d; it counts the tries after the first and is not negative", r.Times)
	}
	if r.Backoff < 0 || math.IsNaN(r.Backoff) || math.IsInf(r.Backoff, 0) || (r.Backoff > 0 && r.Backoff < 1) {
		return Rules{}, flow.Errorf(flow.CodeBadRequest, "backoff", "retry.backoff is %v; it is a factor of at least 1", r.Backoff)
	}
	for i, entry := range r.If {
		text, negated := strings.CutPrefix(entry, "!")
		c, err := compileCondition(text)
		if err != nil {
			return Rules{}, flow.Errorf(flow.CodeBadRequest, fmt.Sprintf("if[%d]", i), "retry.if entry %q: %s; it is exit:N, exit:N-M, signal, timeout or log:REGEX, each with ! before it to exclude", entry, err)
		}
		if negated {
			rules.no = append(rules.no, c)
		} else {
			rules.yes = append(rules.yes, c)
		}
	}
	return rules, nil
}

func compileCondition(text string) (condition, error) {
	kind, arg, hasArg := strings.Cut(text, ":")
	c := condition{entry: text, kind: kind}
	switch {
	case kind == "exit" && hasArg:
		lo, hi, isRange := strings.Cut(arg, "-")
		if !isRange {
			hi = lo
		}
		a, errA := strconv.ParseInt(lo, 10, 32)
		b, errB := strconv.ParseInt(hi, 10, 32)
		if errA != nil || errB != nil || a < 0 || b < a {
			return c, fmt.Errorf("%q is no exit code or range of them", arg)
		}
		c.lo, c.hi = int32(a), int32(b)
	case kind == "signal" && !hasArg, kind == "timeout" && !hasArg:
	case kind == "log" && hasArg && arg != "":
		if _, err := regexp.Compile(arg); err != nil {
			return c, fmt.Errorf("bad regular expression: %w", err)
		}
	default:
		return c, fmt.Errorf("unknown cause %q", text)
	}
	return c, nil
}

// LogPatterns returns the regular expressions that the worker has to look for in the log.
func LogPatterns(r flow.Retry) []string {
	var out []string
	for _, entry := range r.If {
		if p, ok := strings.CutPrefix(strings.TrimPrefix(entry, "!"), "log:"); ok {
			out = append(out, p)
		}
	}
	return out
}

// Again tells whether an attempt that ended so is tried again, when used user tries (this one
// included) have been made, and how long to wait first.
func (r Rules) Again(used int, e End) (time.Duration, bool) {
	if used > r.times || !r.matches(e) {
		return 0, false
	}
	return r.Delay(used), true
}

// Delay returns the wait after the n-th try, n from 1: delay × backoff^(n-1), at most max_delay.
func (r Rules) Delay(n int) time.Duration {
	d := float64(r.delay)
	if r.delay > 0 && r.backoff > 1 { // 0 × ∞ is no number
		d *= math.Pow(r.backoff, float64(n-1))
	}
	most := r.maxDelay
	if most == 0 {
		most = max(DefaultMaxDelay, r.delay)
	}
	if d > float64(most) {
		return most
	}
	return time.Duration(d)
}

func (r Rules) matches(e End) bool {
	for _, c := range r.no {
		if c.matches(e) {
			return false
		}
	}
	for _, c := range r.yes {
		if c.matches(e) {
			return true
		}
	}
	return len(r.yes) == 0
}

func (c condition) matches(e End) bool {
	switch c.kind {
	case "exit":
		return e.ExitCode != flow.NoExit && e.Cause != "timeout" && e.ExitCode >= c.lo && e.ExitCode <= c.hi
	case "signal":
		return strings.HasPrefix(e.Cause, "signal")
	case "timeout":
		return e.Cause == "timeout"
	case "log":
		for _, m := range e.Matched {
			if "log:"+m == c.entry {
				return true
			}
		}
	}
	return false
}
