// Durable orders: commands start something new, inbox items concern what exists.

package flow

import "encoding/json"

// Command is a durable order to start a run. Exactly one master turns it into an instance, in
// the commit that deletes it. Its ID becomes the instance's, so a caller knows the run's id as
// soon as the order is accepted.
type Command struct {
	ID       ID
	Project  ID
	Workflow ID
	Version  int32
	Priority Priority
	Key      string // idempotency key, "" none
	Takes    int32  // trials that the process did not survive; at MaxTakes it is quarantined
	Start    []byte // JSON of Start
	Zone     string
	At       Time // submitted
	// Inbox is what was ordered of the run before anybody took it, oldest first: it goes before all else.
	Inbox []InboxItem
}

// Turn is whose turn a command is among several masters: those of one slot, and those of any that
// were submitted before a time. The zero value is all of them.
type Turn struct {
	Slot, Slots int
	Before      Time
	Me          int64 // what another master tries just now is left to it
}

// MaxTakes is how often something is taken without a commit before it is held for the cause of its
// owners' deaths: with all others, with some, and twice alone, for a process may be killed just then.
const MaxTakes = 4

// InboxItem is an order or news for an instance that exists. Anyone inserts it; only the owner
// of the instance consumes it, in the commit that carries it out, in order of ID.
type InboxItem struct {
	ID       ID
	Instance ID
	Kind     InboxKind
	Dedup    string // unique; a second insert with it is the first one
	Payload  []byte // JSON by kind
	At       Time
}

// InboxKind names what an inbox item carries.
type InboxKind string

// Inbox kinds.
const (
	InboxVerb   InboxKind = "verb"   // payload Verb
	InboxResult InboxKind = "result" // payload Result, handed in by another master
	// InboxAdmission: payload Admission.
	InboxAdmission InboxKind = "admission"
	// InboxChild: payload ChildNews, of a run to the run that began it.
	InboxChild InboxKind = "child"
	// InboxUpstream: payload UpstreamNews, for a row that follows what has ended.
	InboxUpstream InboxKind = "upstream"
	// InboxEvent: payload EventNews, for a row that waits for an event.
	InboxEvent InboxKind = "event"
	// InboxSlots: payload GivenSlots.
	InboxSlots InboxKind = "slots"
)

// Verb is a person's order to a run or to one task of it.
type Verb struct {
	Name string `json:"name"` // pause, resume, stop, recover, rerun, release, task.retry, task.skip, …
	Task string `json:"task,omitempty"`
	// Of task.approve and task.reject: the option chosen, the fields of the form, what was said.
	Choice  string            `json:"choice,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
	Comment string            `json:"comment,omitempty"`
	// Parent is the row that waits for this run, of the run that gives the verb; 0: a person does. Whoever has
	// nothing left to do then tells again how it ended.
	Parent ID `json:"parent,omitempty"`
	// Times is the time that the run runs, of which it is said: not of one that was made to run again since. 0: of any.
	Times int32 `json:"times,omitempty"`
	// Compensate: stop --compensate.
	Compensate bool   `json:"compensate,omitempty"`
	By         string `json:"by,omitempty"` // who gave it, for the record
}

// Verb names.
const (
	VerbPause       = "pause"
	VerbResume      = "resume"
	VerbStop        = "stop"
	VerbRecover     = "recover"
	VerbRerun       = "rerun"
	VerbRelease     = "release"
	VerbTaskRetry   = "task.retry"
	VerbTaskSkip    = "task.skip"
	VerbTaskSucceed = "task.succeed"
	VerbTaskKill    = "task.kill"
	VerbTaskHold    = "task.hold"
	VerbTaskRelease = "task.release"
	VerbTaskStart   = "task.start"
	VerbTaskApprove = "task.approve"
	VerbTaskReject  = "task.reject"
)

// ChildNews is how a run stands, told to the run that began it.
type ChildNews struct {
	Child   ID              `json:"child"`
	Row     ID              `json:"row"`   // that waits for it
	State   InstanceState   `json:"state"` // ended, paused, or another when it goes on
	Reason  string          `json:"reason,omitempty"`
	Outputs json.RawMessage `json:"outputs,omitempty"`
}

// Outcome is what became of a verb. It is kept, so that its caller learns "applied" or "refused,
// because".
type Outcome struct {
	Inbox    ID     // of the item
	Instance ID     // it was for
	Verb     string // its name
	Applied  bool
	Reason   string // why it was refused
	By       string
	At       Time
}

// Given is a verb that was accepted and not yet carried out.
type Given struct {
	Verb
	Inbox ID
	At    Time
}

// Result is how an attempt ended, as its worker tells it.
type Result struct {
	Token    int64           `json:"token"`
	State    AttemptState    `json:"state"` // succeeded, failed, killed, lost, void
	ExitCode int32           `json:"exit_code"`
	Cause    string          `json:"cause,omitempty"`
	Class    Class           `json:"class,omitempty"`
	Reason   string          `json:"reason,omitempty"` // a sentence for people
	Outputs  json.RawMessage `json:"outputs,omitempty"`
	Started  Time            `json:"started"`
	Ended    Time            `json:"ended"`
	// Confirmed: no process of the attempt is left.
	Confirmed bool `json:"confirmed,omitempty"`
	// CPU and Memory are what it has used: see AttemptRow.
	CPU    int64 `json:"cpu,omitempty"`
	Memory int64 `json:"memory,omitempty"`
	// Matched lists the log:REGEX entries of retry.if that a log line matched.
	Matched []string `json:"matched,omitempty"`
}

// Alert is something a person should know. It is recorded in the commit that caused it.
type Alert struct {
	ID       ID     `json:"id"`
	Kind     string `json:"kind"`
	Project  ID     `json:"-"`
	Instance ID     `json:"instance"`
	Task     string `json:"task,omitempty"`
	Workflow string `json:"workflow"`
	Message  string `json:"message"`
	At       Time   `json:"created_at"`
}

// Alert kinds.
const (
	AlertRunFailed      = "run_failed"
	AlertRunTimeout     = "run_timeout"
	AlertFireMissed     = "fire_missed"
	AlertDeadline       = "deadline"
	AlertApproval       = "approval" // a person is asked to decide
	AlertTaskFailed     = "task_failed"
	AlertTaskTimeout    = "task_timeout"
	AlertTaskUnknown    = "task_unknown"
	AlertTrigger        = "trigger" // nobody can see what it waits for
	AlertNoWorker       = "no_worker"
	AlertNoMaster       = "no_master"
	AlertQuarantined    = "quarantined"
	AlertKillUnverified = "kill_unconfirmed"
)
