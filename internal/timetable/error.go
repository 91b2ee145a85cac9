// Errors of package cron, said as the rest of the program says them.

package timetable

import (
	"errors"

	"baton/internal/cron"
	"baton/internal/flow"
)

// keyed makes an error of package cron one of a key of the schedule.
func keyed(field string, err error) error {
	if err == nil {
		return nil
	}
	out := flow.Errorf(flow.CodeBadRequest, field, "%s", err)
	if e, ok := errors.AsType[*cron.Error](err); ok {
		out.Suggestion = e.Suggestion
		if field == "" {
			out.Field = e.Field
		}
	}
	return out
}
