// Runs: start, list, read, wait.

package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"baton/internal/flow"
)

// StartRequest is an order to start a run.
type StartRequest struct {
	Project     string            `json:"project,omitempty" default:"default"`
	Workflow    string            `json:"workflow"`
	Version     int32             `json:"version,omitempty" minimum:"0" doc:"0: the newest"`
	Params      map[string]string `json:"params,omitempty"`
	DataTime    string            `json:"data_time,omitempty" doc:"RFC 3339, or yyyy-MM-dd[ HH:mm:ss] in the workflow's zone; default: now"`
	Tasks       []string          `json:"tasks,omitempty" doc:"Start from these tasks only"`
	Mode        string            `json:"mode,omitempty" enum:"after,before,only" doc:"The chosen tasks and what follows, and what precedes, or they alone"`
	DryRun      bool              `json:"dry_run,omitempty" doc:"Every task succeeds without running"`
	Failure     string            `json:"failure,omitempty" enum:"continue,end"`
	Priority    string            `json:"priority,omitempty" enum:"highest,high,medium,low,lowest"`
	WorkerGroup string            `json:"worker_group,omitempty"`
	Environment string            `json:"environment,omitempty" doc:"For tasks that name none; instead of the workflow's"`
	Tenant      string            `json:"tenant,omitempty" doc:"Not supported yet"`
}

