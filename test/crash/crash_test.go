// Package crash kills a real standalone server with SIGKILL at every point where something is made
// durable or leaves the process, starts it again, and joins a ledger that the tasks wrote
// themselves with what the server says.
package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"baton/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m.Run)) }

// points are the places; the number is the time at which the process dies there.
var points = []string{
	"register.before:1", "register.after:1", "register.before:2", "register.after:2",
	"submit.before:3", "submit.after:3", "order.before:1", "order.after:1",
	"commit.before:1", "commit.after:1", "commit.before:4", "commit.after:4", "commit.before:9", "commit.after:9",
	"claim.after:1", "load.before:1", "load.after:1",
	"welcome:1", "granted:1", "granted:5", "begun:1", "started.before:2", "ended.before:1", "ended.after:1", "ended.before:6", "ended.after:6",
	"acked:1", "acked:4", "kill:1",
}

// takeovers die a second time, while what the first death left is being taken over.
var takeovers = []string{"takeover.before:1", "takeover.after:1", "load.before:1", "load.after:1", "commit.before:1", "commit.after:1", "welcome:1", "acked:1"}

const workflow = `
name: crash
params: {ledger: "", slow: "0.2"}
tasks:
  a:
    run: &say |
      echo "begin $BATON_TASK_INSTANCE_ID $BATON_FENCE $BATON_INSTANCE_ID" >> "$ledger"
      sleep "$slow"
      echo "end $BATON_TASK_INSTANCE_ID $BATON_FENCE $BATON_INSTANCE_ID" >> "$ledger"
      echo "{\"fence\": \"$BATON_FENCE\"}" > "$BATON_OUTPUT"
  once: {needs: [a], delivery: at_most_once, run: *say}
  b: {needs: [a], run: *say}
  c: {needs: [a], run: *say, retry: {times: 2, delay: 200ms}}
  join: {needs: [once, b, c], join: all_done, run: *say}
`

func TestKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			newWorld(t).play(point)
		})
	}
	for _, point := range takeovers {
		t.Run("then "+point, func(t *testing.T) {
			t.Parallel()
			newWorld(t).play("commit.after:6", point)
		})
	}
}

// world is a server, the runs that were asked of it, and the ledger.
type world struct {
	t      *testing.T
	s      *harness.Server
	ledger string
	token  string
	runs   map[string]string // key → id, "" while it is not known whether it was accepted
}

const (
	runs    = 6
	stopped = "k3" // the run that is told to stop
)

func newWorld(t *testing.T) *world {
	s := harness.New(t)
	s.Program = harness.BinaryWith(t, "failpoint")
	w := &world{t: t, s: s, ledger: filepath.Join(s.Dir, "ledger"), runs: map[string]string{}}
	for i := range runs {
		w.runs[fmt.Sprintf("k%d", i)] = ""
	}
	return w
}

