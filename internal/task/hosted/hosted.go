// Package hosted describes the options of the tasks that the engine runs itself: they wait, for a time, a person or
// another run, and hold no worker.
//
// Here is only what a file may say, so the types are neither Process nor Function. It must not know states, runs or
// what a wait comes to.
package hosted

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
	"baton/internal/param"
	"baton/internal/task"
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
	optionWorkflow = "workflow"
	optionOptions  = "options"
	optionDefault  = "default"
	optionForm     = "form"
)

// Wait returns the type that waits for a time.
func Wait() Type {
	return Type{name: flow.TypeWait, check: checkWait, schema: task.Schema{
		Description: "Waits, without holding a worker, and then succeeds.",
		Options: []task.Option{
			{Name: optionFor, Kind: task.DurationOption, Description: "How long, such as 10s or 2h."},
			{Name: optionUntil, Kind: task.Text, Description: "Until when: 2026-03-01T06:00:00Z, or 2026-03-01 06:00:00 in the zone of the run; such as $[yyyy-MM-dd] 06:00:00. A time that is over is waited for no longer."},
		},
	}}
}

func checkWait(o *task.Options) []*flow.Error {
	if o.Has(optionFor) == o.Has(optionUntil) {
		return fault(optionFor, "a wait needs `for`, a duration such as 10s, or `until`, a time; one of the two")
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
			{Name: "approvers", Kind: task.TextList, Description: "Who may decide: user:NAME, role:NAME. Nobody named: everybody who may steer runs."},
			{Name: optionOptions, Kind: task.TextList, Description: "What may be chosen with --choose."},
			{Name: optionForm, Kind: task.AnyValue, Description: "Fields to fill in with -p: a name with its default, or with {type, default, required, enum, description} as parameters have them."},
			{Name: "on_timeout", Kind: task.Plain, Enum: []string{"approve", "reject", "fail"}, Default: "fail", Description: "What happens when timeout.run is over."},
			{Name: optionDefault, Kind: task.Text, Description: "The option that is chosen when nothing else is, also when the time is over."},
		},
	}}
}

func checkApproval(o *task.Options) []*flow.Error {
	for i, who := range o.Texts("approvers") {
		kind, name, _ := strings.Cut(who, ":")
		if kind != "user" && kind != "role" || name == "" {
			return fault(fmt.Sprintf("approvers[%d]", i), "%q is no approver; write user:NAME or role:NAME", who)
		}
	}
	options := o.Texts(optionOptions)
	if text := o.Text(optionDefault); text != "" && !o.Templated(optionDefault) && !o.Templated(optionOptions) && !slices.Contains(options, text) {
		return fault(optionDefault, "default %q is not among the options (%s)", text, strings.Join(options, ", "))
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
