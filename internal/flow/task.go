// A task instance and its attempts.

package flow

import (
	"math"
	"strconv"
	"strings"
)

// NoExit is the exit code of an attempt that has none.
const NoExit int32 = math.MinInt32

// TaskRow is one run of a task in an instance, with its current attempt inline: a step costs two
// writes, the grant and the end. Earlier attempts of the same row are AttemptRows.
type TaskRow struct {
	ID       ID
	Instance ID
	Name     string // of the task; "T:compensate" for what undoes T, "T[3]" for an item of T
	Type     string
	State    TaskState
	Valid    bool  // false: a later row superseded it
	RunTimes int32 // the instance's when the row was made

	Reason      string // code when ended, "code: a sentence" while waiting
	NextCheck   Time   // when the reason is looked at again
	Held        bool
	Kill        KillIntent // durable until the worker confirms
	Warned      uint8      // timeouts that raised their alert in this attempt, bit set
	Compensates ID         // the row this one undoes
	Item        int32      // of a map, or the round of a loop: its index + 1; 0: it is neither
	Digest      int64      // of an item of a map: what it is about; 0 for all others. Compensates is 0 then
	EligibleAt  Time       // start of timeout.queue of the present attempt
	StartedAt   Time       // of the first attempt's process
	EndedAt     Time       // of the row
	Outputs     []byte     // JSON object, nil none
	Claim       ID         // on slots of its pool, 0: none
	Given       bool       // it has the slots that it claimed

	Attempt AttemptRow // Number 0: there was none yet
}

// Placed tells whether a worker holds, or may hold, an attempt of it.
func (t *TaskRow) Placed() bool { return t.State.Placed() && !Hosted(t.Type) }

// Pooling tells whether it waits for slots of its pool.
func (t *TaskRow) Pooling() bool { return t.State == TaskQueued && t.Claim != 0 && !t.Given }

// Hosted tells whether it has begun and waits in the engine.
func (t *TaskRow) Hosted() bool { return t.State == TaskRunning && Hosted(t.Type) }

// Regards is what keeps apart rows of one name for good, in one number: the row that a compensation undoes, or the
// digest of an item.
func (t *TaskRow) Regards() int64 {
	if t.Item != 0 {
		return t.Digest
	}
	return int64(t.Compensates)
}

// Regard takes that number in.
func (t *TaskRow) Regard(n int64) {
	if t.Item != 0 {
		t.Digest = n
		return
	}
	t.Compensates = ID(n)
}

// ItemName is the name of the row of an item of a map, or of a round of a loop.
func ItemName(task string, index int) string { return task + "[" + strconv.Itoa(index) + "]" }

// CutItem takes the name of such a row apart. A task may have such a name too: TaskRow.Item tells.
func CutItem(name string) (task string, index int, ok bool) {
	open := strings.LastIndexByte(name, '[')
	if open < 1 || !strings.HasSuffix(name, "]") {
		return "", 0, false
	}
	index, err := strconv.Atoi(name[open+1 : len(name)-1])
	if err != nil || ItemName(name[:open], index) != name || index < 0 {
		return "", 0, false
	}
	return name[:open], index, true
}

// Child is the run that it began, 0 if it has none: what a remote job is to other types.
func (t *TaskRow) Child() ID {
	if t.Type != TypeSubWorkflow || t.Attempt.Ref == "" {
		return 0
	}
	id, _ := ParseID(t.Attempt.Ref) // Baton wrote it
	return id
}

// AttemptRow is one try. Token is its identity: from one sequence for everything, always
// growing.
type AttemptRow struct {
	Task      ID
	Number    int32 // from 1, over both classes
	Infra     int32 // infrastructure losses so far
	Token     int64
	Session   int64 // incarnation of the worker session
	Worker    string
	State     AttemptState
	Confirmed bool   // a kill whose process tree is known to be gone
	Ref       string // reference of a remote job, or the id of the run that a sub_workflow began
	Cause     string // exit:75, signal:SIGKILL, timeout, worker_lost, … "" when it succeeded
	Class     Class
	ExitCode  int32 // NoExit: none
	Refused   bool  // a late result came and was refused
	GrantedAt Time
	StartedAt Time
	BeatAt    Time // last sign of life, for timeout.heartbeat
	EndedAt   Time
	CPU       int64 // microseconds of processor that it and all that came of it has used; 0: not known
	Memory    int64 // bytes that it had at most; 0: not known
}

