package task

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"baton/internal/flow"
)

// every has an option of each kind.
var every = Schema{Description: "all kinds", Options: []Option{
	{Name: "text", Kind: Text, Required: true, Description: "Something to say."},
	{Name: "script", Kind: Script},
	{Name: "expression", Kind: Expression, Default: "status < 400"},
	{Name: "plain", Kind: Plain},
	{Name: "integer", Kind: Integer, Default: "7"},
	{Name: "boolean", Kind: Boolean, Default: "true"},
	{Name: "duration", Kind: DurationOption, Default: "1m"},
	{Name: "texts", Kind: TextMap},
	{Name: "list", Kind: TextList},
	{Name: "expressions", Kind: ExpressionMap},
	{Name: "any", Kind: AnyValue},
	{Name: "source", Kind: DataSourceOption},
	{Name: "file", Kind: FileOption},
	{Name: "tasks", Kind: Tasks},
	{Name: "choice", Kind: Text, Enum: []string{"a", "b"}},
	{Name: "password", Kind: Integer, Secret: true},
}}

func TestSchemaCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ options, field, says string }{
		{`{"text": "x"}`, "", ""},
		{`{"text": 5, "script": true, "plain": 3.10, "source": "w", "file": "a/b.sh"}`, "", ""},
		{`{"text": "x", "integer": 5, "boolean": false, "duration": "1h30m"}`, "", ""},
		{`{"text": "x", "integer": "5", "boolean": "false"}`, "", ""},
		{`{"text": "x", "integer": "${n}", "boolean": "${{ x }}", "duration": "$[mm]m"}`, "", ""},
		{`{"text": "x", "texts": {"a": "b", "c": 5}, "expressions": {"a": "b.c"}, "list": ["a", 5], "tasks": "one"}`, "", ""},
		{`{"text": "x", "any": [{"a": null}], "choice": "${c}"}`, "", ""},
		{``, "text", "required: Something to say."},
		{`{"text": ""}`, "text", "is empty"},
		{`{"text": " "}`, "text", "is empty"},
		{`{"text": null}`, "text", "expected a text, found null"},
		{`[]`, "", "expected a map of options"},
		{`{"text": "x", "txet": 1}`, "txet", `unknown option "txet"`},
		{`{"text": "x", "integer": 1.5}`, "integer", "whole number, found 1.5"},
		{`{"text": "x", "integer": "many"}`, "integer", `found "many"`},
		{`{"text": "x", "integer": true}`, "integer", "whole number"},
		{`{"text": "x", "boolean": 1}`, "boolean", "true or false"},
		{`{"text": "x", "boolean": "yes"}`, "boolean", "true or false"},
		{`{"text": "x", "duration": 30}`, "duration", "duration such as 30s"},
		{`{"text": "x", "duration": "30"}`, "duration", "duration such as 30s"},
		{`{"text": "x", "texts": ["a"]}`, "texts", "map of texts"},
		{`{"text": "x", "texts": {"a": {}}}`, "texts.a", "must be a text"},
		{`{"text": "x", "list": {"a": 1}}`, "list", "list of texts"},
		{`{"text": "x", "list": [[1]]}`, "list", "list of texts"},
		{`{"text": "x", "choice": "c"}`, "choice", "one of a, b"},
		{`{"text": {"long": "` + strings.Repeat("x", 100) + `"}}`, "text", "…"},
		{`{"text": "x", "password": "hunter2"}`, "password", "expected a whole number"},
	} {
		errs := every.Check(json.RawMessage(c.options))
		if c.says == "" {
			if len(errs) > 0 {
				t.Errorf("%s: %v", c.options, flow.Errors(errs))
			}
			continue
		}
		if len(errs) != 1 || errs[0].Field != c.field || !strings.Contains(errs[0].Message, c.says) || strings.Contains(errs[0].Message, "hunter2") {
			t.Errorf("%s: got %v, want one error about %q that says %q", c.options, flow.Errors(errs), c.field, c.says)
		}
	}
}

func TestSchemaCheckFindsAll(t *testing.T) {
	t.Parallel()
	var fields []string
	for _, e := range every.Check(json.RawMessage(`{"b": 1, "a": 1, "integer": "x", "boolean": "x"}`)) {
		fields = append(fields, e.Field)
	}
	if diff := cmp.Diff([]string{"text", "integer", "boolean", "a", "b"}, fields); diff != "" {
		t.Error(diff)
	}
}

func TestJSONSchema(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(every.JSONSchema())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Type                 string
		Required             []string
		AdditionalProperties bool
		Properties           map[string]map[string]any
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "object" || got.AdditionalProperties || len(got.Properties) != len(every.Options) || len(got.Required) != 1 || got.Required[0] != "text" {
		t.Errorf("got %s", b)
	}
	for name, want := range map[string]map[string]any{
		"integer": {"description": "", "type": []any{"integer", "string"}, "default": "7"},
		"texts":   {"description": "", "type": "object", "additionalProperties": map[string]any{"type": []any{"string", "number", "boolean"}}},
		"any":     {"description": ""},
		"choice":  {"description": "", "type": []any{"string", "number", "boolean"}, "examples": []any{"a", "b"}},
	} {
		if diff := cmp.Diff(want, got.Properties[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSchemaOption(t *testing.T) {
	t.Parallel()
	if o, ok := every.Option("choice"); !ok || o.Kind != Text {
		t.Errorf("got %+v, %v", o, ok)
	}
	if _, ok := every.Option("nothing"); ok {
		t.Error("found an option that is not there")
	}
	if names := every.Names(); len(names) != len(every.Options) || names[0] != "text" {
		t.Errorf("got %v", names)
	}
}
