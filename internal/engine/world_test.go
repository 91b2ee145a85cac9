// A world for tests: an instance, a model of the store that commits its changes, a clock and a
// sequence of tokens. After every commit what is stored is loaded again and compared with what is
// in memory: memory is nothing but a cache.

package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
	"baton/internal/task"
	"baton/internal/task/hosted"
)

// epoch is when every test begins.
var epoch = flow.At(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))

// script is a task type that runs as a process.
type script struct{ name string }

func (t script) Name() string { return t.name }
func (script) Schema() task.Schema {
	return task.Schema{Options: []task.Option{{Name: "script", Kind: task.Script}, {Name: "text", Kind: task.Text}}}
}
func (script) Check(json.RawMessage) []*flow.Error { return nil }
func (script) Command(*task.Attempt) (task.Command, error) {
	return task.Command{}, nil
}

// call is a task type that runs inside the worker: no environment is made for it.
type call struct{}

func (call) Name() string                        { return "call" }
func (call) Schema() task.Schema                 { return task.Schema{} }
func (call) Check(json.RawMessage) []*flow.Error { return nil }
func (call) Run(context.Context, *task.Attempt) (task.Outputs, error) {
	return nil, nil
}

var testTypes = task.NewSet(script{"shell"}, call{}, hosted.Wait(), hosted.Approval(), hosted.SubWorkflow(), hosted.Dependent(), hosted.Map(), hosted.Loop())

// world is one instance and everything around it.
type world struct {
	t      fataler
	plan   *Plan
	s      *State
	now    flow.Time
	lastID flow.ID
	token  int64
	inbox  flow.ID

	inst flow.Instance // as stored
	rows []flow.TaskRow
	past []flow.AttemptRow
	// What rows have claimed of pools; true: they were given it.
	claims map[flow.ID]bool

	fx     Effects     // of the last event
	change flow.Change // of the last commit
}

// fataler is what testing.T, testing.B and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newWorld(t fataler, def flow.Workflow, start flow.Start) *world {
	t.Helper()
	w := &world{t: t, plan: compileTest(t, def), now: epoch, lastID: 100}
	spec, err := json.Marshal(start)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	w.lastID++
	w.s, err = New(w.plan, flow.Command{ID: w.lastID, Project: 1, Workflow: 2, Version: 1, Start: spec, At: w.now})
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	return w
}

func compileTest(t fataler, def flow.Workflow) *Plan {
	t.Helper()
	plan, err := Compile(flow.Definition{ID: 2, Project: "default", Name: "wf", Version: 1, Workflow: def, ProjectParams: []flow.Pair{{Name: "team", Value: "dw"}}}, testTypes)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	return plan
}

func (w *world) env() Env {
	next := func() flow.ID { w.lastID++; return w.lastID }
	return Env{Now: w.now, NextID: next, OwnID: next}
}

// apply decides one event and commits what it changed, as a master does.
func (w *world) apply(ev Event) {
	w.t.Helper()
	if g, ok := ev.(SlotsGiven); ok && w.inst.ID != 0 {
		if _, there := w.claims[g.Claim]; there {
			w.claims[g.Claim] = true // the store gave them before it said so
		}
	}
	w.change = flow.Change{}
	w.fx = Apply(w.s, ev, w.env())
	w.commit()
}

// commit takes the change, writes it into the model store and checks that memory is a cache of it.
func (w *world) commit() {
	w.t.Helper()
	if w.s.Dirty() {
		change, granted := w.s.Take(0)
		w.change = change
		tokens := w.store(change)
		if len(tokens) != len(granted) {
			w.t.Fatalf("%d tokens for %d grants", len(tokens), len(granted))
		}
		for i, r := range granted {
			w.s.SetToken(r, tokens[i])
		}
	}
	w.compare()
}

