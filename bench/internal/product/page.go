// Every list page that the API offers, with every filter.

package product

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"baton/bench/internal/stat"
)

// Page is a list with filters.
type Page struct {
	Name string // for people
	List string // path of the route, as the contract has it
	Of   string // id in that path
	With url.Values
}

func (p Page) path() string {
	list := strings.ReplaceAll(p.List, "{instance}", p.Of)
	if len(p.With) == 0 {
		return list
	}
	return list + "?" + p.With.Encode()
}

// Pages are all lists over a history.
func Pages(h History) []Page {
	with := func(pairs ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	at := func(n int) string { return h.At(n).UTC().Format(time.RFC3339) }
	day := func(n, days int) string {
		return h.At(n).Add(time.Duration(days) * 24 * time.Hour).UTC().Format(time.RFC3339)
	}
	middle, old := h.Runs/2, h.Runs/50
	run, flow, project := fmt.Sprint(h.ID(middle)), historyFlow(7), historyProject(7)
	const runs = "/instances"
	return []Page{
		{"newest", runs, "", nil},
		{"500 rows", runs, "", with("limit", "500")},
		{"from the middle", runs, "", with("cursor", run)},
		{"project", runs, "", with("project", project)},
		{"project, from the middle", runs, "", with("project", project, "cursor", run)},
		{"workflow", runs, "", with("workflow", flow)},
		{"project, workflow", runs, "", with("project", project, "workflow", flow)},
		{"workflow, from the middle", runs, "", with("workflow", flow, "cursor", run)},
		{"no such workflow", runs, "", with("workflow", "nothing")},
		{"state: failed", runs, "", with("state", "failed")},
		{"state: stopped", runs, "", with("state", "stopped")},
		{"state: running (none)", runs, "", with("state", "running")},
		{"state: 4 of them", runs, "", with("state", "running,paused,failed,stopped")},
		{"state: succeeded", runs, "", with("state", "succeeded")},
		{"workflow, state: failed", runs, "", with("workflow", flow, "state", "failed")},
		{"project, state: stopped", runs, "", with("project", project, "state", "stopped")},
		{"trigger: schedule", runs, "", with("trigger", "schedule")},
		{"trigger: backfill", runs, "", with("trigger", "backfill")},
		{"trigger: trigger (none)", runs, "", with("trigger", "trigger")},
		{"workflow, trigger, state", runs, "", with("workflow", flow, "trigger", "backfill", "state", "failed")},
		{"since the middle", runs, "", with("since", at(middle))},
		{"until an old day", runs, "", with("until", at(old))},
		{"one old day", runs, "", with("since", at(old), "until", day(old, 1))},
		{"one old day, state: failed", runs, "", with("since", at(old), "until", day(old, 1), "state", "failed")},
		{"workflow, one old day", runs, "", with("workflow", flow, "since", at(old), "until", day(old, 1))},
		{"project, trigger, since the middle", runs, "", with("project", project, "trigger", "schedule", "since", at(middle))},
		{"data time: one old day", runs, "", with("data_from", at(old), "data_to", day(old, 1))},
		{"data time: a month", runs, "", with("data_from", at(middle), "data_to", day(middle, 30))},
		{"data time: from the middle on", runs, "", with("data_from", at(middle))},
		{"data time: until an old day", runs, "", with("data_to", at(old))},
		{"data time: all of it", runs, "", with("data_from", day(0, -200))},
		{"workflow, data time: a month", runs, "", with("workflow", flow, "data_from", at(middle), "data_to", day(middle, 30))},
		{"workflow, data time: from the middle on", runs, "", with("workflow", flow, "data_from", at(middle))},
		{"project, state: failed, data time: a month", runs, "", with("project", project, "state", "failed", "data_from", at(middle), "data_to", day(middle, 30))},
		{"project, data time: one old day", runs, "", with("project", project, "data_from", at(old), "data_to", day(old, 1))},
		{"state: failed, data time: a month", runs, "", with("state", "failed", "data_from", at(middle), "data_to", day(middle, 30))},
		{"state: succeeded, data time: a month", runs, "", with("state", "succeeded", "data_from", at(middle), "data_to", day(middle, 30))},
		{"trigger: backfill, data time: of late (none)", runs, "", with("trigger", "backfill", "data_from", day(h.Runs, -60))},
		{"workflow, trigger: backfill, data time: a month (none)", runs, "", with("workflow", flow, "trigger", "backfill", "data_from", at(middle), "data_to", day(middle, 30))},
		{"tasks of a run", "/instances/{instance}/tasks", run, nil},
		{"a task of a run", "/instances/{instance}/tasks", run, with("task", "t3")},
		{"attempts of a run", "/instances/{instance}/attempts", run, nil},
		{"attempts of a task", "/instances/{instance}/attempts", run, with("task", "t3")},
		{"outcomes of a run", "/instances/{instance}/outcomes", run, nil},
		{"commands", "/commands", "", nil},
		{"alerts", "/alerts", "", nil},
		{"alerts, from the middle", "/alerts", "", with("cursor", run)},
		{"alerts of a run", "/alerts", "", with("instance", run)},
		{"alerts of a project", "/alerts", "", with("project", project)},
		{"alerts of a workflow", "/alerts", "", with("project", project, "workflow", flow)},
		{"workflows", "/workflows", "", nil},
		{"workflows of a project", "/workflows", "", with("project", project)},
		{"versions of a workflow", "/projects/{project}/workflows/{workflow}/versions", "", nil},
		{"projects", "/projects", "", nil},
		{"nodes", "/nodes", "", nil},
		{"nodes of a role", "/nodes", "", with("role", "master")},
		{"data sources", "/datasources", "", nil},
		{"data sources of a project", "/datasources", "", with("project", project)},
	}
}

// anyPage are parameters that change nothing about how rows are found.
var anyPage = []string{"limit", "cursor"}

// Unmeasured lists what the API offers and Pages does not ask: filters that came since.
func (s *Server) Unmeasured(ctx context.Context, pages []Page) ([]string, error) {
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Parameters  []struct{ Name, In string }
		}
	}
	if err := s.get(ctx, "/openapi.json", &doc); err != nil {
		return nil, err
	}
	var out []string
	for path, methods := range doc.Paths {
		op, ok := methods["get"]
		if !ok || !strings.HasPrefix(op.OperationID, "list-") {
			continue
		}
		path = strings.TrimPrefix(path, prefix)
		asked := slices.Clone(anyPage)
		found := false
		for _, p := range pages {
			if p.List == path {
				found = true
				for name := range p.With {
					asked = append(asked, name)
				}
			}
		}
		if !found {
			out = append(out, path)
			continue
		}
		for _, p := range op.Parameters {
			if p.In == "query" && !slices.Contains(asked, p.Name) {
				out = append(out, path+"?"+p.Name)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// Timed is how long a page took, in microseconds.
type Timed struct {
	Page
	P50, P95 float64
	Rows     int
}

// Time asks for each page n times, one after the other, all pages in turn, after once in vain.
func (s *Server) Time(ctx context.Context, pages []Page, n int) ([]Timed, error) {
	out := make([]Timed, len(pages))
	took := make([][]float64, len(pages))
	for round := range n + 1 {
		for i, p := range pages {
			path := strings.NewReplacer("{project}", historyProject(7), "{workflow}", historyFlow(7)).Replace(p.path())
			start := time.Now()
			raw, err := s.Get(ctx, path)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				took[i] = append(took[i], float64(time.Since(start).Microseconds()))
				continue
			}
			var list struct{ Items []json.RawMessage }
			if err := json.Unmarshal(raw, &list); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			out[i] = Timed{Page: p, Rows: len(list.Items)}
		}
	}
	for i := range out {
		out[i].P50, out[i].P95 = stat.Percentile(took[i], 0.5), stat.Percentile(took[i], 0.95)
	}
	return out, nil
}
