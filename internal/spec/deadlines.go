// deadlines: times of day by which a run must have begun or ended.

package spec

import (
	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

// asTimeOfDay is HH:MM or HH:MM:SS.
var asTimeOfDay = checked(asText, func(s string) string {
	if _, _, _, ok := flow.ParseTimeOfDay(s); ok {
		return ""
	}
	return "expected a time of day such as 06:00 or 06:00:30, found " + shown(s)
})

var deadlineKeys = newTable("a deadline",
	field("started_by", "Time of day by which a run must have begun, in the workflow's zone.", asTimeOfDay, func(d *flow.Deadline) *string { return &d.StartedBy }),
	field("finished_by", "Time of day by which a run must have ended.", asTimeOfDay, func(d *flow.Deadline) *string { return &d.FinishedBy }),
	field("action", "What happens otherwise: warn raises an alert, stop also stops the run.",
		defaulting(oneOf(flow.DeadlineWarn, flow.DeadlineStop), flow.DeadlineWarn), func(d *flow.Deadline) *flow.DeadlineAction { return &d.Action }),
)

var asDeadlines = listOf(mapped(deadlineKeys, yaml.FlowStyle, func(r *reader, v value, _ *flow.Deadline) {
	_, start := v.get("started_by")
	_, finish := v.get("finished_by")
	if !start && !finish && deadlineKeys.knows(v) {
		r.fail(v, `a deadline says started_by, finished_by or both; such as {finished_by: "06:00"}`)
	}
}))