// store applies a change to the stored rows the way the databases do: rows are written whole, and
// only from the states that the change names.
func (w *world) store(c flow.Change) []int64 {
	w.t.Helper()
	if c.Instance.Seq != w.inst.Seq+1 {
		w.t.Fatalf("seq %d after %d", c.Instance.Seq, w.inst.Seq)
	}
	if c.Instance.State == 0 {
		w.t.Fatalf("instance without state")
	}
	c = cloneChange(c)
	w.inst = c.Instance
	grants := make(map[flow.ID]int64, len(c.Grants))
	var tokens []int64
	for _, id := range c.Grants {
		w.token++
		grants[id] = w.token
		tokens = append(tokens, w.token)
	}
	write := func(row flow.TaskRow) flow.TaskRow {
		if token, granted := grants[row.ID]; granted {
			if row.Attempt.Token != 0 {
				w.t.Fatalf("row %s is granted a token and has one", row.Name)
			}
			row.Attempt.Token = token
			delete(grants, row.ID)
		}
		return row
	}
	for _, row := range c.NewTasks {
		if n := len(w.rows); n > 0 && w.rows[n-1].ID >= row.ID {
			w.t.Fatalf("row %s: id %d does not grow", row.Name, row.ID)
		}
		w.rows = append(w.rows, write(row))
	}
	for _, u := range c.Tasks {
		i := slices.IndexFunc(w.rows, func(r flow.TaskRow) bool { return r.ID == u.Row.ID })
		if i < 0 {
			w.t.Fatalf("update of row %s, which is not stored", u.Row.Name)
		}
		if u.Sources&(1<<w.rows[i].State) == 0 {
			w.t.Fatalf("poison: row %s goes from %s to %s", u.Row.Name, w.rows[i].State, u.Row.State)
		}
		w.rows[i] = write(u.Row)
	}
	if len(grants) > 0 {
		w.t.Fatalf("grants for rows that the change does not write: %v", grants)
	}
	for _, p := range c.Past {
		if slices.ContainsFunc(w.past, func(q flow.AttemptRow) bool { return q.Task == p.Task && q.Number == p.Number }) {
			w.t.Fatalf("attempt %d of row %d is past twice", p.Number, p.Task)
		}
		if p.Number < 1 || p.State == flow.AttemptNone || p.State.Live() {
			w.t.Fatalf("past attempt %+v is none that ended", p)
		}
		w.past = append(w.past, p)
	}
	w.storeClaims(c)
	return tokens
}

// storeClaims holds what is claimed of pools against the rows: one claim for each row that says so, and no other.
func (w *world) storeClaims(c flow.Change) {
	w.t.Helper()
	if w.claims == nil {
		w.claims = map[flow.ID]bool{}
	}
	for _, k := range c.Claims {
		if _, twice := w.claims[k.ID]; twice || k.Slots < 1 || k.Priority == 0 || k.Pool == "" || k.Instance != w.inst.ID {
			w.t.Fatalf("bad claim %+v", k)
		}
		w.claims[k.ID] = false
	}
	for _, k := range c.Unclaims {
		if _, there := w.claims[k.ID]; !there {
			w.t.Fatalf("claim %d is given back and is not there", k.ID)
		}
		delete(w.claims, k.ID)
	}
	said := 0
	for _, row := range w.rows {
		if row.Claim == 0 {
			continue
		}
		said++
		if given, there := w.claims[row.Claim]; !there || given != row.Given && row.Given {
			w.t.Fatalf("row %s says that it has claim %d (given: %t); the claims are %v", row.Name, row.Claim, row.Given, w.claims)
		}
		if row.State != flow.TaskQueued && !row.Placed() {
			w.t.Fatalf("row %s is %s and has a claim", row.Name, row.State)
		}
	}
	if said != len(w.claims) {
		w.t.Fatalf("%d rows have claims, there are %v", said, w.claims)
	}
}

// slots are those that a row claimed, given to it.
func (w *world) slots(r int32) SlotsGiven {
	return SlotsGiven{flow.GivenSlots{Task: w.s.Rows[r].ID, Claim: w.s.Rows[r].Claim}}
}

