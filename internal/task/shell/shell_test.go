package shell

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"baton/internal/flow"
	"baton/internal/task"
)

// run starts the command the way the supervisor does.
func run(t *testing.T, options map[string]any) (string, error) {
	t.Helper()
	raw, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	if errs := append(schema.Check(raw), New().Check(raw)...); len(errs) > 0 {
		t.Fatal(flow.Errors(errs))
	}
	dir := t.TempDir()
	c, err := New().Command(&task.Attempt{Options: raw, Dir: dir})
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(t.Context(), c.Args[0], c.Args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "day=2026-03-01")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestScripts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options map[string]any
		want    string
	}{
		"the environment":   {map[string]any{"script": `echo "$day"`}, "2026-03-01\n"},
		"several lines":     {map[string]any{"script": "a=1\nif [ $a = 1 ]; then\n echo one\nfi"}, "one\n"},
		"here document":     {map[string]any{"script": "cat <<E\nx $day\nE"}, "x 2026-03-01\n"},
		"quotes":            {map[string]any{"script": `printf '%s' "it's \"this\""`}, `it's "this"`},
		"an empty folder":   {map[string]any{"script": "ls -A"}, ""},
		"bash":              {map[string]any{"script": "a=(x y); echo ${a[1]}", "shell": "bash"}, "y\n"},
		"options":           {map[string]any{"script": "echo a; false; echo b", "shell": "/bin/bash -e"}, "a\n"},
		"a very long one":   {map[string]any{"script": ": " + strings.Repeat("x", 1<<20) + "\necho done"}, "done\n"},
		"long with options": {map[string]any{"script": ": " + strings.Repeat("x", 1<<17) + "\nfalse\necho b", "shell": "bash -e"}, ""},
		"as long as inline": {map[string]any{"script": "echo done #" + strings.Repeat("x", maxInline-11)}, "done\n"},
	} {
		if got, err := run(t, c.options); got != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// TestSetup has the task's own shell source what an environment says, whatever way the script reaches it.
func TestSetup(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options map[string]any
		setup   string
		want    string
		sourced bool
	}{
		"sh":          {map[string]any{"script": "hi $A $day"}, "hi() { echo hi $*; }\nA=1\nday=no", "hi 1 2026-03-01\n", true},
		"bash":        {map[string]any{"script": `echo ${a[1]}`, "shell": "bash -eu"}, "a=(x y)", "y\n", true},
		"a long one":  {map[string]any{"script": "echo $A #" + strings.Repeat("x", maxInline)}, "A=1", "1\n", true},
		"not a shell": {map[string]any{"script": "A", "shell": "printenv"}, "export A=1", "", false},
	} {
		raw, err := json.Marshal(c.options)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		setup := &task.Setup{File: filepath.Join(t.TempDir(), "setup"), Keep: []string{"day"}}
		if err := os.WriteFile(setup.File, []byte(c.setup), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd, err := New().Command(&task.Attempt{Options: raw, Dir: dir, Setup: setup})
		if err != nil || cmd.Sourced != c.sourced {
			t.Fatalf("%s: %+v, %v", name, cmd, err)
		}
		if !c.sourced {
			continue // the worker puts a shell around it
		}
		x := exec.CommandContext(t.Context(), cmd.Args[0], cmd.Args[1:]...)
		x.Dir = dir
		x.Env = append(os.Environ(), "day=2026-03-01")
		if out, err := x.CombinedOutput(); string(out) != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, out, err, c.want)
		}
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	_, err := run(t, map[string]any{"script": "exit 75"})
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 75 {
		t.Errorf("got %v", err)
	}
}

func TestMissingShell(t *testing.T) {
	t.Parallel()
	_, err := run(t, map[string]any{"script": "x", "shell": "nosuchshell -e"})
	var f *task.Failure
	if !errors.As(err, &f) || f.Cause != task.CauseNotInstalled || !strings.Contains(err.Error(), "the shell nosuchshell is not installed on this worker: ") {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for options, field := range map[string]string{
		`{}`:                              "script",
		`{"script": ""}`:                  "script",
		`{"script": "a\u0000b"}`:          "script",
		`{"script": "a", "shell": " "}`:   "shell",
		`{"script": "a", "interpret": 1}`: "interpret",
	} {
		errs := append(schema.Check(json.RawMessage(options)), New().Check(json.RawMessage(options))...)
		if len(errs) != 1 || errs[0].Field != field {
			t.Errorf("%s: got %v", options, flow.Errors(errs))
		}
	}
}
