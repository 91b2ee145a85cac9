// Overrides: what verbs changed of documents, which apply leaves as it is.

package api

import (
	"context"
	"strconv"
	"strings"

	"baton/internal/flow"
)

// Override is a key of a document of which a verb said how it is. It stays so whatever its file says, also when the file
// says the same now: what it says later has no effect.
type Override struct {
	Path string `json:"path" doc:"The key in the file, such as slots, or schedules[nightly].enabled of the schedule with that name"`
	File string `json:"file" doc:"What the file says, which apply with reset_overrides brings back"`
	Now  string `json:"now" doc:"What a verb said, perhaps the same"`
}

// overrides are those that a file leaves when it is applied, in its order. What it does not hold any more goes with what was
// said of it.
func (s *Server) overrides(ctx context.Context, have, want flow.Document) ([]Override, error) {
	switch {
	case want.Workflow != nil && len(want.Workflow.Schedules)+len(want.Workflow.Triggers) > 0:
		said, err := s.store.Overrides(ctx, have.Workflow.Project, have.Workflow.Name) // which its file may be about to rename
		return startersOverridden(want.Workflow, said), err
	case want.Pool != nil:
		p, err := s.store.Pool(ctx, want.Pool.Project, want.Pool.Name, 0)
		return poolOverridden(want.Pool, p.PoolRow), err
	default:
		return []Override{}, nil
	}
}

func startersOverridden(file *flow.Workflow, said flow.Overrides) []Override {
	out := []Override{}
	add := func(list, name string, enabled bool, said map[string]bool) {
		if now, is := said[name]; is {
			out = append(out, Override{list + "[" + nameInPath(name) + "].enabled", strconv.FormatBool(enabled), strconv.FormatBool(now)})
		}
	}
	for _, d := range file.Schedules {
		add("schedules", d.Name, !d.Disabled, said.Schedules)
	}
	for _, t := range file.Triggers {
		add("triggers", t.Name, !t.Disabled, said.Triggers)
	}
	return out
}

func poolOverridden(file *flow.Pool, p flow.PoolRow) []Override {
	out := []Override{}
	if p.SlotsSet {
		out = append(out, Override{"slots", strconv.Itoa(file.Slots), strconv.Itoa(p.Slots)})
	}
	if p.ClosedSet {
		out = append(out, Override{"closed", strconv.FormatBool(file.Closed), strconv.FormatBool(p.Closed)})
	}
	return out
}

// nameInPath quotes a name that would be misread in brackets, as the fields of errors do: a number is a position there, from
// 0, and a schedule without a name is called by its own, from 1.
func nameInPath(name string) string {
	if strings.ContainsAny(name, `.[]" `) || strings.Trim(name, "0123456789") == "" {
		return strconv.Quote(name)
	}
	return name
}
