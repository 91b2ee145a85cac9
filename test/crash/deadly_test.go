package crash

import (
	"strings"
	"testing"
	"time"

	"baton/test/harness"
)

// survive starts the server until it lives with a run that ends whoever drives it.
func survive(t *testing.T, s *harness.Server, meanwhile func(), quarantined func() bool) {
	t.Helper()
	deaths := 0
	for ; deaths < 12; deaths++ {
		if s.TryStart(t) {
			meanwhile()
			if lives(s, quarantined) {
				t.Logf("the server died %d times", deaths)
				return
			}
		}
		<-s.Died()
	}
	t.Fatalf("the server died %d times of one run", deaths)
}

// lives waits until the run is set aside, or the server dies.
func lives(s *harness.Server, quarantined func() bool) bool {
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-s.Died():
			return false
		case <-every.C:
			if quarantined() {
				return true
			}
		}
	}
}

func isQuarantined(t *testing.T, s *harness.Server, id string) func() bool {
	return func() bool {
		r := s.Baton(t, "get", "instances", "--state", "quarantined", "-o", "name")
		return r.Code == 0 && strings.Contains(r.Stdout, id)
	}
}

// onlyThat checks that one run is in quarantine and all others come to their end.
func onlyThat(t *testing.T, s *harness.Server, guilty string) {
	t.Helper()
	harness.Eventually(t, "all others end", func() bool {
		all := harness.Decode[harness.List[harness.Instance]](t, s.Must(t, "get", "instances", "--limit", "100", "-o", "json"))
		for _, run := range all.Items {
			switch {
			case run.ID == guilty && run.State != "quarantined", run.ID != guilty && run.State == "quarantined":
				t.Fatalf("run %s is %s (%s)", run.ID, run.State, run.Reason)
			case run.ID != guilty && run.State != "succeeded":
				return false
			}
		}
		return true
	})
	if why := s.Must(t, "explain", guilty); !strings.Contains(why, "4 masters in a row ended") || !strings.Contains(why, "baton release") {
		t.Errorf("why: %s", why)
	}
}

// A run that ends every process that reads it is set aside, and nothing that was taken with it.
func TestDeadlyRunAlone(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	s.Program = harness.BinaryWith(t, "failpoint")
	s.Start(t)
	s.Apply(t, "name: w\ntasks: {a: {run: echo a, worker_group: later}}\n")
	ids := make([]string, 8)
	for i := range ids {
		ids[i] = s.Begin(t, "w", "--key", "k"+string(rune('0'+i))).ID
	}
	harness.Eventually(t, "all are begun", func() bool {
		for _, id := range ids {
			if run := s.Instance(t, id); len(run.Tasks) == 0 {
				return false
			}
		}
		return true
	})
	s.Kill()
	s.Env = []string{"BATON_DEADLY=k3"}
	survive(t, s, func() {}, isQuarantined(t, s, ids[3]))
	s.Stop(t)
	s.Env, s.Args = nil, []string{"--groups", "default,later"}
	s.Start(t)
	onlyThat(t, s, ids[3])
}

// So is a command that ends every process that takes it.
func TestDeadlyCommandAlone(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	s.Program = harness.BinaryWith(t, "failpoint")
	s.Start(t)
	s.Apply(t, "name: w\ntasks: {a: {run: echo a}}\n")
	s.Stop(t)
	s.Env = []string{"BATON_DEADLY=guilty"}
	if !s.TryStart(t) {
		t.Fatal("it died before it had a run to die of")
	}
	guilty := ""
	if r := s.Baton(t, "run", "w", "--key", "guilty", "-o", "name"); r.Code == 0 {
		guilty = strings.TrimSpace(r.Stdout)
	}
	<-s.Died()
	submit := func() {
		for range 4 {
			s.Baton(t, "run", "w", "-o", "name") // accepted, or the server is gone
		}
		if r := s.Baton(t, "run", "w", "--key", "guilty", "-o", "name"); r.Code == 0 && guilty == "" {
			guilty = strings.TrimSpace(r.Stdout)
		}
	}
	survive(t, s, submit, func() bool { return guilty != "" && isQuarantined(t, s, guilty)() })
	onlyThat(t, s, guilty)
}
