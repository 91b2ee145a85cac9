// What is said, and waits, because no worker serves a group.

package api

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"baton/internal/flow"
)

// declared says whether there is anything to say of a group that was declared.
type declared bool

const (
	unlessDeclared declared = false // whoever declared it knows that its workers are not there yet
	alsoDeclared   declared = true
)

// unserved warns of groups that no live worker serves; groups has who names each, "" for nobody. Of the
// default group nothing is said: it cannot be a slip of the pen.
func (s *Server) unserved(ctx context.Context, groups map[string]string, which declared) ([]string, error) {
	delete(groups, flow.DefaultGroup)
	warnings := []string{}
	if len(groups) == 0 {
		return warnings, nil
	}
	nodes, err := s.store.Nodes(ctx, flow.RoleWorker)
	if err != nil {
		return warnings, err
	}
	served := map[string]bool{}
	for _, n := range nodes {
		if n.State != flow.NodeLost {
			for _, g := range n.Groups {
				served[g] = true
			}
		}
	}
	meant, err := s.store.WorkerGroups(ctx)
	if err != nil {
		return warnings, err
	}
	known := slices.Collect(maps.Keys(served))
	for _, g := range meant {
		known = append(known, g.Name)
		if which == unlessDeclared {
			served[g.Name] = true
		}
	}
	slices.Sort(known)
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		if served[g] {
			continue
		}
		text := fmt.Sprintf("no worker serves the group %q", g)
		if by := groups[g]; by != "" {
			text += fmt.Sprintf(", which %s names: its tasks wait until one does", by)
		}
		if near := flow.Nearest(g, known); near != "" && near != g {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		warnings = append(warnings, text)
	}
	return warnings, nil
}

// groupsOf are the worker groups that documents name, with one workflow of each.
func groupsOf(docs []flow.Document) map[string]string {
	out := map[string]string{}
	for _, d := range docs {
		if d.Workflow == nil {
			continue
		}
		for _, t := range d.Workflow.AllTasks() {
			group := d.Workflow.GroupOf(t, flow.Start{})
			out[group] = cmp.Or(out[group], fmt.Sprintf("workflow %s/%s", d.Workflow.Project, d.Workflow.Name))
		}
	}
	return out
}
