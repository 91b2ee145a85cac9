// Where something stands in a file, for what is found wrong after it was read.

package spec

import (
	"strconv"

	"golang.org/x/text/unicode/norm"

	"baton/internal/flow"
)

// Place finds the value below a document of a file, by its path (an item of a list by its position), or as much of the way as there is; the line is 0 when the
// file does not hold the document. It reads the file again: definitions carry no places, for the sake of the few that
// turn out to be wrong only beside what is stored.
func Place(s Source, doc flow.Document, path ...string) (line, column int) {
	r := &reader{source: &source{Source: s}, problems: &problems{}}
	kind, name := named(doc)
	for _, v := range r.documents() {
		if !v.isMap() || of(v, "kind", kindWorkflow) != kind || norm.NFC.String(of(v, "name", "")) != name {
			continue
		}
		if doc.Workflow != nil && norm.NFC.String(of(v, "project", doc.Workflow.Project)) != doc.Workflow.Project {
			continue
		}
		for _, key := range path {
			next, ok := v.get(key)
			if n, err := strconv.Atoi(key); err == nil && !ok {
				next, ok = v.index(n), true // a single value is a list of one
			}
			if !ok {
				break
			}
			v = next
		}
		return v.node.Line, v.node.Column
	}
	return 0, 0
}

// of is a text of a map, or what stands in for it.
func of(v value, key, otherwise string) string {
	if child, ok := v.get(key); ok && child.isScalar() {
		return child.node.Value
	}
	return otherwise
}

func named(d flow.Document) (kind, name string) {
	switch {
	case d.Project != nil:
		return kindProject, d.Project.Name
	case d.DataSource != nil:
		return kindDataSource, d.DataSource.Name
	case d.Calendar != nil:
		return kindCalendar, d.Calendar.Name
	case d.Environment != nil:
		return kindEnvironment, d.Environment.Name
	case d.WorkerGroup != nil:
		return kindWorkerGroup, d.WorkerGroup.Name
	case d.Pool != nil:
		return kindPool, d.Pool.Name
	case d.Workflow != nil:
		return kindWorkflow, d.Workflow.Name
	}
	return "", ""
}
