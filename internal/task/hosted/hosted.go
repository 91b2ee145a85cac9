// Package hosted describes the options of the tasks that the engine runs itself: they wait, for a time, a person or
// another run, and hold no worker.
//
// Here is only what a file may say, so the types are neither Process nor Function. It must not know states, runs or
// what a wait comes to.
package hosted

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"baton/internal/flow"
	"baton/internal/param"
	"baton/internal/task"
	"baton/internal/window"
)

// Type is one of them.
type Type struct {
	name   string
	schema task.Schema
	check  func(*task.Options) []*flow.Error
}

// Name returns what a file writes in `type:`.
func (t Type) Name() string { return t.name }

// Schema describes the options.
func (t Type) Schema() task.Schema { return t.schema }

// Check finds options that exclude one another or mean nothing.
func (t Type) Check(options json.RawMessage) []*flow.Error {
	return t.check(t.schema.Read(options))
}

func fault(field, format string, args ...any) []*flow.Error {
	return []*flow.Error{flow.Errorf(flow.CodeInvalidFile, field, format, args...)}
}

const (
	optionFor      = "for"
	optionUntil    = "until"
	optionEvent    = "event"
	optionWorkflow = "workflow"
	optionOptions  = "options"
	optionDefault  = "default"
	optionForm     = "form"

	optionApprovers = "approvers"
	optionOnTimeout = "on_timeout"
)

// Wait returns the type that waits for a time or an event.
func Wait() Type {
	return Type{name: flow.TypeWait, check: checkWait, schema: task.Schema{
		Description: "Waits for a time or an event, without holding a worker, and then succeeds.",
		Options: []task.Option{
			{Name: optionFor, Kind: task.DurationOption, Description: "How long, such as 10s or 2h."},
			{Name: optionEvent, Kind: task.Text, Description: "Until that event is sent with `baton event NAME`; its parameters become outputs. One that was sent before is not heard."},
			{Name: optionUntil, Kind: task.Text, Description: "Until when: 2026-03-01T06:00:00Z, or 2026-03-01 06:00:00 in the zone of the run; such as $[yyyy-MM-dd] 06:00:00. A time that is over is waited for no longer."},
		},
	}}
}

func checkWait(o *task.Options) []*flow.Error {
	given := 0
	for _, name := range []string{optionFor, optionUntil, optionEvent} {
		if o.Has(name) {
			given++
		}
	}
	if given != 1 {
		return fault(optionFor, "a wait needs `for`, a duration such as 10s, `until`, a time, or `event`, the name of one; one of the three")
	}
	if text := o.Text(optionEvent); text != "" && !o.Templated(optionEvent) {
		if err := flow.CheckName(text); err != nil {
			return fault(optionEvent, "%s", err.Message)
		}
	}
	return nil
}

// SubWorkflow returns the type that runs another workflow.
func SubWorkflow() Type {
	return Type{name: flow.TypeSubWorkflow, check: checkSubWorkflow, schema: task.Schema{
		Description: "Runs another workflow and is over when that run is: verbs go down to it, its outputs come up. Recovering takes the same run up again.",
		Options: []task.Option{
			{Name: optionWorkflow, Kind: task.Text, Required: true, Description: "Name of the workflow; its newest version when the task begins."},
			{Name: "project", Kind: task.Text, Description: "Project of the workflow; by default that of this one."},
			{Name: "params", Kind: task.TextMap, Description: "Parameters of the run, above those that this run was started with."},
		},
	}}
}

func checkSubWorkflow(o *task.Options) []*flow.Error {
	for _, name := range []string{optionWorkflow, "project"} {
		if text := o.Text(name); text != "" && !o.Templated(name) {
			if err := flow.CheckName(text); err != nil {
				return fault(name, "%s", err.Message)
			}
		}
	}
	return nil
}

