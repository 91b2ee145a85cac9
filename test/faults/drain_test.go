package faults

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"baton/test/harness"
)

const waiting = `
name: waiting
params: {go: ""}
tasks:
  plain: {run: &wait "echo begin; while [ ! -e \"$go\" ]; do sleep 0.05; done; echo end"}
  once: {delivery: at_most_once, run: *wait}
  after: {needs: [plain], run: echo after}
`

// draining begins a run of two tasks that wait for a file, and asks the server to end.
func draining(t *testing.T, limit string) (s *harness.Server, run harness.Instance) {
	t.Helper()
	s = harness.Start(t, "--drain-timeout", limit)
	s.Apply(t, waiting)
	run = s.Begin(t, "waiting", "-p", "go="+filepath.Join(s.Dir, "go"))
	harness.Eventually(t, "both run", func() bool {
		return s.Baton(t, "logs", run.ID, "plain").Stdout == "begin\n" && s.Baton(t, "logs", run.ID, "once").Stdout == "begin\n"
	})
	s.Signal(t, syscall.SIGTERM)
	return s, run
}

// notReady waits until who balances load is told to send nothing more.
func notReady(t *testing.T, s *harness.Server) {
	t.Helper()
	harness.Eventually(t, "it is not ready", func() bool {
		res, err := http.Get(s.URL + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusServiceUnavailable
	})
}

func serverLog(t *testing.T, s *harness.Server) string {
	t.Helper()
	raw, err := os.ReadFile(s.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// An administrator stops the server while tasks run, and gives them time.
func TestDrain(t *testing.T) {
	t.Parallel()
	s, run := draining(t, "10m")
	notReady(t, s)
	later := s.Begin(t, "waiting", "-p", "go="+filepath.Join(s.Dir, "go")) // accepted, and waits for the next start
	harness.Eventually(t, "the new run says why it waits", func() bool {
		tasks := s.Instance(t, later.ID).Tasks
		return len(tasks) == 2 && tasks[0].State == "queued" && strings.Contains(tasks[0].Reason, "draining")
	})
	harness.Eventually(t, "the node is shown as draining", func() bool {
		return strings.Contains(s.Must(t, "get", "workers"), "draining")
	})
	write(t, s, "go", "")
	s.Gone(t)
	if log := serverLog(t, s); !strings.Contains(log, `"draining: nothing new starts`) || !strings.Contains(log, `"tasks":2`) {
		t.Errorf("the log says nothing of the drain:\n%s", log)
	}
	s.Start(t)
	end := until(t, s, run.ID, "succeeded")
	for _, task := range []string{"plain", "once", "after"} {
		if tries := s.Attempts(t, run.ID, task); end.Task(t, task).State != "succeeded" || len(tries) != 1 {
			t.Errorf("%s: %s after %d attempts; the drain let it finish", task, end.Task(t, task).State, len(tries))
		}
	}
	until(t, s, later.ID, "succeeded")
}

// Two who do not wait: an administrator who sends the signal again, and a setting that is short.
func TestDrainThatIsCutShort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, limit, said string }{
		{"signal", "10m", "cut short by a signal"},
		{"timeout", "100ms", "the time for the drain is over"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, run := draining(t, c.limit)
			if c.name == "signal" {
				notReady(t, s) // it heard the first one
				s.Signal(t, syscall.SIGTERM)
			}
			s.Gone(t)
			if log := serverLog(t, s); !strings.Contains(log, c.said) {
				t.Errorf("not said: %s\n%s", c.said, log)
			}
			s.Start(t)
			harness.Eventually(t, "plain runs again", func() bool { return s.Baton(t, "logs", run.ID, "plain").Stdout == "begin\n" })
			if once := s.Instance(t, run.ID).Task(t, "once"); once.State != "unknown" {
				t.Errorf("once: %s (%s)", once.State, once.Reason)
			}
		})
	}
}
