// Triggers: what else starts workflows, and what became of each event.

package api

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"baton/internal/flow"
)

// Trigger is what starts a workflow beside a person and the clock.
type Trigger struct {
	ID         string            `json:"id"`
	Project    string            `json:"project"`
	Workflow   string            `json:"workflow"`
	Name       string            `json:"name"`
	Kind       string            `json:"kind" enum:"after,webhook,notify,file" doc:"What it waits for"`
	After      []AwaitedEnd      `json:"after" doc:"Of after: the ends that it waits for, and which have come"`
	All        bool              `json:"all" doc:"Of after: it needs each of them; otherwise each starts a run"`
	Window     *string           `json:"window" doc:"Of after: how old an end may be, seen from the newest of its set"`
	Notify     *flow.Notify      `json:"notify,omitempty" doc:"Of notify: where it listens"`
	File       *AwaitedFile      `json:"file,omitempty" doc:"Of file: which files it waits for"`
	LookedAt   flow.Time         `json:"looked_at" doc:"Of notify and file: until when somebody is known to have looked; null: nobody has yet"`
	Problem    *string           `json:"problem" doc:"Of notify and file: why nobody can look"`
	Params     map[string]string `json:"params"`
	Enabled    bool              `json:"enabled"`
	Overridden bool              `json:"overridden" doc:"A verb said whether it is enabled; its file does not change that"`
	Revision   int64             `json:"revision"`
	Waits      string            `json:"waits" doc:"What it waits for now, in words"`
	Last       *Start            `json:"last,omitempty" doc:"What became of its last event"`
}

// AwaitedFile says which files a trigger waits for.
type AwaitedFile struct {
	Path    string `json:"path"`
	Every   string `json:"every"`
	Settled string `json:"settled"`
}

// AwaitedEnd is an end of a workflow that a trigger waits for.
type AwaitedEnd struct {
	Project  string    `json:"project"`
	Workflow string    `json:"workflow"`
	State    string    `json:"state" enum:"succeeded,failed,stopped,ended"`
	Instance *string   `json:"instance" doc:"The run whose end has come, the oldest that is not used; null: none has"`
	EndedAt  flow.Time `json:"ended_at"`
}

// Start is what became of an event of a trigger.
type Start struct {
	ID       string    `json:"id"`
	Trigger  string    `json:"trigger"`
	Project  string    `json:"project"`
	Workflow string    `json:"workflow"`
	State    string    `json:"state" enum:"fired,skipped"`
	Cause    string    `json:"cause" doc:"What happened"`
	Reason   *string   `json:"reason" doc:"Why it was skipped"`
	Instance *string   `json:"instance" doc:"The run; null: there is none"`
	At       flow.Time `json:"created_at" nullable:"false"`
}

func startOf(t flow.TriggerStart, trigger, project, workflow string) Start {
	out := Start{ID: t.ID.String(), Trigger: trigger, Project: project, Workflow: workflow, State: t.State.String(), Cause: t.Cause, Reason: text(t.Reason), At: t.At}
	if t.Instance != 0 {
		out.Instance = text(t.Instance.String())
	}
	return out
}

type listTriggersIn struct {
	Paging
	Project  string `query:"project"`
	Workflow string `query:"workflow"`
}

func (s *Server) listTriggers(ctx context.Context, in *listTriggersIn) (*body[List[Trigger]], error) {
	cursor, err := in.after()
	if err != nil {
		return nil, err
	}
	p, err := s.store.Triggers(ctx, in.Project, in.Workflow, in.Limit, cursor)
	if err == nil && len(p.Items) == 0 {
		err = s.knowsWorkflow(ctx, in.Project, in.Workflow)
	}
	return listOf(p, triggerOf), err
}

func triggerOf(r flow.TriggerRow) Trigger {
	t := r.Trigger
	out := Trigger{
		ID: r.ID.String(), Project: r.Project, Workflow: r.Workflow, Name: t.Name, Kind: string(t.Kind()), After: []AwaitedEnd{},
		Params: map[string]string{}, Enabled: r.Enabled, Overridden: r.Overridden, Revision: r.Revision,
	}
	for _, p := range t.Params {
		out.Params[p.Name] = p.Value
	}
	out.Problem, out.LookedAt = text(r.Problem), r.LookedAt
	if r.Last != nil {
		last := startOf(*r.Last, t.Name, r.Project, r.Workflow)
		out.Last = &last
	}
	switch {
	case t.After != nil:
		out.after(r)
	case t.Webhook != nil:
		out.Waits = "waits for POST " + prefix + "/projects/" + url.PathEscape(r.Project) + "/workflows/" + url.PathEscape(r.Workflow) + "/triggers/" + url.PathEscape(t.Name)
	case t.Notify != nil:
		out.Notify = t.Notify
		out.Waits = looks(r, "listens to channel "+t.Notify.Channel+" of data source "+t.Notify.DataSource)
	case t.File != nil:
		out.File = &AwaitedFile{t.File.Path, t.File.EveryOr().String(), t.File.SettledOr().String()}
		out.Waits = looks(r, "looks for "+t.File.Path)
	}
	if !r.Enabled {
		out.Waits = flow.ReasonDisabled + ": `baton trigger enable " + r.Workflow + " " + t.Name + "` has it wait again"
	}
	return out
}

