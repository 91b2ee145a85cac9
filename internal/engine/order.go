// Order: what one attempt is told, rendered from the state.

package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"baton/internal/flow"
	"baton/internal/param"
)

// Order is all a worker needs to run one attempt.
type Order struct {
	Token    int64
	Instance flow.ID
	Task     flow.ID
	Number   int32
	Session  int64
	Name     string
	Type     string
	Project  string
	Workflow string
	Options  json.RawMessage
	Env      map[string]string
	Secrets  []flow.EnvVar
	Files    []flow.File
	Patterns []string
	Source   string // name of the data source, "" none
	Hold     bool   // at most once: begin only when told
	// Environment that the process is prepared by, "" none, and the worker group that it is used in. What the environment
	// says is added by Prepare at the last moment: it is no part of a run.
	Environment string `json:",omitzero"`
	Group       string `json:",omitzero"`
	Setup       Setup  `json:",omitzero"`
}

// Setup is what an environment adds to an order beside variables.
type Setup struct {
	Version int32
	Script  string
	Keep    []string // variables of the task itself, in order: the script does not change them for it
}

// Prepare adds what the environment of an order says, as it is now. What the task has itself, its env and its parameters,
// wins over it.
func (o *Order) Prepare(e flow.Environment) error {
	if err := e.Refusal(o.Group); err != nil {
		return err
	}
	own := make(map[string]bool, len(o.Env)+len(o.Secrets))
	for name := range o.Env {
		own[name] = true
	}
	for _, s := range o.Secrets {
		own[s.Name] = true
	}
	o.Setup = Setup{Version: e.Version, Script: e.Script, Keep: slices.Sorted(maps.Keys(own))}
	o.Secrets = slices.Clone(o.Secrets) // they are the plan's
	for _, v := range e.Env {
		switch {
		case own[v.Name]:
		case v.Secret != nil:
			o.Secrets = append(o.Secrets, v)
		default:
			o.Env[v.Name] = v.Value
		}
	}
	return nil
}

// rendered is the part of an order that does not depend on the token.
type rendered struct {
	options json.RawMessage
	env     map[string]string
	source  string
}

// renderable renders the order of a row before it is granted, so that a parameter that resolves
// to nothing fails the task instead of the attempt. The result is kept for Order.
func (s *State) renderable(r int32) error {
	out, err := s.render(r)
	if err != nil {
		return err
	}
	if s.orders == nil {
		s.orders = make(map[int32]rendered)
	}
	s.orders[r] = out
	return nil
}

func (s *State) render(r int32) (rendered, error) {
	row := &s.Rows[r]
	w := s.work(row)
	var out rendered
	if w.options.raw != nil && !w.process && len(w.env) == 0 && w.source == "" {
		out.options = w.options.raw
		return out, nil
	}
	scope, err := s.scopeOf(row)
	if err != nil {
		return out, err
	}
	if out.options, err = w.options.render(nil, scope); err != nil {
		return out, fmt.Errorf("with.%w", err)
	}
	if w.source != "" {
		var options map[string]any
		if err := json.Unmarshal(out.options, &options); err != nil {
			return out, fmt.Errorf("with: %w", err)
		}
		out.source, _ = options[w.source].(string)
	}
	if w.process {
		if out.env, err = scope.Environ(); err != nil {
			return out, fmt.Errorf("environment: %w", err)
		}
	}
	for _, e := range w.env {
		v, err := e.text.Render(scope)
		if err != nil {
			return out, fmt.Errorf("env.%s: %w", e.name, err)
		}
		if out.env == nil {
			out.env = make(map[string]string, len(w.env))
		}
		out.env[e.name] = v
	}
	return out, nil
}

// Held tells whether a row's attempt begins only when it is told to: at most once.
func (s *State) Held(r int32) bool {
	n, undo := s.node(&s.Rows[r])
	return !undo && n.Delivery == flow.AtMostOnce
}

// Order returns what the worker of a granted row is told. The row has its token.
func (s *State) Order(r int32) (Order, error) {
	out, kept := s.orders[r]
	if kept {
		delete(s.orders, r)
	} else {
		var err error
		if out, err = s.render(r); err != nil {
			return Order{}, fmt.Errorf("order of task %q: %w", s.Rows[r].Name, err)
		}
	}
	row := &s.Rows[r]
	w := s.work(row)
	o := Order{
		Token: row.Attempt.Token, Instance: s.Inst.ID, Task: row.ID, Number: row.Attempt.Number, Session: row.Attempt.Session,
		Name: row.Name, Type: w.typ, Project: s.Plan.Def.Project, Workflow: s.Plan.Def.Name,
		Options: out.options, Env: out.env, Secrets: w.secrets, Files: w.files, Patterns: w.patterns, Source: out.source,
		Hold: s.Held(r),
	}
	if w.process {
		if o.Env == nil {
			o.Env = make(map[string]string, 6)
		}
		o.Env["BATON_INSTANCE_ID"] = s.Inst.ID.String()
		o.Env["BATON_TASK_INSTANCE_ID"] = row.ID.String()
		o.Env["BATON_ATTEMPT"] = strconv.Itoa(int(row.Attempt.Number))
		o.Env["BATON_FENCE"] = strconv.FormatInt(row.Attempt.Token, 10)
		o.Env["BATON_DATA_TIME"] = s.dataTime().Format(time.RFC3339)
		if o.Environment = s.environment(row); o.Environment != "" {
			o.Group = s.group(row)
		}
		if s.final(row) {
			names := s.endNames()
			o.Env["BATON_RUN_STATE"], o.Env["BATON_RUN_FAILED_TASKS"] = names[param.RunState], names[param.RunFailedTasks]
		}
		// W3C trace context: the run is the trace, the attempt the span.
		o.Env["TRACEPARENT"] = fmt.Sprintf("00-%016x%016x-%016x-01", uint64(s.Inst.Workflow), uint64(s.Inst.ID), uint64(row.Attempt.Token))
	}
	return o, nil
}

