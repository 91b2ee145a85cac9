// A workflow instance: one run of one version of a workflow.

package flow

// Instance is the row of a workflow instance. Owner and Seq are the safety of the whole system:
// every commit changes the row only where both are what the writer expects.
type Instance struct {
	ID       ID
	Project  ID
	Workflow ID
	Version  int32

	State     InstanceState
	Prior     InstanceState // while quarantined: the state to come back to; while compensating, and while its last tasks run: the end to come
	Seq       int64         // grows by one with every commit
	Owner     int64         // incarnation of the master that drives it; 0: parked or at rest
	Engine    int32         // version of the engine that wrote it last; newer than mine: not mine
	WakeAt    Time          // when a parked instance is looked at next
	RunTimes  int32         // 1, and one more with each recover and rerun
	DryRun    bool
	FailFast  bool // failure: end has struck, or what runs at the end was stopped; the rest is being killed
	Undo      bool // stop --compensate
	Warned    bool // the run timeout has raised its alert
	Due       bool // the run timeout has struck; the rest is being killed
	Priority  Priority
	DataTime  Time
	Zone      string // IANA name for $[…]
	Trigger   string // manual, schedule, backfill, sub_workflow, trigger
	Key       string // idempotency key of the start, "" none
	TurnKey   string // by which it waits for its turn, "" none
	Reason    string
	Spec      []byte // JSON of Start: how the run was started, immutable
	Params    []byte // JSON object of resolved globals, name → text
	Outputs   []byte // JSON object, set at the end; nil before
	Holds     []byte // JSON list of task names held before they have a row; nil none
	Parent    ID     // parent instance, 0 none
	ParentRow ID     // the task instance of the parent that started it

	SubmittedAt Time
	StartedAt   Time
	EndedAt     Time
	PausedAt    Time  // since when it is paused; 0 if it is not
	PausedFor   int64 // microseconds spent paused before PausedAt
	ToldUntil   Time  // deadlines up to here are dealt with
}

// Start is an order to begin a run: what the command carries and the instance keeps.
type Start struct {
	Params      map[string]string `json:"params,omitempty"`
	DataTime    Time              `json:"data_time,omitempty"`
	Tasks       []string          `json:"tasks,omitempty"`
	Mode        StartMode         `json:"mode,omitempty"`
	DryRun      bool              `json:"dry_run,omitempty"`
	Failure     Failure           `json:"failure,omitempty"`
	Priority    Priority          `json:"priority,omitempty"`
	WorkerGroup string            `json:"worker_group,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Trigger     string            `json:"trigger,omitempty"`  // "" is manual
	Schedule    string            `json:"schedule,omitempty"` // its name, when a schedule fired it, or gave its backfill the dates
	By          string            `json:"by,omitempty"`       // name of the trigger that started it
	Backfill    ID                `json:"backfill,omitempty"` // that ordered it
	// Of one that a sub_workflow task began: the run, the task's row, and the workflows of all runs above, the
	// nearest last.
	Parent    ID   `json:"parent,omitempty"`
	ParentRow ID   `json:"parent_row,omitempty"`
	Within    []ID `json:"within,omitempty"`
}

// StartMode says which tasks a run with chosen tasks contains.
type StartMode string

// Start modes; "" is after.
const (
	StartAfter  StartMode = "after"
	StartBefore StartMode = "before"
	StartOnly   StartMode = "only"
)

// Triggers of a run.
const (
	TriggerManual      = "manual"
	TriggerSchedule    = "schedule"
	TriggerBackfill    = "backfill"
	TriggerSubWorkflow = "sub_workflow"
	TriggerTrigger     = "trigger"
)
