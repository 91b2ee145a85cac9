// Why a run waits for its turn: which runs are before it.

package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

const (
	turnsNamed = 3  // runs that a reason names
	turnsRead  = 50 // runs that are looked at for it
)

// sayTurn gives a queued run the names of those before it: those that go on, then those that were submitted before
// it. What cannot be found out now is left as it is.
func (s *Server) sayTurn(ctx context.Context, r *flow.Run) {
	why, found := strings.CutSuffix(r.Reason, flow.TurnWaits)
	if r.State != flow.InstanceQueued || !found {
		return
	}
	going := flow.RunFilter{Project: r.ProjectName, Workflow: r.WorkflowName, Limit: turnsRead}
	for st := flow.InstanceRunning; st <= flow.InstanceQuarantined; st++ {
		going.States = append(going.States, st)
	}
	queued := flow.RunFilter{Project: r.ProjectName, Workflow: r.WorkflowName, Limit: turnsRead, Cursor: r.ID, States: []flow.InstanceState{flow.InstanceQueued}}
	var before []string
	more := false
	for _, f := range []flow.RunFilter{going, queued} {
		p, err := s.store.Instances(ctx, f)
		if err != nil {
			return
		}
		more = more || p.Next != 0
		for _, other := range slices.Backward(p.Items) {
			before = append(before, fmt.Sprintf("%s (%s)", other.ID, other.State))
		}
	}
	if len(before) == 0 {
		return
	}
	rest := ""
	switch n := len(before) - turnsNamed; {
	case more:
		rest = ", and many more"
	case n > 0:
		rest = fmt.Sprintf(", and %d more", n)
	}
	r.Reason = why + "; before it: " + strings.Join(before[:min(len(before), turnsNamed)], ", ") + rest
}
