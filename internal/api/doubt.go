// What may be a slip of the pen in an order to start a run: it is accepted all the same, and said.

package api

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"baton/internal/flow"
)

// namesCompared bounds the workflows among which the nearest name is looked for.
const namesCompared = 500

// didYouMean adds the nearest name to an error that knows no such workflow.
func (s *Server) didYouMean(ctx context.Context, r StartRequest, err error) error {
	if r.Version != 0 {
		return err
	}
	return s.nearWorkflow(ctx, r.Project, r.Workflow, err)
}

// knowsWorkflow refuses to narrow a list to a workflow that does not exist; "" is none.
func (s *Server) knowsWorkflow(ctx context.Context, project, workflow string) error {
	if workflow == "" {
		return nil
	}
	project = cmp.Or(project, flow.DefaultProject)
	_, err := s.store.Workflow(ctx, project, workflow, 0)
	return s.nearWorkflow(ctx, project, workflow, err)
}

// nearWorkflow adds the nearest name to the error of a workflow that does not exist.
func (s *Server) nearWorkflow(ctx context.Context, project, workflow string, err error) error {
	if err == nil || flow.CodeOf(err) != flow.CodeNotFound {
		return err
	}
	have, listErr := s.store.Workflows(ctx, project, namesCompared, "", "")
	if listErr != nil {
		return err
	}
	names := make([]string, len(have))
	for i, d := range have {
		names[i] = d.Name
	}
	near := flow.Nearest(workflow, names)
	if near == "" {
		return err
	}
	out := flow.Errorf(flow.CodeNotFound, "workflow", "%s; did you mean %q?", err, near)
	out.Suggestion = near
	return out
}

// doubts are warnings of a start: parameters that nobody declares, a worker group that nobody serves.
func (s *Server) doubts(ctx context.Context, def flow.Definition, start flow.Start) []string {
	warnings := undeclared(def, start.Params)
	if start.WorkerGroup != "" {
		waiting, err := s.unserved(ctx, map[string]string{start.WorkerGroup: "this run"}, alsoDeclared)
		if err == nil { // it is started, whatever can be said of it
			warnings = append(warnings, waiting...)
		}
	}
	return warnings
}

// undeclared warns of parameters that neither the workflow nor its project declares. They are passed on, for a
// script may read them; a workflow that declares none at all expects just that.
func undeclared(def flow.Definition, params map[string]string) []string {
	var declared []string
	for _, p := range def.Workflow.Params {
		declared = append(declared, p.Name)
	}
	for _, p := range def.ProjectParams {
		declared = append(declared, p.Name)
	}
	if len(declared) == 0 {
		return nil
	}
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if slices.Contains(declared, name) {
			continue
		}
		text := fmt.Sprintf("workflow %s declares no parameter %q; it is passed on to its tasks", def.Name, name)
		if near := flow.Nearest(name, declared); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		warnings = append(warnings, text)
	}
	return warnings
}