// Approval returns the type that waits for a person's decision.
func Approval() Type {
	return Type{name: flow.TypeApproval, check: checkApproval, schema: task.Schema{
		Description: "Waits until a person decides with `baton task approve` or `reject`. Approved it succeeds, rejected it fails with reason rejected. Outputs: decision, choice, by, comment and the fields of the form.",
		Options: []task.Option{
			{Name: "message", Kind: task.Text, Required: true, Description: "What is to be decided, for the one who decides."},
			{Name: optionApprovers, Kind: task.TextList, Description: "Who may decide: user:NAME, role:NAME. Nobody named: everybody who may steer runs."},
			{Name: optionOptions, Kind: task.TextList, Description: "What may be chosen with --choose."},
			{Name: optionForm, Kind: task.AnyValue, Description: "Fields to fill in with -p: a name with its default, or with {type, default, required, enum, description} as parameters have them."},
			{Name: optionOnTimeout, Kind: task.Plain, Enum: []string{"approve", "reject", "fail"}, Default: "fail", Description: "What happens when timeout.run is over."},
			{Name: optionDefault, Kind: task.Text, Description: "The option that is chosen when nothing else is, also when the time is over."},
		},
	}}
}

func checkApproval(o *task.Options) []*flow.Error {
	if faults := checkApprovers(o); faults != nil {
		return faults
	}
	if faults := checkChoices(o); faults != nil {
		return faults
	}
	raw := o.Raw(optionForm)
	if raw == nil || o.Templated(optionForm) {
		return nil
	}
	var form param.Form
	if err := json.Unmarshal(raw, &form); err != nil {
		return fault(optionForm, "form is a map of fields, each a default or {type, default, required, enum, description}: %v", err)
	}
	if err := form.Check(); err != nil {
		return fault(optionForm, "%v", err)
	}
	return nil
}

// checkApprovers refuses who cannot be, and a list of nobody: it would say that everybody may decide.
func checkApprovers(o *task.Options) []*flow.Error {
	approvers := o.Texts(optionApprovers)
	if o.Has(optionApprovers) && !o.Templated(optionApprovers) && len(approvers) == 0 {
		return fault(optionApprovers, "approvers names nobody, so nobody could decide; name user:NAME or role:NAME, or leave approvers out, then everybody who may steer runs decides")
	}
	for i, who := range approvers {
		kind, name, _ := strings.Cut(who, ":")
		if kind != "user" && kind != "role" || name == "" {
			return fault(fmt.Sprintf("approvers[%d]", i), "%q is no approver; write user:NAME or role:NAME", who)
		}
	}
	return nil
}

// checkChoices looks at what may be chosen, and at what is chosen when nobody does.
func checkChoices(o *task.Options) []*flow.Error {
	options := o.Texts(optionOptions)
	for i, option := range options {
		if option == "" {
			return fault(fmt.Sprintf("options[%d]", i), "an option needs a text that --choose can name")
		}
		if slices.Contains(options[:i], option) {
			return fault(fmt.Sprintf("options[%d]", i), "option %q stands there twice; --choose could not tell them apart", option)
		}
	}
	if o.Templated(optionOptions) {
		return nil // they are known when the task begins
	}
	text := o.Text(optionDefault)
	if text != "" && !o.Templated(optionDefault) && !slices.Contains(options, text) {
		return fault(optionDefault, "default %q is not among the options (%s)", text, strings.Join(options, ", "))
	}
	if text == "" && len(options) > 0 && o.Text(optionOnTimeout) == "approve" {
		return fault(optionOnTimeout, "on_timeout: approve chooses the default, and there is none; add default: with one of %s", strings.Join(options, ", "))
	}
	return nil
}

const (
	optionAll       = "all"
	optionAny       = "any"
	optionOnFailure = "on_failure"
	optionWait      = "wait"
	// maxLeaves bounds what one dependent looks at.
	maxLeaves = 200
)

// Dependent returns the type that waits for runs of other workflows.
func Dependent() Type {
	return Type{name: flow.TypeDependent, check: checkDependent, schema: task.Schema{
		Description: "Waits until runs of other workflows, or a task of them, have succeeded: those for the data times that a window names, seen from this run's. It is told when they end.",
		Options: []task.Option{
			{Name: optionAll, Kind: task.AnyValue, Description: "All of these must hold: {workflow, window, task, project}, or all or any of others. A window is a word such as last1Days, or same, the very data time."},
			{Name: optionAny, Kind: task.AnyValue, Description: "One of these is enough."},
			{Name: optionOnFailure, Kind: task.Plain, Enum: []string{"fail", "wait"}, Default: "fail", Description: "When what it waits for has failed: fail too, or wait until somebody has mended it."},
			{Name: optionWait, Kind: task.DurationOption, Description: "With on_failure: wait, how long; then it fails. Without it, until timeout.run is over."},
			{Name: "match", Kind: task.Plain, Enum: []string{string(flow.MatchDataTime), string(flow.MatchLatestEnd)}, Default: string(flow.MatchDataTime), Description: "Which run of a window counts: the one with the latest data time in it, or the one that ended there last, as in DolphinScheduler."},
			{Name: "pass_outputs", Kind: task.Boolean, Default: "false", Description: "Hand on the outputs of what it waited for; of equal names the one that ended first."},
		},
	}}
}

