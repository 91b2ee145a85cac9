package python

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

// attempt is one with a work folder of its own and options that passed every check.
func attempt(t *testing.T, options string) *task.Attempt {
	t.Helper()
	if errs := append(schema.Check(json.RawMessage(options)), New().Check(json.RawMessage(options))...); len(errs) > 0 {
		t.Fatal(flow.Errors(errs))
	}
	return &task.Attempt{Options: json.RawMessage(options), Dir: t.TempDir(), Env: map[string]string{}}
}

func run(t *testing.T, a *task.Attempt) (string, error) {
	t.Helper()
	c, err := New().Command(a)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(t.Context(), c.Args[0], c.Args[1:]...)
	cmd.Dir = a.Dir
	cmd.Env = append(os.Environ(), "day=2026-03-01")
	for k, v := range c.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func causeOf(err error) string {
	var f *task.Failure
	if !errors.As(err, &f) {
		return ""
	}
	return f.Cause
}

// TestSetup looks for the interpreter only when the environment has been sourced: it may bring one along.
func TestSetup(t *testing.T) {
	t.Parallel()
	a := attempt(t, `{"script": "import os, sys\nprint(os.environ['A'], os.environ['VENV'], sys.argv[1:])", "args": ["a b"]}`)
	venv := t.TempDir()
	if err := os.WriteFile(filepath.Join(venv, "python3"), []byte("#!/bin/sh\nPATH=${PATH#*:} VENV=yes exec python3 \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	a.Setup = &task.Setup{File: filepath.Join(t.TempDir(), "setup")}
	if err := os.WriteFile(a.Setup.File, []byte("export A=1 PATH="+venv+":$PATH\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New().Command(a)
	if err != nil || c.Sourced || c.Args[0] != "python3" {
		t.Fatalf("%+v, %v", c, err)
	}
	args := a.Setup.Around(c.Args)
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if want := "1 yes ['a b']\n"; string(out) != want {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	a := attempt(t, `{"script": "import os, sys, subprocess\nimport helper\nprint(os.environ['day'], helper.x, sys.argv[1:], sys.stdout.write_through, flush=False)\nraise ValueError('no')", "args": ["a b", 5]}`)
	if err := os.WriteFile(filepath.Join(a.Dir, "helper.py"), []byte("x = 42\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, a)
	if err == nil || !strings.HasPrefix(out, "2026-03-01 42 ['a b', '5'] True\n") || !strings.Contains(out, "raise ValueError('no')\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	a := attempt(t, `{"file": "etl/load.py"}`)
	if _, err := run(t, a); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its file: %v", err)
	}
	if err := os.WriteFile(filepath.Join(a.Dir, "load.py"), []byte("print(__name__)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, a); err != nil || out != "__main__\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestInterpreter(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for _, name := range []string{"python3", "python3.11", "python3-config", "pypy"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ options, want, says string }{
		{`{"script": "x"}`, "python3", ""},
		{`{"script": "x", "version": 3}`, "python3", ""},
		{`{"script": "x", "version": "3.11"}`, "python3.11", ""},
		{`{"script": "x", "version": 3.11}`, "python3.11", ""},
		{`{"script": "x", "interpreter": "` + bin + `/pypy"}`, "pypy", ""},
		{`{"script": "x", "version": "3.10"}`, "", "python3.10 is not installed on this worker (python3, python3.11 are): install it, choose another `version`, or "},
		{`{"script": "x", "interpreter": "/no/python"}`, "", "/no/python is not installed"},
	} {
		a := attempt(t, c.options)
		a.Env["PATH"] = bin
		got, err := New().Command(a)
		switch {
		case c.want != "" && (err != nil || got.Args[0] != filepath.Join(bin, c.want) || got.Args[1] != "-u"):
			t.Errorf("%s: got %v, %v", c.options, got.Args, err)
		case c.want == "" && (causeOf(err) != task.CauseNotInstalled || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: got %v", c.options, err)
		}
	}
}

func TestRenderedVersion(t *testing.T) {
	t.Parallel()
	a := attempt(t, `{"script": "x", "version": "${v}"}`)
	a.Options = json.RawMessage(`{"script": "x", "version": "../../bin/sh"}`)
	if _, err := New().Command(a); causeOf(err) != task.CauseOptions {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for options, field := range map[string]string{
		`{}`:                                "script",
		`{"script": "a", "file": "b"}`:      "file",
		`{"script": "a", "version": "3.x"}`: "version",
		`{"script": "a", "version": 3, "interpreter": "/x"}`: "interpreter",
	} {
		errs := append(schema.Check(json.RawMessage(options)), New().Check(json.RawMessage(options))...)
		if len(errs) != 1 || errs[0].Field != field {
			t.Errorf("%s: got %v", options, flow.Errors(errs))
		}
	}
}
