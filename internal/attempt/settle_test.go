package attempt

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"baton/internal/flow"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestSettle holds every cell of the reconciliation table against a committed one.
func TestSettle(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	held := []string{"absent", "granted", "running", "ended"}
	for w, wanted := range []string{"not wanted", "granted", "started", "to be killed", "held for lost"} {
		for _, same := range []bool{true, false} {
			for h, has := range held {
				session := "this session"
				if !same {
					session = "an earlier session"
				}
				fmt.Fprintf(&b, "rows: %-14s worker: %-8s %-19s -> %s\n", wanted, has, session, Settle(Wanted(w), Held(h), same))
			}
		}
	}
	const file = "testdata/settle.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Errorf("%s differs:\n%s", file, b.String())
	}
}

// What the table must never do, whatever else changes in it.
func TestSettleKeepsItsPromises(t *testing.T) {
	t.Parallel()
	for w := WantedNot; w <= WantedLate; w++ {
		for h := HeldAbsent; h <= HeldEnded; h++ {
			for _, same := range []bool{true, false} {
				a := Settle(w, h, same)
				if (a == Void || a == Lose) && h != HeldAbsent {
					t.Errorf("wanted %d held %d: %s, though the worker has it", w, h, a)
				}
				if a == Keep && w != WantedGranted && w != WantedStarted {
					t.Errorf("wanted %d held %d: kept, though nobody wants it", w, h)
				}
				if a == Forget && w != WantedNot {
					t.Errorf("wanted %d held %d: a result is thrown away that still counts", w, h)
				}
				if h == HeldRunning && w != WantedGranted && w != WantedStarted && a != Cancel {
					t.Errorf("wanted %d, running: %s; what nobody wants must be stopped", w, a)
				}
			}
		}
	}
}

func TestWantedOf(t *testing.T) {
	t.Parallel()
	row := func(st flow.TaskState, a flow.AttemptState, started flow.Time, kill flow.KillIntent, valid bool) flow.TaskRow {
		return flow.TaskRow{State: st, Valid: valid, Kill: kill, Attempt: flow.AttemptRow{Token: 7, State: a, StartedAt: started}}
	}
	for _, c := range []struct {
		name string
		row  flow.TaskRow
		want Wanted
	}{
		{"granted", row(flow.TaskDispatched, flow.AttemptGranted, 0, 0, true), WantedGranted},
		{"started", row(flow.TaskRunning, flow.AttemptStarted, 1, 0, true), WantedStarted},
		{"suspect, not begun", row(flow.TaskDispatched, flow.AttemptSuspect, 0, 0, true), WantedGranted},
		{"suspect, begun", row(flow.TaskRunning, flow.AttemptSuspect, 1, 0, true), WantedStarted},
		{"to be killed", row(flow.TaskRunning, flow.AttemptStarted, 1, flow.KillStop, true), WantedKilled},
		{"lost, no successor yet", row(flow.TaskQueued, flow.AttemptLost, 1, 0, true), WantedLate},
		{"unknown", row(flow.TaskUnknown, flow.AttemptUnknown, 1, 0, true), WantedLate},
		{"lost, and the row has ended", row(flow.TaskKilled, flow.AttemptLost, 1, 0, true), WantedNot},
		{"superseded", row(flow.TaskKilled, flow.AttemptStarted, 1, 0, false), WantedNot},
		{"waits for a retry", row(flow.TaskWaiting, flow.AttemptFailed, 1, 0, true), WantedNot},
		{"refused", row(flow.TaskQueued, flow.AttemptVoid, 0, 0, true), WantedNot},
		{"ended", row(flow.TaskSucceeded, flow.AttemptSucceeded, 1, 0, true), WantedNot},
	} {
		if got := WantedOf(c.row); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
