// What the approvals of a workflow ask.

package spec

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"baton/internal/flow"
	"baton/internal/param"
	"baton/internal/task"
)

// Approvals lists what the approvals of a workflow ask, in order of the file; other documents have none. What is
// made of a parameter stands there as it is written.
func Approvals(doc flow.Document, types *task.Set) []flow.Approval {
	typ, known := types.Get(flow.TypeApproval)
	if doc.Workflow == nil || !known {
		return nil
	}
	var out []flow.Approval
	for _, t := range doc.Workflow.AllTasks() {
		if t.Type != flow.TypeApproval {
			continue
		}
		o := typ.Schema().Read(t.With)
		out = append(out, flow.Approval{
			Task: t.Name, Approvers: o.Texts("approvers"), Options: o.Texts("options"),
			Default: o.Text("default"), OnTimeout: o.Text("on_timeout"), Form: formOf(o.Raw("form")),
		})
	}
	return out
}

// formOf lists the fields of a form by name; a form made of a parameter has none that are known.
func formOf(raw json.RawMessage) []flow.FormField {
	var form param.Form
	if json.Unmarshal(raw, &form) != nil {
		return nil
	}
	out := make([]flow.FormField, 0, len(form))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		f := form[name]
		out = append(out, flow.FormField{Name: name, Type: string(cmp.Or(f.Type, param.TypeString)), Default: f.DefaultText(), Required: f.Required, Enum: f.Enum, Description: f.Description})
	}
	return out
}
