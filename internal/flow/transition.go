// The transition tables: which event may move what from where to where.

package flow

import (
	"fmt"
	"slices"
)

// Transition is one line of a machine: Event moves any of From to To.
type Transition[S ~uint8] struct {
	Event string
	From  []S
	To    S
}

// Machine is a state machine as a list of transitions.
type Machine[S interface {
	~uint8
	fmt.Stringer
}] struct {
	Name        string
	Transitions []Transition[S]
	sources     [32]uint32 // by destination: bit set of allowed sources
}

func newMachine[S interface {
	~uint8
	fmt.Stringer
}](name string, ts ...Transition[S],
) *Machine[S] {
	m := &Machine[S]{Name: name, Transitions: ts}
	for _, t := range ts {
		for _, f := range t.From {
			m.sources[t.To] |= 1 << f
		}
	}
	return m
}

// Sources returns the states from which to may be reached, as a bit set (bit n is state n). The
// store passes it to SQL as the guard of an update.
func (m *Machine[S]) Sources(to S) uint32 { return m.sources[to] }

// Can tells whether some event leads from one state to the other. Staying is always allowed.
func (m *Machine[S]) Can(from, to S) bool {
	return from == to || m.sources[to]&(1<<from) != 0
}

// Allows tells whether the named event may happen in state from, and where it leads.
func (m *Machine[S]) Allows(event string, from S) (S, bool) {
	for _, t := range m.Transitions {
		if t.Event != event {
			continue
		}
		if slices.Contains(t.From, from) {
			return t.To, true
		}
	}
	var none S
	return none, false
}

// InstanceMachine says how a workflow instance moves.
var InstanceMachine = newMachine("workflow instance",
	Transition[InstanceState]{"begin", []InstanceState{InstanceSubmitted, InstanceQueued}, InstanceRunning},
	Transition[InstanceState]{"wait its turn", []InstanceState{InstanceSubmitted}, InstanceQueued},
	Transition[InstanceState]{"recover or rerun, and wait its turn", []InstanceState{InstanceFailed, InstanceStopped, InstanceSucceeded}, InstanceQueued},
	Transition[InstanceState]{"begin, paused while it waited", []InstanceState{InstanceQueued}, InstancePaused},
	Transition[InstanceState]{"pause", []InstanceState{InstanceRunning}, InstancePausing},
	Transition[InstanceState]{"all chains at rest", []InstanceState{InstanceRunning, InstancePausing}, InstancePaused},
	Transition[InstanceState]{"resume", []InstanceState{InstancePaused, InstancePausing}, InstanceRunning},
	Transition[InstanceState]{"stop", []InstanceState{InstanceQueued, InstanceRunning, InstancePausing, InstancePaused, InstanceCompensating, InstanceQuarantined}, InstanceStopping},
	Transition[InstanceState]{"stop before it began", []InstanceState{InstanceSubmitted, InstanceQueued}, InstanceStopped},
	Transition[InstanceState]{"compensate", []InstanceState{InstanceRunning, InstancePausing, InstanceStopping}, InstanceCompensating},
	Transition[InstanceState]{"end stopped", []InstanceState{InstanceStopping, InstanceCompensating}, InstanceStopped},
	Transition[InstanceState]{"end failed", []InstanceState{InstanceRunning, InstancePausing, InstanceStopping, InstanceCompensating}, InstanceFailed},
	Transition[InstanceState]{"end succeeded", []InstanceState{InstanceRunning, InstancePausing, InstanceStopping}, InstanceSucceeded},
	Transition[InstanceState]{"recover", []InstanceState{InstanceFailed, InstanceStopped, InstancePaused}, InstanceRunning},
	Transition[InstanceState]{"rerun", []InstanceState{InstanceFailed, InstanceStopped, InstanceSucceeded, InstancePaused}, InstanceRunning},
	Transition[InstanceState]{"quarantine", []InstanceState{InstanceSubmitted, InstanceQueued, InstanceRunning, InstancePausing, InstancePaused, InstanceStopping, InstanceCompensating, InstanceFailed, InstanceStopped, InstanceSucceeded}, InstanceQuarantined},
	Transition[InstanceState]{"release", []InstanceState{InstanceQuarantined}, InstanceRunning},
	Transition[InstanceState]{"release while pausing", []InstanceState{InstanceQuarantined}, InstancePausing},
	Transition[InstanceState]{"release while paused", []InstanceState{InstanceQuarantined}, InstancePaused},
	Transition[InstanceState]{"release while compensating", []InstanceState{InstanceQuarantined}, InstanceCompensating},
	Transition[InstanceState]{"release while it waits its turn", []InstanceState{InstanceQuarantined}, InstanceQueued},
	Transition[InstanceState]{"release after it was stopped", []InstanceState{InstanceQuarantined}, InstanceStopped},
	Transition[InstanceState]{"release after it failed", []InstanceState{InstanceQuarantined}, InstanceFailed},
	Transition[InstanceState]{"release after it succeeded", []InstanceState{InstanceQuarantined}, InstanceSucceeded},
)

