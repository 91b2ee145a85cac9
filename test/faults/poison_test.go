package faults

import (
	"fmt"
	"strings"
	"testing"

	"baton/test/harness"
)

// poisons are rows as no program of ours writes them. What is quarantined must be released once
// it is mended.
var poisons = []struct {
	name, spoil, mend, reason string
}{
	{"state number", "UPDATE instance SET state = 99 WHERE id = %s", "", "state 99"},
	{"state out of range", "UPDATE instance SET state = 3000 WHERE id = %s", "", "cannot be read"},
	{"task state", "UPDATE task SET state = 77 WHERE instance_id = %s AND name = 'a'", "UPDATE task SET state = 2 WHERE instance_id = %s AND name = 'a'", "state 77"},
	{"task out of range", "UPDATE task SET state = 3000 WHERE instance_id = %s AND name = 'a'", "UPDATE task SET state = 2 WHERE instance_id = %s AND name = 'a'", "cannot be read"},
	{"start", "UPDATE instance SET spec = '{broken' WHERE id = %s", "UPDATE instance SET spec = '{}' WHERE id = %s", "its start"},
	{"parameters", "UPDATE instance SET params = '[1' WHERE id = %s", "UPDATE instance SET params = '{}' WHERE id = %s", "its parameters"},
	{"version", "UPDATE instance SET version = 42 WHERE id = %s", "UPDATE instance SET version = 1 WHERE id = %s", "no version 42"},
}

func TestPoisonedRows(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	// Nobody serves the group yet, so the runs stand still while the store is spoilt.
	s.Apply(t, "name: w\ntasks:\n  a: {run: echo a, worker_group: later}\n  b: {needs: [a], run: echo b}\n")
	release, stop := make([]string, len(poisons)), make([]string, len(poisons))
	for i := range poisons {
		release[i], stop[i] = s.Begin(t, "w").ID, s.Begin(t, "w").ID
	}
	sound := s.Begin(t, "w").ID
	harness.Eventually(t, "all wait for a worker", func() bool {
		for _, id := range append(append([]string{sound}, release...), stop...) {
			if run := s.Instance(t, id); len(run.Tasks) == 0 || run.Tasks[0].State != "queued" {
				return false
			}
		}
		return true
	})
	s.Stop(t)
	for i, p := range poisons {
		s.SQL(t, fmt.Sprintf(p.spoil, release[i]), fmt.Sprintf(p.spoil, stop[i]))
	}
	s.Args = []string{"--groups", "default,later"}
	s.Start(t)

	until(t, s, sound, "succeeded")
	healthy(t, s)
	for i, p := range poisons {
		for _, id := range []string{release[i], stop[i]} {
			quarantined(t, s, id, p.name, p.reason)
		}
		// What cannot be driven cannot be released either, and says why; a stop ends it.
		if p.mend != "" {
			refused(t, s, fault{5, "conflict", []string{"cannot be driven", p.reason}}, "release", stop[i])
			quarantined(t, s, stop[i], p.name, p.reason)
		}
		s.Must(t, "stop", stop[i])
		if run := until(t, s, stop[i], "stopped"); run.EndedAt == nil {
			t.Errorf("%s: stopped without an end", p.name)
		}
	}
	alerts := harness.Decode[harness.List[harness.Alert]](t, s.Must(t, "get", "alerts", "--limit", "200", "-o", "json"))
	told := map[string]int{}
	for _, a := range alerts.Items {
		if a.Kind == "quarantined" {
			told[a.Instance]++
		}
	}
	for i, p := range poisons {
		if told[release[i]] != 1 || told[stop[i]] != 1 {
			t.Errorf("%s: %d and %d alerts of a quarantine instead of one each", p.name, told[release[i]], told[stop[i]])
		}
	}

	s.Stop(t)
	for i, p := range poisons {
		if p.mend != "" {
			s.SQL(t, fmt.Sprintf(p.mend, release[i]))
		}
	}
	s.Start(t)
	for i, p := range poisons {
		s.Must(t, "release", release[i])
		if run := until(t, s, release[i], "succeeded"); run.Task(t, "b").State != "succeeded" {
			t.Errorf("%s: after its release %v", p.name, run.States())
		}
	}
}

// quarantined checks that a run is set aside and that people learn why and what to do.
func quarantined(t *testing.T, s *harness.Server, id, name, reason string) {
	t.Helper()
	harness.Eventually(t, name+" is quarantined", func() bool {
		return strings.Contains(s.Must(t, "get", "instances", "--state", "quarantined", "-o", "name", "--limit", "200"), id)
	})
	why := s.Must(t, "explain", id)
	for _, word := range []string{"quarantined", reason, "baton release", "baton stop"} {
		if !strings.Contains(why, word) {
			t.Errorf("%s: nothing of %q in: %s", name, word, why)
		}
	}
	if strings.Contains(why, "goroutine") {
		t.Errorf("%s: people do not read stacks: %s", name, why)
	}
}
