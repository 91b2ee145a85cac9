// Which data sources and other workflows a workflow uses.

package spec

import (
	"encoding/json"
	"strings"

	"baton/internal/flow"
	"baton/internal/task"
)

// DataSources names the data sources that a workflow's tasks use, with the first task of each. One whose name is
// made of a parameter is known only when the task starts, and is left out; so are those of other documents.
func DataSources(doc flow.Document, types *task.Set) map[string]string {
	out := map[string]string{}
	if doc.Workflow == nil {
		return out
	}
	for _, t := range doc.Workflow.AllTasks() {
		used(out, types, t.Name, t.Type, t.With)
		if t.Compensate != nil {
			used(out, types, t.Name, t.Compensate.Type, t.Compensate.With)
		}
		if t.Inner != nil {
			used(out, types, t.Name, t.Inner.Type, t.Inner.With)
		}
	}
	return out
}

func used(out map[string]string, types *task.Set, name, kind string, with json.RawMessage) {
	typ, ok := types.Get(kind)
	if !ok {
		return
	}
	var options map[string]json.RawMessage
	if json.Unmarshal(with, &options) != nil {
		return
	}
	for _, o := range typ.Schema().Options {
		if o.Kind != task.DataSourceOption {
			continue
		}
		var source string
		if json.Unmarshal(options[o.Name], &source) != nil || source == "" || strings.Contains(source, "${") {
			continue
		}
		if _, known := out[source]; !known {
			out[source] = name
		}
	}
}

// Workflows lists the workflows that a workflow's tasks begin or wait for, each once. One whose name is made of a
// parameter is known only when the task begins, and is left out.
func Workflows(doc flow.Document) []flow.UsedWorkflow {
	if doc.Workflow == nil {
		return nil
	}
	var out []flow.UsedWorkflow
	seen := map[flow.UsedWorkflow]bool{}
	for _, t := range doc.Workflow.AllTasks() {
		does := t // or does with each item
		if t.Inner != nil {
			does = t.Inner
		}
		if does.Type != flow.TypeSubWorkflow && does.Type != flow.TypeDependent {
			continue
		}
		var tree flow.Dependency // a sub_workflow has no more than one leaf of it
		if json.Unmarshal(does.With, &tree) != nil {
			continue
		}
		for _, leaf := range tree.Leaves() {
			u := flow.UsedWorkflow{Project: leaf.ProjectIn(doc.Workflow.Project), Workflow: leaf.Workflow, Task: leaf.TaskName()}
			if u.Known() && !seen[u] {
				seen[u] = true
				u.By, u.Waits = t.Name, does.Type == flow.TypeDependent
				out = append(out, u)
			}
		}
	}
	return out
}
