package reasons

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"baton/test/harness"
)

// seen collects every reason that people were told, by `get`, `explain` or as an event.
type seen struct {
	mu      sync.Mutex
	reasons map[string]bool
}

func (s *seen) add(reasons ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range reasons {
		s.reasons[r] = true
	}
}

// watch adds the reasons of all changes that a server tells of, also of those that stand for a moment only.
func (s *seen) watch(t *testing.T, url, token string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { res.Body.Close(); <-done })
	go func() {
		defer close(done)
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			data, isOne := strings.CutPrefix(lines.Text(), "data: ")
			var change struct {
				Reason string
				Tasks  []struct{ Reason string }
			}
			if !isOne || json.Unmarshal([]byte(data), &change) != nil {
				continue
			}
			s.add(change.Reason)
			for _, task := range change.Tasks {
				s.add(task.Reason)
			}
		}
	}()
}

// world is a server under a test, or a cluster, and what was seen of it.
type world struct {
	*seen
	s   *harness.Server
	api *harness.Client // what is asked again and again is asked without a process
	// as says which server is asked, and with which token; nil: the standalone one.
	as []string
}

func standalone(t *testing.T, all *seen, args ...string) *world {
	t.Helper()
	w := &world{seen: all, s: harness.Start(t, args...)}
	w.tell(t)
	return w
}

// tell has what a standalone server says be seen.
func (w *world) tell(t *testing.T) {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(w.s.Data, "token"))
	if err != nil {
		t.Fatal(err)
	}
	w.watch(t, w.s.URL, strings.TrimSpace(string(token)))
	w.api = w.s.Client(t)
}

// baton runs a command that has to succeed.
func (w *world) baton(t *testing.T, args ...string) string {
	t.Helper()
	return w.s.Must(t, append(args, w.as...)...)
}

func (w *world) apply(t *testing.T, yaml string) {
	t.Helper()
	if r := w.s.BatonInput(t, yaml, append([]string{"apply", "-f", "-"}, w.as...)...); r.Code != 0 {
		t.Fatalf("apply: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

func (w *world) begin(t *testing.T, workflow string, args ...string) string {
	t.Helper()
	if len(args) > 0 {
		return harness.Decode[harness.Instance](t, w.baton(t, append([]string{"run", workflow, "-o", "json"}, args...)...)).ID
	}
	var run harness.Instance
	if status := w.api.Call(http.MethodPost, "/instances", map[string]string{"project": "default", "workflow": workflow}, &run); status != http.StatusCreated {
		t.Fatalf("start of %s: status %d", workflow, status)
	}
	return run.ID
}

// what is how something stands that waits.
type what struct {
	State       string     `json:"state"`
	Reason      string     `json:"reason"`
	NextCheckAt *time.Time `json:"next_check_at"`
}

// explanation is what `baton explain` tells.
type explanation struct {
	what
	Tasks []struct {
		Name string `json:"name"`
		what
	} `json:"tasks"`
}

// instance reads a run: how it stands, and its tasks by name, the newest of each.
func (w *world) instance(t *testing.T, id string) (run what, tasks map[string]what) {
	t.Helper()
	var i harness.Instance
	if status := w.api.Call(http.MethodGet, "/instances/"+id, nil, &i); status != http.StatusOK {
		t.Fatalf("read run %s: status %d", id, status)
	}
	tasks = map[string]what{}
	w.add(i.Reason)
	for _, row := range i.Tasks {
		tasks[row.Name] = what{row.State, row.Reason, row.NextCheckAt}
		w.add(row.Reason)
	}
	return what{i.State, i.Reason, nil}, tasks
}

// explain asks why, of the whole run or of one task.
func (w *world) explain(t *testing.T, id string, task ...string) (run what, tasks map[string]what) {
	t.Helper()
	tasks = map[string]what{}
	path := "/instances/" + id + "/explain"
	if len(task) > 0 {
		path += "?task=" + url.QueryEscape(task[0])
	}
	var e explanation
	if status := w.api.Call(http.MethodGet, path, nil, &e); status == http.StatusNotFound && len(task) > 0 {
		return run, tasks // an item that is not there yet
	} else if status != http.StatusOK {
		t.Fatalf("explain run %s: status %d", id, status)
	}
	w.add(e.Reason)
	for _, row := range e.Tasks {
		tasks[row.Name] = row.what
		w.add(row.Reason)
	}
	return e.what, tasks
}

// told is how a run and a task of it stand, as far as `get` tells: it lists no items, `explain` tells of one.
func (w *world) told(t *testing.T, id, task string) (run what, tasks map[string]what) {
	t.Helper()
	if strings.Contains(task, "[") {
		return w.explain(t, id, task)
	}
	return w.instance(t, id)
}
