// The objects of the answers, exactly as the contract has them. The CLI reads them back, so every
// state is a plain name.

package api

import (
	"encoding/json"
	"strconv"

	"baton/internal/flow"
)

// List is one page: Next is the cursor of the next one, null at the end.
type List[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next" doc:"Cursor of the next page; null at the end"`
}

// Summary is a run as lists show it.
type Summary struct {
	ID          string                     `json:"id"`
	Project     string                     `json:"project"`
	Workflow    string                     `json:"workflow"`
	Version     int32                      `json:"version"`
	State       InstanceState              `json:"state"`
	RunTimes    int32                      `json:"run_times" doc:"1, and one more with each recover and rerun"`
	DryRun      bool                       `json:"dry_run"`
	DataTime    flow.Time                  `json:"data_time" nullable:"false" doc:"The moment the run is for"`
	Trigger     string                     `json:"trigger" doc:"manual, schedule, backfill, sub_workflow or trigger"`
	Priority    string                     `json:"priority"`
	Key         *string                    `json:"key" doc:"Idempotency key of the start"`
	Parent      *ParentRef                 `json:"parent"`
	Params      map[string]string          `json:"params" doc:"Resolved globals"`
	Outputs     map[string]json.RawMessage `json:"outputs" doc:"Set at the end"`
	Owner       *string                    `json:"owner" doc:"Name of the master that drives it; null at rest"`
	SubmittedAt flow.Time                  `json:"submitted_at" nullable:"false"`
	StartedAt   flow.Time                  `json:"started_at"`
	EndedAt     flow.Time                  `json:"ended_at"`
	Reason      *string                    `json:"reason" doc:"A code when ended, 'code: a sentence' while waiting"`
}

// Instance is a run with its tasks, in order of creation.
type Instance struct {
	Summary
	Existing bool     `json:"existing,omitempty" doc:"The idempotency key was known: this is the run it made"`
	Warnings []string `json:"warnings,omitempty" doc:"Of a start: what may be a slip of the pen, or will wait"`
	EndedBy  *string  `json:"ended_by,omitempty" doc:"Of one that was stopped or discarded: by whom, or why"`
	Given    []Given  `json:"given,omitempty" doc:"Verbs that were accepted and are not carried out yet"`
	Tasks    []Task   `json:"tasks"`
}

// Given is a verb that was accepted and is not carried out yet.
type Given struct {
	ID   string    `json:"id"`
	Verb string    `json:"verb"`
	Task *string   `json:"task" doc:"That it is for; null: the run"`
	By   *string   `json:"by" doc:"Name of the token it was given with"`
	At   flow.Time `json:"at" nullable:"false"`
}

// ParentRef names the run and task that started a run.
type ParentRef struct {
	Instance string `json:"instance"`
	Task     string `json:"task"`
}

// Task is one run of a task in an instance, with its present attempt.
type Task struct {
	ID          string                     `json:"id"`
	Name        string                     `json:"name"`
	Type        string                     `json:"type"`
	State       TaskState                  `json:"state"`
	Valid       bool                       `json:"valid" doc:"False: a later row superseded it"`
	RunTimes    int32                      `json:"run_times"`
	Attempt     int32                      `json:"attempt" doc:"Number of the present attempt; 0: none yet"`
	Token       *int64                     `json:"token" doc:"Fencing token of the present attempt"`
	Worker      *string                    `json:"worker"`
	ExitCode    *int32                     `json:"exit_code"`
	StartedAt   flow.Time                  `json:"started_at"`
	EndedAt     flow.Time                  `json:"ended_at"`
	Reason      *string                    `json:"reason" doc:"A code when ended, 'code: a sentence' while waiting"`
	NextCheckAt flow.Time                  `json:"next_check_at" doc:"When the reason is looked at again"`
	Outputs     map[string]json.RawMessage `json:"outputs"`
	Child       *string                    `json:"child" doc:"The run that this task started"`
	Held        bool                       `json:"held,omitempty"`
	Compensates *string                    `json:"compensates,omitempty" doc:"The row that this one undoes"`
}

// Shard is an item of a map, or a round of a loop, with its present attempt.
type Shard struct {
	Task      string                     `json:"task" doc:"Name of the map or loop"`
	Index     int32                      `json:"index" doc:"From 0"`
	Param     *string                    `json:"param" doc:"The item; null of a round"`
	State     TaskState                  `json:"state"`
	Attempt   int32                      `json:"attempt" doc:"Number of the present attempt; 0: none yet"`
	Token     *int64                     `json:"token" doc:"Fencing token of the present attempt"`
	Worker    *string                    `json:"worker"`
	ExitCode  *int32                     `json:"exit_code"`
	Outputs   map[string]json.RawMessage `json:"outputs"`
	Child     *string                    `json:"child" doc:"The run that it started"`
	StartedAt flow.Time                  `json:"started_at"`
	EndedAt   flow.Time                  `json:"ended_at"`
	Reason    *string                    `json:"reason" doc:"A code when ended, 'code: a sentence' while waiting"`
}

