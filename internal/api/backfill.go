// Backfills: a run for each of many dates; planned, started as a whole, watched, steered.

package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"baton/internal/flow"
)

// BackfillRequest is an order to run a workflow for each of many dates.
type BackfillRequest struct {
	Project   string            `json:"project,omitempty" default:"default"`
	Workflow  string            `json:"workflow"`
	From      string            `json:"from,omitempty" doc:"The first moment, included: RFC 3339, or yyyy-MM-dd[ HH:mm:ss] in the workflow's zone; a date is its midnight"`
	To        string            `json:"to,omitempty" doc:"The last moment, included"`
	Dates     []string          `json:"dates,omitempty" doc:"These dates, in place of a range"`
	Schedule  string            `json:"schedule,omitempty" doc:"Whose times are the dates; default: the only one that the workflow has. Its parameters and its zone are those of the runs. Without any: every midnight in the workflow's zone"`
	Order     string            `json:"order,omitempty" enum:"asc,desc" doc:"asc, the default: the earliest date first"`
	Parallel  *int              `json:"parallel,omitempty" doc:"So many runs at a time, at most 500; default 1"`
	OnFailure string            `json:"on_failure,omitempty" enum:"continue,stop" doc:"What a date that did not succeed does to those that have not begun; default continue"`
	Params    map[string]string `json:"params,omitempty" doc:"Of each run; they go before those of the schedule"`
	Priority  string            `json:"priority,omitempty" enum:"highest,high,medium,low,lowest"`
	Cascade   bool              `json:"cascade,omitempty" doc:"Also run the workflows that depend on it, and those that depend on them, for the dates that look at its dates"`
	Preview   bool              `json:"preview,omitempty" doc:"Tell what would run, and start nothing"`
}

// BackfillSummary is a backfill as lists show it.
type BackfillSummary struct {
	ID        *string           `json:"id" doc:"Null in a preview"`
	Project   string            `json:"project"`
	Workflow  string            `json:"workflow"`
	State     string            `json:"state" enum:"preview,running,paused,stopping,stopped,failed,succeeded"`
	Reason    *string           `json:"reason" doc:"'code: a sentence': why it did not succeed, or does not go on"`
	Schedule  *string           `json:"schedule" doc:"Whose times the dates are; null: the midnights of the workflow's zone, or a list"`
	Timezone  string            `json:"timezone" doc:"Of the dates"`
	From      flow.Time         `json:"from" nullable:"false" doc:"Its earliest date, those of dependents aside"`
	To        flow.Time         `json:"to" nullable:"false" doc:"Its latest date, those of dependents aside"`
	Order     string            `json:"order" enum:"asc,desc"`
	Parallel  int               `json:"parallel"`
	OnFailure string            `json:"on_failure" enum:"continue,stop"`
	Params    map[string]string `json:"params"`
	Cascaded  int               `json:"cascaded" doc:"How many of its dates are of workflows that depend on its own"`
	Progress  BackfillProgress  `json:"progress" doc:"Of all dates"`
	CreatedAt flow.Time         `json:"created_at" doc:"Null in a preview"`
	EndedAt   flow.Time         `json:"ended_at"`
}

// BackfillProgress counts the dates of a backfill by how they stand.
type BackfillProgress struct {
	Total     int `json:"total"`
	Waiting   int `json:"waiting" doc:"Not begun"`
	Running   int `json:"running" doc:"Their run has not ended"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Stopped   int `json:"stopped" doc:"Their run was stopped"`
	Skipped   int `json:"skipped" doc:"Not begun when the backfill ended"`
}

// Backfill is a backfill with its dates.
type Backfill struct {
	BackfillSummary
	Existing bool     `json:"existing,omitempty" doc:"The idempotency key was known: this is the backfill that it made"`
	Warnings []string `json:"warnings,omitempty" doc:"What may be a slip of the pen, or will wait"`
	// Workflows is empty without cascade.
	Workflows []BackfillWorkflow `json:"workflows" doc:"With cascade its own and those that depend on it, by level, each once for each schedule that gives it dates; also those that are left out. Else empty"`
	Items     []BackfillItem     `json:"items" doc:"In the order in which they begin"`
}

// BackfillWorkflow is one workflow of a backfill with cascade.
type BackfillWorkflow struct {
	Project  string           `json:"project"`
	Workflow string           `json:"workflow"`
	Level    int              `json:"level" doc:"0: its own; the dates of a level begin when all of those before it have ended"`
	Schedule *string          `json:"schedule" doc:"Whose times the dates are; null: none's"`
	Timezone string           `json:"timezone" doc:"Of the dates"`
	From     flow.Time        `json:"from" doc:"Its earliest date; null: it has none"`
	To       flow.Time        `json:"to" doc:"Its latest date"`
	Progress BackfillProgress `json:"progress"`
	Reason   *string          `json:"reason" doc:"'code: a sentence': why it has no dates, or not all that may depend"`
}

// BackfillItem is one date of a backfill.
type BackfillItem struct {
	Project  string    `json:"project"`
	Workflow string    `json:"workflow"`
	Level    int       `json:"level" doc:"0: of the workflow of the backfill itself; else of one that depends on it"`
	DataTime flow.Time `json:"data_time" nullable:"false"`
	Instance *string   `json:"instance" doc:"Its run; null: it has not begun"`
	State    string    `json:"state" doc:"waiting; skipped, when the backfill ended before it began; else the state of its run"`
	Reason   *string   `json:"reason" doc:"Of its run, unless that has succeeded: what it waits for, or why it did not"`
}

type backfillIn struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"The same key answers the first backfill; with another request it is a conflict"`
	Body BackfillRequest
}

