// Definitions to files.

package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"baton/internal/flow"
)

type exportIn struct {
	Project  string `query:"project" doc:"Of this project only"`
	Workflow string `query:"workflow" doc:"This workflow only"`
	Version  int32  `query:"version" minimum:"0" doc:"Of the workflow; 0: the newest"`
}

func (s *Server) export(ctx context.Context, in *exportIn) (*huma.StreamResponse, error) {
	docs, err := s.exported(ctx, in)
	if err != nil {
		return nil, err
	}
	raw, err := s.files.Export(docs)
	if err != nil {
		return nil, err
	}
	return respond("application/yaml", raw), nil
}

func (s *Server) exported(ctx context.Context, in *exportIn) ([]flow.Document, error) {
	if in.Workflow != "" {
		project := in.Project
		if project == "" {
			project = flow.DefaultProject
		}
		d, err := s.store.Workflow(ctx, project, in.Workflow, in.Version)
		if err != nil {
			return nil, err
		}
		err = s.withStarters(ctx, d.ID, &d.Workflow)
		return []flow.Document{{Workflow: &d.Workflow}}, err
	}
	docs, err := s.exportedMachines(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	projects, err := s.exportedProjects(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	docs = append(docs, projects...)
	const step = 200
	for project, name := "", ""; ; {
		all, err := s.store.Workflows(ctx, in.Project, step, project, name)
		if err != nil {
			return nil, err
		}
		for i := range all {
			if err := s.withStarters(ctx, all[i].ID, &all[i].Workflow); err != nil {
				return nil, err
			}
			docs = append(docs, flow.Document{Workflow: &all[i].Workflow})
			project, name = all[i].Project, all[i].Name
		}
		if len(all) < step {
			return docs, nil
		}
	}
}

// withStarters adds what starts a workflow by itself, which has no versions.
func (s *Server) withStarters(ctx context.Context, id flow.ID, w *flow.Workflow) (err error) {
	if w.Schedules, err = s.store.SchedulesOf(ctx, id); err != nil {
		return err
	}
	w.Triggers, err = s.store.TriggersOf(ctx, id)
	return err
}

// exportedMachines are worker groups and environments. They belong to no project, and to the machines of this cluster: a
// project that is taken elsewhere finds others there.
func (s *Server) exportedMachines(ctx context.Context, project string) ([]flow.Document, error) {
	if project != "" {
		return nil, nil
	}
	var docs []flow.Document
	groups, err := s.store.WorkerGroups(ctx)
	if err != nil {
		return nil, err
	}
	for i := range groups {
		docs = append(docs, flow.Document{WorkerGroup: &groups[i]})
	}
	environments, err := s.store.Environments(ctx)
	for i := range environments {
		docs = append(docs, flow.Document{Environment: &environments[i]})
	}
	return docs, err
}

// exportedProjects are the projects with their calendars, pools and data sources, which stand before the workflows.
func (s *Server) exportedProjects(ctx context.Context, name string) ([]flow.Document, error) {
	var projects []flow.Project
	if name != "" {
		p, err := s.store.Project(ctx, name)
		if err != nil {
			return nil, err
		}
		projects = []flow.Project{p}
	} else {
		all, err := s.store.Projects(ctx)
		if err != nil {
			return nil, err
		}
		projects = all
	}
	var docs []flow.Document
	for i, p := range projects {
		if p.Description != "" || len(p.Params) > 0 {
			docs = append(docs, flow.Document{Project: &projects[i]})
		}
	}
	calendars, err := s.store.Calendars(ctx, name)
	if err != nil {
		return nil, err
	}
	for i := range calendars {
		docs = append(docs, flow.Document{Calendar: &calendars[i]})
	}
	pools, err := s.store.Pools(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	for i := range pools {
		docs = append(docs, flow.Document{Pool: &pools[i].File})
	}
	sources, err := s.store.DataSources(ctx, name)
	for i := range sources {
		docs = append(docs, flow.Document{DataSource: &sources[i]})
	}
	return docs, err
}

// respond answers with bytes that are not JSON.
func respond(contentType string, raw []byte) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humachi.Unwrap(hc)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(raw) // the client is gone; there is nobody to tell
	}}
}
