// Why a run waits for its turn: which runs are before it.

package api

import (
	"context"
	"fmt"
	"strings"

	"baton/internal/flow"
)

// turnsNamed bounds the runs that a reason names.
const turnsNamed = 3

// sayTurn gives a queued run the names of those before it. What cannot be found out now is left as it is.
func (s *Server) sayTurn(ctx context.Context, r *flow.Run) {
	if r.State != flow.InstanceQueued {
		return
	}
	f := flow.RunFilter{Project: r.ProjectName, Workflow: r.WorkflowName, Limit: 100}
	for st := flow.InstanceQueued; st <= flow.InstanceQuarantined; st++ {
		f.States = append(f.States, st)
	}
	p, err := s.store.Instances(ctx, f)
	if err != nil {
		return
	}
	var before []string
	for _, other := range p.Items {
		if other.ID < r.ID || other.State != flow.InstanceQueued && other.ID != r.ID {
			before = append(before, fmt.Sprintf("%s (%s)", other.ID, other.State))
		}
	}
	why, _, found := strings.Cut(r.Reason, "; it waits")
	if !found || len(before) == 0 {
		return
	}
	more := ""
	if rest := len(before) - turnsNamed; rest > 0 {
		before = before[len(before)-turnsNamed:] // those that end first
		more = fmt.Sprintf(", and %d more", rest)
		if p.Next != 0 {
			more = ", and many more"
		}
	}
	r.Reason = why + "; before it: " + strings.Join(before, ", ") + more
}
