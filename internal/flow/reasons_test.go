// docs/reasons.md is made from Waits: `go test ./internal/flow -update` writes it.

package flow

import (
	"fmt"
	"strings"
	"testing"
)

const reasonsFile = "../../docs/reasons.md"

// waiters are what has reasons, in the order of the page.
var waiters = []struct{ of, title, note string }{
	{WaitOfRun, "Runs", "`baton get instance`, `baton explain`. A run that nobody drives because it only waits says what it waits for."},
	{WaitOfTask, "Tasks", "`baton get tasks`, `baton explain`. Where time ends the wait, `next_check_at` tells when."},
	{WaitOfNoRow, "Tasks that have no row", "`baton explain` only: what has not been reached is not in the store."},
	{WaitOfBackfill, "Backfills", "`baton get backfills`."},
	{WaitOfSchedule, "Schedules", "`baton get schedules`."},
	{WaitOfFire, "Times of schedules", "`baton get fires`: what was left out, moved or late."},
}

func TestReasonsDoc(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`# Reasons

<!-- Made from internal/flow/reason.go by "go test ./internal/flow -update". Do not edit. -->

Nothing waits without a reason. It is a code, a colon and a sentence that names what is waited for: the pool and who holds it, the run, the time, the worker, the group. Programs go by the
code, people by the sentence. These are the codes, what they mean, and what can be done about them; a test provokes each. What has ended has a code alone ([what a run means](semantics.md)).
`)
	listed := 0
	for _, w := range waiters {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| code | what it waits for | what to do |\n|---|---|---|\n", w.title, w.note)
		for _, r := range Waits {
			if r.Of == w.of {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Code, r.Means, r.Do)
				listed++
			}
		}
	}
	if listed != len(Waits) {
		t.Errorf("%d of %d reasons are listed", listed, len(Waits))
	}
	golden(t, reasonsFile, b.String())
}

func TestReasonsAreToldOnce(t *testing.T) {
	t.Parallel()
	seen := map[[2]string]bool{}
	for _, w := range Waits {
		key := [2]string{w.Of, w.Code}
		if seen[key] || w.Means == "" || w.Do == "" {
			t.Errorf("%v: told twice, or not told", key)
		}
		seen[key] = true
	}
}
