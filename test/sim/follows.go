// Events, and what waits to be told something.

package sim

import (
	"slices"

	"baton/internal/flow"
)

func awaitsEvent(row flow.TaskRow) bool {
	return row.Valid && row.Hosted() && row.Type == flow.TypeWait && row.NextCheck == 0
}

// sendEvents sends what a row waits for, as far as the store knows: all that wait for the same hear it.
func (s *Store) sendEvents(row flow.ID) {
	for _, of := range s.follows {
		if of.Row != row || of.Workflow != 0 {
			continue
		}
		for _, f := range s.follows {
			if f.Workflow == 0 && f.Task == of.Task {
				s.tell(f.Instance, flow.InboxEvent, flow.EventNews{Row: f.Row})
			}
		}
	}
}

// checkFollows: what waits to be told something is told it. A dependent that owes a look follows nothing yet.
func (s *Store) checkFollows(in *flow.Loaded) {
	for _, row := range in.Tasks {
		waits := awaitsEvent(row) || row.Valid && row.Hosted() && row.Type == flow.TypeDependent && row.NextCheck != 0
		if waits && !slices.ContainsFunc(s.follows, func(f flow.Follow) bool { return f.Row == row.ID }) {
			s.violation("task %s of run %d waits (%s) and follows nothing", row.Name, in.Instance.ID, row.Reason)
		}
	}
}
