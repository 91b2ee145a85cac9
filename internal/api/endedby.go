// Who ended a run, or what did: its reason is a code.

package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// endedBy is a sentence for a run that was stopped or discarded, null for any other and where nobody is known.
func (s *Server) endedBy(ctx context.Context, run flow.Run) (*string, error) {
	if run.State != flow.InstanceStopped && run.State != flow.InstanceStopping {
		return nil, nil //nolint:nilnil // nobody did, and that is shown
	}
	given, err := s.store.Outcomes(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	for _, o := range slices.Backward(given) {
		if o.Verb == flow.VerbStop && o.Applied && o.By != "" {
			return text(stoppedBy(o.By)), nil
		}
	}
	if run.Reason != flow.ReasonDiscarded {
		return nil, nil //nolint:nilnil // as above
	}
	def, err := s.store.Workflow(ctx, run.ProjectName, run.WorkflowName, run.Version)
	if err != nil {
		return nil, err
	}
	return text(discardedBy(def.Workflow.Execution)), nil
}

// stoppedBy tells a name from a sentence that the engine wrote in the place of one.
func stoppedBy(by string) string {
	if rule, why, ruled := strings.Cut(by, ": "); ruled {
		return fmt.Sprintf("stopped: %s (%s)", why, rule)
	}
	return "stopped by " + by
}

func discardedBy(e flow.Execution) string {
	switch e.Over {
	case flow.OverStopOldest:
		return "discarded: a newer run of the workflow took its place (execution)"
	default:
		return fmt.Sprintf("discarded: as many runs of the workflow went on as may, %d (execution)", max(e.Limit, 1))
	}
}
