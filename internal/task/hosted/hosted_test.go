package hosted

import (
	"encoding/json"
	"strings"
	"testing"

	"baton/internal/task"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	types := map[string]task.Type{"wait": Wait(), "approval": Approval(), "sub_workflow": SubWorkflow()}
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
		{"approval", `{"message": "well?", "form": [1]}`, "form is a map of fields"},
		{"approval", `{"message": "well?", "form": {"n": {"type": "colour"}}}`, "colour"},
		{"sub_workflow", `{"workflow": "child", "project": "p"}`, ""},
		{"sub_workflow", `{"workflow": "${which}"}`, ""},
		{"sub_workflow", `{"workflow": "a/b"}`, "workflow: "},
	} {
		t.Run(c.kind+" "+c.options, func(t *testing.T) {
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
