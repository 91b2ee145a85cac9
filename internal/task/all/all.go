// Package all lists the task types a Baton process knows. To add one, add a line.
//
// It must not configure or call them.
package all

import (
	"baton/internal/task"
	"baton/internal/task/branch"
	"baton/internal/task/hosted"
	"baton/internal/task/http"
	"baton/internal/task/noop"
	"baton/internal/task/python"
	"baton/internal/task/shell"
	"baton/internal/task/sql"
)

// Types returns the task types in the order people see them. Each call makes new ones; a process
// makes them once, because http and sql keep connections between attempts.
func Types() []task.Type {
	return []task.Type{
		shell.New(),
		python.New(),
		http.New(),
		sql.New(),
		branch.Switch(),
		branch.Conditions(),
		hosted.Wait(),
		hosted.Approval(),
		hosted.SubWorkflow(),
		hosted.Dependent(),
		hosted.Map(),
		hosted.Loop(),
		noop.New(),
	}
}
