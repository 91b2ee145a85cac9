package hosted

import (
	"encoding/json"
	"strings"
	"testing"

	"baton/internal/flow"
	"baton/internal/task"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	types := map[string]task.Type{"wait": Wait(), "approval": Approval(), "sub_workflow": SubWorkflow(), "map": Map(), "loop": Loop()}
	for _, c := range []struct{ kind, options, want string }{
		{"wait", `{"for": "10s"}`, ""},
		{"wait", `{"until": "$[yyyy-MM-dd] 06:00"}`, ""},
		{"wait", `{"for": "${span}"}`, ""},
		{"wait", `{}`, "for: a wait needs `for`"},
		{"wait", `{"for": "10s", "until": "2026-03-01"}`, "one of the three"},
		{"wait", `{"event": "loaded"}`, ""},
		{"wait", `{"event": "a/b"}`, "event: "},
		{"approval", `{"message": "well?"}`, ""},
		{"approval", `{"message": "well?", "approvers": ["user:ann", "role:ops"], "options": ["a", "b"], "default": "b", "form": {"n": {"type": "int"}}}`, ""},
		{"approval", `{"message": "well?", "options": "${list}", "default": "b"}`, ""},
		{"approval", `{"message": "well?", "approvers": ["user:ann", "bob"]}`, `approvers[1]: "bob" is no approver`},
		{"approval", `{"message": "well?", "options": ["a"], "default": "b"}`, `"b" is not among the options (a)`},
		{"approval", `{"message": "well?", "approvers": []}`, "approvers: approvers names nobody"},
		{"approval", `{"message": "well?", "options": ["a", "b", "a"]}`, `options[2]: option "a" stands there twice`},
		{"approval", `{"message": "well?", "options": ["a", ""]}`, "options[1]: an option needs a text"},
		{"approval", `{"message": "well?", "options": ["a", "b"], "on_timeout": "approve"}`, "on_timeout: on_timeout: approve chooses the default"},
		{"approval", `{"message": "well?", "options": ["a", "b"], "on_timeout": "approve", "default": "a"}`, ""},
		{"approval", `{"message": "well?", "options": ["a", "b"], "on_timeout": "reject"}`, ""},
		{"approval", `{"message": "well?", "options": "${list}", "on_timeout": "approve"}`, ""},
		{"approval", `{"message": "well?", "on_timeout": "approve"}`, ""},
		{"approval", `{"message": "well?", "form": [1]}`, "form is a map of fields"},
		{"approval", `{"message": "well?", "form": {"n": {"type": "colour"}}}`, "colour"},
		{"sub_workflow", `{"workflow": "child", "project": "p"}`, ""},
		{"sub_workflow", `{"workflow": "${which}"}`, ""},
		{"sub_workflow", `{"workflow": "a/b"}`, "workflow: "},
		{"map", `{"over": [1, "a", {"b": 2}], "as": "每日", "batch": "2", "parallel": 3, "allow_failed": "12.5%"}`, ""},
		{"map", `{"over": "${list}", "batch": "${n}", "parallel": "${n}", "allow_failed": "${n}"}`, ""},
		{"map", `{"over": "[1, 2]"}`, ""},
		{"map", `{"over": "a, b"}`, "over is a list"},
		{"map", `{"over": {"a": 1}}`, "over is a list"},
		{"map", `{"over": 7}`, "over is a list"},
		{"map", `{"over": "null"}`, "over is a list"},
		{"map", `{"over": [` + strings.Repeat("1,", flow.MaxItems) + `1]}`, "over has 10001 items"},
		{"map", `{"batch": 2, "over": [` + strings.Repeat("1,", flow.MaxItems) + `1]}`, ""},
		{"map", `{"over": [], "as": "map.item"}`, "no name of a parameter"},
		{"map", `{"over": [], "parallel": 0}`, "parallel is a number from 1"},
		{"map", `{"over": [], "batch": 0}`, "batch is a number from 1"},
		{"map", `{"over": [], "allow_failed": "101%"}`, "allow_failed is a number"},
		{"map", `{"over": [], "allow_failed": "-1"}`, "allow_failed is a number"},
		{"loop", `{"until": "true", "max": 1000, "delay": "3s"}`, ""},
		{"loop", `{"until": "true", "max": 1001}`, "max is a number from 1 to 1000"},
		{"loop", `{"until": "true", "max": 0}`, "max is a number from 1"},
	} {
		t.Run(c.kind+" "+flow.Text(c.options, 60), func(t *testing.T) {
			t.Parallel()
			kind := types[c.kind]
			raw := json.RawMessage(c.options)
			if faults := kind.Schema().Check(raw); len(faults) > 0 {
				t.Fatal(faults)
			}
			var got []string
			for _, f := range kind.Check(raw) {
				got = append(got, f.Field+": "+f.Message)
			}
			if text := strings.Join(got, "\n"); c.want == "" && text != "" || !strings.Contains(text, c.want) {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}
