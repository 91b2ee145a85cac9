package product

import (
	"testing"
	"time"
)

// The numbers of runs, their times and their ids say the same: retention is measured by them.
func TestHistoryNumbers(t *testing.T) {
	t.Parallel()
	h := History{Runs: 1000, From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), step: 25920 * time.Millisecond}
	for _, n := range []int{0, 1, 2, 499, 999} {
		if got := h.Number(h.ID(n)); got != n {
			t.Errorf("run %d has the id of run %d", n, got)
		}
		if got := h.RunsBefore(h.At(n)); got != n {
			t.Errorf("%d runs before run %d", got, n)
		}
	}
	if got := h.RunsBefore(h.At(7).Add(time.Millisecond)); got != 8 {
		t.Errorf("%d runs just after run 7", got)
	}
}

func TestFlows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flow Flow
		want string
	}{
		{Chain("c", 2), "name: c\ntasks:\n  t0: {type: noop}\n  t1: {type: noop, needs: [t0]}\n"},
		{Fan("f", 2), "name: f\ntasks:\n  t0: {type: noop}\n  t1: {type: noop, needs: [t0]}\n  t2: {type: noop, needs: [t0]}\n  t3:\n    type: noop\n    needs:\n      - t1\n      - t2\n"},
		{Shells("s", 1), "name: s\ntasks:\n  t0: {run: echo hello}\n"},
	} {
		if got := c.flow.YAML(); got != c.want {
			t.Errorf("%s:\n%s", c.flow.Name, got)
		}
	}
}
