// States and their transitions as data. From these tables come the check in Go, the guard in
// SQL and docs/states.md.

package flow

import (
	"fmt"
	"strconv"
	"strings"
)

// InstanceState is where a workflow instance stands.
type InstanceState uint8

// The states of a workflow instance. Numbers are stored: never reuse one.
const (
	InstanceSubmitted    InstanceState = 1
	InstanceQueued       InstanceState = 2
	InstanceRunning      InstanceState = 3
	InstancePausing      InstanceState = 4
	InstancePaused       InstanceState = 5
	InstanceStopping     InstanceState = 6
	InstanceCompensating InstanceState = 7
	InstanceQuarantined  InstanceState = 8
	InstanceStopped      InstanceState = 9
	InstanceFailed       InstanceState = 10
	InstanceSucceeded    InstanceState = 11
)

// TaskState is where a task instance stands.
type TaskState uint8

// The states of a task instance. Numbers are stored: never reuse one.
const (
	TaskWaiting       TaskState = 1
	TaskQueued        TaskState = 2
	TaskDispatched    TaskState = 3
	TaskRunning       TaskState = 4
	TaskPaused        TaskState = 5
	TaskUnknown       TaskState = 6
	TaskSucceeded     TaskState = 7
	TaskForcedSuccess TaskState = 8
	TaskSkipped       TaskState = 9
	TaskFailed        TaskState = 10
	TaskKilled        TaskState = 11
)

// AttemptState is where one try stands. Zero: there was none yet.
type AttemptState uint8

// The states of an attempt. Numbers are stored: never reuse one.
const (
	AttemptNone      AttemptState = 0
	AttemptGranted   AttemptState = 1
	AttemptStarted   AttemptState = 2
	AttemptSuspect   AttemptState = 3
	AttemptSucceeded AttemptState = 4
	AttemptFailed    AttemptState = 5
	AttemptKilled    AttemptState = 6
	AttemptLost      AttemptState = 7
	AttemptUnknown   AttemptState = 8
	AttemptVoid      AttemptState = 9
)

var instanceNames = [...]string{"", "submitted", "queued", "running", "pausing", "paused", "stopping", "compensating", "quarantined", "stopped", "failed", "succeeded"}

var taskNames = [...]string{"", "waiting", "queued", "dispatched", "running", "paused", "unknown", "succeeded", "forced_success", "skipped", "failed", "killed"}

var attemptNames = [...]string{"", "granted", "started", "suspect", "succeeded", "failed", "killed", "lost", "unknown", "void"}

func stateName(names []string, s uint8) string {
	if int(s) < len(names) {
		return names[s]
	}
	return "state" + strconv.Itoa(int(s))
}

func parseState(names []string, kind, s string) (uint8, error) {
	for i, n := range names {
		if n == s && i > 0 {
			return uint8(i), nil
		}
	}
	return 0, &Error{Code: CodeBadRequest, Field: "state", Message: fmt.Sprintf("%q is no state of a %s; one of %s", s, kind, strings.Join(names[1:], ", "))}
}

func (s InstanceState) String() string { return stateName(instanceNames[:], uint8(s)) }
func (s TaskState) String() string     { return stateName(taskNames[:], uint8(s)) }
func (s AttemptState) String() string  { return stateName(attemptNames[:], uint8(s)) }

// MarshalText writes the state's name.
func (s InstanceState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText writes the state's name.
func (s TaskState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText writes the state's name.
func (s AttemptState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the state's name.
func (s *InstanceState) UnmarshalText(b []byte) error {
	v, err := ParseInstanceState(string(b))
	*s = v
	return err
}

// UnmarshalText reads the state's name.
func (s *TaskState) UnmarshalText(b []byte) error {
	v, err := ParseTaskState(string(b))
	*s = v
	return err
}

// UnmarshalText reads the state's name; "" is AttemptNone.
func (s *AttemptState) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*s = AttemptNone
		return nil
	}
	v, err := parseState(attemptNames[:], "attempt", string(b))
	*s = AttemptState(v)
	return err
}

// ParseInstanceState reads a state's name.
func ParseInstanceState(s string) (InstanceState, error) {
	v, err := parseState(instanceNames[:], "workflow instance", s)
	return InstanceState(v), err
}

// ParseTaskState reads a state's name.
func ParseTaskState(s string) (TaskState, error) {
	v, err := parseState(taskNames[:], "task instance", s)
	return TaskState(v), err
}

// Ended tells whether the instance is over. Only a recorded verb moves it on from there.
func (s InstanceState) Ended() bool { return s >= InstanceStopped }

// AtRest tells whether nothing happens any more without a verb: ended, paused or quarantined.
func (s InstanceState) AtRest() bool {
	return s.Ended() || s == InstancePaused || s == InstanceQuarantined
}

// Ended tells whether the task instance is over.
func (s TaskState) Ended() bool { return s >= TaskSucceeded }

// Placed tells whether a worker holds, or may hold, an attempt of it.
func (s TaskState) Placed() bool { return s == TaskDispatched || s == TaskRunning }

// Success tells whether the end counts as success for what follows, apart from skipping.
func (s TaskState) Success() bool { return s == TaskSucceeded || s == TaskForcedSuccess }

// Failure tells whether the end counts as failure for what follows.
func (s TaskState) Failure() bool { return s == TaskFailed || s == TaskKilled }

// Ended tells whether the try is over.
func (s AttemptState) Ended() bool { return s >= AttemptSucceeded }

// Live tells whether a worker may hold it.
func (s AttemptState) Live() bool {
	return s == AttemptGranted || s == AttemptStarted || s == AttemptSuspect
}
