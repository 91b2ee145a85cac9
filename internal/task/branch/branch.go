// Package branch describes the options of switch and conditions.
//
// The engine decides these two itself, so they are neither Process nor Function: here is only
// what a file may say. It must not know expressions, task states or the graph.
package branch

import (
	"bytes"
	"encoding/json"
	"fmt"

	"baton/internal/flow"
	"baton/internal/task"
)

// Type is one of the two.
type Type struct {
	name   string
	schema task.Schema
}

// Switch returns the type that takes the first case whose expression holds.
func Switch() Type {
	return Type{name: flow.TypeSwitch, schema: task.Schema{
		Description: "Chooses which tasks come next by expressions over the parameters; the first case that holds is taken. The tasks of the other cases are skipped.",
		Options: []task.Option{
			{
				Name: optionCases, Kind: task.AnyValue, Required: true,
				Description: "The cases in order, each with `when`, an expression such as region == 'eu', and `to`, the tasks it leads to.",
			},
			{
				Name: "default", Kind: task.Tasks,
				Description: "Tasks that come next when no case holds. Without it the switch then fails with reason no_case.",
			},
		},
	}}
}

// Conditions returns the type that chooses by the states of upstream tasks.
func Conditions() Type {
	return Type{name: flow.TypeConditions, schema: task.Schema{
		Description: "Chooses which tasks come next by how tasks before it ended. A task it names may fail without failing the run.",
		Options: []task.Option{
			{
				Name: "if", Kind: task.Expression, Required: true,
				Description: "An expression over tasks before this one: load.succeeded, load.failed, load.killed, load.skipped, load.unreached, load.ended, joined with and, or, not, or one of all_succeeded, any_succeeded, none_failed, all_done.",
			},
			{Name: "then", Kind: task.Tasks, Description: "Tasks that come next when it holds."},
			{Name: "else", Kind: task.Tasks, Description: "Tasks that come next when it does not."},
		},
	}}
}

const optionCases = "cases"

// Name returns what a file writes in `type:`.
func (t Type) Name() string { return t.name }

// Schema describes the options.
func (t Type) Schema() task.Schema { return t.schema }

// Check finds cases of the wrong shape and a choice that leads nowhere.
func (t Type) Check(options json.RawMessage) []*flow.Error {
	o := t.schema.Read(options)
	if t.name == flow.TypeConditions {
		if !o.Has("then") && !o.Has("else") {
			return []*flow.Error{flow.Errorf(flow.CodeInvalidFile, "then", "a conditions task needs `then` or `else`")}
		}
		return nil
	}
	return checkCases(o.Raw(optionCases))
}

// arm is one case of a switch as a file writes it; To may also be a single name.
type arm struct {
	When *string         `json:"when"`
	To   json.RawMessage `json:"to"`
}

func checkCases(raw json.RawMessage) []*flow.Error {
	var cases []json.RawMessage
	if raw == nil {
		return nil // required: the schema has said so
	}
	if err := json.Unmarshal(raw, &cases); err != nil || len(cases) == 0 {
		return []*flow.Error{flow.Errorf(flow.CodeInvalidFile, optionCases, "cases must be a list of {when, to}")}
	}
	var errs []*flow.Error
	for i, c := range cases {
		if problem := checkCase(c); problem != "" {
			errs = append(errs, flow.Errorf(flow.CodeInvalidFile, fmt.Sprintf("%s[%d]", optionCases, i), "case %d: %s", i+1, problem))
		}
	}
	return errs
}

func checkCase(raw json.RawMessage) string {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var c arm
	if err := dec.Decode(&c); err != nil {
		return "expected a map with the text `when` and the tasks `to`, nothing else"
	}
	if c.When == nil || *c.When == "" {
		return "`when` is missing: an expression such as region == 'eu'"
	}
	var list []string
	var one string
	if json.Unmarshal(c.To, &list) != nil && (json.Unmarshal(c.To, &one) != nil || one == "") || one == "" && len(list) == 0 {
		return "`to` is missing: the name of a task, or a list of names"
	}
	return ""
}
