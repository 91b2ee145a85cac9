// Package python runs a Python script, written in the file or brought along as a resource.
//
// It finds the interpreter and hands over the script; packages and virtual environments are the
// worker's. It must not know other task types, workers or stores.
package python

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"baton/internal/flow"
	"baton/internal/task"
)

// scriptFile holds `script`. It is always a file, so that a traceback shows the lines and
// multiprocessing finds its main module.
const scriptFile = ".baton-script.py"

// Type is the task type.
type Type struct{}

// New returns the task type.
func New() Type { return Type{} }

var schema = task.Schema{
	Description: "Runs a Python script. Output appears in the log at once, without buffering.",
	Options: []task.Option{
		{
			Name: "script", Kind: task.Script, Multiline: true,
			Description: "The script. Parameters arrive as environment variables: write os.environ[\"day\"]. Give either `script` or `file`.",
		},
		{
			Name: "file", Kind: task.FileOption,
			Description: "A Python file beside the workflow file, run instead of `script`; modules it imports go into the task's `files`.",
		},
		{
			Name: "args", Kind: task.TextList,
			Description: "Arguments of the script, its sys.argv[1:].",
		},
		{
			Name: "version", Kind: task.Text, Default: "3",
			Description: "Version of Python: 3 runs python3, \"3.11\" runs python3.11. Quote it, because 3.10 without quotes is the number 3.1.",
		},
		{
			Name: "interpreter", Kind: task.Text,
			Description: "Path of an interpreter on the worker, such as /opt/etl/venv/bin/python, instead of `version`.",
		},
	},
}

var versionForm = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

// Name returns "python".
func (Type) Name() string { return "python" }

// Schema describes the options.
func (Type) Schema() task.Schema { return schema }

// Check finds options that exclude each other and versions that are none.
func (Type) Check(options json.RawMessage) []*flow.Error {
	o := schema.Read(options)
	var errs []*flow.Error
	switch {
	case o.Has("script") && o.Has("file"):
		errs = append(errs, flow.Errorf(flow.CodeInvalidFile, "file", "give either `script` or `file`, not both"))
	case !o.Has("script") && !o.Has("file"):
		errs = append(errs, flow.Errorf(flow.CodeInvalidFile, "script", "a python task needs a `script` or a `file`"))
	}
	if o.Has("version") && o.Has("interpreter") {
		errs = append(errs, flow.Errorf(flow.CodeInvalidFile, "interpreter", "give either `version` or `interpreter`, not both"))
	}
	if v := o.Text("version"); !o.Templated("version") && !versionForm.MatchString(v) {
		errs = append(errs, badVersion(v))
	}
	return errs
}

func badVersion(v string) *flow.Error {
	return flow.Errorf(flow.CodeInvalidFile, "version", "%q is not a version of Python; write 3 or \"3.11\"", v)
}

// Command finds interpreter and script.
func (Type) Command(a *task.Attempt) (task.Command, error) {
	o := schema.Read(a.Options)
	args := o.Texts("args")
	python, err := interpreter(o, a.Env, a.Setup != nil)
	if err != nil {
		return task.Command{}, err
	}
	script, err := scriptPath(o, a.Dir)
	if err != nil {
		return task.Command{}, err
	}
	if err := o.Err(); err != nil {
		return task.Command{}, err
	}
	c := task.Command{Args: append([]string{python, "-u", script}, args...)}
	if _, set := a.Env["PYTHONUNBUFFERED"]; !set { // for the Python processes it starts itself
		c.Env = map[string]string{"PYTHONUNBUFFERED": "1"}
	}
	return c, nil
}

// interpreter returns the program that runs the script. One that is prepared is looked up when it is: its PATH may be
// another by then.
func interpreter(o *task.Options, env map[string]string, prepared bool) (string, error) {
	name := o.Text("interpreter")
	if name == "" {
		v := o.Text("version")
		if !versionForm.MatchString(v) {
			return "", &task.Failure{Cause: task.CauseOptions, Message: badVersion(v).Message}
		}
		name = "python" + v
	}
	if prepared {
		return name, nil
	}
	if path, ok := task.FindProgram(name, env); ok {
		return path, nil
	}
	have := "none is"
	if list := installed(env); len(list) > 0 {
		have = strings.Join(list, ", ") + " are"
	}
	return "", &task.Failure{
		Cause: task.CauseNotInstalled,
		Message: fmt.Sprintf("%s is not installed on this worker (%s): install it, choose another `version`, or send the task to a worker group that has it",
			name, have),
	}
}

// installed lists the interpreters of the search path.
func installed(env map[string]string) []string {
	var names []string
	for _, dir := range task.SearchPath(env) {
		found, _ := filepath.Glob(filepath.Join(dir, "python[0-9]*")) // the pattern is well formed
		for _, path := range found {
			name := filepath.Base(path)
			if _, ok := task.FindProgram(path, env); ok && versionForm.MatchString(strings.TrimPrefix(name, "python")) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// scriptPath returns the file to run: the resource, or `script` written down.
func scriptPath(o *task.Options, dir string) (string, error) {
	if o.Has("file") {
		file := filepath.Join(dir, path.Base(o.Text("file")))
		if _, err := os.Stat(file); err != nil {
			return "", fmt.Errorf("python file: %w", err)
		}
		return file, nil
	}
	file := filepath.Join(dir, scriptFile)
	if err := os.WriteFile(file, []byte(o.Text("script")), 0o644); err != nil { //nolint:gosec // the tenant, another user, must read it; the folder is the tenant's
		return "", fmt.Errorf("write script: %w", err)
	}
	return file, nil
}