func (s *State) dataTime() time.Time { return s.Inst.DataTime.Std().In(s.zone()) }

// zone is the run's. The tz database is compiled into the program: nothing is read.
func (s *State) zone() *time.Location {
	if s.loc == nil {
		s.loc = time.UTC
		if z := s.Inst.Zone; z != "" && z != "UTC" {
			if loc, err := time.LoadLocation(z); err == nil {
				s.loc = loc
			}
		}
	}
	return s.loc
}

func (s *State) builtins(task string, row *flow.TaskRow) param.Builtins {
	b := param.Builtins{
		DataTime: s.Inst.DataTime.Std(), Zone: s.zone(), Project: s.Plan.Def.Project, Workflow: s.Plan.Def.Name,
		Instance: s.Inst.ID.String(), Task: task,
	}
	if row != nil {
		b.TaskInstance = row.ID.String()
	}
	return b
}

// scope is what names mean for a task: row is nil before it has one.
func (s *State) scope(i int32, row *flow.TaskRow) *param.Scope {
	n := &s.Plan.nodes[i]
	local := n.work.local
	if row != nil {
		local = s.work(row).local
	}
	sc := &param.Scope{
		Start: s.given, Local: local, Upstream: s.upstream(i, row), Global: s.globals,
		Declared: s.Plan.declared, Project: s.Plan.project, Builtin: s.builtins(n.Name, row),
	}
	if n.final && s.ending {
		sc.Builtin.Engine = s.endNames()
	}
	return sc
}

// scopeOf is what names mean to a row: an item or a round sees more than its task.
func (s *State) scopeOf(row *flow.TaskRow) (*param.Scope, error) {
	n, _ := s.node(row)
	i := s.Plan.index[n.Name]
	scope := s.scope(i, row)
	if row.Item == 0 {
		return scope, nil
	}
	return scope, s.bind(scope, i, row)
}

// runScope is what names mean for a run before any of its tasks.
func (s *State) runScope() *param.Scope {
	return &param.Scope{
		Start: s.given, Global: s.globals, Declared: s.Plan.declared, Project: s.Plan.project, Builtin: s.builtins("", nil),
	}
}

// endScope is what names mean when the run ends: every task is upstream but those that are still to run then.
func (s *State) endScope() *param.Scope {
	sc := s.runScope()
	for _, i := range s.Plan.topo {
		if u, ok := s.outputsOf(i, 1); ok && !s.Plan.nodes[i].final {
			sc.Upstream = append(sc.Upstream, u)
		}
	}
	return sc
}

// resolveParams computes the parameters of a run that begins.
func (s *State) resolveParams() error {
	if len(s.start.Params) == 0 && len(s.Plan.declared.Names()) == 0 {
		return nil
	}
	given, all, err := s.Plan.declared.Resolve(s.start.Params, s.Plan.project, s.builtins("", nil))
	if err != nil {
		return flow.Errorf(flow.CodeBadRequest, "params", "%s", err)
	}
	s.given, s.globals = given, all
	s.Inst.Params, err = json.Marshal(all)
	return err
}

// restoreParams takes the globals that the instance was begun with, whatever its project says now.
func (s *State) restoreParams() error {
	all, err := DecodeTexts(s.Inst.Params)
	if err != nil {
		return err
	}
	s.globals = all
	if len(s.start.Params) > 0 {
		s.given = make(map[string]string, len(s.start.Params))
		for k := range s.start.Params {
			s.given[k] = all[k]
		}
	}
	return nil
}

// CheckStart tells whether a run could be started so: parameters, chosen tasks. It is what the API
// asks before it accepts the order.
func CheckStart(plan *Plan, start flow.Start, now flow.Time) error {
	spec, err := json.Marshal(start)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	s, err := New(plan, flow.Command{ID: 1, Start: spec, At: now})
	if err != nil {
		return err
	}
	if _, err := s.turnKey(); err != nil {
		return flow.Errorf(flow.CodeBadRequest, "params", "%s", err)
	}
	return nil
}
