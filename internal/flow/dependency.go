// What a dependent task waits for, as its options say it.

package flow

// Dependency is what must have succeeded: a leaf, which names a workflow, or a list of which all or any must hold.
type Dependency struct {
	All      []Dependency `json:"all"`
	Any      []Dependency `json:"any"`
	Project  *string      `json:"project"` // nil: that of the workflow that waits
	Workflow string       `json:"workflow"`
	Task     *string      `json:"task"` // nil: the whole run
	Window   string       `json:"window"`
}

// Leaf tells whether it names a workflow, also when its name came out empty: nothing is an empty list, which would hold.
func (d *Dependency) Leaf() bool { return len(d.All)+len(d.Any) == 0 }

// ProjectIn is the project of a leaf of a workflow in a project.
func (d *Dependency) ProjectIn(own string) string {
	if d.Project == nil {
		return own
	}
	return *d.Project
}

// TaskName is the task of a leaf, "" for the whole run.
func (d *Dependency) TaskName() string {
	if d.Task == nil {
		return ""
	}
	return *d.Task
}

// Leaves lists the leaves from left to right.
func (d *Dependency) Leaves() []*Dependency { return d.leaves(nil) }

func (d *Dependency) leaves(out []*Dependency) []*Dependency {
	if d.Leaf() {
		return append(out, d)
	}
	for _, list := range [2][]Dependency{d.All, d.Any} {
		for i := range list {
			out = list[i].leaves(out)
		}
	}
	return out
}

// Upshot joins what the leaves come to; next takes them from left to right.
func (d *Dependency) Upshot(next func() Upshot) Upshot {
	if d.Leaf() {
		return next()
	}
	got := map[Upshot]int{}
	for _, list := range [2][]Dependency{d.All, d.Any} {
		for i := range list {
			got[list[i].Upshot(next)]++
		}
	}
	first, last := UpshotFailed, UpshotSucceeded // one that failed is enough, or all must have succeeded
	if len(d.Any) > 0 {
		first, last = last, first
	}
	switch {
	case got[first] > 0:
		return first
	case got[UpshotPending] > 0:
		return UpshotPending
	default:
		return last
	}
}
