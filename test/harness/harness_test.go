package harness_test

import (
	"os"
	"testing"

	"baton/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m.Run)) }

func TestServerStartsRunsStopsAndStartsAgain(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	s.Apply(t, "name: hello\ntasks: {greet: {run: echo hello}}\n")
	run := s.Run(t, "hello")
	if run.State != "succeeded" || run.Task(t, "greet").Attempt != 1 {
		t.Fatalf("got %s %v", run.State, run.States())
	}
	if log := s.Logs(t, run.ID, "greet"); log != "hello\n" {
		t.Errorf("log %q", log)
	}
	s.Stop(t)
	s.Start(t)
	if again := s.Instance(t, run.ID); again.State != "succeeded" {
		t.Errorf("after the restart: %s", again.State)
	}
	s.Kill()
	s.Start(t)
	if again := s.Run(t, "hello"); again.State != "succeeded" {
		t.Errorf("after the kill: %s", again.State)
	}
}

func TestFailureHasItsExitCode(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	s.Apply(t, "name: broken\ntasks: {a: {run: exit 3}}\n")
	run := s.Run(t, "broken")
	if a := run.Task(t, "a"); run.State != "failed" || a.ExitCode == nil || *a.ExitCode != 3 {
		t.Errorf("got %s %+v", run.State, a)
	}
}
