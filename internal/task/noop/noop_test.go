package noop

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"baton/internal/task"
)

func TestRun(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]task.Outputs{
		``:                {},
		`{}`:              {},
		`{"outputs": {}}`: {},
		`{"outputs": {"a": "x", "n": 1.50, "l": [1, {"k": null}]}}`: {"a": json.RawMessage(`"x"`), "n": json.RawMessage(`1.50`), "l": json.RawMessage(`[1, {"k": null}]`)},
	} {
		got, err := New().Run(t.Context(), &task.Attempt{Options: json.RawMessage(options)})
		if err != nil || len(got) != len(want) || len(want) > 0 && !cmp.Equal(want, got) {
			t.Errorf("%s: got %v, %v", options, got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New().Run(ctx, &task.Attempt{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	big := `{"outputs": {"a": "` + strings.Repeat("x", 70_000) + `"}}`
	if _, err := New().Run(t.Context(), &task.Attempt{Options: json.RawMessage(big)}); err == nil {
		t.Error("want an error for too much")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for options, bad := range map[string]bool{`{}`: false, `{"outputs": {"a": 1}}`: false, `{"outputs": null}`: false, `{"outputs": [1]}`: true, `{"outputs": "x"}`: true} {
		if errs := New().Check(json.RawMessage(options)); (len(errs) > 0) != bad {
			t.Errorf("%s: %v", options, errs)
		}
	}
}

// Not parallel: it counts the allocations of the process.
func TestCostsNothing(t *testing.T) { //nolint:paralleltest // see above
	a := &task.Attempt{Options: json.RawMessage(`{}`)}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { New().Run(ctx, a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRun(b *testing.B) {
	a := &task.Attempt{Options: json.RawMessage(`{}`)}
	ctx := b.Context()
	for b.Loop() {
		New().Run(ctx, a)
	}
}
