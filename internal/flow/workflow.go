// A workflow's definition, as one immutable version of it is stored.

package flow

import (
	"encoding/json"
	"iter"
)

// Workflow is one version of a definition. Its JSON form is what the store keeps and what
// versions are compared by, so fields are only added, with omitempty.
type Workflow struct {
	Project     string            `json:"project"`
	Name        string            `json:"name"`
	RenamedFrom string            `json:"-"` // an order to apply, not part of the definition
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Params      []Param           `json:"params,omitempty"` // in order of the file
	Timezone    string            `json:"timezone,omitempty"`
	Execution   Execution         `json:"execution,omitzero"`
	Rate        Rate              `json:"rate,omitzero"`
	Failure     Failure           `json:"failure,omitempty"`
	Priority    Priority          `json:"priority,omitempty"`
	Timeout     Timeout           `json:"timeout,omitzero"`
	Deadlines   []Deadline        `json:"deadlines,omitempty"`
	WorkerGroup string            `json:"worker_group,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Outputs     []Output          `json:"outputs,omitempty"`
	Tasks       []Task            `json:"tasks"`             // in order of the file
	Finally     []Task            `json:"finally,omitempty"` // run when the end of a run is decided, and change nothing about it
	// Schedules have revisions of their own: changing one makes no version.
	Schedules []Schedule `json:"-"`
	Triggers  []Trigger  `json:"-"` // likewise
}

// Keys of a file under which tasks stand.
const (
	UnderTasks   = "tasks"
	UnderFinally = "finally"
)

// AllTasks goes through the tasks, then through those that run at the end, each with the key that it stands under. Names
// are unique over both.
func (w *Workflow) AllTasks() iter.Seq2[string, *Task] {
	return func(yield func(string, *Task) bool) {
		for i := range w.Tasks {
			if !yield(UnderTasks, &w.Tasks[i]) {
				return
			}
		}
		for i := range w.Finally {
			if !yield(UnderFinally, &w.Finally[i]) {
				return
			}
		}
	}
}

// Deadline is a time of day, in the workflow's zone, by which a run must have begun or ended: the first such
// moment after the run was due.
type Deadline struct {
	StartedBy  string         `json:"started_by,omitempty"` // HH:MM or HH:MM:SS
	FinishedBy string         `json:"finished_by,omitempty"`
	Action     DeadlineAction `json:"action,omitempty"`
}

// DeadlineAction says what a missed deadline does.
type DeadlineAction string

// What a missed deadline does; "" is warn.
const (
	DeadlineWarn DeadlineAction = "warn" // an alert
	DeadlineStop DeadlineAction = "stop" // an alert, and the run is stopped
)

// Param declares a parameter: a bare value (Type empty) or a typed one.
type Param struct {
	Name        string   `json:"name"`
	Type        string   `json:"type,omitempty"`
	Default     *string  `json:"default,omitempty"` // nil: no default
	Required    bool     `json:"required,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Description string   `json:"description,omitempty"`
}