// Attempt is one try of a task.
type Attempt struct {
	Task      string       `json:"task" doc:"Name of the task"`
	Row       string       `json:"task_instance"`
	Attempt   int32        `json:"attempt" doc:"From 1, over both classes"`
	Infra     int32        `json:"infra" doc:"Infrastructure losses so far"`
	Token     int64        `json:"token"`
	State     AttemptState `json:"state"`
	Confirmed bool         `json:"confirmed" doc:"No process of it is left"`
	Ref       *string      `json:"ref" doc:"Reference of a remote job"`
	Cause     *string      `json:"cause" doc:"exit:75, signal:SIGKILL, timeout, worker_lost, …"`
	Class     *string      `json:"class" doc:"user or infrastructure; null when it succeeded"`
	Worker    *string      `json:"worker"`
	ExitCode  *int32       `json:"exit_code"`
	GrantedAt flow.Time    `json:"granted_at" nullable:"false"`
	StartedAt flow.Time    `json:"started_at"`
	EndedAt   flow.Time    `json:"ended_at"`
	CPU       *float64     `json:"cpu_seconds" doc:"Processor time of it and all that came of it; null: not known"`
	Memory    *int64       `json:"peak_memory" doc:"Bytes that it had at most; null: not known"`
	Refused   bool         `json:"refused" doc:"A late result came and was refused"`
	Reason    *string      `json:"reason" doc:"Why it was lost, or is feared to be; null: it was not"`
}

func summaryOf(r flow.Run) Summary {
	s := Summary{
		ID: r.ID.String(), Project: r.ProjectName, Workflow: r.WorkflowName, Version: r.Version,
		State: InstanceState(r.State.String()), RunTimes: r.RunTimes, DryRun: r.DryRun,
		DataTime: r.DataTime, Trigger: r.Trigger, Priority: r.Priority.Or(flow.PriorityMedium).String(),
		Key: text(r.Key), Params: map[string]string{}, Outputs: values(r.Outputs), Owner: text(r.OwnerName),
		SubmittedAt: r.SubmittedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt, Reason: text(r.Reason),
	}
	if len(r.Params) > 0 {
		_ = json.Unmarshal(r.Params, &s.Params) // Baton wrote it; an instance is shown in any case
	}
	if r.Parent != 0 {
		s.Parent = &ParentRef{Instance: r.Parent.String(), Task: r.ParentTask}
	}
	return s
}

func instanceOf(r flow.Run, rows []flow.TaskRow) Instance {
	i := Instance{Summary: summaryOf(r), Tasks: []Task{}}
	for _, row := range rows {
		if row.Item == 0 { // items are listed for themselves: there may be thousands
			i.Tasks = append(i.Tasks, taskOf(row))
		}
	}
	return i
}

func shardOf(r flow.TaskRow, item *string) Shard {
	t := taskOf(r)
	name, _, _ := flow.CutItem(r.Name)
	return Shard{
		Task: name, Index: r.Item - 1, Param: item, State: t.State, Attempt: t.Attempt, Token: t.Token, Worker: t.Worker, ExitCode: t.ExitCode,
		Outputs: t.Outputs, Child: t.Child, StartedAt: t.StartedAt, EndedAt: t.EndedAt, Reason: t.Reason,
	}
}

func taskOf(r flow.TaskRow) Task {
	t := Task{
		ID: r.ID.String(), Name: r.Name, Type: r.Type, State: TaskState(r.State.String()), Valid: r.Valid,
		RunTimes: r.RunTimes, Attempt: r.Attempt.Number, Worker: text(r.Attempt.Worker),
		StartedAt: r.StartedAt, EndedAt: r.EndedAt, Reason: text(r.Reason), NextCheckAt: r.NextCheck,
		Outputs: values(r.Outputs), Held: r.Held, Compensates: text(r.Compensates.String()),
	}
	t.Child = text(r.Child().String())
	if r.Attempt.Number > 0 {
		t.Token = new(r.Attempt.Token)
		t.ExitCode = exit(r.Attempt)
	}
	return t
}

func attemptOf(a flow.NamedAttempt) Attempt {
	return Attempt{
		Task: a.TaskName, Row: a.Task.String(), Attempt: a.Number, Infra: a.Infra, Token: a.Token,
		State: AttemptState(a.State.String()), Confirmed: a.Confirmed, Ref: text(a.Ref), Cause: text(a.Cause),
		Class: text(string(a.Class)), Worker: text(a.Worker), ExitCode: exit(a.AttemptRow),
		GrantedAt: a.GrantedAt, StartedAt: a.StartedAt, EndedAt: a.EndedAt, Refused: a.Refused,
		CPU: ofMicros(a.CPU), Memory: known(a.Memory), Reason: text(whyLost(a)),
	}
}

// ofMicros are the seconds of microseconds, null for none.
func ofMicros(micros int64) *float64 {
	if micros == 0 {
		return nil
	}
	s := float64(micros) / 1e6
	return &s
}

// known is a number that is null when it is 0.
func known(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

func listOf[S, T any](p flow.Page[S], as func(S) T) *body[List[T]] {
	l := List[T]{Items: make([]T, len(p.Items)), Next: text(p.Next.String())}
	for i, v := range p.Items {
		l.Items[i] = as(v)
	}
	return &body[List[T]]{l}
}

// text is null for "".
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// exit is null while an attempt runs and when it has none.
func exit(a flow.AttemptRow) *int32 {
	if a.ExitCode == flow.NoExit || !a.State.Ended() {
		return nil
	}
	return &a.ExitCode
}

// values reads a stored JSON object; none is empty.
func values(raw []byte) map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	if len(raw) > 0 {
		_ = json.Unmarshal(raw, &m) // Baton wrote it; a row is shown in any case
	}
	if m == nil {
		m = map[string]json.RawMessage{}
	}
	return m
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
