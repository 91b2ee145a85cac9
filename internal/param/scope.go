// Scope: every source of parameters that one task, or one run, can see.

package param

import "slices"

// Scope is what names mean in one place. It is a literal over values that
// others own: nothing is copied and nothing is computed until a name is asked
// for. Every field may be left empty. A Scope that no longer changes may be
// used concurrently.
type Scope struct {
	Start    map[string]string // given at the start, resolved: the first result of [Params.Resolve]
	Bound    map[string]string // bound by the engine for one attempt (a map's item, a loop's last outputs); counts as local
	Local    *Params           // the task's params
	Upstream Upstreams         // outputs of the tasks before it
	Global   map[string]string // the run's parameters, resolved: the second result of [Params.Resolve]
	Declared *Params           // the declarations of the globals, for their types
	Project  *Params           // the project's params
	Builtin  Builtins

	// Only while the globals themselves are resolved.
	startTexts  *Params
	globalTexts *Params
}

// level is a place to look in; several levels may be one [Source].
type level uint8

const (
	levelStart level = iota
	levelBound
	levelLocal
	levelOutput
	levelGlobal
	levelProject
	levelBuiltin
	levels
)

var levelSources = [levels]Source{FromStart, FromLocal, FromLocal, FromOutput, FromGlobal, FromProject, FromBuiltin}

// found is a value before it is resolved: a text, or a template still to be rendered.
type found struct {
	text     string
	template *Template
	level    level
}

// find looks a name up at a level and, where it is not there, beneath.
func (s *Scope) find(name string, from level) (found, bool) {
	for l := from; l < levels; l++ {
		var text string
		var template *Template
		var ok bool
		switch l {
		case levelStart:
			if text, ok = s.Start[name]; !ok {
				template, ok = s.startTexts.template(name)
			}
		case levelBound:
			text, ok = s.Bound[name]
		case levelLocal:
			template, ok = s.Local.template(name)
		case levelOutput:
			text, _, ok = s.Upstream.Lookup(name)
		case levelGlobal:
			if text, ok = s.Global[name]; !ok {
				template, ok = s.globalTexts.template(name)
			}
		case levelProject:
			template, ok = s.Project.template(name)
		case levelBuiltin:
			text, ok = s.Builtin.Lookup(name)
		case levels:
		}
		if ok {
			return found{text, template, l}, true
		}
	}
	return found{}, false
}

// typeOf returns the type of the nearest declaration; without one a value is text.
func (s *Scope) typeOf(name string) Type {
	switch name {
	case MapIndex, MapTotal, LoopIndex:
		return TypeInteger
	}
	for _, p := range [...]*Params{s.Local, s.Declared, s.Project} {
		if t, ok := p.Type(name); ok {
			return t
		}
	}
	return TypeString
}

// Lookup resolves one name, with the source its value comes from. T.name is the
// output of one task, exactly. Errors: unknown_parameter, parameter_cycle,
// bad_placeholder, bad_expression, too_large.
func (s *Scope) Lookup(name string) (value string, from Source, err error) {
	r := resolver{scope: s}
	v, l, err := r.value(name, levelStart)
	return v, levelSources[l], err
}

// Names lists every name that has a value here, sorted, built-in ones included;
// qualified names are not listed.
func (s *Scope) Names() []string {
	return slices.Compact(slices.Sorted(slices.Values(append(s.own(), s.Builtin.names()...))))
}

// own lists the names of all parameters but the built-in ones, unsorted, repeated ones too.
func (s *Scope) own() []string {
	var names []string
	for _, m := range [...]map[string]string{s.Start, s.Bound, s.Global} {
		for n := range m {
			names = append(names, n)
		}
	}
	for i := range s.Upstream {
		for n := range s.Upstream[i].Outputs {
			names = append(names, n)
		}
	}
	for _, p := range [...]*Params{s.startTexts, s.Local, s.globalTexts, s.Project} {
		names = append(names, p.valued()...)
	}
	return names
}

// Resolved is one line of `baton explain`: a parameter, its value and where it comes from.
type Resolved struct {
	Name  string
	Value string
	From  Source
	Err   error // why there is no value; From still says whose it would have been
}

// Explain resolves every name, sorted.
func (s *Scope) Explain() []Resolved {
	names := s.Names()
	list := make([]Resolved, len(names))
	for i, n := range names {
		list[i].Name = n
		list[i].Value, list[i].From, list[i].Err = s.Lookup(n)
	}
	return list
}
