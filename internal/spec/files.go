// The files beside a workflow file.

package spec

import (
	"slices"

	"baton/internal/flow"
)

// Resources lists the files a document names, relative to the file it came from (doc.File), sorted:
// what `apply` reads and uploads. Those named by options, such as python's `file`, are among them.
func Resources(doc flow.Document) []string {
	var out []string
	EachFile(doc, func(_, _ string, f *flow.File) { out = append(out, f.Path) })
	slices.Sort(out)
	return slices.Compact(out)
}

// EachFile calls do with every file of a document and the task that names it, which stands under tasks or finally, to fill in what was uploaded.
func EachFile(doc flow.Document, do func(under, task string, f *flow.File)) {
	if doc.Workflow == nil {
		return
	}
	for under, t := range doc.Workflow.AllTasks() {
		for f := range t.Files {
			do(under, t.Name, &t.Files[f])
		}
		if t.Inner != nil {
			for f := range t.Inner.Files {
				do(under, t.Name, &t.Inner.Files[f])
			}
		}
		if t.Compensate == nil {
			continue
		}
		for f := range t.Compensate.Files {
			do(under, t.Name, &t.Compensate.Files[f])
		}
	}
}
