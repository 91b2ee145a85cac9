// Package noop succeeds without doing anything: a point where branches meet, a placeholder, a
// yardstick for benchmarks.
//
// It must not know other task types, and must cost next to nothing.
package noop

import (
	"bytes"
	"context"
	"encoding/json"

	"baton/internal/flow"
	"baton/internal/task"
)

// Type is the task type.
type Type struct{}

// New returns the task type.
func New() Type { return Type{} }

var schema = task.Schema{
	Description: "Succeeds at once. Use it where branches meet, or in place of a task that is still to be written.",
	Options: []task.Option{
		{Name: "outputs", Kind: task.AnyValue, Description: "A map of values to hand on as outputs, such as {total: \"${count}\"}."},
	},
}

// Name returns "noop".
func (Type) Name() string { return "noop" }

// Schema describes the options.
func (Type) Schema() task.Schema { return schema }

// Check refuses outputs that are not a map.
func (Type) Check(options json.RawMessage) []*flow.Error {
	raw := schema.Read(options).Raw("outputs")
	if raw != nil && !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return []*flow.Error{flow.Errorf(flow.CodeInvalidFile, "outputs", "outputs must be a map of names and values")}
	}
	return nil
}

// Run hands on the outputs.
func (Type) Run(ctx context.Context, a *task.Attempt) (task.Outputs, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(a.Options) <= len("{}") {
		return nil, nil
	}
	raw := schema.Read(a.Options).Raw("outputs")
	if raw == nil {
		return nil, nil
	}
	var out task.Outputs
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, &task.Failure{Cause: task.CauseOptions, Message: "outputs", Err: err}
	}
	return out, out.Check("hand on less")
}