// TaskMachine says how a task instance moves. From paused and unknown a task also ends by itself:
// a switch is decided as it is resumed, and the result of a worker held for lost may come late. Running ones that are
// skipped or forced wait in the engine: what runs on a worker is killed first.
var TaskMachine = newMachine("task instance",
	Transition[TaskState]{"due", []TaskState{TaskWaiting, TaskPaused}, TaskQueued},
	Transition[TaskState]{"no worker", []TaskState{TaskDispatched}, TaskQueued},
	Transition[TaskState]{"try again", []TaskState{TaskDispatched, TaskRunning, TaskUnknown}, TaskQueued},
	Transition[TaskState]{"grant", []TaskState{TaskWaiting, TaskQueued}, TaskDispatched},
	Transition[TaskState]{"start", []TaskState{TaskWaiting, TaskQueued, TaskDispatched}, TaskRunning},
	Transition[TaskState]{"go on waiting in the engine", []TaskState{TaskPaused}, TaskRunning},
	Transition[TaskState]{"wait", []TaskState{TaskQueued, TaskDispatched, TaskRunning, TaskPaused, TaskUnknown}, TaskWaiting},
	Transition[TaskState]{"pause", []TaskState{TaskWaiting, TaskQueued, TaskDispatched, TaskRunning, TaskUnknown}, TaskPaused},
	Transition[TaskState]{"lose", []TaskState{TaskDispatched, TaskRunning}, TaskUnknown},
	Transition[TaskState]{"succeed", []TaskState{TaskWaiting, TaskQueued, TaskDispatched, TaskRunning, TaskPaused, TaskUnknown}, TaskSucceeded},
	Transition[TaskState]{"force success", []TaskState{TaskWaiting, TaskQueued, TaskRunning, TaskPaused, TaskUnknown, TaskFailed, TaskKilled, TaskSkipped}, TaskForcedSuccess},
	Transition[TaskState]{"skip", []TaskState{TaskWaiting, TaskQueued, TaskRunning, TaskPaused, TaskUnknown, TaskFailed, TaskKilled}, TaskSkipped},
	Transition[TaskState]{"fail", []TaskState{TaskWaiting, TaskQueued, TaskDispatched, TaskRunning, TaskPaused, TaskUnknown}, TaskFailed},
	Transition[TaskState]{"kill", []TaskState{TaskWaiting, TaskQueued, TaskDispatched, TaskRunning, TaskPaused, TaskUnknown}, TaskKilled},
)

// AttemptMachine says how one try moves. A late result of a lost one counts until its successor is
// granted.
var AttemptMachine = newMachine("attempt",
	Transition[AttemptState]{"grant", []AttemptState{AttemptNone}, AttemptGranted},
	Transition[AttemptState]{"start", []AttemptState{AttemptGranted, AttemptSuspect}, AttemptStarted},
	Transition[AttemptState]{"away", []AttemptState{AttemptGranted, AttemptStarted}, AttemptSuspect},
	Transition[AttemptState]{"back", []AttemptState{AttemptSuspect}, AttemptGranted},
	Transition[AttemptState]{"succeed", []AttemptState{AttemptGranted, AttemptStarted, AttemptSuspect}, AttemptSucceeded},
	Transition[AttemptState]{"fail", []AttemptState{AttemptGranted, AttemptStarted, AttemptSuspect}, AttemptFailed},
	Transition[AttemptState]{"kill", []AttemptState{AttemptGranted, AttemptStarted, AttemptSuspect}, AttemptKilled},
	Transition[AttemptState]{"lose", []AttemptState{AttemptGranted, AttemptStarted, AttemptSuspect}, AttemptLost},
	Transition[AttemptState]{"cannot know", []AttemptState{AttemptGranted, AttemptStarted, AttemptSuspect}, AttemptUnknown},
	Transition[AttemptState]{"never began", []AttemptState{AttemptNone, AttemptGranted, AttemptSuspect}, AttemptVoid},
	Transition[AttemptState]{"succeeded after all", []AttemptState{AttemptLost, AttemptUnknown}, AttemptSucceeded},
	Transition[AttemptState]{"failed after all", []AttemptState{AttemptLost, AttemptUnknown}, AttemptFailed},
)
