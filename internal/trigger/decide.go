// The decision about ends of runs that a trigger has heard of.

package trigger

import (
	"encoding/json"
	"fmt"
	"strings"

	"baton/internal/flow"
)

// Decide says which runs start, for a trigger as it stands. id gives ids of records, run those of the runs.
func Decide(t flow.TriggerStanding, now flow.Time, id, run func() flow.ID) flow.TriggerDecision {
	d := flow.TriggerDecision{Trigger: t.ID, Revision: t.Revision}
	heard := t.Body.After.Hear(t.Marks, t.Body.Window, t.Newest)
	d.Waiting, d.More = heard.Waiting, heard.More
	record := func(state flow.StartState, reason string, marks []flow.Mark) *flow.TriggerStart {
		d.Gone = append(d.Gone, marks...)
		d.Starts = append(d.Starts, flow.TriggerStart{
			ID: id(), Trigger: t.ID, Project: t.Project, Workflow: t.Workflow, State: state, Reason: reason, Cause: causeOf(marks, t.ProjectName), At: now,
		})
		return &d.Starts[len(d.Starts)-1]
	}
	for _, m := range heard.Expired {
		record(flow.StartSkipped, fmt.Sprintf("too old: the others of its set did not end within %s of it", t.Body.WindowOr()), []flow.Mark{m})
	}
	for _, set := range heard.Sets {
		e := afterEvent(t, set)
		params, err := e.Params(t.Body.Params)
		if err != nil {
			record(flow.StartSkipped, err.Error(), set).Failed = true
			continue
		}
		start := record(flow.StartFired, "", set)
		start.Instance = run()
		d.Commands = append(d.Commands, flow.Command{
			ID: start.Instance, Project: t.Project, Workflow: t.Workflow, Priority: t.Priority, Zone: t.Zone, At: now,
			Start: StartOf(t.Body.Name, params, e.DataTime),
		})
	}
	return d
}

// StartOf is how a run begins that a trigger starts.
func StartOf(name string, params map[string]string, dataTime flow.Time) []byte {
	raw, _ := json.Marshal(flow.Start{Params: params, DataTime: dataTime, Trigger: flow.TriggerTrigger, By: name}) // texts and numbers: it cannot fail
	return raw
}

// causeOf says for people which ends there were.
func causeOf(marks []flow.Mark, project string) string {
	parts := make([]string, len(marks))
	for i, m := range marks {
		parts[i] = fmt.Sprintf("%s %s (run %s)", placeOf(m, project), m.State, m.Instance)
	}
	return strings.Join(parts, ", ")
}

// placeOf names the workflow of an end as files of the project do.
func placeOf(m flow.Mark, project string) string {
	s := flow.ParseSource(m.Source)
	if s.Project == project {
		return s.Workflow
	}
	return s.Project + "/" + s.Workflow
}

// endedRun is a run as expressions see it.
type endedRun struct {
	ID       flow.ID         `json:"id"`
	State    string          `json:"state"`
	DataTime flow.Time       `json:"data_time"`
	Outputs  json.RawMessage `json:"outputs"`
}

// latest is the latest data time of a set.
func latest(set []flow.Mark) (at flow.Time) {
	for _, m := range set {
		at = max(at, m.DataTime)
	}
	return at
}

// afterEvent is a set of ends. The run that it starts is for the latest of their data times.
func afterEvent(t flow.TriggerStanding, set []flow.Mark) Event {
	e := Event{Zone: t.Zone, Project: t.ProjectName, DataTime: latest(set)}
	if len(t.Body.Params) == 0 {
		return e
	}
	runs := map[string]endedRun{}
	for _, m := range set {
		r := endedRun{m.Instance, m.State.String(), m.DataTime, m.Outputs}
		if len(r.Outputs) == 0 {
			r.Outputs = json.RawMessage("{}")
		}
		runs[placeOf(m, t.ProjectName)] = r
	}
	raw, _ := json.Marshal(runs) // what comes of the store is JSON
	e.JSON = map[string]json.RawMessage{NameRuns: raw}
	return e
}
