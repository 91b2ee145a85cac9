// Answers, as the contract has them. Fields that no test needed yet are left out.

package harness

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// List is a page of anything.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// Instance is a run.
type Instance struct {
	ID          string                     `json:"id"`
	Project     string                     `json:"project"`
	Workflow    string                     `json:"workflow"`
	Version     int                        `json:"version"`
	State       string                     `json:"state"`
	Reason      string                     `json:"reason"`
	RunTimes    int                        `json:"run_times"`
	DryRun      bool                       `json:"dry_run"`
	Existing    bool                       `json:"existing"`
	Trigger     string                     `json:"trigger"`
	DataTime    *time.Time                 `json:"data_time"`
	SubmittedAt *time.Time                 `json:"submitted_at"`
	StartedAt   *time.Time                 `json:"started_at"`
	EndedAt     *time.Time                 `json:"ended_at"`
	Params      map[string]string          `json:"params"`
	Outputs     map[string]json.RawMessage `json:"outputs"`
	Tasks       []Task                     `json:"tasks"`
}

// Task is a row of a run.
type Task struct {
	ID          string                     `json:"id"`
	Name        string                     `json:"name"`
	Type        string                     `json:"type"`
	State       string                     `json:"state"`
	Reason      string                     `json:"reason"`
	Valid       bool                       `json:"valid"`
	Attempt     int                        `json:"attempt"`
	Token       int64                      `json:"token"`
	Worker      string                     `json:"worker"`
	ExitCode    *int                       `json:"exit_code"`
	StartedAt   *time.Time                 `json:"started_at"`
	EndedAt     *time.Time                 `json:"ended_at"`
	NextCheckAt *time.Time                 `json:"next_check_at"`
	Outputs     map[string]json.RawMessage `json:"outputs"`
	Compensates string                     `json:"compensates"`
}

// Attempt is one try of a task.
type Attempt struct {
	Attempt   int        `json:"attempt"`
	Infra     int        `json:"infra"`
	Token     int64      `json:"token"`
	State     string     `json:"state"`
	Cause     string     `json:"cause"`
	Class     string     `json:"class"`
	ExitCode  *int       `json:"exit_code"`
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
}

// Alert is what the server wanted a person to know.
type Alert struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Instance string `json:"instance"`
	Task     string `json:"task"`
	Workflow string `json:"workflow"`
	Message  string `json:"message"`
}

// Task returns the newest row of a task.
func (i Instance) Task(t testing.TB, name string) Task {
	t.Helper()
	for _, row := range slices.Backward(i.Tasks) {
		if row.Name == name {
			return row
		}
	}
	t.Fatalf("run %s has no row for task %s: %v", i.ID, name, i.States())
	return Task{}
}

// States tells the state of each task's newest row: what a test compares.
func (i Instance) States() map[string]string {
	out := map[string]string{}
	for _, row := range i.Tasks {
		out[row.Name] = row.State
	}
	return out
}

// Output returns an output of a task as text, as ${…} would put it in.
func (r Task) Output(name string) string {
	raw := r.Outputs[name]
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}
