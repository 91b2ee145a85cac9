// Why a run waits for its turn: which runs are before it.

package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// turnsNamed bounds the runs that a reason names.
const turnsNamed = 3

// sayTurn says what a queued run waits for as it is now: the runs before it, those that go on and those that were
// submitted before it, and the moment at which the rate lets it begin. What cannot be found out is left as it is.
func (s *Server) sayTurn(ctx context.Context, r *flow.Run) {
	if r.State != flow.InstanceQueued || !strings.HasSuffix(r.Reason, flow.TurnWaits) {
		return
	}
	t, err := s.store.Turn(ctx, r.ID)
	if err != nil || !t.Rule.Waits() {
		return // or nothing is limited any more, and it is about to begin
	}
	r.Reason = t.Rule.Reason(t.Key) + beforeIt(t)
	r.WakeAt = flow.Earliest(r.WakeAt, t.At)
}

// beforeIt ends the reason of a run that waits for its turn.
func beforeIt(t flow.TurnStanding) string {
	var parts []string
	if names := turnNames(slices.Concat(t.Going, t.Before), t.More); names != "" {
		parts = append(parts, "before it: "+names)
	}
	switch {
	case t.At != 0 && t.More:
		parts = append(parts, fmt.Sprintf("the first of them may begin at %s", t.At))
	case t.At != 0:
		parts = append(parts, fmt.Sprintf("it may begin at %s", t.At))
	}
	if len(parts) == 0 {
		return flow.TurnWaits
	}
	return "; " + strings.Join(parts, "; ")
}

// turnNames names the first of some runs.
func turnNames(runs []flow.Seat, more bool) string {
	if len(runs) == 0 {
		return ""
	}
	names := make([]string, min(len(runs), turnsNamed))
	for i := range names {
		names[i] = fmt.Sprintf("%s (%s)", runs[i].ID, runs[i].State)
	}
	rest := ""
	switch n := len(runs) - turnsNamed; {
	case more:
		rest = ", and many more"
	case n > 0:
		rest = fmt.Sprintf(", and %d more", n)
	}
	return strings.Join(names, ", ") + rest
}