type backfillOut struct {
	Status int
	Body   Backfill
}

func (s *Server) createBackfill(ctx context.Context, in *backfillIn) (*backfillOut, error) {
	r := in.Body
	def, err := s.store.Workflow(ctx, r.Project, r.Workflow, 0)
	if err != nil {
		return nil, s.didYouMean(ctx, StartRequest{Project: r.Project, Workflow: r.Workflow}, err)
	}
	p, err := s.plan(ctx, r, def)
	if err != nil {
		return nil, err
	}
	if err := s.checkPlan(p); err != nil {
		return nil, err
	}
	warnings := s.doubts(ctx, def, p.backfill.Start)
	if n := future(p.items, p.backfill.CreatedAt); n > 0 {
		warnings = append(warnings, fmt.Sprintf("dates that have not come yet: %d of %d; they are run all the same", n, len(p.items)))
	}
	if r.Cascade && len(p.parts) == 1 {
		warnings = append(warnings, fmt.Sprintf("no workflow depends on %s: cascade adds nothing", def.Name))
	}
	if r.Preview {
		return &backfillOut{http.StatusOK, previewOf(p, warnings)}, nil
	}
	p.backfill.ID = s.nextID()
	id, existing, err := s.store.CreateBackfill(ctx, p.backfill, p.parts, p.items, in.Key, digestOfBackfill(r), s.nextID)
	if err != nil {
		return nil, err
	}
	s.masters.PokeLook()
	out := &backfillOut{Status: http.StatusCreated}
	if existing {
		out.Status = http.StatusOK
	}
	out.Body, err = s.backfill(ctx, id)
	out.Body.Existing = existing
	if !existing {
		out.Body.Warnings = warnings
	}
	return out, err
}

// future counts dates that have not come.
func future(items []flow.BackfillItem, now flow.Time) (n int) {
	for _, i := range items {
		if i.DataTime > now {
			n++
		}
	}
	return n
}

// digestOfBackfill sums up what a key stands for: the request as it was said.
func digestOfBackfill(r BackfillRequest) string {
	raw, _ := json.Marshal(r) // texts, numbers and maps of texts: it cannot fail, and keys are sorted
	sum := sha256.Sum256(raw)
	return flow.BackfillDigest + hex.EncodeToString(sum[:])
}

// BackfillPath names a backfill.
type BackfillPath struct {
	Backfill string `path:"backfill" doc:"Id of the backfill"`
}

func (p BackfillPath) id() (flow.ID, error) {
	id, err := flow.ParseID(p.Backfill)
	if err != nil {
		return 0, flow.Errorf(flow.CodeBadRequest, "backfill", "%q is not the id of a backfill; `baton get backfills` prints them", p.Backfill)
	}
	return id, nil
}

func (s *Server) getBackfill(ctx context.Context, in *BackfillPath) (*body[Backfill], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	b, err := s.backfill(ctx, id)
	return &body[Backfill]{b}, err
}

func (s *Server) backfill(ctx context.Context, id flow.ID) (Backfill, error) {
	b, err := s.store.Backfill(ctx, id)
	return backfillOf(b), err
}

type listBackfillsIn struct {
	Paging
	Project  string   `query:"project"`
	Workflow string   `query:"workflow"`
	Instance string   `query:"instance" doc:"The one that started this run"`
	State    []string `query:"state" doc:"One or more states, separated by commas"`
}

