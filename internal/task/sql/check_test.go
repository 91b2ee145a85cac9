package sql

import (
	"encoding/json"
	"testing"

	"baton/internal/flow"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ options, field string }{
		{`{"datasource": "w", "sql": "select 1"}`, ""},
		{`{"datasource": "w", "sql": "s", "params": {"a": "${x}", "b": [1, 2], "c": {"type": "integer", "value": "${n}"}, "d": null, "每日": 1}}`, ""},
		{`{"datasource": "w", "sql": "s", "params": {"c": {"type": "json", "value": {"a": "${x}"}}}}`, ""},
		{`{"datasource": "w", "sql": "s", "save_as": "${dir}/x.csv"}`, ""},
		{`{"datasource": "w", "sql": "s", "save_as": "/x/y.JSON", "max_rows": "5"}`, ""},
		{`{"sql": "s"}`, "datasource"},
		{`{"datasource": "w"}`, "sql"},
		{`{"datasource": "w", "sql": "s", "params": [1]}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"a b": 1}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"a$b": 1}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"1": 1}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"": 1}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"a": []}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"a": [[1]]}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"a": {"k": 1}}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"a": {"type": "int", "value": 1}}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"a": {"type": "integer", "value": "1.5"}}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"a": {"type": "boolean", "value": 1}}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"a": {"type": "bytes", "value": "%"}}}`, "params"},
		{`{"datasource": "w", "sql": "s", "params": {"a": {"type": "text", "value": [1]}}}`, "params"},
		{`{"datasource": "w", "sql": "s", "save_as": "x.csv"}`, "save_as"},
		{`{"datasource": "w", "sql": "s", "save_as": "/x.xlsx"}`, "save_as"},
		{`{"datasource": "w", "sql": "s", "max_rows": -1}`, "max_rows"},
		{`{"datasource": "w", "sql": "s", "parms": {}}`, "parms"},
	} {
		kind := New()
		errs := append(schema.Check(json.RawMessage(c.options)), kind.Check(json.RawMessage(c.options))...)
		switch {
		case c.field == "" && len(errs) > 0:
			t.Errorf("%s: %v", c.options, flow.Errors(errs))
		case c.field != "" && (len(errs) != 1 || errs[0].Field != c.field):
			t.Errorf("%s: got %v, want one error about %s", c.options, flow.Errors(errs), c.field)
		}
	}
}
