// Environments: how the processes of tasks are prepared, and whether they can be.

package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
)

// Environment prepares the processes of tasks. There is no secret in it, only where the worker finds it.
type Environment struct {
	Name         string     `json:"name"`
	Description  string     `json:"description"`
	Version      int32      `json:"version" doc:"The newest, which every attempt gets that is granted from now on"`
	ChangedAt    flow.Time  `json:"changed_at"`
	Env          []Variable `json:"env" doc:"In order of the file"`
	Script       *string    `json:"script" doc:"Sourced before the task"`
	WorkerGroups []string   `json:"worker_groups" doc:"Whose tasks may use it; none: all"`
}

// Variable is a variable of an environment.
type Variable struct {
	Name   string  `json:"name"`
	Value  *string `json:"value" doc:"Null for a secret"`
	Secret *string `json:"secret" doc:"Where it is: env:NAME or file:PATH"`
}

func environmentOf(e flow.Environment) Environment {
	out := Environment{
		Name: e.Name, Description: e.Description, Version: e.Version, ChangedAt: e.ChangedAt,
		Env: make([]Variable, len(e.Env)), Script: text(e.Script), WorkerGroups: e.Groups,
	}
	for i, v := range e.Env {
		out.Env[i] = Variable{Name: v.Name, Value: &v.Value}
		if v.Secret != nil {
			out.Env[i].Value, out.Env[i].Secret = nil, secretPlace(v.Secret)
		}
	}
	if out.WorkerGroups == nil {
		out.WorkerGroups = []string{}
	}
	return out
}

// secretPlace says where a worker finds a secret.
func secretPlace(s *flow.Secret) *string {
	if s.File != "" {
		return text("file:" + s.File)
	}
	return text("env:" + s.Env)
}

func (s *Server) listEnvironments(ctx context.Context, _ *struct{}) (*body[List[Environment]], error) {
	all, err := s.store.Environments(ctx)
	return listOf(flow.Page[flow.Environment]{Items: all}, environmentOf), err
}

// UsedEnvironment says by which environment the process of a task is prepared.
type UsedEnvironment struct {
	Name      string    `json:"name"`
	Version   int32     `json:"version,omitempty" doc:"Of one task: the newest when its last try was granted, or now while none was; 0: there is none"`
	ChangedAt flow.Time `json:"changed_at,omitzero" doc:"When that version came"`
	Newest    int32     `json:"newest,omitempty" doc:"What a try would get now"`
}

// usedEnvironment tells which version of its environment a task was granted with. The log of each try has it too, as
// the master read it.
func (s *Server) usedEnvironment(ctx context.Context, t *TaskExplanation, rows []flow.TaskRow) error {
	if t.Environment == nil {
		return nil
	}
	now := flow.At(time.Now())
	newest, err := s.environmentAt(ctx, t.Environment.Name, now)
	if err != nil {
		return err
	}
	used := newest
	if r := slices.IndexFunc(rows, func(r flow.TaskRow) bool { return r.Valid && r.Name == t.Name }); r >= 0 && rows[r].Attempt.GrantedAt != 0 {
		if used, err = s.environmentAt(ctx, t.Environment.Name, rows[r].Attempt.GrantedAt); err != nil {
			return err
		}
	}
	t.Environment.Version, t.Environment.ChangedAt, t.Environment.Newest = used.Version, used.ChangedAt, newest.Version
	return nil
}

// environmentAt reads an environment as it was; of version 0 where there was none.
func (s *Server) environmentAt(ctx context.Context, name string, at flow.Time) (flow.Environment, error) {
	e, err := s.store.EnvironmentAt(ctx, name, at)
	if err == nil || flow.CodeOf(err) == flow.CodeNotFound {
		return e, nil // that there was none is an answer
	}
	return e, err
}

// environments are those that are stored, with those of the files in their place, by name.
func (s *Server) environments(ctx context.Context, docs []flow.Document) (map[string]*flow.Environment, []string, error) {
	all, err := s.store.Environments(ctx)
	have := make(map[string]*flow.Environment, len(all))
	for i := range all {
		have[all[i].Name] = &all[i]
	}
	for _, d := range docs {
		if d.Environment != nil {
			have[d.Environment.Name] = d.Environment
		}
	}
	names := make([]string, 0, len(have))
	for name := range have {
		names = append(names, name)
	}
	slices.Sort(names)
	return have, names, err
}

// canBePrepared refuses workflows whose tasks would fail when they start: an environment that exists neither in the files
// nor here, or may not be used in the worker group of a task. All that is wrong is said at once.
func (s *Server) canBePrepared(ctx context.Context, docs []flow.Document, files []SourceFile) (flow.Errors, error) {
	uses := make([][]flow.EnvironmentUse, len(docs))
	named := false
	for i, d := range docs {
		if d.Workflow != nil {
			uses[i] = s.files.Environments(d.Workflow, flow.Start{})
			named = named || len(uses[i]) > 0
		}
	}
	if !named {
		return nil, nil
	}
	have, names, err := s.environments(ctx, docs)
	if err != nil {
		return nil, err
	}
	var wrong flow.Errors
	for i, d := range docs {
		for _, u := range refusedUses(uses[i], have, names) {
			path := []string{"environment"}
			if own := d.Workflow.Environment; u.Task != "" {
				path = []string{"tasks", u.Task, "environment"}
				if flow.CodeOf(u.err) == flow.CodeNotFound && u.Environment == own {
					continue // said of the workflow
				}
			}
			e := *u.err
			e.Code, e.File, e.Field = flow.CodeInvalidFile, d.File, strings.Join(path, ".")
			e.Line, e.Column = placeIn(s.files, files, d, path...)
			if u.Task != "" {
				e.Message = fmt.Sprintf("task %s: %s", u.Task, e.Message)
			}
			wrong = append(wrong, &e)
		}
	}
	return wrong, nil
}

// refusedUse is one that cannot be.
type refusedUse struct {
	flow.EnvironmentUse
	err *flow.Error
}

func refusedUses(uses []flow.EnvironmentUse, have map[string]*flow.Environment, names []string) []refusedUse {
	var out []refusedUse
	for _, u := range uses {
		e := have[u.Environment]
		switch {
		case e == nil:
			out = append(out, refusedUse{u, flow.NoEnvironment(u.Environment, names)})
		case u.Task != "":
			if err := e.Refusal(u.Group); err != nil {
				out = append(out, refusedUse{u, err})
			}
		}
	}
	return out
}

// canStartIn refuses a start with an environment that its tasks could not use. Of what the workflow itself says nothing
// is known to be wrong: it was applied so. Of chosen tasks it shows when they start.
func (s *Server) canStartIn(ctx context.Context, def flow.Definition, start flow.Start) error {
	if start.Environment == "" && start.WorkerGroup == "" {
		return nil
	}
	uses := s.files.Environments(&def.Workflow, start)
	if len(uses) == 0 {
		return nil
	}
	have, names, err := s.environments(ctx, nil)
	if err != nil {
		return err
	}
	for _, u := range refusedUses(uses, have, names) {
		switch {
		case u.Task == "" && u.Environment == start.Environment:
			e := *u.err
			e.Code = flow.CodeBadRequest
			return &e
		case u.Task != "" && flow.CodeOf(u.err) != flow.CodeNotFound && len(start.Tasks) == 0:
			return flow.Errorf(flow.CodeBadRequest, "environment", "task %s: %s", u.Task, u.err.Message)
		}
	}
	return nil
}