// Output names a value taken when a run ends: text with ${…} in it.
type Output struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Pair is a named text whose order in the file is kept.
type Pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Task is one node of the graph.
type Task struct {
	Name          string            `json:"name"`
	Type          string            `json:"type"`
	With          json.RawMessage   `json:"with,omitempty"` // checked against the type's option schema
	Description   string            `json:"description,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	Needs         []string          `json:"needs,omitempty"`
	Join          string            `json:"join,omitempty"` // "" is all_succeeded
	When          string            `json:"when,omitempty"` // expression over parameters; false: skipped, not_taken
	Params        []Pair            `json:"params,omitempty"`
	Substitute    Substitute        `json:"substitute,omitempty"`
	Retry         Retry             `json:"retry,omitzero"`
	Env           []EnvVar          `json:"env,omitempty"`
	Files         []File            `json:"files,omitempty"`
	Timeout       Timeout           `json:"timeout,omitzero"`
	Delay         Duration          `json:"delay,omitempty"`
	Priority      Priority          `json:"priority,omitempty"` // 0: the workflow's
	WorkerGroup   string            `json:"worker_group,omitempty"`
	Environment   string            `json:"environment,omitempty"`
	Delivery      Delivery          `json:"delivery,omitempty"`
	Pool          *PoolUse          `json:"pool,omitempty"`
	Disabled      bool              `json:"disabled,omitempty"`
	IgnoreFailure bool              `json:"ignore_failure,omitempty"`
	Compensate    *Compensation     `json:"compensate,omitempty"`
	Branches      []Branch          `json:"branches,omitempty"` // switch and conditions: the arms
	Decide        string            `json:"decide,omitempty"`   // conditions: the expression
	Inner         *Task             `json:"inner,omitempty"`    // map and loop: what is done with each item, or in each round
}

// Work is what is done by workers: the task itself, or what a map or loop does with each item.
func (t *Task) Work() *Task {
	if t.Inner != nil {
		return t.Inner
	}
	return t
}

// Branch is one arm of a switch (When, in order; the default has Default) or of a conditions
// task (Name "then" or "else").
type Branch struct {
	Name    string   `json:"name,omitempty"`
	When    string   `json:"when,omitempty"`
	Default bool     `json:"default,omitempty"`
	To      []string `json:"to"`
}

// Compensation undoes a task that had succeeded: a small task of its own.
type Compensation struct {
	Type    string          `json:"type"`
	With    json.RawMessage `json:"with,omitempty"`
	Params  []Pair          `json:"params,omitempty"`
	Env     []EnvVar        `json:"env,omitempty"`
	Files   []File          `json:"files,omitempty"`
	Retry   Retry           `json:"retry,omitzero"`
	Timeout Timeout         `json:"timeout,omitzero"`
}

// EnvVar is one environment variable: text with references, or a secret taken by the worker
// when the task starts, so that it never enters the store.
type EnvVar struct {
	Name   string  `json:"name"`
	Value  string  `json:"value,omitempty"`
	Secret *Secret `json:"secret,omitempty"`
}

// Secret says where a secret value is: in the worker's environment or in a file on its host.
type Secret struct {
	Env  string `json:"env,omitempty"`
	File string `json:"file,omitempty"`
}

// File is a resource put into the work folder under its base name. SHA256 (hex) names its
// content in the store; Executable keeps the bit of the file that was uploaded.
type File struct {
	Path       string `json:"path"`
	SHA256     string `json:"sha256,omitempty"`
	Executable bool   `json:"executable,omitempty"`
}

// Retry says how often and when a failed attempt is tried again. Times counts tries after the
// first.
type Retry struct {
	Times    int      `json:"times,omitempty"`
	Delay    Duration `json:"delay,omitempty"`
	Backoff  float64  `json:"backoff,omitempty"` // factor from try to try; 0 and 1: constant
	MaxDelay Duration `json:"max_delay,omitempty"`
	If       []string `json:"if,omitempty"` // exit:N, exit:N-M, signal, timeout, log:REGEX, with "!"
}

// Timeout bounds a wait or a run; zero fields do not bound. Of a workflow only Run counts.
type Timeout struct {
	Queue     Duration      `json:"queue,omitempty"`
	Start     Duration      `json:"start,omitempty"`
	Run       Duration      `json:"run,omitempty"`
	Heartbeat Duration      `json:"heartbeat,omitempty"`
	Action    TimeoutAction `json:"action,omitempty"` // "" is fail for tasks and workflows
}

// TimeoutAction says what a timeout does.
type TimeoutAction string

// What a timeout does. The default is fail.
const (
	TimeoutWarn     TimeoutAction = "warn"
	TimeoutFail     TimeoutAction = "fail"
	TimeoutWarnFail TimeoutAction = "warn_fail"
)

// Warns tells whether the action raises an alert.
func (a TimeoutAction) Warns() bool { return a == TimeoutWarn || a == TimeoutWarnFail }

// Fails tells whether the action ends the attempt.
func (a TimeoutAction) Fails() bool { return a != TimeoutWarn }

// Failure is the workflow's strategy when a task failed.
type Failure string

// Failure strategies; "" is continue.
const (
	FailureContinue Failure = "continue"
	FailureEnd      Failure = "end"
)

// Delivery is the promise about how often a task may begin.
type Delivery string

// Delivery modes; "" is at_least_once.
const (
	AtLeastOnce Delivery = "at_least_once"
	AtMostOnce  Delivery = "at_most_once"
)

// Substitute says how parameters get into a script.
type Substitute string

// Substitution modes; "" is env.
const (
	SubstituteEnv  Substitute = "env"
	SubstituteText Substitute = "text"
	SubstituteNone Substitute = "none"
)

// Join rules with a name; any other text in Task.Join is an expression.
const (
	JoinAllSucceeded = "all_succeeded"
	JoinAllDone      = "all_done"
	JoinAnySucceeded = "any_succeeded"
	JoinNoneFailed   = "none_failed"
)

// The task types the engine itself decides; every other type is run by a worker.
const (
	TypeSwitch     = "switch"
	TypeConditions = "conditions"
)

// The task types that the engine itself runs: they wait for something, and hold no worker while they do.
const (
	TypeWait        = "wait"
	TypeApproval    = "approval"
	TypeSubWorkflow = "sub_workflow"
	TypeDependent   = "dependent"
	TypeMap         = "map"
	TypeLoop        = "loop"
)

// DefaultItem is the name of the parameter that an item is in when the map names none.
const DefaultItem = "item"

// Fans tells whether tasks of a type have rows for items or rounds beside their own.
func Fans(typ string) bool { return typ == TypeMap || typ == TypeLoop }

// Hosted tells whether the engine itself runs tasks of a type.
func Hosted(typ string) bool {
	switch typ {
	case TypeWait, TypeApproval, TypeSubWorkflow, TypeDependent, TypeMap, TypeLoop:
		return true
	}
	return false
}

// DefaultGroup is the worker group of a task that names none.
const DefaultGroup = "default"

// DefaultProject is the project of a document or command that names none.
const DefaultProject = "default"
