// What a dependent task waits for, as its options say it.

package flow

// Dependency is what must have succeeded: a leaf, which names a workflow, or a list of which all or any must hold.
type Dependency struct {
	All      []Dependency `json:"all"`
	Any      []Dependency `json:"any"`
	Project  string       `json:"project"` // "": that of the workflow that waits
	Workflow string       `json:"workflow"`
	Task     string       `json:"task"` // "": the whole run
	Window   string       `json:"window"`
}

// Leaves lists the leaves from left to right.
func (d *Dependency) Leaves() []*Dependency { return d.leaves(nil) }

func (d *Dependency) leaves(out []*Dependency) []*Dependency {
	if d.Workflow != "" {
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
	if d.Workflow != "" {
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