// Class tells whose fault an attempt's end was.
type Class string

// Classes of failure; "" when there was none.
const (
	ClassUser           Class = "user"
	ClassInfrastructure Class = "infrastructure"
)

// KillIntent is a durable order to kill the current attempt, with what the row becomes when the
// worker confirms.
type KillIntent uint8

// Kill intents. Numbers are stored.
const (
	KillNone    KillIntent = 0
	KillByHand  KillIntent = 1 // task kill: killed, no retry
	KillStop    KillIntent = 2 // the run is being stopped
	KillEnd     KillIntent = 3 // failure: end
	KillTimeout KillIntent = 4 // timeout of the attempt: retries apply
	KillDue     KillIntent = 5 // timeout of the run
)

// Reasons: codes of ended rows and of waiting ones.
const (
	ReasonNotTaken     = "not_taken"
	ReasonDisabled     = "disabled"
	ReasonByHand       = "by_hand"
	ReasonNoCase       = "no_case"
	ReasonTimeout      = "timeout"
	ReasonWorkerLost   = "worker_lost"
	ReasonWorkerStop   = "worker_stopped" // in order: it does not use up the budget of losses
	ReasonStopped      = "stopped"
	ReasonFailureEnd   = "failure_end"
	ReasonUnknown      = "unknown"
	ReasonParameter    = "parameter"
	ReasonEnvironment  = "environment" // it does not exist, or not for the worker group of the task
	ReasonExpression   = "expression"
	ReasonHeld         = "held"
	ReasonDelay        = "delay"
	ReasonRetryDelay   = "retry_delay"
	ReasonNoWorker     = "no_worker"
	ReasonNoSlot       = "no_slot"
	ReasonPool         = "pool"
	ReasonPaused       = "paused"
	ReasonQuarantine   = "quarantined"
	ReasonSuspect      = "worker_suspect"
	ReasonKilling      = "killing"
	ReasonDispatched   = "dispatched"
	ReasonCompensating = "compensating"
	ReasonFinally      = "finally"
	ReasonTaskFailed   = "task_failed"
	ReasonOutputs      = "outputs"
	// ReasonSubmitted is what a run waits for that no master has taken yet.
	ReasonSubmitted = "submitted: accepted; the next free master takes it"
	// ReasonDeadline: it was stopped because it missed one.
	ReasonDeadline = "deadline"
	// Reasons of tasks that the engine runs: what they wait for, and how they ended.
	ReasonWait        = "wait"
	ReasonApproval    = "approval"
	ReasonRejected    = "rejected"
	ReasonChild       = "child" // a run that it began
	ReasonChildFailed = "child_failed"
	ReasonNoWorkflow  = "no_workflow"
	ReasonRecursion   = "recursion"
	ReasonOptions     = "options"
	ReasonDependent   = "dependent"
	ReasonMap         = "map"
	ReasonLoop        = "loop"
	ReasonItems       = "items_failed"
	ReasonRound       = "round_failed"
	ReasonMaxRounds   = "max_rounds"
	// ReasonDependentFailed: what a dependent waits for has failed.
	ReasonDependentFailed = "dependent_failed"
	// ReasonTurn is why a run waits that is one too many; ReasonDiscarded why it ended at once.
	ReasonTurn      = "turn"
	ReasonDiscarded = "discarded"
	// Codes of why no master takes it.
	ReasonNoMaster       = "no_master"
	ReasonMastersDrained = "masters_drained"

	// ReasonWorkerRestart: it ran within the worker proper, which was started again.
	ReasonWorkerRestart = "worker_restarted"
)