func cloneChange(c flow.Change) flow.Change {
	c.NewTasks, c.Tasks, c.Past = slices.Clone(c.NewTasks), slices.Clone(c.Tasks), slices.Clone(c.Past)
	return c
}

func (w *world) load() *State {
	w.t.Helper()
	s, err := Load(w.plan, flow.Loaded{Instance: w.inst, Tasks: slices.Clone(w.rows)})
	if err != nil {
		w.t.Fatalf("load: %v", err)
	}
	return s
}

// compare holds memory against what a new owner would load.
func (w *world) compare() {
	w.t.Helper()
	if w.inst.ID == 0 {
		return // nothing was committed yet
	}
	mem, stored := snapshot(w.s), snapshot(w.load())
	if reflect.DeepEqual(mem, stored) {
		return
	}
	m, d := reflect.ValueOf(mem), reflect.ValueOf(stored)
	var diff strings.Builder
	for i := range m.NumField() {
		if a, b := m.Field(i).Interface(), d.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			fmt.Fprintf(&diff, "\n%s\n  memory %+v\n  loaded %+v", m.Type().Field(i).Name, a, b)
		}
	}
	w.t.Fatalf("memory is not what is stored:%s", diff.String())
}

// cached is everything a State holds or derives that matters for what comes next.
type cached struct {
	Inst                                   flow.Instance
	Rows                                   []flow.TaskRow
	Start                                  flow.Start
	In                                     []bool
	Holds                                  []string
	Given, Globals                         map[string]string
	Row                                    []int32
	Verdict                                []verdict
	Left                                   []int32
	Active, Paused, Waiting, Live, Unknown int
	Hosted, Pooling, Giving, Handed        int
	ToJudge                                []int32
	Ending                                 bool
	Fans                                   map[int32]items
}

func snapshot(s *State) cached {
	c := cached{
		Inst: s.Inst, Rows: slices.Clone(s.Rows), Start: s.start, In: s.in, Holds: slices.Clone(s.holds),
		Given: maps.Clone(s.given), Globals: maps.Clone(s.globals),
		Row: slices.Clone(s.row), Verdict: slices.Clone(s.verdict), Left: slices.Clone(s.left),
		Active: s.active, Paused: s.paused, Waiting: s.waiting, Live: s.live, Unknown: s.unknown, Hosted: s.hosted, Pooling: s.pooling, Giving: s.giving, Handed: s.handed, Ending: s.ending,
	}
	for _, i := range slices.Concat(s.toJudge, s.fresh) {
		if s.row[i] < 0 && s.verdict[i] == pending && s.left[i] == 0 && s.chosen(i) {
			c.ToJudge = append(c.ToJudge, i)
		}
	}
	for i, f := range s.fans {
		if len(f.rows) > 0 {
			if c.Fans == nil {
				c.Fans = map[int32]items{}
			}
			c.Fans[i] = items{rows: slices.Clone(f.rows), live: f.live, done: f.done, failed: f.failed}
		}
	}
	slices.Sort(c.ToJudge)
	c.ToJudge = slices.Compact(c.ToJudge)
	if len(c.Holds) == 0 {
		c.Holds = nil
	}
	if len(c.Given) == 0 {
		c.Given = nil
	}
	if len(c.Globals) == 0 {
		c.Globals = nil
	}
	if len(c.Rows) == 0 {
		c.Rows = nil
	}
	return c
}

