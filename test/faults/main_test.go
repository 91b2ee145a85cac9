// Package faults gives a real standalone server bad input and faults of its surroundings, and
// checks that people are told what to do about it and that nothing is lost.
package faults

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"baton/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m.Run)) }

// fault is what a command has to end with: the exit code and code of the contract, and a message
// with these words in it.
type fault struct {
	exit  int
	code  string
	words []string
}

// refused runs a command twice, for people and for programs, and checks what both are told.
func refused(t *testing.T, s *harness.Server, want fault, args ...string) {
	t.Helper()
	r := s.Baton(t, args...)
	check(t, r, want, r.Stderr, args)
	r = s.Baton(t, append(args, "-o", "json")...)
	var answer struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(r.Stderr), &answer); err != nil {
		t.Errorf("baton %s -o json: %v in %q", strings.Join(args, " "), err, r.Stderr)
		return
	}
	check(t, r, want, answer.Error.Message, args)
	if answer.Error.Code != want.code {
		t.Errorf("baton %s: code %q instead of %q", strings.Join(args, " "), answer.Error.Code, want.code)
	}
}

func check(t *testing.T, r harness.Result, want fault, message string, args []string) {
	t.Helper()
	if r.Code != want.exit || r.Stdout != "" {
		t.Errorf("baton %s: exit %d instead of %d\n%s%s", strings.Join(args, " "), r.Code, want.exit, r.Stdout, r.Stderr)
	}
	for _, word := range want.words {
		if !strings.Contains(message, word) {
			t.Errorf("baton %s: nothing of %q in: %s", strings.Join(args, " "), word, message)
		}
	}
}

// healthy checks that the server does its work: what failed hurt nobody else.
func healthy(t *testing.T, s *harness.Server) {
	t.Helper()
	s.Apply(t, "name: healthy\ntasks: {a: {run: echo fine}}\n")
	if run := s.Run(t, "healthy"); run.State != "succeeded" {
		t.Errorf("a run beside the fault ended %s (%s)", run.State, run.Reason)
	}
}

// until waits for a state of a run.
func until(t *testing.T, s *harness.Server, id, state string) harness.Instance {
	t.Helper()
	r := s.Baton(t, "wait", id, "--state", state, "--timeout", "60s", "-o", "json")
	if r.Code != 0 && r.Code != 1 {
		t.Fatalf("run %s does not become %s: %s%s", id, state, r.Stdout, r.Stderr)
	}
	run := s.Instance(t, id)
	if run.State != state {
		t.Fatalf("run %s is %s (%s) instead of %s", id, run.State, run.Reason, state)
	}
	return run
}

// write puts a file into the server's folder.
func write(t *testing.T, s *harness.Server, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
