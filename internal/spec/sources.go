// Which data sources a workflow uses.

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
	for _, t := range doc.Workflow.Tasks {
		used(out, types, t.Name, t.Type, t.With)
		if t.Compensate != nil {
			used(out, types, t.Name, t.Compensate.Type, t.Compensate.With)
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
