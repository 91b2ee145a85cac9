// The world of the tests: a real store, a master that does what a test tells it, and a check of
// every answer against the OpenAPI document.

package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/spec"
	"baton/internal/store"
	"baton/internal/task"
	"baton/internal/task/all"
)

type world struct {
	t       *testing.T
	db      *store.DB
	masters *masters
	server  *api.Server
	token   string
	ids     *flow.IDSource
	lease   flow.Lease
}

// setup returns a server with an empty store and a registered master that does nothing by itself.
func setup(t *testing.T) *world {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "baton.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{t: t, db: db, masters: &masters{logs: map[int64][]string{}}, ids: flow.NewIDSource(7, 0)}
	w.lease, err = db.Master().Register(t.Context(), flow.Node{Role: flow.RoleStandalone, Name: "m1", Home: "h1", State: "ready", Engine: flow.EngineVersion})
	if err != nil {
		t.Fatal(err)
	}
	token, sum := api.NewToken()
	if err := db.CreateToken(t.Context(), "tester", sum, flow.At(time.Now())); err != nil {
		t.Fatal(err)
	}
	w.token = token
	w.server = w.serve(db)
	return w
}

// serve makes a server over a store, which may be one that fails.
func (w *world) serve(s api.Store) *api.Server {
	return api.New(api.Config{
		Store: s, Masters: w.masters, Engine: engine{}, Documents: documents{task.NewSet(all.Types()...)},
		NextID: w.nextID, Version: "test",
	})
}

func (w *world) nextID() flow.ID { return w.ids.Next(flow.At(time.Now())) }

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do asks as the administrator.
func (w *world) do(method, path, body string, header ...string) answer {
	w.t.Helper()
	return w.ask(w.server, method, path, body, append(header, "Authorization", "Bearer "+w.token)...)
}

func (w *world) ask(h http.Handler, method, path, body string, header ...string) answer {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	a := answer{rec.Code, rec.Header(), rec.Body.String()}
	conforms(w.t, method, path, a)
	return a
}

// get reads an answer of 200 into v.
func (w *world) get(path string, v any) {
	w.t.Helper()
	a := w.do(http.MethodGet, path, "")
	if a.status != http.StatusOK {
		w.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	w.decode(a, v)
}

func (w *world) decode(a answer, v any) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		w.t.Fatalf("%v in %s", err, a.body)
	}
}

const ordersYAML = `
name: orders
description: Loads orders
params:
  day: $[yyyyMMdd-1]
  region: {type: string, default: eu, enum: [eu, us]}
tasks:
  extract: {run: echo $day}
  load: {needs: [extract], run: echo load}
`

// apply applies YAML.
func (w *world) apply(yaml string) answer {
	w.t.Helper()
	return w.do(http.MethodPost, "/api/v1/apply", filesJSON("orders.yaml", yaml))
}

func filesJSON(name, yaml string) string {
	raw, _ := json.Marshal(api.Files{Files: []api.SourceFile{{Name: name, Content: yaml}}})
	return string(raw)
}

