// Package shell runs a script in a shell.
//
// It decides how the script reaches the shell, nothing else: parameters are put in before, and
// the supervisor owns the process. It must not know other task types, workers or stores.
package shell

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"baton/internal/flow"
	"baton/internal/task"
)

const (
	// maxInline is how long a script may be to travel as one argument. Linux takes 128 KiB for an
	// argument; arguments and environment share a limit too, so large ones go to a file early.
	maxInline  = 64 << 10
	scriptFile = ".baton-script"
)

// bourne are the shells that read what /bin/sh reads.
var bourne = []string{"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "yash", "busybox"}

// Type is the task type.
type Type struct{}

// New returns the task type.
func New() Type { return Type{} }

var schema = task.Schema{
	Description: "Runs a script in a shell. It succeeds when the script exits with 0.",
	Options: []task.Option{
		{
			Name: "script", Kind: task.Script, Required: true, Multiline: true,
			Description: "The script. Parameters arrive as environment variables: write \"$day\". It starts in an empty work folder that holds only the task's `files` and is removed afterwards.",
		},
		{
			Name: "shell", Kind: task.Text, Default: "/bin/sh",
			Description: "The shell that reads the script: a name such as bash or zsh, or a path; options may follow, as in `bash -eu`.",
		},
	},
}

// Name returns "shell".
func (Type) Name() string { return "shell" }

// Schema describes the options.
func (Type) Schema() task.Schema { return schema }

// Check refuses scripts no shell can read.
func (Type) Check(options json.RawMessage) []*flow.Error {
	o := schema.Read(options)
	if strings.ContainsRune(o.Text("script"), 0) {
		return []*flow.Error{flow.Errorf(flow.CodeInvalidFile, "script", "the script holds a NUL character")}
	}
	if o.Has("shell") && len(strings.Fields(o.Text("shell"))) == 0 {
		return []*flow.Error{flow.Errorf(flow.CodeInvalidFile, "shell", "shell is empty; leave it out for /bin/sh")}
	}
	return nil
}

// Command passes a script of usual size as an argument and writes a large one to a file.
func (Type) Command(a *task.Attempt) (task.Command, error) {
	o := schema.Read(a.Options)
	script, shell := o.Text("script"), strings.Fields(o.Text("shell"))
	if err := o.Err(); err != nil {
		return task.Command{}, err
	}
	if len(shell) == 0 || strings.ContainsRune(script, 0) {
		return task.Command{}, &task.Failure{Cause: task.CauseOptions, Message: "the shell is empty or the script holds a NUL character"}
	}
	path, ok := task.FindProgram(shell[0], a.Env)
	if !ok {
		return task.Command{}, &task.Failure{
			Cause: task.CauseNotInstalled,
			Message: fmt.Sprintf("the shell %s is not installed on this worker: install it, name another one in `shell`, or send the task to a worker group that has it",
				shell[0]),
		}
	}
	args := append([]string{path}, shell[1:]...)
	// The task's own shell sources a setup, so that its functions and options are there too. Another kind of shell
	// could not read it and gets what it exports.
	sourced := a.Setup != nil && slices.Contains(bourne, filepath.Base(shell[0]))
	if sourced {
		script = a.Setup.Line() + script
	}
	if len(script) <= maxInline {
		return task.Command{Args: append(args, "-c", script), Sourced: sourced}, nil
	}
	file := filepath.Join(a.Dir, scriptFile)
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil { //nolint:gosec // the tenant, another user, must read it; the folder is the tenant's
		return task.Command{}, fmt.Errorf("write script: %w", err)
	}
	return task.Command{Args: append(args, file), Sourced: sourced}, nil
}
