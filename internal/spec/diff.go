// Diff: what changes from one version of a workflow to the next, in words of the file.

package spec

import (
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

// Op is what happened to a field.
type Op string

// What can happen to a field.
const (
	Added   Op = "added"
	Removed Op = "removed"
	Changed Op = "changed"
	Moved   Op = "moved" // the same keys in another order, which makes a version too
)

// Change is one difference. Path is a field as in errors: tasks.load.retry.times. Before and After
// are YAML, texts of one line as they are written, empty where there was or is nothing.
type Change struct {
	Op     Op     `json:"op"`
	Path   string `json:"path"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Diff compares two versions of a workflow, in order of the file; nil is no workflow at all. A task
// that came or went is one change. Files are compared by content too where both contents are known.
func Diff(before, after *flow.Workflow) []Change {
	return DiffDocuments(flow.Document{Workflow: before}, flow.Document{Workflow: after})
}

// DiffDocuments is Diff for documents of every kind; an empty document is none at all.
func DiffDocuments(before, after flow.Document) []Change {
	var d differ
	old, errOld := documentNode(before)
	now, errNow := documentNode(after)
	switch {
	case errOld != nil && errNow != nil:
	case errOld != nil:
		d.report(Added, "", nil, now)
	case errNow != nil:
		d.report(Removed, "", old, nil)
	default:
		d.compare("", old, now)
		if before.Workflow != nil && after.Workflow != nil {
			d.contents(before.Workflow, after.Workflow)
		}
	}
	return d.changes
}

type differ struct{ changes []Change }

func (d *differ) report(op Op, path string, before, after *yaml.Node) {
	d.changes = append(d.changes, Change{Op: op, Path: path, Before: shortYAML(before), After: shortYAML(after)})
}

func (d *differ) compare(path string, before, after *yaml.Node) {
	switch {
	case same(before, after):
	case before.Kind == yaml.MappingNode && after.Kind == yaml.MappingNode:
		d.maps(path, before, after)
	default:
		d.report(Changed, path, before, after)
	}
}

// maps compares by key: first what is in the new one, in its order, then what went.
func (d *differ) maps(path string, before, after *yaml.Node) {
	old := members(before)
	now := members(after)
	for i := 0; i+1 < len(after.Content); i += 2 {
		key := after.Content[i].Value
		if was, ok := old[key]; ok {
			d.compare(join(path, key), was, after.Content[i+1])
		} else {
			d.report(Added, join(path, key), nil, after.Content[i+1])
		}
	}
	for i := 0; i+1 < len(before.Content); i += 2 {
		if key := before.Content[i].Value; now[key] == nil {
			d.report(Removed, join(path, key), before.Content[i+1], nil)
		}
	}
	if was, is := shared(before, now), shared(after, old); !slices.Equal(was, is) {
		d.changes = append(d.changes, Change{Op: Moved, Path: path, Before: strings.Join(was, ", "), After: strings.Join(is, ", ")})
	}
}

func members(n *yaml.Node) map[string]*yaml.Node {
	m := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		m[n.Content[i].Value] = n.Content[i+1]
	}
	return m
}

// shared lists the keys of n that the other map has too, in order.
func shared(n *yaml.Node, other map[string]*yaml.Node) []string {
	var out []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i].Value; other[k] != nil {
			out = append(out, k)
		}
	}
	return out
}

// same compares values, not how they are written.
func same(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Value == b.Value && a.Tag == b.Tag &&
		slices.EqualFunc(a.Content, b.Content, same)
}

// contents reports files of one path whose content changed.
func (d *differ) contents(before, after *flow.Workflow) {
	type file struct{ task, path string }
	old := map[file]string{}
	each := func(w *flow.Workflow, do func(file, string)) {
		for under, t := range w.AllTasks() {
			at := join(under, t.Name)
			for _, f := range t.Files {
				do(file{at + ".files", f.Path}, f.SHA256)
			}
			if t.Inner != nil {
				for _, f := range t.Inner.Files {
					do(file{at + ".with.task.files", f.Path}, f.SHA256)
				}
			}
			if t.Compensate != nil {
				for _, f := range t.Compensate.Files {
					do(file{at + ".compensate.files", f.Path}, f.SHA256)
				}
			}
		}
	}
	each(before, func(f file, sum string) { old[f] = sum })
	each(after, func(f file, sum string) {
		if was := old[f]; was != "" && sum != "" && was != sum {
			d.changes = append(d.changes, Change{Op: Changed, Path: join(f.task, f.path), Before: digest(was), After: digest(sum)})
		}
	})
}

// digest shortens a sum to what tells two apart.
func digest(sum string) string { return "sha256:" + sum[:min(12, len(sum))] }

// shortYAML is a value for people: a text as it is, everything else as YAML, small things in a line.
func shortYAML(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	if n.Kind == yaml.ScalarNode {
		if n.Value == "" {
			return `""`
		}
		return n.Value
	}
	out := n
	if flat(n) {
		line := *n
		line.Style = yaml.FlowStyle
		out = &line
	}
	b, err := encode(out, yaml.WithLineWidth(-1))
	if err != nil {
		return err.Error() // nodes of our own making can always be written
	}
	return strings.TrimSuffix(string(b), "\n")
}

// flat tells maps and lists that read well in one line.
func flat(n *yaml.Node) bool {
	size := 0
	for _, c := range n.Content {
		if c.Kind != yaml.ScalarNode && (c.Style != yaml.FlowStyle || len(c.Content) > 8) || strings.Contains(c.Value, "\n") {
			return false
		}
		size += len(c.Value) + 2
		for _, g := range c.Content {
			size += len(g.Value) + 2
		}
	}
	return size <= 100
}
