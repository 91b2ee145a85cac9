// Who depends on a workflow, by the newest versions of all.

package api

import (
	"context"
	"fmt"

	"baton/internal/cascade"
	"baton/internal/flow"
)

// workflowsAtOnce bounds the definitions that are read at once while it is found out who depends on one.
const workflowsAtOnce = 200

// graph reads who depends on whom.
func (s *Server) graph(ctx context.Context) (*cascade.Graph, error) {
	g := &cascade.Graph{}
	for project, name := "", ""; ; {
		page, err := s.store.Workflows(ctx, "", workflowsAtOnce, project, name)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			g.Add(d)
			project, name = d.Project, d.Name
		}
		if len(page) < workflowsAtOnce {
			return g, nil
		}
	}
}

// membersOf are the workflows that depend on one, each with its schedules that are enabled.
func (s *Server) membersOf(ctx context.Context, def flow.Definition) ([]cascade.Member, error) {
	g, err := s.graph(ctx)
	if err != nil {
		return nil, err
	}
	dependents, err := g.Levels(def)
	if err != nil {
		return nil, err
	}
	out := make([]cascade.Member, len(dependents))
	for i, d := range dependents {
		out[i].Dependent = d
		have, err := s.schedulesOf(ctx, d.Definition.Project, d.Definition.Name)
		if err != nil {
			return nil, err
		}
		for _, h := range have {
			if !h.Enabled {
				continue
			}
			t, err := s.tableOf(ctx, h.Project, h.Schedule)
			if err != nil {
				return nil, fmt.Errorf("schedule %s of workflow %s/%s: %w", h.Schedule.Name, h.Project, h.Workflow, err)
			}
			out[i].Schedules = append(out[i].Schedules, cascade.Schedule{
				Name: h.Schedule.Name, Params: paramsOf(h.Schedule.Params), Zone: h.Schedule.Timezone, Table: t,
			})
		}
	}
	return out, nil
}

// checkPlan tells whether the runs of a plan could be started so.
func (s *Server) checkPlan(p planned) error {
	defs := map[flow.ID]flow.Definition{p.def.ID: p.def}
	for _, m := range p.members {
		defs[m.Definition.ID] = m.Definition
	}
	checked := make([]bool, len(p.parts))
	for _, item := range p.items {
		if checked[item.Part] {
			continue
		}
		checked[item.Part] = true
		part := p.parts[item.Part]
		first := part.Start
		first.DataTime = item.DataTime
		err := s.engine.Check(defs[part.Workflow], first)
		if err != nil && item.Part > 0 {
			return flow.Errorf(flow.CodeOf(err), "cascade", "%s/%s depends on it, and cannot be run: %v", part.ProjectName, part.WorkflowName, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// previewOf shows a backfill that was not made.
func previewOf(p planned, warnings []string) Backfill {
	n := flow.NamedBackfill{Backfill: p.backfill, ProjectName: p.def.Project, WorkflowName: p.def.Name, Items: p.items, Parts: p.parts[1:]}
	n.CreatedAt = 0
	for _, i := range p.items {
		if i.Part == 0 {
			n.From, n.To = flow.Earliest(n.From, i.DataTime), max(n.To, i.DataTime)
		}
	}
	n.Count()
	out := backfillOf(n)
	out.ID, out.State, out.Warnings = nil, "preview", warnings
	return out
}
