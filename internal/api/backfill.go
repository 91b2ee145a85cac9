// Backfills: a run for each of many dates; planned, started as a whole, watched, steered.

package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
	"baton/internal/timetable"
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
	From      flow.Time         `json:"from" nullable:"false" doc:"Its earliest date"`
	To        flow.Time         `json:"to" nullable:"false" doc:"Its latest date"`
	Order     string            `json:"order" enum:"asc,desc"`
	Parallel  int               `json:"parallel"`
	OnFailure string            `json:"on_failure" enum:"continue,stop"`
	Params    map[string]string `json:"params"`
	Progress  BackfillProgress  `json:"progress"`
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
	Existing bool           `json:"existing,omitempty" doc:"The idempotency key was known: this is the backfill that it made"`
	Warnings []string       `json:"warnings,omitempty" doc:"What may be a slip of the pen, or will wait"`
	Items    []BackfillItem `json:"items" doc:"In the order in which they begin"`
}

// BackfillItem is one date of a backfill.
type BackfillItem struct {
	DataTime flow.Time `json:"data_time" nullable:"false"`
	Instance *string   `json:"instance" doc:"Its run; null: it has not begun"`
	State    string    `json:"state" doc:"waiting; skipped, when the backfill ended before it began; else the state of its run"`
	Reason   *string   `json:"reason" doc:"Of its run, when that has ended otherwise than well"`
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
	b, dates, err := s.plan(ctx, r, def)
	if err != nil {
		return nil, err
	}
	first := b.Start
	first.DataTime = dates[0]
	if err := s.engine.Check(def, first); err != nil {
		return nil, err
	}
	warnings := s.doubts(ctx, def, b.Start)
	if n := future(dates, b.CreatedAt); n > 0 {
		warnings = append(warnings, fmt.Sprintf("dates that have not come yet: %d of %d; they are run all the same", n, len(dates)))
	}
	if r.Preview {
		return &backfillOut{http.StatusOK, previewOf(b, def, dates, warnings)}, nil
	}
	b.ID = s.nextID()
	id, existing, err := s.store.CreateBackfill(ctx, b, dates, in.Key, digestOfBackfill(r), s.nextID)
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
func future(dates []flow.Time, now flow.Time) (n int) {
	for _, d := range dates {
		if d > now {
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

// plan makes a backfill of a request, and its dates in the order in which they begin.
func (s *Server) plan(ctx context.Context, r BackfillRequest, def flow.Definition) (flow.Backfill, []flow.Time, error) {
	zone := cmp.Or(def.Workflow.Timezone, "UTC")
	b := flow.Backfill{
		Project: def.ProjectID, Workflow: def.ID, State: flow.BackfillRunning, Zone: zone, Descending: r.Order == "desc", Parallel: 1,
		Halt: r.OnFailure == flow.OnFailureStop, CreatedAt: flow.At(time.Now()),
		Start: flow.Start{Trigger: flow.TriggerBackfill},
	}
	if r.Parallel != nil {
		b.Parallel = *r.Parallel
	}
	if b.Parallel < 1 || b.Parallel > flow.MaxBackfillParallel {
		return b, nil, flow.Errorf(flow.CodeBadRequest, "parallel", "parallel %d: between 1 and %d runs go on at a time", b.Parallel, flow.MaxBackfillParallel)
	}
	if r.Priority != "" {
		var err error
		if b.Start.Priority, err = flow.ParsePriority(r.Priority); err != nil {
			return b, nil, err
		}
	}
	asked, err := rangeOf(r, zone)
	if err != nil {
		return b, nil, err
	}
	table, schedule, err := s.scheduleFor(ctx, r, zone)
	if err != nil {
		return b, nil, err
	}
	if schedule != nil {
		b.Zone, b.Start.Schedule = schedule.Timezone, schedule.Name
		b.Start.Params = paramsOf(schedule.Params)
	}
	if len(r.Params) > 0 {
		b.Start.Params = maps.Clone(b.Start.Params)
		if b.Start.Params == nil {
			b.Start.Params = map[string]string{}
		}
		maps.Copy(b.Start.Params, r.Params)
	}
	dates := asked.dates
	if dates == nil {
		if dates, err = datesOf(table, schedule, asked); err != nil {
			return b, nil, err
		}
	}
	b.Dates = len(dates)
	if b.Descending {
		slices.Reverse(dates)
	}
	return b, dates, nil
}

func paramsOf(pairs []flow.Pair) map[string]string {
	if len(pairs) == 0 {
		return nil
	}
	out := make(map[string]string, len(pairs))
	for _, p := range pairs {
		out[p.Name] = p.Value
	}
	return out
}

// asked is which dates a request wants: a range, or a list in ascending order.
type asked struct {
	from, to flow.Time
	dates    []flow.Time
}

func rangeOf(r BackfillRequest, zone string) (asked, error) {
	var a asked
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return a, flow.Errorf(flow.CodeBadRequest, "from", "the workflow's timezone %q is not known on this server", zone)
	}
	switch {
	case len(r.Dates) > 0 && r.From+r.To != "":
		return a, flow.Errorf(flow.CodeBadRequest, "dates", "a range (from, to) and a list (dates) exclude each other: say one of them")
	case len(r.Dates) > 0:
		a.dates, err = listOfDates(r.Dates, loc)
		return a, err
	case r.From == "" && r.To == "":
		return a, flow.Errorf(flow.CodeBadRequest, "from", "which dates? Say a range (from, to: both included) or a list (dates)")
	case r.From == "":
		return a, flow.Errorf(flow.CodeBadRequest, "from", "from when? A range has both ends")
	case r.To == "":
		return a, flow.Errorf(flow.CodeBadRequest, "to", "to when? A range has both ends")
	}
	if a.from, err = dateOf("from", r.From, loc); err != nil {
		return a, err
	}
	if a.to, err = dateOf("to", r.To, loc); err != nil {
		return a, err
	}
	if a.from > a.to {
		return a, flow.Errorf(flow.CodeBadRequest, "to", "to (%s) is before from (%s); from is the earlier end, and order: desc begins with the latest date", r.To, r.From)
	}
	return a, nil
}

func listOfDates(texts []string, loc *time.Location) ([]flow.Time, error) {
	if n := len(texts); n > flow.MaxBackfillDates {
		return nil, flow.Errorf(flow.CodeBadRequest, "dates", "these are %d dates, and a backfill has at most %d; make several of them", n, flow.MaxBackfillDates)
	}
	known := map[flow.Time]string{}
	var out []flow.Time
	for _, text := range texts {
		at, err := dateOf("dates", text, loc)
		if err != nil {
			return nil, err
		}
		if before, twice := known[at]; twice {
			return nil, flow.Errorf(flow.CodeBadRequest, "dates", "%s and %s are the same moment; each date is run once", before, text)
		}
		known[at] = text
		out = append(out, at)
	}
	slices.Sort(out)
	return out, nil
}

func dateOf(field, text string, loc *time.Location) (flow.Time, error) {
	t, ok := flow.ParseMoment(strings.TrimSpace(text), loc)
	switch {
	case !ok:
		return 0, flow.Errorf(flow.CodeBadRequest, field, "%q is no moment that there is; write 2026-03-01, \"2026-03-01 02:00:00\" or 2026-03-01T02:00:00Z", text)
	case t.Unix() <= 0:
		return 0, flow.Errorf(flow.CodeBadRequest, field, "%s is before 1970; data times are later", text)
	}
	return flow.At(t), nil
}

// scheduleFor is the schedule of a backfill: the one that is named, or the only one; without any, nil and every midnight.
func (s *Server) scheduleFor(ctx context.Context, r BackfillRequest, zone string) (*timetable.Table, *flow.Schedule, error) {
	have, err := s.schedulesOf(ctx, r.Project, r.Workflow)
	if err != nil {
		return nil, nil, err
	}
	if len(have) == 0 && r.Schedule == "" {
		t, err := timetable.New(timetable.Daily(zone), nil)
		return t, nil, err
	}
	names := make([]string, len(have))
	for i, h := range have {
		names[i] = h.Schedule.Name
	}
	at := slices.Index(names, r.Schedule)
	switch {
	case r.Schedule == "" && len(have) == 1:
		at = 0
	case r.Schedule == "":
		return nil, nil, flow.Errorf(flow.CodeBadRequest, "schedule", "workflow %s has %d schedules: %s; say whose dates, and whose parameters, are meant", r.Workflow, len(have), someOf(names))
	case at < 0:
		return nil, nil, s.noSchedule(ctx, SchedulesPath{r.Project, r.Workflow}, r.Schedule, have)
	}
	chosen := have[at].Schedule
	var days *flow.Calendar
	if chosen.Calendar != "" { // of a disabled schedule the row has none
		all, err := s.store.Calendars(ctx, r.Project)
		if err != nil {
			return nil, nil, err
		}
		if i := slices.IndexFunc(all, func(c flow.Calendar) bool { return c.Name == chosen.Calendar }); i >= 0 {
			days = &all[i]
		}
	}
	t, err := timetable.New(chosen, days)
	return t, &chosen, err
}

func (s *Server) schedulesOf(ctx context.Context, project, workflow string) ([]flow.ScheduleRow, error) {
	var have []flow.ScheduleRow
	for after := flow.ID(0); ; {
		p, err := s.store.Schedules(ctx, project, workflow, 500, after)
		if err != nil {
			return nil, err
		}
		have = append(have, p.Items...)
		if after = p.Next; after == 0 {
			return have, nil
		}
	}
}

// datesOf are the times of a schedule in a range: some, and not too many.
func datesOf(t *timetable.Table, schedule *flow.Schedule, a asked) ([]flow.Time, error) {
	of := "no midnight"
	if schedule != nil {
		of = "no time of schedule " + schedule.Name
	}
	say := func(at flow.Time) string { return at.Std().In(t.Zone()).Format(time.RFC3339) }
	dates, about := t.Between(a.from, a.to, flow.MaxBackfillDates)
	switch next, more := t.Next(a.to); {
	case len(dates) == 0 && more:
		return nil, flow.Errorf(flow.CodeBadRequest, "from", "%s lies from %s to %s; the next one is %s", of, say(a.from), say(a.to), say(next))
	case len(dates) == 0:
		return nil, flow.Errorf(flow.CodeBadRequest, "from", "%s lies from %s to %s, and none comes after that: %s", of, say(a.from), say(a.to), t.WhyNever())
	case about > len(dates):
		return nil, flow.Errorf(flow.CodeBadRequest, "to", "these would be about %d dates, and a backfill has at most %d; split the range: there are %d up to %s",
			about, flow.MaxBackfillDates, len(dates), say(dates[len(dates)-1]))
	}
	return dates, nil
}

// previewOf shows a backfill that was not made.
func previewOf(b flow.Backfill, def flow.Definition, dates []flow.Time, warnings []string) Backfill {
	n := flow.NamedBackfill{Backfill: b, ProjectName: def.Project, WorkflowName: def.Name, From: slices.Min(dates), To: slices.Max(dates)}
	n.CreatedAt = 0
	for _, at := range dates {
		n.Items = append(n.Items, flow.BackfillItem{DataTime: at})
	}
	n.Counts.Waiting = len(dates)
	out := backfillOf(n)
	out.ID, out.State, out.Warnings = nil, "preview", warnings
	return out
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
		Params: b.Start.Params, CreatedAt: b.CreatedAt, EndedAt: b.EndedAt,
		Progress: BackfillProgress{
			Total: b.Dates, Waiting: b.Counts.Waiting, Running: b.Counts.Going, Succeeded: b.Counts.Succeeded, Failed: b.Counts.Failed, Stopped: b.Counts.Stopped,
		},
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
	if b.State.Ended() {
		out.Progress.Skipped, out.Progress.Waiting = out.Progress.Waiting, 0
	}
	return out
}

func backfillOf(b flow.NamedBackfill) Backfill {
	out := Backfill{BackfillSummary: backfillSummaryOf(b), Items: make([]BackfillItem, len(b.Items))}
	for i, item := range b.Items {
		to := BackfillItem{DataTime: item.DataTime, State: item.State.String()}
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
