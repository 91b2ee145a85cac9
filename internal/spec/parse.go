// Parse: files in, checked documents or every error out.

package spec

import (
	"fmt"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
	"baton/internal/task"
)

// Kinds of documents that can be applied.
const (
	kindWorkflow    = "Workflow"
	kindProject     = "Project"
	kindDataSource  = "DataSource"
	kindCalendar    = "Calendar"
	kindEnvironment = "Environment"
	kindWorkerGroup = "WorkerGroup"
	kindPool        = "Pool"
)

// laterKinds are kinds of the contract that this version refuses.
var laterKinds = []string{"Queue", "AlertRule"}

func kinds() []string {
	return []string{kindWorkflow, kindProject, kindDataSource, kindCalendar, kindEnvironment, kindWorkerGroup, kindPool}
}

// Defaults stand in for what a document leaves out.
type Defaults struct {
	Project string // of documents that name none; "" is flow.DefaultProject
}

// Parse reads the documents of all files and checks them. With errors there are no documents: nothing
// of a wrong file is applied. Errors are in order of files and places; each has a place.
//
// Files are independent of each other and of what is applied already, but two documents of one kind
// and name are refused.
func Parse(sources []Source, types *task.Set, defaults Defaults) ([]flow.Document, flow.Errors) {
	if defaults.Project == "" {
		defaults.Project = flow.DefaultProject
	}
	p := &problems{budget: suggestBudget}
	table := newTypeTable(types)
	var docs []flow.Document
	first := map[string]string{}
	for i, s := range sources {
		r := &reader{file: i, source: &source{Source: s}, types: table, problems: p}
		before := len(p.list)
		values := r.documents()
		if len(values) == 0 && len(p.list) == before {
			r.failAt(1, 1, "", flow.CodeInvalidFile, "the file holds no document; a workflow begins with name: and tasks:")
		}
		for _, v := range values {
			doc, ok := r.document(v, defaults)
			if !ok {
				continue
			}
			doc.File = s.Name
			if id := identity(doc); first[id] != "" {
				r.fail(v.at("name"), "%s is defined twice; first in %s", id, first[id])
			} else if !strings.HasSuffix(id, `""`) {
				first[id] = fmt.Sprintf("%s line %d", s.Name, v.node.Line)
			}
			docs = append(docs, doc)
		}
	}
	if errs := p.errors(); len(errs) > 0 {
		return nil, errs
	}
	return docs, nil
}

// identity is what no two documents may share.
func identity(d flow.Document) string {
	switch {
	case d.Project != nil:
		return fmt.Sprintf("project %q", d.Project.Name)
	case d.DataSource != nil:
		return fmt.Sprintf("data source %q of project %q", d.DataSource.Name, d.DataSource.Project)
	case d.Calendar != nil:
		return fmt.Sprintf("calendar %q of project %q", d.Calendar.Name, d.Calendar.Project)
	case d.Environment != nil:
		return fmt.Sprintf("environment %q", d.Environment.Name)
	case d.WorkerGroup != nil:
		return fmt.Sprintf("worker group %q", d.WorkerGroup.Name)
	case d.Pool != nil:
		return fmt.Sprintf("pool %q of project %q", d.Pool.Name, d.Pool.Project)
	default:
		return fmt.Sprintf("workflow %q of project %q", d.Workflow.Name, d.Workflow.Project)
	}
}

// document reads one document by its kind.
func (r *reader) document(v value, defaults Defaults) (flow.Document, bool) {
	if !v.isMap() {
		r.expected(v, "a map that begins with kind:, name: and tasks:")
		return flow.Document{}, false
	}
	kind := kindWorkflow
	if k, ok := v.get("kind"); ok {
		if kind, ok = r.documentKind(k); !ok {
			return flow.Document{}, false
		}
	}
	switch kind {
	case kindProject:
		return flow.Document{Project: r.project(v)}, true
	case kindDataSource:
		return flow.Document{DataSource: r.dataSource(v, defaults.Project)}, true
	case kindCalendar:
		return flow.Document{Calendar: r.calendar(v, defaults.Project)}, true
	case kindEnvironment:
		return flow.Document{Environment: r.environment(v)}, true
	case kindWorkerGroup:
		return flow.Document{WorkerGroup: r.workerGroup(v)}, true
	case kindPool:
		return flow.Document{Pool: r.pool(v, defaults.Project)}, true
	default:
		return flow.Document{Workflow: r.workflow(v, defaults.Project)}, true
	}
}

func (r *reader) documentKind(v value) (string, bool) {
	for _, later := range laterKinds {
		if v.isScalar() && v.node.Value == later {
			r.notSupported(v, "kind: "+later)
			return "", false
		}
	}
	return oneOf(kinds()...).read(r, v)
}

// kindKey is in every table; the kind itself was read before the table was chosen.
func kindKey[T any](kind string) key[T] {
	doc := "What the document is; Workflow where it is left out."
	return key[T]{
		name: "kind", doc: doc, required: kind != kindWorkflow,
		schema: func() object { return object{"const": kind} },
		read:   func(*reader, value, *T) {},
		write:  func(*T) *yaml.Node { return textNode(kind) },
	}
}

func joined(names []string) string { return strings.Join(names, ", ") }
