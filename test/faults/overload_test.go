package faults

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"baton/test/harness"
)

type node struct {
	State string `json:"state"`
}

// states are those of the nodes, with commas.
func states(t *testing.T, s *harness.Server) string {
	t.Helper()
	var out []string
	for _, n := range harness.Decode[harness.List[node]](t, s.Must(t, "get", "workers", "-o", "json")).Items {
		out = append(out, n.State)
	}
	return strings.Join(out, ",")
}

// A worker whose disk is nearly full takes nothing new and says so; when there is room it goes on.
func TestOverloadedWorker(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	disk := smallDisk(t, s, "64m")
	s.Args = []string{"--overload-disk", "32MiB"}
	s.Start(t)
	healthy(t, s)
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 40<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the worker is busy", func() bool { return strings.Contains(states(t, s), "busy") })
	s.Apply(t, "name: small\ntasks: {a: {run: echo small}}\n")
	run := s.Begin(t, "small")
	harness.Eventually(t, "the task says why it waits", func() bool {
		tasks := s.Instance(t, run.ID).Tasks
		return len(tasks) == 1 && tasks[0].State == "queued" && strings.Contains(tasks[0].Reason, "takes nothing now: ") &&
			strings.Contains(tasks[0].Reason, "MiB free on the disk of its data folder (at least 32 MiB)")
	})
	if why := s.Must(t, "explain", run.ID); !strings.Contains(why, "takes nothing now: ") {
		t.Errorf("explained as:\n%s", why)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	until(t, s, run.ID, "succeeded")
	harness.Eventually(t, "nobody is busy", func() bool { return !strings.Contains(states(t, s), "busy") })
	if log := serverLog(t, s); !strings.Contains(log, "nothing new is taken for now: ") || !strings.Contains(log, "work is taken again") {
		t.Error("the log does not tell of it")
	}
}

// Calls that wait for an answer do not keep scripts from running, nor the other way round.
func TestFunctionsAndProcessesHaveTheirOwnPlaces(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	calls := make(chan struct{}, 9)
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		calls <- struct{}{}
		<-answer
	}))
	t.Cleanup(slow.Close)
	s := harness.Start(t, "--slots", "1", "--function-slots", "2")
	s.Apply(t, `
name: calls
params: {url: ""}
tasks:
  a: {type: http, with: {url: "${url}"}}
  b: {type: http, with: {url: "${url}"}}
  c: {type: http, with: {url: "${url}"}}
---
name: scripts
params: {go: ""}
tasks:
  a: {run: &wait "while [ ! -e \"$go\" ]; do sleep 0.05; done"}
  b: {run: *wait}
`)
	scripts := s.Begin(t, "scripts", "-p", "go="+filepath.Join(s.Dir, "go"))
	run := s.Begin(t, "calls", "-p", "url="+slow.URL)
	<-calls
	<-calls
	waits := func(id, why string) {
		t.Helper()
		harness.Eventually(t, "one waits because "+why, func() bool {
			n := 0
			for _, task := range s.Instance(t, id).Tasks {
				if task.State == "queued" && strings.Contains(task.Reason, why) {
					n++
				}
			}
			return n == 1
		})
	}
	waits(run.ID, "all 2 places")
	waits(scripts.ID, "all 1 places")
	close(answer)
	until(t, s, run.ID, "succeeded")
	write(t, s, "go", "")
	until(t, s, scripts.ID, "succeeded")
}

// How workers are chosen is a setting of the cluster; what is no strategy is refused.
func TestBalanceIsASetting(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	put := func(value string) int {
		t.Helper()
		token, err := os.ReadFile(filepath.Join(s.Data, "token"))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/api/v1/settings/balance", strings.NewReader(`{"value": "`+value+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if code := put("best"); code != http.StatusBadRequest {
		t.Errorf("no strategy: %d", code)
	}
	for _, strategy := range []string{"random", "round_robin", "weighted", "least_loaded,spark=random"} {
		if code := put(strategy); code != http.StatusOK {
			t.Errorf("%s: %d", strategy, code)
		}
		healthy(t, s)
	}
}
