// Tasks that wait for a run: how that stands.

package api

import (
	"context"

	"baton/internal/flow"
)

// childrenSaid bounds the runs that one answer looks at.
const childrenSaid = 20

// sayChildren adds to the reason of each task that waits for a run how that stands. What cannot be found out now is
// left as it is.
func (s *Server) sayChildren(ctx context.Context, rows []flow.TaskRow) {
	said := 0
	for r := range rows {
		row := &rows[r]
		child := row.Child()
		if child == 0 || !row.Valid || row.State.Ended() {
			continue
		}
		if said++; said > childrenSaid {
			return
		}
		below, err := s.store.Instance(ctx, child)
		if err != nil {
			continue
		}
		row.Reason += "; it is " + below.State.String()
		if below.Reason != "" {
			row.Reason += " (" + below.Reason + ")"
		}
		row.Reason = flow.Text(row.Reason, flow.MaxReason)
	}
}