// start starts a run of orders and returns its id.
func (w *world) start() flow.ID {
	w.t.Helper()
	w.apply(ordersYAML)
	a := w.do(http.MethodPost, "/api/v1/instances", `{"workflow": "orders"}`)
	if a.status != http.StatusCreated {
		w.t.Fatalf("start: %d %s", a.status, a.body)
	}
	var i api.Instance
	w.decode(a, &i)
	id, err := flow.ParseID(i.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// run is a run that the test's master drives.
type run struct {
	*world
	row   flow.Instance
	tasks []flow.TaskRow
}

// take makes the instance of a started run, as a master does, in state running with one task that
// runs.
func (w *world) take(id flow.ID) *run {
	w.t.Helper()
	commands, err := w.db.Master().Commands(w.t.Context(), 10, nil, flow.Turn{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range commands {
		if c.ID != id {
			continue
		}
		now := flow.At(time.Now())
		r := &run{world: w, row: flow.Instance{
			ID: id, Project: c.Project, Workflow: c.Workflow, Version: c.Version, State: flow.InstanceRunning, Seq: 0,
			Owner: w.lease.Incarnation, Engine: flow.EngineVersion, RunTimes: 1, Priority: c.Priority, DataTime: now, Zone: "UTC",
			Trigger: flow.TriggerManual, Key: c.Key, Spec: c.Start, Params: []byte(`{"day":"20260301"}`), SubmittedAt: c.At, StartedAt: now,
		}}
		extract := flow.TaskRow{
			ID: w.nextID(), Instance: id, Name: "extract", Type: "shell", State: flow.TaskRunning, Valid: true, RunTimes: 1, StartedAt: now, Reason: "running",
			Attempt: flow.AttemptRow{Number: 1, State: flow.AttemptStarted, Worker: "w1", Session: 5, ExitCode: flow.NoExit, GrantedAt: now, StartedAt: now},
		}
		extract.Attempt.Task = extract.ID
		r.tasks = []flow.TaskRow{extract}
		r.commit(flow.Change{Command: id, NewTasks: r.tasks, Grants: []flow.ID{extract.ID}})
		return r
	}
	w.t.Fatalf("no command %s", id)
	return nil
}

// commit writes the run as it is now, and what else the change says, and tells the watchers.
func (r *run) commit(c flow.Change) {
	r.t.Helper()
	r.row.Seq++
	c.Instance = r.row
	result, err := r.db.Master().Commit(r.t.Context(), flow.Batch{Owner: r.lease.Incarnation, Epoch: r.lease.Epoch, Changes: []flow.Change{c}})
	if err != nil {
		r.t.Error(err)
		return
	}
	one := result.Changes[0]
	if one.Fate != flow.Committed {
		r.t.Errorf("commit: fate %d, %v", one.Fate, one.Err)
		return
	}
	if len(one.Tokens) > 0 {
		r.tasks[0].Attempt.Token = one.Tokens[0]
	}
	e := api.Event{Instance: r.row.ID, Seq: r.row.Seq, State: r.row.State, Reason: r.row.Reason, At: flow.At(time.Now())}
	for _, t := range append(c.NewTasks, rows(c.Tasks)...) {
		e.Tasks = append(e.Tasks, api.TaskChange{ID: t.ID, Name: t.Name, State: t.State, Attempt: t.Attempt.Number, Reason: t.Reason})
	}
	r.masters.tell(e)
}

func rows(updates []flow.TaskUpdate) []flow.TaskRow {
	out := make([]flow.TaskRow, len(updates))
	for i, u := range updates {
		out[i] = u.Row
	}
	return out
}

// end ends the first task and the run.
func (r *run) end(task flow.TaskState, state flow.InstanceState, exit int32) {
	r.t.Helper()
	now := flow.At(time.Now())
	t := &r.tasks[0]
	t.State, t.EndedAt, t.Reason = task, now, ""
	t.Attempt.State, t.Attempt.ExitCode, t.Attempt.EndedAt = flow.AttemptSucceeded, exit, now
	if task == flow.TaskFailed {
		t.Reason, t.Attempt.State, t.Attempt.Cause, t.Attempt.Class = fmt.Sprintf("exit:%d", exit), flow.AttemptFailed, fmt.Sprintf("exit:%d", exit), flow.ClassUser
	}
	r.row.State, r.row.EndedAt, r.row.Owner = state, now, 0
	r.commit(flow.Change{Tasks: []flow.TaskUpdate{{Row: *t, Sources: flow.TaskMachine.Sources(task)}}})
}

// masters is a master that does what the test says.
type masters struct {
	mu       sync.Mutex
	watchers []chan api.Event
	logs     map[int64][]string // by token: the pieces of a log
	onPoke   func()
}

func (m *masters) PokeCommands(flow.ID) { m.PokeInbox() }

func (m *masters) PokeLook() {}

func (m *masters) PokeInbox() {
	m.mu.Lock()
	f := m.onPoke
	m.mu.Unlock()
	if f != nil {
		f()
	}
}

func (m *masters) Watch(ctx context.Context, instance flow.ID) <-chan api.Event {
	in, out := make(chan api.Event, 64), make(chan api.Event)
	m.mu.Lock()
	m.watchers = append(m.watchers, in)
	m.mu.Unlock()
	go func() {
		defer close(out)
		for {
			select {
			case e := <-in:
				if instance != 0 && e.Instance != instance && !e.Gap {
					continue
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func (m *masters) tell(e api.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.watchers {
		w <- e
	}
}

func (m *masters) ReadLog(_ context.Context, r api.LogRequest) iter.Seq2[api.LogChunk, error] {
	return func(yield func(api.LogChunk, error) bool) {
		m.mu.Lock()
		pieces, known := m.logs[r.Token]
		m.mu.Unlock()
		if !known {
			yield(api.LogChunk{}, flow.Errorf(flow.CodeNotFound, "", "attempt %d has no log", r.Token))
			return
		}
		offset := int64(0)
		for _, p := range pieces {
			if !yield(api.LogChunk{Offset: offset, Data: []byte(p)}, nil) {
				return
			}
			offset += int64(len(p))
		}
	}
}

// engine accepts every start but one of region mars.
type engine struct{}

func (engine) Check(_ flow.Definition, start flow.Start) error {
	if start.Params["region"] == "mars" {
		return flow.Errorf(flow.CodeBadRequest, "params", "region: %q is not one of eu, us", "mars")
	}
	return nil
}

func (engine) Explain(def flow.Definition, l flow.Loaded, _ string, _ flow.Time) (flow.Explanation, error) {
	e := flow.Explanation{State: l.Instance.State, Reason: l.Instance.Reason}
	for _, t := range def.Workflow.Tasks {
		e.Tasks = append(e.Tasks, flow.TaskExplanation{Name: t.Name, Reason: "waits", Params: []flow.ParamOrigin{{Name: "day", Value: "1", From: "global"}}})
	}
	return e, nil
}

func (engine) Items(_ flow.Definition, l flow.Loaded) (map[flow.ID]string, error) {
	items := map[flow.ID]string{}
	for _, row := range l.Tasks {
		if row.Item != 0 {
			items[row.ID] = "item of " + row.Name
		}
	}
	return items, nil
}

// documents is the file format, as the command line has it.
type documents struct{ types *task.Set }

func (d documents) Parse(files []api.SourceFile, project string) ([]flow.Document, error) {
	var in []spec.Source
	for _, f := range files {
		in = append(in, spec.Source{Name: f.Name, Content: []byte(f.Content)})
	}
	docs, errs := spec.Parse(in, d.types, spec.Defaults{Project: project})
	if len(errs) > 0 {
		return nil, errs
	}
	return docs, nil
}

func (documents) EachFile(doc flow.Document, do func(string, string, *flow.File)) {
	spec.EachFile(doc, do)
}

func (d documents) DataSources(doc flow.Document) map[string]string {
	return spec.DataSources(doc, d.types)
}

func (documents) Workflows(doc flow.Document) []flow.UsedWorkflow { return spec.Workflows(doc) }

func (d documents) Approvals(doc flow.Document) []flow.Approval { return spec.Approvals(doc, d.types) }

func (d documents) Environments(w *flow.Workflow, start flow.Start) []flow.EnvironmentUse {
	return spec.Environments(w, start, d.types)
}

func (documents) Place(file api.SourceFile, doc flow.Document, path ...string) (line, column int) {
	return spec.Place(spec.Source{Name: file.Name, Content: []byte(file.Content)}, doc, path...)
}

func (documents) Export(docs []flow.Document) ([]byte, error) {
	var out []byte
	for _, d := range docs {
		raw, err := spec.Export(d)
		if err != nil {
			return nil, err
		}
		out = append(append(out, "---\n"...), raw...)
	}
	return out, nil
}

func (documents) Diff(have, want flow.Document) ([]api.FieldChange, string, error) {
	changes := spec.DiffDocuments(have, want)
	var out []api.FieldChange
	for _, c := range changes {
		out = append(out, api.FieldChange{Op: string(c.Op), Path: c.Path, Before: c.Before, After: c.After})
	}
	return out, spec.Render(changes), nil
}

func (d documents) Schema() json.RawMessage { return spec.JSONSchema(d.types) }

// stream is a response that is read while it is written.
type stream struct {
	header http.Header
	*io.PipeWriter
}

func (s *stream) Header() http.Header { return s.header }
func (s *stream) WriteHeader(int)     {}
func (s *stream) Flush()              {}
