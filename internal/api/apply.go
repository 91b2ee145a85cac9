// Files to definitions: validate, diff, apply.

package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"baton/internal/flow"
)

// Files are what validate, diff and apply take.
type Files struct {
	Files   []SourceFile `json:"files" minItems:"1" maxItems:"1000"`
	Project string       `json:"project,omitempty" doc:"Of documents that name none; default: default"`
	// ResetOverrides is of apply alone.
	ResetOverrides bool `json:"reset_overrides,omitempty" doc:"Of apply: what verbs changed of the documents is as the files say again"`
}

type filesIn struct{ Body Files }

// ValidateResult lists what valid files describe.
type ValidateResult struct {
	Items []Described `json:"items"`
}

// Described names a document.
type Described struct {
	Kind      string   `json:"kind"`
	Project   string   `json:"project" doc:"Empty for kinds that belong to none"`
	Name      string   `json:"name"`
	File      string   `json:"file" doc:"The file it stands in"`
	Resources []string `json:"resources" doc:"Files beside it that it names"`
	NamedBy   []Named  `json:"named_by,omitempty" doc:"Where it names them, in the same order"`
}

// Named is where a document names a file.
type Named struct {
	Task   string `json:"task"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

func (s *Server) validate(_ context.Context, in *filesIn) (*body[ValidateResult], error) {
	docs, err := s.files.Parse(in.Body.Files, in.Body.Project)
	if err != nil {
		return nil, err
	}
	return &body[ValidateResult]{Describe(s.files, docs, in.Body.Files)}, nil
}

// Describe lists documents with the resources they name.
func Describe(files Documents, docs []flow.Document, sources []SourceFile) ValidateResult {
	out := ValidateResult{Items: make([]Described, len(docs))}
	for i, d := range docs {
		out.Items[i] = describe(d)
		out.Items[i].Resources = []string{}
		files.EachFile(d, func(under, task string, f *flow.File) {
			n := Named{Task: task}
			n.Line, n.Column = placeIn(files, sources, d, under, task, "files")
			out.Items[i].Resources, out.Items[i].NamedBy = append(out.Items[i].Resources, f.Path), append(out.Items[i].NamedBy, n)
		})
	}
	return out
}

func describe(d flow.Document) Described {
	out := Described{File: d.File}
	switch {
	case d.Workflow != nil:
		out.Kind, out.Project, out.Name = "Workflow", d.Workflow.Project, d.Workflow.Name
	case d.DataSource != nil:
		out.Kind, out.Project, out.Name = "DataSource", d.DataSource.Project, d.DataSource.Name
	case d.Project != nil:
		out.Kind, out.Project, out.Name = "Project", d.Project.Name, d.Project.Name
	case d.Calendar != nil:
		out.Kind, out.Project, out.Name = "Calendar", d.Calendar.Project, d.Calendar.Name
	case d.Environment != nil:
		out.Kind, out.Name = "Environment", d.Environment.Name
	case d.WorkerGroup != nil:
		out.Kind, out.Name = "WorkerGroup", d.WorkerGroup.Name
	case d.Pool != nil:
		out.Kind, out.Project, out.Name = "Pool", d.Pool.Project, d.Pool.Name
	}
	return out
}

// ApplyResult tells what apply did.
type ApplyResult struct {
	Items    []flow.Applied `json:"items"`
	Warnings []string       `json:"warnings" doc:"What will wait or fail, such as for a worker group that nobody serves"`
}

func (s *Server) apply(ctx context.Context, in *filesIn) (*body[ApplyResult], error) {
	docs, err := s.files.Parse(in.Body.Files, in.Body.Project)
	if err != nil {
		return nil, err
	}
	wrong := s.attach(docs, in.Body.Files)
	if len(wrong) == 0 {
		if err := s.haveBlobs(ctx, in.Body.Files); err != nil {
			return nil, err
		}
	}
	unprepared, err := s.canBePrepared(ctx, docs, in.Body.Files)
	if err != nil {
		return nil, err
	}
	if wrong = append(wrong, unprepared...); len(wrong) > 0 {
		return nil, s.refused(docs, in.Body.Files, wrong, s.store.Check(ctx, docs, flow.At(time.Now())))
	}
	for i := range docs {
		docs[i].Reset = in.Body.ResetOverrides
	}
	items, err := s.store.Apply(ctx, docs, flow.At(time.Now()))
	if err != nil {
		return nil, s.refused(docs, in.Body.Files, nil, err)
	}
	if items == nil {
		items = []flow.Applied{}
	}
	if slices.ContainsFunc(docs, func(d flow.Document) bool {
		return d.Calendar != nil || d.Pool != nil || d.DataSource != nil || d.Workflow != nil
	}) {
		s.masters.PokeLook() // what is new may be due within the second, or happen
	}
	warnings, err := s.unserved(ctx, groupsOf(docs), unlessDeclared)
	if err != nil {
		warnings = []string{} // it is applied, whatever can be said of it
	}
	warnings = append(warnings, s.missingSources(ctx, docs)...)
	warnings = append(warnings, s.missingWorkflows(ctx, docs)...)
	warnings = append(warnings, s.doubtfulTriggers(ctx, docs)...)
	warnings = append(warnings, s.missingApprovers(ctx, docs)...)
	return &body[ApplyResult]{ApplyResult{items, warnings}}, nil
}

// missingSources warns of data sources that tasks and triggers name and their project does not have: they fail, or hear
// nothing, until it does.
func (s *Server) missingSources(ctx context.Context, docs []flow.Document) []string {
	var warnings []string
	have := map[string]map[string]string{} // types by project and name, read once
	for _, d := range docs {
		if d.Workflow == nil {
			continue
		}
		used := s.files.DataSources(d)
		project := d.Workflow.Project
		if _, read := have[project]; !read && (len(used) > 0 || slices.ContainsFunc(d.Workflow.Triggers, listens)) {
			sources, err := s.store.DataSources(ctx, project)
			if err != nil {
				return warnings // it is applied, whatever can be said of it
			}
			have[project] = map[string]string{}
			for _, source := range sources {
				have[project][source.Name] = source.Type
			}
		}
		warn := func(name, by string) {
			text := fmt.Sprintf("project %s has no data source %q, which %s until there is one", project, name, by)
			if near := flow.Nearest(name, slices.Sorted(maps.Keys(have[project]))); near != "" {
				text += fmt.Sprintf("; did you mean %q?", near)
			}
			warnings = append(warnings, text)
		}
		for _, name := range slices.Sorted(maps.Keys(used)) {
			if _, known := have[project][name]; !known {
				warn(name, fmt.Sprintf("task %s of workflow %s names: it fails", used[name], d.Workflow.Name))
			}
		}
		for _, t := range d.Workflow.Triggers {
			if !listens(t) {
				continue
			}
			switch kind, known := have[project][t.Notify.DataSource]; {
			case !known:
				warn(t.Notify.DataSource, fmt.Sprintf("trigger %s of workflow %s listens to: it hears nothing", t.Name, d.Workflow.Name))
			case kind != flow.DataSourcePostgres:
				warnings = append(warnings, fmt.Sprintf("trigger %s of workflow %s hears nothing: data source %s is of type %s, and only one of type postgres notifies",
					t.Name, d.Workflow.Name, t.Notify.DataSource, kind))
			}
		}
	}
	return warnings
}

// listens tells whether a trigger needs a data source.
func listens(t flow.Trigger) bool { return t.Notify != nil }

// missingWorkflows warns of workflows, and tasks of them, that tasks name and that are not there.
func (s *Server) missingWorkflows(ctx context.Context, docs []flow.Document) []string {
	var warnings []string
	for _, d := range docs {
		for _, u := range s.files.Workflows(d) {
			then := "fails"
			if u.Waits {
				then = "waits"
			}
			def, err := s.store.Workflow(ctx, u.Project, u.Workflow, 0)
			switch {
			case err != nil && flow.CodeOf(err) == flow.CodeNotFound:
				warnings = append(warnings, fmt.Sprintf("there is no workflow %s/%s, which task %s of workflow %s names: it %s until there is one", u.Project, u.Workflow, u.By, d.Workflow.Name, then))
			case err != nil:
				return warnings // it is applied, whatever can be said of it
			case u.Task != "" && !slices.Contains(taskNames(&def.Workflow), u.Task):
				text := fmt.Sprintf("workflow %s/%s has no task %q, which task %s of workflow %s waits for", u.Project, u.Workflow, u.Task, u.By, d.Workflow.Name)
				if near := flow.Nearest(u.Task, taskNames(&def.Workflow)); near != "" {
					text += fmt.Sprintf("; did you mean %q?", near)
				}
				warnings = append(warnings, text)
			}
		}
	}
	return warnings
}

func taskNames(w *flow.Workflow) []string {
	var names []string
	for _, t := range w.AllTasks() {
		names = append(names, t.Name)
	}
	return names
}

// attach puts the sums of the resources into the documents of their file, and returns an error
// for each that was not sent.
func (s *Server) attach(docs []flow.Document, files []SourceFile) flow.Errors {
	type place struct{ file, path string }
	sent := map[place]Resource{}
	for _, f := range files {
		for _, r := range f.Resources {
			sent[place{f.Name, r.Path}] = r
		}
	}
	var unsent flow.Errors
	for _, d := range docs {
		s.files.EachFile(d, func(under, task string, f *flow.File) {
			r, ok := sent[place{d.File, f.Path}]
			if !ok {
				e := flow.Errorf(flow.CodeInvalidFile, under+"."+task+".files", "task %s: resource %q was not sent beside the file", task, f.Path)
				e.File = d.File
				e.Line, e.Column = placeIn(s.files, files, d, under, task, "files")
				unsent = append(unsent, e)
				return
			}
			f.SHA256, f.Executable = r.SHA256, r.Executable
		})
	}
	return unsent
}

// placeIn finds where a value of a document stands in the files it came with, 0 when they do not hold it.
func placeIn(documents Documents, files []SourceFile, d flow.Document, path ...string) (line, column int) {
	f := slices.IndexFunc(files, func(f SourceFile) bool { return f.Name == d.File })
	if f < 0 {
		return 0, 0
	}
	return documents.Place(files[f], d, path...)
}

// refused is what is wrong with documents beside what is stored, all at once, each with its place: what was found
// here, and what the store refuses.
func (s *Server) refused(docs []flow.Document, files []SourceFile, wrong flow.Errors, err error) error {
	var more flow.RefusedErrors
	if err != nil && !errors.As(err, &more) {
		return err
	}
	for _, r := range more {
		d, e := docs[r.Document], *r.Error
		e.Code, e.File = flow.CodeInvalidFile, d.File
		e.Line, e.Column = placeIn(s.files, files, d, r.Path...)
		wrong = append(wrong, &e)
	}
	slices.SortStableFunc(wrong, func(a, b *flow.Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return wrong
}

// haveBlobs refuses files whose resources are not stored: a run would fail on them.
func (s *Server) haveBlobs(ctx context.Context, files []SourceFile) error {
	path := map[string]string{}
	var sums []string
	for _, f := range files {
		for _, r := range f.Resources {
			if path[r.SHA256] == "" {
				path[r.SHA256] = r.Path
				sums = append(sums, r.SHA256)
			}
		}
	}
	if len(sums) == 0 {
		return nil
	}
	missing, err := s.store.MissingBlobs(ctx, sums)
	if err != nil || len(missing) == 0 {
		return err
	}
	return flow.Errorf(flow.CodeConflict, "files", "resource %q is not stored; send it with PUT %s/blobs/%s first", path[missing[0]], prefix, missing[0])
}

// DiffResult tells what apply would do.
type DiffResult struct {
	Items []Difference `json:"items"`
}

// Difference is one document as it is and would be.
type Difference struct {
	Kind      string        `json:"kind"`
	Project   string        `json:"project"`
	Name      string        `json:"name"`
	Change    string        `json:"change" enum:"created,updated,unchanged"`
	Fields    []FieldChange `json:"fields" doc:"What changes; empty for a new document"`
	Diff      string        `json:"diff" doc:"The same for people"`
	Overrides []Override    `json:"overrides" doc:"What verbs said of it, which stays when it is applied: no change by itself"`
}

func (s *Server) diff(ctx context.Context, in *filesIn) (*body[DiffResult], error) {
	docs, err := s.files.Parse(in.Body.Files, in.Body.Project)
	if err != nil {
		return nil, err
	}
	_ = s.attach(docs, in.Body.Files) // a resource that was not sent is no difference
	out := DiffResult{Items: make([]Difference, len(docs))}
	for i, d := range docs {
		if out.Items[i], err = s.difference(ctx, d); err != nil {
			return nil, err
		}
	}
	return &body[DiffResult]{out}, nil
}

func (s *Server) difference(ctx context.Context, d flow.Document) (Difference, error) {
	what := describe(d)
	out := Difference{Kind: what.Kind, Project: what.Project, Name: what.Name, Change: "created", Fields: []FieldChange{}, Overrides: []Override{}}
	have, err := s.stored(ctx, d)
	if err != nil || have == nil {
		return out, err
	}
	fields, text, err := s.files.Diff(*have, d)
	if err != nil {
		return out, err
	}
	out.Change, out.Diff = "unchanged", text
	if len(fields) > 0 {
		out.Change, out.Fields = "updated", fields
	}
	out.Overrides, err = s.overrides(ctx, *have, d)
	return out, err
}

// stored reads what a document would replace, nil when it is new.
func (s *Server) stored(ctx context.Context, d flow.Document) (*flow.Document, error) {
	switch {
	case d.Workflow != nil:
		name := d.Workflow.Name
		def, err := s.store.Workflow(ctx, d.Workflow.Project, name, 0)
		if flow.CodeOf(err) == flow.CodeNotFound && d.Workflow.RenamedFrom != "" {
			def, err = s.store.Workflow(ctx, d.Workflow.Project, d.Workflow.RenamedFrom, 0)
		}
		if err == nil {
			err = s.withStarters(ctx, def.ID, &def.Workflow)
		}
		return found(flow.Document{Workflow: &def.Workflow}, err)
	case d.Project != nil:
		p, err := s.store.Project(ctx, d.Project.Name)
		return found(flow.Document{Project: &p}, err)
	case d.Environment != nil:
		all, err := s.store.Environments(ctx)
		for i := range all {
			if all[i].Name == d.Environment.Name {
				return &flow.Document{Environment: &all[i]}, nil
			}
		}
		return nil, err
	case d.WorkerGroup != nil:
		all, err := s.store.WorkerGroups(ctx)
		for i := range all {
			if all[i].Name == d.WorkerGroup.Name {
				return &flow.Document{WorkerGroup: &all[i]}, nil
			}
		}
		return nil, err
	case d.Calendar != nil:
		all, err := s.store.Calendars(ctx, d.Calendar.Project)
		for i := range all {
			if all[i].Name == d.Calendar.Name {
				return &flow.Document{Calendar: &all[i]}, nil
			}
		}
		return nil, err
	case d.Pool != nil:
		all, err := s.store.Pools(ctx, d.Pool.Project, 0)
		for i := range all {
			if all[i].Name == d.Pool.Name {
				return &flow.Document{Pool: &all[i].File}, nil
			}
		}
		return nil, err
	default:
		all, err := s.store.DataSources(ctx, d.DataSource.Project)
		for _, have := range all {
			if have.Name == d.DataSource.Name {
				return &flow.Document{DataSource: &have}, nil
			}
		}
		return nil, err
	}
}

func found(d flow.Document, err error) (*flow.Document, error) {
	switch {
	case flow.CodeOf(err) == flow.CodeNotFound:
		return nil, nil //nolint:nilnil // "there is none yet" is an answer
	case err != nil:
		return nil, err
	default:
		return &d, nil
	}
}
