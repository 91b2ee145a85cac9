// Graph: who depends on whom.

package cascade

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"baton/internal/flow"
)

// Name is a workflow of a project.
type Name struct{ Project, Workflow string }

func (n Name) String() string { return n.Project + "/" + n.Workflow }

func compare(a, b Name) int {
	return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Workflow, b.Workflow))
}

// nameOf is the name of a definition.
func nameOf(d flow.Definition) Name { return Name{d.Project, d.Name} }

// Link is what a dependent task looks at.
type Link struct {
	Upstream Name
	Window   string
	Match    flow.Match
}

// linksOf are the links of a workflow's dependents, each once. A workflow that waits for its own runs of before does not
// follow from itself; a task that is disabled waits for nothing, and one whose names are made of parameters is known
// only when it begins.
func linksOf(d flow.Definition) []Link {
	var out []Link
	for _, t := range d.Workflow.AllTasks() {
		does := t.Work()
		if t.Disabled || does.Type != flow.TypeDependent {
			continue
		}
		var o struct {
			flow.Dependency
			Match flow.Match `json:"match"`
		}
		if json.Unmarshal(does.With, &o) != nil {
			continue
		}
		for _, leaf := range o.Leaves() {
			l := Link{Name{leaf.ProjectIn(d.Project), leaf.Workflow}, leaf.Window, cmp.Or(o.Match, flow.MatchDataTime)}
			if l.Upstream != nameOf(d) && !templated(l.Upstream.String()) && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

func templated(text string) bool { return strings.Contains(text, "$") }

// Dependent is a workflow that depends on another, perhaps by others between them.
type Dependent struct {
	Definition flow.Definition
	// Level is the most steps from that one to it: 1 and up. All that it depends on of the same graph has a lower one.
	Level int
	Links []Link
}

// Graph is who depends on whom, by the dependents of the newest version of each workflow. Its zero value is empty.
type Graph struct {
	members map[Name]*Dependent
	after   map[Name][]Name // who names it
}

// Add puts a workflow into the graph, if it depends on another.
func (g *Graph) Add(d flow.Definition) {
	links := linksOf(d)
	if len(links) == 0 {
		return
	}
	if g.members == nil {
		g.members, g.after = map[Name]*Dependent{}, map[Name][]Name{}
	}
	self := nameOf(d)
	g.members[self] = &Dependent{Definition: d, Links: links}
	for _, l := range links {
		if !slices.Contains(g.after[l.Upstream], self) {
			g.after[l.Upstream] = append(g.after[l.Upstream], self)
		}
	}
}

// Below lists who depends on a workflow, over however many steps, each once, the nearest first.
func (g *Graph) Below(of flow.Definition) []flow.Definition {
	seen := map[Name]bool{nameOf(of): true}
	var out []flow.Definition
	for next := []Name{nameOf(of)}; len(next) > 0; next = next[1:] {
		for _, n := range slices.SortedFunc(slices.Values(g.after[next[0]]), compare) {
			if !seen[n] {
				seen[n] = true
				next = append(next, n)
				out = append(out, g.members[n].Definition)
			}
		}
	}
	return out
}

// Levels lists who depends on a workflow, over however many steps: by level, and by name within one. Some that depend on
// each other in a circle are an error that names it.
func (g *Graph) Levels(of flow.Definition) ([]Dependent, error) {
	w := walk{graph: g, left: map[Name]bool{}}
	if err := w.visit(nameOf(of)); err != nil {
		return nil, err
	}
	level := map[Name]int{}
	var out []Dependent
	for _, n := range slices.Backward(w.order) { // whoever is named before who names it
		for _, follower := range g.after[n] {
			level[follower] = max(level[follower], level[n]+1)
		}
		if level[n] > 0 {
			d := *g.members[n]
			d.Level = level[n]
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b Dependent) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), compare(nameOf(a.Definition), nameOf(b.Definition)))
	})
	return out, nil
}

// walk visits a graph depth first.
type walk struct {
	graph *Graph
	path  []Name        // from where it began to where it is
	left  map[Name]bool // all below it was visited
	order []Name        // in which they were left
}

func (w *walk) visit(n Name) error {
	if i := slices.Index(w.path, n); i >= 0 {
		return circle(append(w.path[i:], n))
	}
	if w.left[n] {
		return nil
	}
	w.path = append(w.path, n)
	for _, follower := range slices.SortedFunc(slices.Values(w.graph.after[n]), compare) {
		if err := w.visit(follower); err != nil {
			return err
		}
	}
	w.path = w.path[:len(w.path)-1]
	w.left[n] = true
	w.order = append(w.order, n)
	return nil
}

func circle(path []Name) error {
	names := make([]string, len(path))
	for i, n := range path {
		names[i] = n.String()
	}
	return flow.Errorf(flow.CodeConflict, "cascade", "workflows depend on each other in a circle: %s (each names the one before it), so none of them comes first; run them without cascade, one after another", strings.Join(names, ", "))
}