// looked answers the question of a row as the store does. The workflow that is found takes a number.
func (w *world) looked(args []string) {
	w.t.Helper()
	r := w.row(args[0])
	q, wanted := w.s.Lookup(r)
	if len(q.Upstreams) > 0 {
		w.apply(Looked{Task: q.Task, Found: flow.Found{Upstreams: upstreamsOf(q.Upstreams, args[1:])}})
		return
	}
	looked := Looked{Found: flow.Found{Child: q.Child != 0 && !slices.Contains(args, "gone")}}
	if slices.Contains(args, "nothing") {
		looked.Found.Missing = fmt.Sprintf("there is no workflow %q in project %q", q.Workflow, q.Project)
	} else {
		plan, err := Compile(flow.Definition{ID: 7, ProjectID: 1, Project: "default", Name: q.Workflow, Version: 3, Workflow: flow.Workflow{
			Params: []flow.Param{{Name: "size", Type: "string", Enum: []string{"monday", "tuesday"}}}, Tasks: []flow.Task{{Name: "a", Type: "shell"}},
		}}, testTypes)
		if err != nil {
			w.t.Fatalf("compile: %v", err)
		}
		looked.Plan = plan
	}
	if !wanted {
		q.Task = w.s.Rows[r].ID
	}
	looked.Task = q.Task
	w.apply(looked)
}

// upstreamsOf answers with one word for each window, the last one for all that are left: none, missing, first, or a
// state of a run; of a task T:STATE. A word may be followed by outputs.
func upstreamsOf(asked []flow.Upstream, words []string) []flow.FoundUpstream {
	var out []flow.FoundUpstream
	n := 0
	for i, u := range asked {
		f := flow.FoundUpstream{Workflow: flow.ID(50 + i), Earlier: true}
		for range u.Windows {
			word, outputs, _ := strings.Cut(words[min(n, len(words)-1)], "{")
			n++
			run := flow.FoundRun{ID: flow.ID(500 + n), EndedAt: flow.Time(1000 - n)}
			if outputs != "" {
				run.Outputs = []byte("{" + outputs)
			}
			task, isTask := strings.CutPrefix(word, "T:")
			switch {
			case word == "none":
				run.ID = 0
			case word == "missing":
				f.Workflow = 0
			case word == "first":
				f.Earlier, run.ID = false, 0
			case isTask:
				run.Task, _ = flow.ParseTaskState(task)
				run.State = flow.InstanceRunning
			default:
				run.State, _ = flow.ParseInstanceState(word)
			}
			f.Runs = append(f.Runs, run)
		}
		out = append(out, f)
	}
	return out
}

// row returns the index of the valid row of a task or compensation.
func (w *world) row(name string) int32 {
	w.t.Helper()
	for r := range w.s.Rows {
		if w.s.Rows[r].Valid && w.s.Rows[r].Name == name {
			return int32(r)
		}
	}
	w.t.Fatalf("task %s has no row", name)
	return -1
}

// place, start and end drive one attempt of a task.
func (w *world) place(name string) {
	w.apply(Placed{Row: w.row(name), Session: 1, Worker: "w1"})
}

func (w *world) start(name string) {
	row := w.s.Rows[w.row(name)]
	w.apply(Started{Task: row.ID, Token: row.Attempt.Token, At: w.now})
}

func (w *world) end(name string, res flow.Result) {
	row := w.s.Rows[w.row(name)]
	if res.Token == 0 {
		res.Token = row.Attempt.Token
	}
	w.apply(Ended{Task: row.ID, Result: res})
}

func (w *world) verb(v flow.Verb) flow.Outcome {
	w.t.Helper()
	w.inbox++
	w.apply(VerbGiven{Inbox: w.inbox, Verb: v})
	if len(w.change.Outcomes) != 1 || len(w.change.Inbox) != 1 || w.change.Inbox[0] != w.inbox {
		w.t.Fatalf("verb %s: outcomes %v, inbox %v", v.Name, w.change.Outcomes, w.change.Inbox)
	}
	return w.change.Outcomes[0]
}

// quarantine does what the store does with an instance that cannot be committed.
func (w *world) quarantine(reason string) {
	w.inst.Prior, w.inst.State, w.inst.Reason, w.inst.WakeAt = w.inst.State, flow.InstanceQuarantined, reason, 0
	w.inst.Seq++
	w.s = w.load()
}