type startIn struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"The same key answers the first run; with another request it is a conflict"`
	Body StartRequest
}

type startOut struct {
	Status int
	Body   Instance
}

func (s *Server) startInstance(ctx context.Context, in *startIn) (*startOut, error) {
	start, err := in.Body.start()
	if err != nil {
		return nil, err
	}
	def, err := s.store.Workflow(ctx, in.Body.Project, in.Body.Workflow, in.Body.Version)
	if err != nil {
		return nil, s.didYouMean(ctx, in.Body, err)
	}
	zone := def.Workflow.Timezone
	start.DataTime, err = parseDataTime(in.Body.DataTime, zone)
	if err != nil {
		return nil, err
	}
	digest := digestOf(in.Body, start.DataTime)
	now := flow.At(time.Now())
	if start.DataTime == 0 {
		start.DataTime = now
	}
	if err := s.engine.Check(def, start); err != nil {
		return nil, err
	}
	if err := s.canStartIn(ctx, def, start); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(start)
	if err != nil {
		return nil, err
	}
	cmd := flow.Command{
		ID: s.nextID(), Project: def.ProjectID, Workflow: def.ID, Version: def.Version,
		Priority: start.Priority.Or(def.Workflow.Priority).Or(flow.PriorityMedium),
		Key:      in.Key, Start: raw, Zone: zone, At: now,
	}
	id, existing, err := s.store.Submit(ctx, cmd, digest)
	if err != nil {
		return nil, err
	}
	s.masters.PokeCommands(cmd.ID)
	if !existing {
		// What was just accepted is known: reading it again would cost more than accepting it.
		out := &startOut{Status: http.StatusCreated, Body: instanceOf(submittedRun(cmd, def, start), nil)}
		out.Body.Warnings = s.doubts(ctx, def, start)
		return out, nil
	}
	out := &startOut{Status: http.StatusOK}
	out.Body, err = s.instance(ctx, id)
	out.Body.Existing = true
	return out, err
}

// submittedRun is a run as it stands when its order is durable and no master has taken it yet.
func submittedRun(cmd flow.Command, def flow.Definition, start flow.Start) flow.Run {
	return flow.Run{
		Instance: flow.Instance{
			ID: cmd.ID, Project: cmd.Project, Workflow: cmd.Workflow, Version: cmd.Version,
			State: flow.InstanceSubmitted, RunTimes: 1, DryRun: start.DryRun, Priority: cmd.Priority,
			DataTime: start.DataTime, Zone: cmd.Zone, Trigger: start.Trigger, Key: cmd.Key, Spec: cmd.Start, SubmittedAt: cmd.At,
			Reason: flow.ReasonSubmitted,
		},
		ProjectName: def.Project, WorkflowName: def.Name,
	}
}

// start reads what the request says by itself; names and times need the definition.
func (r StartRequest) start() (flow.Start, error) {
	if r.Tenant != "" {
		return flow.Start{}, flow.Errorf(flow.CodeNotSupported, "tenant", "starting a run with another tenant is not supported yet")
	}
	start := flow.Start{
		Params: r.Params, Tasks: r.Tasks, Mode: flow.StartMode(r.Mode), DryRun: r.DryRun,
		Failure: flow.Failure(r.Failure), WorkerGroup: r.WorkerGroup, Environment: r.Environment, Trigger: flow.TriggerManual,
	}
	if r.Mode != "" && len(r.Tasks) == 0 {
		return start, flow.Errorf(flow.CodeBadRequest, "mode", "a mode needs tasks to start from: say which")
	}
	if r.Priority == "" {
		return start, nil
	}
	var err error
	start.Priority, err = flow.ParsePriority(r.Priority)
	return start, err
}

// digestOf sums up what a key stands for: the request as it was said, with the data time it named.
func digestOf(r StartRequest, dataTime flow.Time) string {
	r.DataTime = dataTime.String()
	raw, _ := json.Marshal(r) // texts, numbers and maps of texts: it cannot fail, and keys are sorted
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// parseDataTime reads RFC 3339, or a local time in the zone; "" is none.
func parseDataTime(text, zone string) (flow.Time, error) {
	if text == "" {
		return 0, nil
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return 0, flow.Errorf(flow.CodeBadRequest, "data_time", "the workflow's timezone %q is not known on this server", zone)
	}
	if t, ok := flow.ParseMoment(text, loc); ok {
		return flow.At(t), nil
	}
	return 0, flow.Errorf(flow.CodeBadRequest, "data_time", "%q is no time; write 2026-03-01T02:00:00Z, 2026-03-01 or \"2026-03-01 02:00:00\"", text)
}

func (s *Server) getInstance(ctx context.Context, in *InstancePath) (*body[Instance], error) {
	id, err := flow.ParseID(in.Instance)
	if err != nil {
		return nil, err
	}
	i, err := s.instance(ctx, id)
	return &body[Instance]{i}, err
}

func (s *Server) instance(ctx context.Context, id flow.ID) (Instance, error) {
	run, rows, err := s.load(ctx, id)
	out := instanceOf(run, rows)
	if err != nil {
		return out, err
	}
	if !run.State.Ended() {
		out.Given, err = s.givenTo(ctx, id)
	}
	if err == nil {
		out.EndedBy, err = s.endedBy(ctx, run)
	}
	return out, err
}

// load reads a run and its rows. The rows are read last: they are at least as new as the run.
func (s *Server) load(ctx context.Context, id flow.ID) (flow.Run, []flow.TaskRow, error) {
	run, err := s.store.Instance(ctx, id)
	if err != nil {
		return run, nil, err
	}
	s.sayWhy(ctx, &run)
	s.sayTurn(ctx, &run)
	rows, err := s.store.Tasks(ctx, id)
	if err != nil && flow.CodeOf(err) == flow.CodeInternal && (run.State == flow.InstanceQuarantined || run.Reason == flow.ReasonQuarantine) {
		return run, nil, nil // they cannot be read, which is why it was quarantined
	}
	if !run.State.Ended() {
		s.sayPools(ctx, run, rows)
		s.sayChildren(ctx, rows)
	}
	return run, rows, err
}

// Paging is which page of a list.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Cursor string `query:"cursor" doc:"The next of the page before"`
}

// after reads the cursor of a list by id.
func (p Paging) after() (flow.ID, error) {
	if p.Cursor == "" {
		return 0, nil
	}
	id, err := flow.ParseID(p.Cursor)
	if err != nil {
		return 0, flow.Errorf(flow.CodeBadRequest, "cursor", "%q is no cursor of this list", p.Cursor)
	}
	return id, nil
}

type listInstancesIn struct {
	Paging
	Project  string    `query:"project"`
	Workflow string    `query:"workflow"`
	State    []string  `query:"state" doc:"One or more states, separated by commas"`
	Since    time.Time `query:"since" doc:"Submitted at or after"`
	Until    time.Time `query:"until" doc:"Submitted before"`
	Trigger  string    `query:"trigger" enum:"manual,schedule,backfill,sub_workflow,trigger"`
	DataFrom time.Time `query:"data_from" doc:"Data time at or after"`
	DataTo   time.Time `query:"data_to" doc:"Data time before"`
}

func (s *Server) listInstances(ctx context.Context, in *listInstancesIn) (*body[List[Summary]], error) {
	f := flow.RunFilter{
		Project: in.Project, Workflow: in.Workflow, Trigger: in.Trigger, Limit: in.Limit,
		Since: flow.At(in.Since), Until: flow.At(in.Until), DataFrom: flow.At(in.DataFrom), DataTo: flow.At(in.DataTo),
	}
	var err error
	if f.States, err = parseStates(in.State); err != nil {
		return nil, err
	}
	if f.Cursor, err = in.after(); err != nil {
		return nil, err
	}
	p, err := s.store.Instances(ctx, f)
	if err == nil && len(p.Items) == 0 {
		err = s.knowsWorkflow(ctx, f.Project, f.Workflow)
	}
	if err != nil {
		return nil, err
	}
	for i := range p.Items {
		s.sayWhy(ctx, &p.Items[i])
	}
	return listOf(p, summaryOf), nil
}

func parseStates(names []string) ([]flow.InstanceState, error) {
	var states []flow.InstanceState
	for _, n := range names {
		state, err := flow.ParseInstanceState(strings.TrimSpace(n))
		if err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	return states, nil
}
