// What the API asks for, said in the words of those who answer.

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"sync"
	"time"

	"baton/internal/api"
	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/master"
	"baton/internal/spec"
	"baton/internal/task"
	"baton/internal/task/all"
)

// live is the master of this process as the API sees it, whichever incarnation it is.
type live struct{ *mastering }

func (l live) PokeCommands(flow.ID) {
	m, _ := l.current()
	m.PokeCommands()
}

func (l live) PokeInbox() {
	m, _ := l.current()
	m.PokeInbox()
}

func (l live) PokeLook() {
	m, _ := l.current()
	m.PokeLook()
}

// Watch hands the master's changes on in the API's form. A reader that is too slow makes the
// master leave changes out, which it marks; so does the end of an incarnation.
func (l live) Watch(ctx context.Context, instance flow.ID) <-chan api.Event {
	m, next := l.current()
	sub, cancel := context.WithCancel(ctx)
	changes := m.Watch(sub, instance)
	events := make(chan api.Event)
	go func() {
		defer close(events)
		for {
			var e api.Event
			select {
			case c, more := <-changes:
				if !more {
					cancel()
					return
				}
				e = eventOf(c)
			case <-next:
				cancel()
				m, next = l.current()
				sub, cancel = context.WithCancel(ctx)
				changes = m.Watch(sub, instance)
				e = api.Event{Gap: true, At: flow.At(time.Now())}
			}
			select {
			case events <- e:
			case <-ctx.Done():
				cancel()
				return
			}
		}
	}()
	return events
}

func eventOf(c master.Change) api.Event {
	e := api.Event{
		Instance: c.Instance.ID, Seq: c.Instance.Seq, State: c.Instance.State, Reason: c.Instance.Reason,
		At: flow.At(time.Now()), Gap: c.Gap,
	}
	for _, r := range c.Rows {
		e.Tasks = append(e.Tasks, api.TaskChange{ID: r.ID, Name: r.Name, State: r.State, Attempt: r.Attempt.Number, Reason: r.Reason})
	}
	return e
}

func (l live) ReadLog(ctx context.Context, r api.LogRequest) iter.Seq2[api.LogChunk, error] {
	m, _ := l.current()
	chunks := m.ReadLog(ctx, master.LogRequest{
		Instance: r.Instance, Task: r.Task, Token: r.Token, Session: r.Session, Offset: r.Offset, Limit: r.Limit, Follow: r.Follow,
	})
	return func(yield func(api.LogChunk, error) bool) {
		for c, err := range chunks {
			if !yield(api.LogChunk(c), err) {
				return
			}
		}
	}
}

// planner is the engine as the API sees it. It keeps the plans of the versions that are started:
// compiling one for every start would cost more than the start.
type planner struct {
	types *task.Set
	mu    sync.Mutex
	plans map[planKey]*engine.Plan
}

type planKey struct {
	workflow flow.ID
	version  int32
}

// plansKept bounds the plans in memory; when it is reached all are let go.
const plansKept = 1000

func newPlanner(types *task.Set) *planner {
	return &planner{types: types, plans: map[planKey]*engine.Plan{}}
}

// plan compiles a definition, once for a version as long as its project's parameters stay.
func (p *planner) plan(def flow.Definition) (*engine.Plan, error) {
	key := planKey{def.ID, def.Version}
	p.mu.Lock()
	kept := p.plans[key]
	p.mu.Unlock()
	if kept != nil && slices.Equal(kept.Def.ProjectParams, def.ProjectParams) {
		return kept, nil
	}
	plan, err := engine.Compile(def, p.types)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.plans) >= plansKept {
		clear(p.plans)
	}
	p.plans[key] = plan
	return plan, nil
}

func (p *planner) Check(def flow.Definition, start flow.Start) error {
	plan, err := p.plan(def)
	if err != nil {
		return err
	}
	return engine.CheckStart(plan, start, flow.At(time.Now()))
}

func (p *planner) Explain(def flow.Definition, loaded flow.Loaded, item string, now flow.Time) (flow.Explanation, error) {
	state, err := p.load(def, loaded)
	if err != nil {
		return flow.Explanation{}, err
	}
	return engine.Explain(state, item, now), nil
}

func (p *planner) Items(def flow.Definition, loaded flow.Loaded) (map[flow.ID]string, error) {
	state, err := p.load(def, loaded)
	if err != nil {
		return nil, err
	}
	return engine.Items(state), nil
}

func (p *planner) load(def flow.Definition, loaded flow.Loaded) (*engine.State, error) {
	plan, err := p.plan(def)
	if err != nil {
		return nil, err
	}
	return engine.Load(plan, loaded)
}

// files is the file format as the API and validate see it.
type files struct{ types *task.Set }

func newFiles() files { return files{task.NewSet(all.Types()...)} }

func (f files) Parse(sources []api.SourceFile, project string) ([]flow.Document, error) {
	in := make([]spec.Source, len(sources))
	for i, s := range sources {
		in[i] = spec.Source{Name: s.Name, Content: []byte(s.Content)}
	}
	docs, errs := spec.Parse(in, f.types, spec.Defaults{Project: project})
	if len(errs) > 0 {
		return nil, errs
	}
	return docs, nil
}

func (files) EachFile(doc flow.Document, do func(string, string, *flow.File)) { spec.EachFile(doc, do) }

func (f files) DataSources(doc flow.Document) map[string]string {
	return spec.DataSources(doc, f.types)
}

func (files) Workflows(doc flow.Document) []flow.UsedWorkflow { return spec.Workflows(doc) }

func (f files) Approvals(doc flow.Document) []flow.Approval { return spec.Approvals(doc, f.types) }

func (f files) Environments(w *flow.Workflow, start flow.Start) []flow.EnvironmentUse {
	return spec.Environments(w, start, f.types)
}

func (files) Place(file api.SourceFile, doc flow.Document, path ...string) (line, column int) {
	return spec.Place(spec.Source{Name: file.Name, Content: []byte(file.Content)}, doc, path...)
}

func (files) Export(docs []flow.Document) ([]byte, error) {
	var out bytes.Buffer
	for i, d := range docs {
		raw, err := spec.Export(d)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(raw)
	}
	return out.Bytes(), nil
}

// Diff compares workflows field by field, other documents as they are written.
func (files) Diff(have, want flow.Document) ([]api.FieldChange, string, error) {
	var changes []spec.Change
	if have.Workflow != nil && want.Workflow != nil {
		changes = spec.Diff(have.Workflow, want.Workflow)
	} else {
		before, err := spec.Export(have)
		if err != nil {
			return nil, "", err
		}
		after, err := spec.Export(want)
		if err != nil {
			return nil, "", err
		}
		if !bytes.Equal(before, after) {
			changes = []spec.Change{{Op: spec.Changed, Path: "document", Before: string(before), After: string(after)}}
		}
	}
	fields := make([]api.FieldChange, len(changes))
	for i, c := range changes {
		fields[i] = api.FieldChange{Op: string(c.Op), Path: c.Path, Before: c.Before, After: c.After}
	}
	return fields, spec.Render(changes), nil
}

func (f files) Schema() json.RawMessage { return spec.JSONSchema(f.types) }
