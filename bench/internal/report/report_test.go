package report

import (
	"strings"
	"testing"

	"baton/bench/internal/book"
)

func series(values map[string][]float64) *book.Book {
	b := book.New()
	for name, vs := range values {
		for round, v := range vs {
			b.Add(round, name, v)
		}
	}
	return b
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	more := target{ours: "baton.x", unit: "/s", gate: goal{of(10, "peer"), abs(1000)}, moon: goal{of(60, "peer"), of(0.5, "limit"), abs(6000)}}
	less := target{ours: "baton.x", unit: "µs", less: true, gate: goal{abs(100)}, moon: goal{of(5, "baton.idle"), abs(20)}}
	for _, c := range []struct {
		name   string
		target target
		values map[string][]float64
		want   string
	}{
		{"all ratios hold", more, map[string][]float64{"baton.x": {600}, "peer": {10}, "limit": {1000}}, moonshot},
		{"one of them does not", more, map[string][]float64{"baton.x": {600}, "peer": {10}, "limit": {10_000}}, gate},
		{"the gate does not", more, map[string][]float64{"baton.x": {90}, "peer": {10}, "limit": {100}}, missed},
		{"nobody to compare with", more, map[string][]float64{"baton.x": {6000}}, moonshot},
		{"nobody to compare with, and too little", more, map[string][]float64{"baton.x": {999}}, missed},
		{"a slow machine slows both", more, map[string][]float64{"baton.x": {60, 600, 6}, "peer": {1, 10, 0.1}, "limit": {100, 1000, 10}}, moonshot},
		{"less is better", less, map[string][]float64{"baton.x": {15}, "baton.idle": {10}}, moonshot},
		{"no worse than idle, but slow", less, map[string][]float64{"baton.x": {30}, "baton.idle": {10}}, gate},
		{"fast, but much worse than idle", less, map[string][]float64{"baton.x": {15}, "baton.idle": {1}}, gate},
		{"slow", less, map[string][]float64{"baton.x": {300}, "baton.idle": {100}}, missed},
	} {
		if got := judge(c.target, series(c.values)); got.Verdict != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got.Verdict, got.Short, c.want)
		}
	}
}

func TestReportNamesWhatWasNotMeasured(t *testing.T) {
	t.Parallel()
	b := series(map[string][]float64{"baton.pg.steps": {5000}, "limit.pg.batch": {100_000}})
	b.Missing["Temporal"] = "no network"
	r := New(About{Pairs: 1}, b)
	for name, text := range map[string]string{"text": r.Text(), "markdown": r.Markdown()} {
		for _, want := range []string{"durable DAG steps/s, PostgreSQL", "5000/s", "not measured", "Temporal: no network", "15 idle memory (PSS)"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
	}
	if r.Missed() != 0 {
		t.Errorf("%d gates missed; 5,000 steps/s are above the gate", r.Missed())
	}
}