func (w *world) play(deaths ...string) {
	w.s.Start(w.t)
	w.s.Apply(w.t, workflow)
	raw, err := os.ReadFile(filepath.Join(w.s.Data, "token"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.token = strings.TrimSpace(string(raw))
	w.s.Stop(w.t)
	for _, point := range deaths {
		w.s.Env = []string{"BATON_FAILPOINT=" + point}
		if w.s.TryStart(w.t) {
			w.submit()
			w.stop()
			if parked(point) && len(deaths) == 1 {
				w.rerun()
			}
		}
		select {
		case <-w.s.Died():
		case <-time.After(time.Minute):
			w.t.Fatalf("the server did not come to %s", point)
		}
	}
	w.s.Env = nil
	w.s.Start(w.t)
	w.submit()
	w.stop()
	for key := range w.runs {
		w.finish(key)
	}
	w.check()
}

// parked tells whether a point is reached only by an instance that nobody owned.
func parked(point string) bool {
	return strings.HasPrefix(point, "claim.") || strings.HasPrefix(point, "load.")
}

// rerun gives a verb to a run that has ended: the master has to claim it.
func (w *world) rerun() {
	harness.Eventually(w.t, "run k4 ends, or the server dies", func() bool {
		var run harness.Instance
		code, ok := w.call(http.MethodGet, "/instances/"+w.runs["k4"], nil, &run)
		return !ok || code == http.StatusOK && run.State == "succeeded"
	})
	w.call(http.MethodPost, "/instances/"+w.runs["k4"]+"/rerun", map[string]any{}, nil)
}

// call asks the server; it is false when the server died over it.
func (w *world) call(method, path string, body, into any, key ...string) (int, bool) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.s.URL+"/api/v1"+path, payload)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Type", "application/json")
	for _, k := range key {
		req.Header.Set("Idempotency-Key", k)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, false
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, false
	}
	if res.StatusCode >= 300 && method != http.MethodGet {
		w.t.Logf("%s %s: %s", method, path, raw)
	}
	if into != nil && res.StatusCode < 300 {
		if err := json.Unmarshal(raw, into); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return res.StatusCode, true
}

// submit asks for every run that was not accepted for certain, under its own key.
func (w *world) submit() {
	for i := range runs {
		key := fmt.Sprintf("k%d", i)
		if w.runs[key] != "" {
			continue
		}
		var run harness.Instance
		body := map[string]any{"workflow": "crash", "project": "default", "params": map[string]string{"ledger": w.ledger}}
		if code, ok := w.call(http.MethodPost, "/instances", body, &run, key); !ok {
			return
		} else if code >= 300 {
			w.t.Fatalf("start of %s: status %d", key, code)
		}
		w.runs[key] = run.ID
	}
}

func (w *world) stop() {
	if id := w.runs[stopped]; id != "" {
		w.call(http.MethodPost, "/instances/"+id+"/stop", map[string]any{}, nil)
	}
}

// finish waits for the end of a run and settles what only a person can settle.
func (w *world) finish(key string) {
	id := w.runs[key]
	if id == "" {
		w.t.Fatalf("run %s was never accepted", key)
	}
	harness.Eventually(w.t, "run "+key+" ends", func() bool {
		var run harness.Instance
		if code, _ := w.call(http.MethodGet, "/instances/"+id, nil, &run); code != http.StatusOK {
			w.t.Fatalf("run %s (%s) was accepted and is lost: status %d", key, id, code)
		}
		for _, task := range run.Tasks {
			if task.State == "unknown" && task.Valid {
				w.call(http.MethodPost, "/instances/"+id+"/tasks/"+task.Name+"/succeed", map[string]any{}, nil)
			}
		}
		switch run.State {
		case "succeeded", "stopped", "failed":
			return true
		}
		return false
	})
}

type line struct {
	what, row string
	token     int64
}

func (w *world) check() {
	t := w.t
	var all harness.List[harness.Instance]
	w.call(http.MethodGet, "/instances?limit=100", nil, &all)
	if len(all.Items) != runs {
		t.Errorf("%d runs were asked for, %d exist", runs, len(all.Items))
	}
	byRow := map[string][]line{}
	raw, err := os.ReadFile(w.ledger)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for text := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n") {
		f := strings.Fields(text)
		if len(f) != 4 {
			continue
		}
		token, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			t.Fatalf("ledger: %q", text)
		}
		byRow[f[1]] = append(byRow[f[1]], line{f[0], f[1], token})
	}
	for key, id := range w.runs {
		var run harness.Instance
		w.call(http.MethodGet, "/instances/"+id, nil, &run)
		if run.State != "succeeded" && key != stopped {
			t.Errorf("run %s ended %s (%s)", key, run.State, run.Reason)
		}
		for _, task := range run.Tasks {
			w.checkRow(key, task, byRow[task.ID])
		}
	}
	w.checkProcesses()
}

func (w *world) checkRow(key string, task harness.Task, lines []line) {
	t := w.t
	var last int64
	begins, ended := 0, false
	for _, l := range lines {
		switch l.what {
		case "begin":
			begins++
			if l.token <= last {
				t.Errorf("%s/%s: token %d began after %d", key, task.Name, l.token, last)
			}
			last = l.token
		case "end":
			ended = ended || l.token == task.Token
		}
	}
	if task.Name == "once" && begins > 1 {
		t.Errorf("%s/%s runs at most once and began %d times", key, task.Name, begins)
	}
	if begins > 3 {
		t.Errorf("%s/%s began %d times over at most two deaths", key, task.Name, begins)
	}
	if task.State == "succeeded" && !ended {
		t.Errorf("%s/%s succeeded with token %d; the ledger does not know it", key, task.Name, task.Token)
	}
	if task.State == "succeeded" {
		if got := string(task.Outputs["fence"]); got != strconv.Quote(strconv.FormatInt(task.Token, 10)) {
			t.Errorf("%s/%s has token %d and the outputs of %s", key, task.Name, task.Token, got)
		}
	}
}

// checkProcesses: when every run has ended, no process of a task is left.
func (w *world) checkProcesses() {
	dirs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range dirs {
		raw, err := os.ReadFile(path)
		if err == nil && bytes.Contains(raw, []byte("ledger="+w.ledger)) {
			cmd, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			w.t.Errorf("process %s is left: %q", filepath.Base(filepath.Dir(path)), cmd)
		}
	}
}