func (s *Server) listBackfills(ctx context.Context, in *listBackfillsIn) (*body[List[BackfillSummary]], error) {
	f := flow.BackfillFilter{Project: in.Project, Workflow: in.Workflow, Limit: in.Limit}
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
	for _, word := range in.State {
		state, err := flow.ParseBackfillState(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		f.States = append(f.States, state)
	}
	p, err := s.store.Backfills(ctx, f)
	return listOf(p, backfillSummaryOf), err
}

type resumeBackfillIn struct {
	BackfillPath
	OnFailure string `query:"on_failure" enum:"continue,stop" doc:"What a date that did not succeed does from now on; default: as before"`
}

func (s *Server) resumeBackfill(ctx context.Context, in *resumeBackfillIn) (*body[Backfill], error) {
	return s.orderBackfill(ctx, in.BackfillPath, flow.BackfillOrder{Verb: flow.VerbResume, OnFailure: in.OnFailure})
}

func orderBackfill(verb string) func(*Server, context.Context, *BackfillPath) (*body[Backfill], error) {
	return func(s *Server, ctx context.Context, in *BackfillPath) (*body[Backfill], error) {
		return s.orderBackfill(ctx, *in, flow.BackfillOrder{Verb: verb})
	}
}

func (s *Server) orderBackfill(ctx context.Context, in BackfillPath, o flow.BackfillOrder) (*body[Backfill], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	o.By = caller(ctx)
	if err := s.store.OrderBackfill(ctx, id, o, s.nextID, flow.At(time.Now())); err != nil {
		return nil, err
	}
	if o.Verb == flow.VerbStop {
		s.masters.PokeInbox()
	}
	s.masters.PokeLook()
	b, err := s.backfill(ctx, id)
	return &body[Backfill]{b}, err
}

func backfillSummaryOf(b flow.NamedBackfill) BackfillSummary {
	out := BackfillSummary{
		ID: text(b.ID.String()), Project: b.ProjectName, Workflow: b.WorkflowName, State: b.State.String(), Reason: text(b.Reason),
		Schedule: text(b.Start.Schedule), Timezone: b.Zone, From: b.From, To: b.To, Order: "asc", Parallel: b.Parallel, OnFailure: flow.OnFailureContinue,
		Params: b.Start.Params, Cascaded: b.Cascaded, CreatedAt: b.CreatedAt, EndedAt: b.EndedAt,
		Progress: progressOf(b.Dates, b.Counts, b.State.Ended()),
	}
	if b.Descending {
		out.Order = "desc"
	}
	if b.Halt {
		out.OnFailure = flow.OnFailureStop
	}
	if out.Params == nil {
		out.Params = map[string]string{}
	}
	return out
}

func progressOf(total int, c flow.BackfillCounts, over bool) BackfillProgress {
	out := BackfillProgress{Total: total, Waiting: c.Waiting, Running: c.Going, Succeeded: c.Succeeded, Failed: c.Failed, Stopped: c.Stopped}
	if over {
		out.Skipped, out.Waiting = out.Waiting, 0
	}
	return out
}

func backfillOf(b flow.NamedBackfill) Backfill {
	out := Backfill{BackfillSummary: backfillSummaryOf(b), Items: make([]BackfillItem, len(b.Items)), Workflows: make([]BackfillWorkflow, len(b.Parts))}
	for i, p := range b.Parts {
		out.Workflows[i] = BackfillWorkflow{
			Project: p.ProjectName, Workflow: p.WorkflowName, Level: p.Level, Schedule: text(p.Start.Schedule), Timezone: p.Zone,
			From: p.From, To: p.To, Progress: progressOf(p.Dates, p.Counts, b.State.Ended()), Reason: text(p.Reason),
		}
	}
	for i, item := range b.Items {
		to := BackfillItem{Project: b.ProjectName, Workflow: b.WorkflowName, Level: item.Level, DataTime: item.DataTime, State: item.State.String()}
		if item.Part > 0 {
			to.Project, to.Workflow = b.Parts[item.Part].ProjectName, b.Parts[item.Part].WorkflowName
		}
		switch {
		case item.State == 0 && b.State.Ended():
			to.State = "skipped"
		case item.State == 0:
			to.State = "waiting"
		case item.State != flow.InstanceSucceeded:
			to.Reason = text(item.Reason)
		}
		if item.Instance != 0 {
			to.Instance = text(item.Instance.String())
		}
		out.Items[i] = to
	}
	return out
}
