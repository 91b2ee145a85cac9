// Commands, and what they answer.

package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Baton runs a command beside the server, as a user in the folder of the test.
func (s *Server) Baton(t testing.TB, args ...string) Result {
	t.Helper()
	return s.BatonInput(t, "", args...)
}

// BatonInput is Baton with a standard input.
func (s *Server) BatonInput(t testing.TB, stdin string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	var out, errs bytes.Buffer
	c := exec.CommandContext(ctx, Binary(t), args...)
	c.Dir = s.Dir
	c.Env = s.environ()
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &errs
	c.WaitDelay = time.Second
	err := c.Run()
	r := Result{Stdout: out.String(), Stderr: errs.String(), Code: c.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("baton %s: %v\n%s%s", strings.Join(args, " "), err, r.Stdout, r.Stderr)
	}
	return r
}

// Must is Baton for a command that has to succeed; it returns what it printed.
func (s *Server) Must(t testing.TB, args ...string) string {
	t.Helper()
	r := s.Baton(t, args...)
	if r.Code != 0 {
		t.Fatalf("baton %s: exit %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Apply applies a file given as text.
func (s *Server) Apply(t testing.TB, yaml string) {
	t.Helper()
	if r := s.BatonInput(t, yaml, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// Run runs a workflow to its end, whatever that is.
func (s *Server) Run(t testing.TB, workflow string, args ...string) Instance {
	t.Helper()
	r := s.Baton(t, append([]string{"run", workflow, "--wait", "-o", "json"}, args...)...)
	if r.Code > 1 {
		t.Fatalf("run %s: exit %d\n%s%s", workflow, r.Code, r.Stdout, r.Stderr)
	}
	i := Decode[Instance](t, r.Stdout)
	if ok := i.State == "succeeded"; ok != (r.Code == 0) {
		t.Errorf("run %s: state %s with exit code %d", workflow, i.State, r.Code)
	}
	return i
}

// Begin starts a run and does not wait.
func (s *Server) Begin(t testing.TB, workflow string, args ...string) Instance {
	t.Helper()
	return Decode[Instance](t, s.Must(t, append([]string{"run", workflow, "-o", "json"}, args...)...))
}

// Instance reads a run.
func (s *Server) Instance(t testing.TB, id string) Instance {
	t.Helper()
	return Decode[Instance](t, s.Must(t, "get", "instance", id, "-o", "json"))
}

// Attempts reads the attempts of a task in order of creation.
func (s *Server) Attempts(t testing.TB, id, task string) []Attempt {
	t.Helper()
	return Decode[List[Attempt]](t, s.Must(t, "get", "attempts", id, task, "-o", "json")).Items
}

// Logs reads the log of a task's newest attempt.
func (s *Server) Logs(t testing.TB, id, task string) string {
	t.Helper()
	return s.Must(t, "logs", id, task)
}

// Eventually asks until what is asked for holds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-late.C:
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

// Decode reads JSON.
func Decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return v
}
