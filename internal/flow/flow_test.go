package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// The machines agree with what the states say of themselves: from an end only what a person does
// leads on, and every state can be reached.
func TestMachinesAreSound(t *testing.T) {
	t.Parallel()
	byHand := map[string]bool{
		"recover": true, "rerun": true, "recover or rerun, and wait its turn": true, "quarantine": true, // of runs
		"force success": true, "skip": true, // of tasks
		"succeeded after all": true, "failed after all": true, // of attempts: news, not a decision
	}
	check(t, InstanceMachine, InstanceState.Ended, byHand, len(instanceNames), InstanceSubmitted)
	check(t, TaskMachine, TaskState.Ended, byHand, len(taskNames), TaskWaiting)
	check(t, AttemptMachine, AttemptState.Ended, byHand, len(attemptNames), AttemptNone)
}

func check[S interface {
	~uint8
	fmt.Stringer
}](t *testing.T, m *Machine[S], ended func(S) bool, byHand map[string]bool, n int, first S,
) {
	t.Helper()
	for _, tr := range m.Transitions {
		for _, from := range tr.From {
			if ended(from) && !byHand[tr.Event] {
				t.Errorf("%s: %q leads on from %s", m.Name, tr.Event, from)
			}
			if to, ok := m.Allows(tr.Event, from); !ok || to != tr.To {
				t.Errorf("%s: %q from %s leads to %s and to %s", m.Name, tr.Event, from, tr.To, to)
			}
			if !m.Can(from, tr.To) || m.Sources(tr.To)&(1<<from) == 0 {
				t.Errorf("%s: %s to %s is in the list and not allowed", m.Name, from, tr.To)
			}
		}
	}
	for s := S(1); int(s) < n; s++ {
		if s != first && m.Sources(s) == 0 {
			t.Errorf("%s: nothing leads to %s", m.Name, s)
		}
		if !m.Can(s, s) {
			t.Errorf("%s: %s cannot stay", m.Name, s)
		}
	}
	if _, ok := m.Allows("dance", first); ok {
		t.Errorf("%s dances", m.Name)
	}
}

