package branch

import (
	"encoding/json"
	"testing"

	"baton/internal/flow"
	"baton/internal/task"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind           Type
		options, field string
	}{
		{Switch(), `{"cases": [{"when": "region == 'eu'", "to": ["eu"]}, {"when": "true", "to": "rest"}]}`, ""},
		{Switch(), `{"cases": [{"when": "x", "to": ["a", "b"]}], "default": "c"}`, ""},
		{Switch(), `{}`, "cases"},
		{Switch(), `{"cases": []}`, "cases"},
		{Switch(), `{"cases": {"when": "x", "to": "a"}}`, "cases"},
		{Switch(), `{"cases": [{"when": "x", "to": "a"}, {"to": "a"}]}`, "cases[1]"},
		{Switch(), `{"cases": [{"when": "", "to": "a"}]}`, "cases[0]"},
		{Switch(), `{"cases": [{"when": "x"}]}`, "cases[0]"},
		{Switch(), `{"cases": [{"when": "x", "to": []}]}`, "cases[0]"},
		{Switch(), `{"cases": [{"when": "x", "to": ""}]}`, "cases[0]"},
		{Switch(), `{"cases": [{"when": "x", "to": [1]}]}`, "cases[0]"},
		{Switch(), `{"cases": [{"when": "x", "then": "a"}]}`, "cases[0]"},
		{Switch(), `{"cases": ["x"]}`, "cases[0]"},
		{Conditions(), `{"if": "a.succeeded", "then": ["b"], "else": "c"}`, ""},
		{Conditions(), `{"if": "a.failed", "else": ["c"]}`, ""},
		{Conditions(), `{"if": "a.failed"}`, "then"},
		{Conditions(), `{"then": "a"}`, "if"},
	} {
		errs := append(c.kind.Schema().Check(json.RawMessage(c.options)), c.kind.Check(json.RawMessage(c.options))...)
		switch {
		case c.field == "" && len(errs) > 0:
			t.Errorf("%s: %v", c.options, flow.Errors(errs))
		case c.field != "" && (len(errs) != 1 || errs[0].Field != c.field):
			t.Errorf("%s: got %v, want one error about %s", c.options, flow.Errors(errs), c.field)
		}
	}
}

func TestNobodyRunsThem(t *testing.T) {
	t.Parallel()
	for _, kind := range []task.Type{Switch(), Conditions()} {
		if _, ok := kind.(task.Process); ok {
			t.Errorf("%s is a process", kind.Name())
		}
		if _, ok := kind.(task.Function); ok {
			t.Errorf("%s is a function", kind.Name())
		}
	}
}
