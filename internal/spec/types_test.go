package spec_test

import (
	"encoding/json"

	"baton/internal/flow"
	"baton/internal/task"
)

// fakeType is a task type of which only the options matter.
type fakeType struct {
	name   string
	schema task.Schema
	check  func(json.RawMessage) []*flow.Error
}

func (f fakeType) Name() string        { return f.name }
func (f fakeType) Schema() task.Schema { return f.schema }

func (f fakeType) Check(options json.RawMessage) []*flow.Error {
	if f.check == nil {
		return nil
	}
	return f.check(options)
}

// fakeProcess is one that runs as a process.
type fakeProcess struct{ fakeType }

func (fakeProcess) Command(*task.Attempt) (task.Command, error) { return task.Command{}, nil }

// types are the types of the contract that workers run, with all kinds of options between them.
var types = task.NewSet(
	fakeProcess{fakeType{name: "shell", schema: task.Schema{Description: "A shell script.", Options: []task.Option{
		{Name: "script", Kind: task.Script, Required: true, Multiline: true, Description: "The script."},
		{Name: "shell", Kind: task.Plain, Default: "/bin/sh", Description: "The shell."},
	}}}},
	fakeProcess{fakeType{name: "python", schema: task.Schema{Description: "A Python script.", Options: []task.Option{
		{Name: "script", Kind: task.Script, Multiline: true, Description: "The script."},
		{Name: "file", Kind: task.FileOption, Description: "The script's file."},
		{Name: "version", Kind: task.Plain, Description: "Version."},
	}}, check: func(o json.RawMessage) []*flow.Error {
		var v map[string]any
		_ = json.Unmarshal(o, &v)
		if v["script"] != nil && v["file"] != nil {
			return []*flow.Error{flow.Errorf(flow.CodeInvalidFile, "file", "give either script or file, not both")}
		}
		return nil
	}}},
	fakeType{name: "http", schema: task.Schema{Description: "An HTTP request.", Options: []task.Option{
		{Name: "method", Kind: task.Text, Default: "GET", Enum: []string{"GET", "POST"}, Description: "Method."},
		{Name: "url", Kind: task.Text, Required: true, Description: "Address."},
		{Name: "headers", Kind: task.TextMap, Description: "Headers."},
		{Name: "body", Kind: task.AnyValue, Description: "Body."},
		{Name: "success", Kind: task.Expression, Description: "When it succeeded."},
		{Name: "outputs", Kind: task.ExpressionMap, Description: "Outputs."},
		{Name: "timeout", Kind: task.DurationOption, Description: "Time for the answer."},
		{Name: "redirects", Kind: task.Integer, Description: "How many redirects are followed."},
		{Name: "insecure", Kind: task.Boolean, Description: "Any certificate is taken."},
	}}, check: func(o json.RawMessage) []*flow.Error {
		var v struct{ Headers map[string]string }
		_ = json.Unmarshal(o, &v)
		if _, bad := v.Headers["Content-Length"]; bad {
			return []*flow.Error{flow.Errorf(flow.CodeInvalidFile, "headers.Content-Length", "it is computed")}
		}
		return nil
	}},
	fakeType{name: "sql", schema: task.Schema{Description: "SQL.", Options: []task.Option{
		{Name: "datasource", Kind: task.DataSourceOption, Required: true, Description: "Data source."},
		{Name: "sql", Kind: task.Text, Required: true, Multiline: true, Description: "Statement."},
		{Name: "pre", Kind: task.TextList, Description: "Before."},
		{Name: "post", Kind: task.TextList, Description: "After."},
		{Name: "params", Kind: task.AnyValue, Description: "Parameters."},
	}}},
)