// looks tells what somebody looks for, or why nobody does.
func looks(r flow.TriggerRow, what string) string {
	switch {
	case r.Problem != "":
		return "cannot look: " + r.Problem
	case r.LookedAt == 0:
		return what + ", as soon as a master takes it up"
	default:
		return what
	}
}

// after tells which ends have come, and which are missing.
func (t *Trigger) after(r flow.TriggerRow) {
	a := r.Trigger.After
	t.All, t.Window = len(a.All) > 0, text(r.Trigger.WindowOr().String())
	var missing, come []string
	for _, source := range a.Sources() {
		end := AwaitedEnd{Project: source.Project, Workflow: source.Workflow, State: source.StateOr()}
		if i := slices.IndexFunc(r.Waiting, func(m flow.Mark) bool { return m.Source == source.Key() }); i >= 0 {
			end.Instance, end.EndedAt = text(r.Waiting[i].Instance.String()), r.Waiting[i].EndedAt
			come = append(come, source.Workflow)
		} else {
			missing = append(missing, source.Workflow+" "+end.State)
		}
		t.After = append(t.After, end)
	}
	join := " or "
	if t.All {
		join = " and "
	}
	t.Waits = "waits for " + strings.Join(missing, join)
	if len(come) > 0 {
		t.Waits += fmt.Sprintf("; %s came", strings.Join(come, ", "))
	}
}

// TriggerPath names a trigger.
type TriggerPath struct {
	WorkflowPath
	Trigger string `path:"trigger"`
}

func enableTrigger(on bool) func(*Server, context.Context, *TriggerPath) (*body[List[Trigger]], error) {
	return func(s *Server, ctx context.Context, in *TriggerPath) (*body[List[Trigger]], error) {
		return s.turnTriggers(ctx, in.WorkflowPath, in.Trigger, on)
	}
}

func enableTriggers(on bool) func(*Server, context.Context, *WorkflowPath) (*body[List[Trigger]], error) {
	return func(s *Server, ctx context.Context, in *WorkflowPath) (*body[List[Trigger]], error) {
		return s.turnTriggers(ctx, *in, "", on)
	}
}

// turnTriggers turns triggers of a workflow on or off, and tells how they are then.
func (s *Server) turnTriggers(ctx context.Context, in WorkflowPath, name string, on bool) (*body[List[Trigger]], error) {
	n, err := s.store.EnableTriggers(ctx, in.Project, in.Workflow, name, on)
	if err != nil {
		return nil, err
	}
	s.masters.PokeLook()
	page, err := s.store.Triggers(ctx, in.Project, in.Workflow, maxTriggers, 0)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, s.noTrigger(ctx, in, name, page.Items)
	}
	out := &body[List[Trigger]]{List[Trigger]{Items: []Trigger{}}}
	for _, r := range page.Items {
		if name == "" || r.Trigger.Name == name {
			out.Body.Items = append(out.Body.Items, triggerOf(r))
		}
	}
	return out, nil
}

// maxTriggers is more than a workflow may have.
const maxTriggers = 500

// noTrigger is the error of a trigger that does not exist.
func (s *Server) noTrigger(ctx context.Context, in WorkflowPath, name string, have []flow.TriggerRow) error {
	names := make([]string, len(have))
	for i, r := range have {
		names[i] = r.Trigger.Name
	}
	return s.noneCalled(ctx, in, "trigger", name, names)
}

type listStartsIn struct {
	Paging
	Project  string `query:"project"`
	Workflow string `query:"workflow"`
	Trigger  string `query:"trigger"`
	Instance string `query:"instance"`
}

func (s *Server) listStarts(ctx context.Context, in *listStartsIn) (*body[List[Start]], error) {
	f := flow.StartFilter{Project: in.Project, Workflow: in.Workflow, Trigger: in.Trigger, Limit: in.Limit}
	if f.Workflow != "" && f.Project == "" {
		f.Project = flow.DefaultProject
	}
	var err error
	if f.Cursor, err = in.after(); err != nil {
		return nil, err
	}
	if in.Instance != "" {
		if f.Instance, err = flow.ParseID(in.Instance); err != nil {
			return nil, err
		}
	}
	p, err := s.store.Starts(ctx, f)
	if err == nil && len(p.Items) == 0 {
		err = s.knowsWorkflow(ctx, f.Project, f.Workflow)
	}
	return listOf(p, func(n flow.NamedStart) Start {
		return startOf(n.TriggerStart, n.TriggerName, n.ProjectName, n.WorkflowName)
	}), err
}
