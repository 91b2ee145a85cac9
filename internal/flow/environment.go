// Environments and worker groups: what operations say of machines, for the workflows of all projects.

package flow

import (
	"cmp"
	"slices"
	"strings"
)

// Environment prepares the processes of tasks: variables, and a script that is sourced before them. It is a setting
// of the machines, not a part of a workflow: an attempt gets the newest, whatever version its run has. Its JSON form is
// what the store keeps and what versions are compared by, so fields are only added, with omitempty.
type Environment struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Env         []EnvVar `json:"env,omitempty"` // in order of the file; texts as they are, nothing is put in
	Script      string   `json:"script,omitempty"`
	Groups      []string `json:"worker_groups,omitempty"` // none: it may be used in all
	Version     int32    `json:"-"`
	ChangedAt   Time     `json:"-"`
}

// MaxSetup bounds the script of an environment, in bytes: it travels with every attempt.
const MaxSetup = 64 << 10

// Allows tells whether tasks of a worker group may use it.
func (e *Environment) Allows(group string) bool {
	return len(e.Groups) == 0 || slices.Contains(e.Groups, group)
}

// Refusal is the error of a task of a worker group that may not use it, nil if it may.
func (e *Environment) Refusal(group string) *Error {
	if e.Allows(group) {
		return nil
	}
	return Errorf(CodeBadRequest, "environment", "environment %q may not be used in the worker group %q; it is for %s", e.Name, group, strings.Join(e.Groups, ", "))
}

// NoEnvironment is the error of an environment that does not exist, with the name that was perhaps meant of those
// that do.
func NoEnvironment(name string, have []string) *Error {
	e := Errorf(CodeNotFound, "environment", "there is no environment %q", name)
	if e.Suggestion = Nearest(name, have); e.Suggestion != "" {
		e.Message += "; did you mean \"" + e.Suggestion + "\"?"
	}
	return e
}

// EnvironmentUse is a task that runs a process, with the environment and the worker group it is to run in.
type EnvironmentUse struct {
	Task        string // "": no task; the workflow or a start names it for tasks that name none
	Environment string
	Group       string
}

// WorkerGroup makes a group of workers known by name, also while none of them is there.
type WorkerGroup struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// GroupOf returns the worker group of a task, or of what it does with each item, in a run that was started so: its own,
// else that of the start, else that of the workflow.
func (w *Workflow) GroupOf(t *Task, start Start) string {
	return cmp.Or(t.Work().WorkerGroup, start.WorkerGroup, w.WorkerGroup, DefaultGroup)
}

// EnvironmentOf returns the environment of a task in a run that was started so, likewise; "" is none.
func (w *Workflow) EnvironmentOf(t *Task, start Start) string {
	return cmp.Or(t.Work().Environment, start.Environment, w.Environment)
}