func TestStateNames(t *testing.T) {
	t.Parallel()
	for s := InstanceSubmitted; s <= InstanceSucceeded; s++ {
		if got, err := ParseInstanceState(s.String()); err != nil || got != s {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for s := TaskWaiting; s <= TaskKilled; s++ {
		if got, err := ParseTaskState(s.String()); err != nil || got != s {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	if _, err := ParseTaskState(""); CodeOf(err) != CodeBadRequest {
		t.Errorf("the empty name: %v", err)
	}
	if got := TaskState(99).String(); got != "state99" {
		t.Errorf("a state from the future: %q", got)
	}
	var a AttemptState
	if err := a.UnmarshalText([]byte("suspect")); err != nil || a != AttemptSuspect {
		t.Errorf("%s, %v", a, err)
	}
	if err := a.UnmarshalText(nil); err != nil || a != AttemptNone {
		t.Errorf("%s, %v", a, err)
	}
}

func TestPriority(t *testing.T) {
	t.Parallel()
	var p Priority
	if err := p.UnmarshalText([]byte("high")); err != nil || p != PriorityHigh {
		t.Errorf("%s, %v", p, err)
	}
	if got := Priority(0).Or(p).Or(PriorityLow); got != PriorityHigh {
		t.Errorf("%s", got)
	}
	if _, err := ParsePriority("urgent"); CodeOf(err) != CodeBadRequest {
		t.Errorf("%v", err)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"plain", 10, "plain"},
		{"cut here", 3, "cut"},
		{"每日", 4, "每"}, // not in the middle of a rune
		{"每日", 2, ""},  // nor before the first one is whole
		{"a\x00b", 9, "a\uFFFDb"},
		{"a\xff", 9, "a\uFFFD"},
		{"\uFFFD", 3, "\uFFFD"},
	} {
		if got := Text(c.in, c.limit); got != c.want {
			t.Errorf("%q to %d: %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x00\xff每", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = int(uint(limit) % 64)
		got := Text(s, limit)
		if strings.ContainsRune(got, 0) || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%q is not fit to be stored", got)
		}
	})
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "每日订单", "T:compensate", strings.Repeat("每", MaxName)} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", " a", "a ", "a/b", "a\nb", "a\x00", "\xff", strings.Repeat("a", MaxName+1)} {
		if CheckName(bad) == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	now := At(time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 8*3600)))
	if got := now.String(); got != "2026-03-01T04:00:00.123456Z" {
		t.Errorf("%s", got)
	}
	raw, err := json.Marshal(now)
	var back Time
	if err != nil || json.Unmarshal(raw, &back) != nil || back != now {
		t.Errorf("%s gives %d, want %d (%v)", raw, back, now, err)
	}
	if At(time.Time{}) != 0 || !Time(0).Std().IsZero() || Time(0).Add(time.Hour) != 0 || Time(0).String() != "" {
		t.Error("none is not none")
	}
	for _, null := range []string{"null", `""`} {
		if err := json.Unmarshal([]byte(null), &back); err != nil || back != 0 {
			t.Errorf("%s: %d, %v", null, back, err)
		}
	}
	if got := Time(math.MaxInt64 - 5).Add(time.Hour); got != math.MaxInt64 {
		t.Errorf("the sum wraps: %d", got)
	}
	if got := Earliest(0, 7, 3, 0); got != 3 || Earliest(0, 0) != 0 {
		t.Errorf("%d", got)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "1d12h": 36 * time.Hour,
		"0.5d": 12 * time.Hour, "0s": 0, "250ms": 250 * time.Millisecond,
	} {
		got, err := ParseDuration(text)
		if err != nil || got.Std() != want {
			t.Errorf("%s: %s, %v", text, got, err)
			continue
		}
		if again, err := ParseDuration(got.String()); err != nil || again != got {
			t.Errorf("%s prints as %s, which is %s (%v)", text, got, again, err)
		}
	}
	for _, bad := range []string{"", "30", "s", "-1s", "1d-1h", "3661d", "d", "NaNd", "1x", "-2d"} {
		if d, err := ParseDuration(bad); CodeOf(err) != CodeBadRequest || err == nil {
			t.Errorf("%q: %s, %v", bad, d, err)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	now := At(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	s := NewIDSource(5, 0)
	last := ID(0)
	for i := range 10_000 {
		at := now.Add(time.Duration(i) * time.Microsecond)
		if i == 5000 {
			at = now.Add(-time.Hour) // the clock goes back, the ids do not
		}
		id := s.Next(at)
		if id <= last {
			t.Fatalf("%d after %d", id, last)
		}
		last = id
	}
	if next := NewIDSource(0, last).Next(now); next <= last {
		t.Errorf("%d is not above the floor %d", next, last)
	}
	if a, b := NewIDSource(1, 0).Next(now), NewIDSource(2, 0).Next(now); a == b {
		t.Errorf("two nodes made %d", a)
	}
	raw, err := json.Marshal(struct{ A, B ID }{last, 0})
	if err != nil || string(raw) != fmt.Sprintf(`{"A":"%d","B":null}`, last) {
		t.Errorf("%s, %v", raw, err)
	}
	for _, bad := range []string{"", "x", "-1", "0", "99999999999999999999"} {
		if _, err := ParseID(bad); CodeOf(err) != CodeBadRequest {
			t.Errorf("%q: %v", bad, err)
		}
	}
	var id ID
	if json.Unmarshal([]byte(`"7"`), &id) != nil || id != 7 || json.Unmarshal([]byte(`null`), &id) != nil || id != 0 || json.Unmarshal([]byte(`7`), &id) == nil {
		t.Errorf("%d", id)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	e := &Error{Code: CodeInvalidFile, Message: "no", File: "a.yaml", Line: 3, Column: 7}
	if e.Error() != "a.yaml:3:7: no" || CodeOf(fmt.Errorf("apply: %w", e)) != CodeInvalidFile || CodeOf(errors.New("x")) != CodeInternal {
		t.Errorf("%s", e)
	}
	es := Errors{e, Errorf(CodeConflict, "f", "%d", 2)}
	var first *Error
	if !errors.As(error(es), &first) || first != e || es.Error() != "a.yaml:3:7: no (and 1 more)" {
		t.Errorf("%v", es)
	}
}
