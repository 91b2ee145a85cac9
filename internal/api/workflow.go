// Projects, workflows, versions and data sources, read for people.

package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"baton/internal/flow"
)

// Project is a name space of workflows.
type Project struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Params      map[string]string `json:"params"`
	Weight      int               `json:"weight" doc:"Of its tasks where those of several projects wait for places on workers"`
}

// Workflow is one version of a definition.
type Workflow struct {
	ID          string            `json:"id"`
	Project     string            `json:"project"`
	Name        string            `json:"name"`
	Version     int32             `json:"version"`
	Description string            `json:"description"`
	Labels      map[string]string `json:"labels"`
	Tasks       int               `json:"tasks" doc:"How many, with those that run at the end"`
	Execution   *Execution        `json:"execution,omitempty" doc:"How many runs go on at a time; not there: any number"`
	Rate        *Rate             `json:"rate,omitempty" doc:"How many runs begin in a time; not there: any number"`
	CreatedAt   flow.Time         `json:"created_at" nullable:"false" doc:"When this version was made"`
	Definition  json.RawMessage   `json:"definition,omitempty" doc:"The definition itself, when one workflow is read"`
}

// Execution is a limit of the runs that go on.
type Execution struct {
	Limit int     `json:"limit"`
	Over  string  `json:"over" doc:"What becomes of one more: wait, discard or stop_oldest"`
	Key   *string `json:"key" doc:"The limit is one of the runs for which this has the same value; null: of all"`
}

// Rate is a limit of the runs that begin.
type Rate struct {
	Starts int     `json:"starts"`
	Per    string  `json:"per" doc:"In how long"`
	Key    *string `json:"key" doc:"The rate is one of the runs for which this has the same value; null: of all"`
}

func executionOf(e flow.Execution) *Execution {
	if e.Limit == 0 {
		return nil
	}
	return &Execution{Limit: e.Limit, Over: string(cmp.Or(e.Over, flow.OverWait)), Key: text(e.Key)}
}

func rateOf(r flow.Rate) *Rate {
	if r.Starts == 0 {
		return nil
	}
	return &Rate{Starts: r.Starts, Per: r.Per.String(), Key: text(r.Key)}
}

func projectOf(p flow.Project) Project {
	out := Project{ID: p.ID.String(), Name: p.Name, Description: p.Description, Params: map[string]string{}, Weight: max(p.Weight, 1)}
	for _, v := range p.Params {
		out.Params[v.Name] = v.Value
	}
	return out
}

func workflowOf(d flow.Definition) Workflow {
	w := Workflow{
		ID: d.ID.String(), Project: d.Project, Name: d.Name, Version: d.Version, Description: d.Workflow.Description,
		Labels: d.Workflow.Labels, Tasks: len(d.Workflow.Tasks) + len(d.Workflow.Finally), CreatedAt: d.CreatedAt,
		Execution: executionOf(d.Workflow.Execution), Rate: rateOf(d.Workflow.Rate),
	}
	if w.Labels == nil {
		w.Labels = map[string]string{}
	}
	return w
}

func (s *Server) listProjects(ctx context.Context, _ *none) (*body[List[Project]], error) {
	all, err := s.store.Projects(ctx)
	return listOf(flow.Page[flow.Project]{Items: all}, projectOf), err
}

// ProjectPath names a project.
type ProjectPath struct {
	Project string `path:"project"`
}

func (s *Server) getProject(ctx context.Context, in *ProjectPath) (*body[Project], error) {
	p, err := s.store.Project(ctx, in.Project)
	return &body[Project]{projectOf(p)}, err
}

type listWorkflowsIn struct {
	Paging
	Project string `query:"project" doc:"Of this project only"`
}

func (s *Server) listWorkflows(ctx context.Context, in *listWorkflowsIn) (*body[List[Workflow]], error) {
	project, name, err := parsePlace(in.Cursor)
	if err != nil {
		return nil, err
	}
	// One more than asked for tells whether there is a next page.
	all, err := s.store.Workflows(ctx, in.Project, in.Limit+1, project, name)
	if err != nil {
		return nil, err
	}
	var next *string
	if len(all) > in.Limit {
		all = all[:in.Limit]
		next = text(place(all[in.Limit-1]))
	}
	out := listOf(flow.Page[flow.Definition]{Items: all}, workflowOf)
	out.Body.Next = next
	return out, nil
}

// place is the cursor behind a workflow: names hold no "/".
func place(d flow.Definition) string {
	return base64.RawURLEncoding.EncodeToString([]byte(d.Project + "/" + d.Name))
}

func parsePlace(cursor string) (project, name string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	project, name, found := strings.Cut(string(raw), "/")
	if err != nil || !found && cursor != "" {
		return "", "", flow.Errorf(flow.CodeBadRequest, "cursor", "%q is no cursor of this list", cursor)
	}
	return project, name, nil
}

// WorkflowPath names a workflow.
type WorkflowPath struct {
	ProjectPath
	Workflow string `path:"workflow"`
}

type getWorkflowIn struct {
	WorkflowPath
	Version int32 `query:"version" minimum:"0" doc:"0: the newest"`
}

func (s *Server) getWorkflow(ctx context.Context, in *getWorkflowIn) (*body[Workflow], error) {
	d, err := s.store.Workflow(ctx, in.Project, in.Workflow, in.Version)
	if err != nil {
		return nil, s.nearWorkflow(ctx, in.Project, in.Workflow, err)
	}
	w := workflowOf(d)
	w.Definition, err = json.Marshal(d.Workflow)
	return &body[Workflow]{w}, err
}

func (s *Server) listVersions(ctx context.Context, in *WorkflowPath) (*body[List[Workflow]], error) {
	all, err := s.store.Versions(ctx, in.Project, in.Workflow)
	err = s.nearWorkflow(ctx, in.Project, in.Workflow, err)
	return listOf(flow.Page[flow.Definition]{Items: all}, workflowOf), err
}

// DataSource is a database that sql tasks use. There is no password in it, only where the worker
// finds it.
type DataSource struct {
	Project  string            `json:"project"`
	Name     string            `json:"name"`
	Type     string            `json:"type" doc:"sqlite, postgres or mysql"`
	DSN      *string           `json:"dsn"`
	Host     *string           `json:"host"`
	Port     *int              `json:"port"`
	Database *string           `json:"database"`
	User     *string           `json:"user"`
	Options  map[string]string `json:"options"`
	Password *string           `json:"password" doc:"Where it is: env:NAME or file:PATH"`
}

func dataSourceOf(d flow.DataSource) DataSource {
	out := DataSource{
		Project: d.Project, Name: d.Name, Type: d.Type, DSN: text(d.DSN), Host: text(d.Host),
		Database: text(d.Database), User: text(d.User), Options: d.Options,
	}
	if d.Port != 0 {
		out.Port = &d.Port
	}
	if out.Options == nil {
		out.Options = map[string]string{}
	}
	if d.Password != nil {
		out.Password = secretPlace(d.Password)
	}
	return out
}

type listDataSourcesIn struct {
	Project string `query:"project" doc:"Of this project only"`
}

func (s *Server) listDataSources(ctx context.Context, in *listDataSourcesIn) (*body[List[DataSource]], error) {
	all, err := s.store.DataSources(ctx, in.Project)
	return listOf(flow.Page[flow.DataSource]{Items: all}, dataSourceOf), err
}