func checkDependent(o *task.Options) []*flow.Error {
	if o.Has(optionAll) == o.Has(optionAny) {
		return fault(optionAll, "a dependent needs `all` or `any`, a list of {workflow, window}; one of the two")
	}
	if o.Has(optionWait) && o.Text(optionOnFailure) != "wait" {
		return fault(optionWait, "`wait` says how long on_failure: wait waits; without that it does nothing")
	}
	name := optionAll
	if o.Has(optionAny) {
		name = optionAny
	}
	c := leafCheck{}
	c.list(name, o.Raw(name), 0)
	if c.leaves > maxLeaves {
		c.say(name, "it waits for %d things; %d are allowed", c.leaves, maxLeaves)
	}
	return c.errs
}

// leafCheck goes through what a dependent waits for.
type leafCheck struct {
	errs   []*flow.Error
	leaves int
}

func (c *leafCheck) say(field, format string, args ...any) {
	c.errs = append(c.errs, flow.Errorf(flow.CodeInvalidFile, field, format, args...))
}

func (c *leafCheck) list(field string, raw json.RawMessage, depth int) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil || len(items) == 0 {
		c.say(field, "%s is a list of {workflow, window}, or of all or any of others", field)
		return
	}
	if depth > 8 {
		c.say(field, "all and any lie in one another too deep")
		return
	}
	for i, item := range items {
		c.item(fmt.Sprintf("%s[%d]", field, i), item, depth)
	}
}

var leafKeys = []string{"workflow", "window", "task", "project", optionAll, optionAny}

func (c *leafCheck) item(field string, raw json.RawMessage, depth int) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		c.say(field, "expected a map such as {workflow: orders, window: last1Days}")
		return
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(leafKeys, k) {
			e := flow.Errorf(flow.CodeInvalidFile, field, "unknown key %q; there are %s", k, strings.Join(leafKeys, ", "))
			if e.Suggestion = flow.Nearest(k, leafKeys); e.Suggestion != "" {
				e.Message += fmt.Sprintf("; did you mean %q?", e.Suggestion)
			}
			c.errs = append(c.errs, e)
			return
		}
	}
	all, isAll := keys[optionAll]
	any, isAny := keys[optionAny]
	_, leaf := keys["workflow"]
	switch {
	case isAll && !isAny && len(keys) == 1:
		c.list(field+"."+optionAll, all, depth+1)
	case isAny && !isAll && len(keys) == 1:
		c.list(field+"."+optionAny, any, depth+1)
	case !leaf || isAll || isAny:
		c.say(field, "expected either workflow and window, or all, or any")
	default:
		c.leaf(field, keys)
	}
}

func (c *leafCheck) leaf(field string, keys map[string]json.RawMessage) {
	c.leaves++
	for _, k := range []string{"workflow", "window", "task", "project"} {
		raw, given := keys[k]
		var text string
		if given && (json.Unmarshal(raw, &text) != nil || text == "") {
			c.say(field+"."+k, "%s is a name", k)
			return
		}
		if k == "window" && !given {
			c.say(field, "`window` is missing: a word such as last1Days, or same; there are %s", strings.Join(window.Words(), ", "))
			return
		}
		if k != "window" || strings.Contains(text, "${") || text == window.Same {
			continue
		}
		if _, err := window.Find(text); err != nil {
			e := flow.Errorf(flow.CodeInvalidFile, field+".window", "%v", err)
			e.Suggestion = flow.Nearest(text, window.Words())
			c.errs = append(c.errs, e)
		}
	}
}
