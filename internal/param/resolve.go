// Resolving names to values, through values that name others.

package param

import (
	"slices"
	"strings"
)

const (
	maxDepth = 32     // parameters inside each other
	maxSteps = 10_000 // parameters looked up for one text
)

// resolver carries one evaluation: the chain of parameters under way, and what
// is left of its budget. It is made anew for each, on the stack.
type resolver struct {
	scope *Scope
	steps int
	depth int
	chain [maxDepth]frame
}

type frame struct {
	name  string
	level level
}

// template renders a template in the scope.
func (r *resolver) template(t *Template) (string, error) {
	if t.parts == nil {
		return t.constant, nil
	}
	if len(t.parts) == 1 {
		return r.part(&t.parts[0])
	}
	var b strings.Builder
	for i := range t.parts {
		v, err := r.part(&t.parts[i])
		if err != nil {
			return "", err
		}
		if b.Len()+len(v) > MaxText {
			return "", errorAt(CodeTooLarge, t.parts[i].offset, "the value has more than %d bytes; put large data into a file and pass its name", MaxText)
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

func (r *resolver) part(p *part) (string, error) {
	var v string
	var err error
	switch {
	case p.ref != "":
		v, err = r.reference(p.ref)
	case p.time != nil:
		v, err = p.time.Eval(r.scope.Builtin.DataTime, r.scope.Builtin.zone())
	case p.expr != nil:
		v, err = p.expr.render(r)
		err = shift(err, len("${{"))
	default:
		return p.literal, nil
	}
	return v, shift(err, p.offset)
}

// reference resolves a name that stands in the value under way. A parameter
// that names itself means the value beneath it: a task's own day: "${day}"
// takes the workflow's day.
func (r *resolver) reference(name string) (string, error) {
	from := levelStart
	if r.depth > 0 && r.chain[r.depth-1].name == name {
		from = r.chain[r.depth-1].level + 1
		if _, ok := r.scope.find(name, from); !ok {
			return "", r.cycle(name)
		}
	}
	v, _, err := r.value(name, from)
	return v, err
}

// value resolves a name, looking at a level and beneath it.
func (r *resolver) value(name string, from level) (string, level, error) {
	if r.steps++; r.steps > maxSteps {
		return "", from, errorAt(CodeTooLarge, 0, "more than %d parameters are looked up for one text; shorten the chain at ${%s}", maxSteps, name)
	}
	f, ok := r.scope.find(name, from)
	if !ok {
		v, err := r.qualified(name)
		return v, levelOutput, err
	}
	if f.template == nil || f.template.parts == nil {
		if f.template != nil {
			f.text = f.template.constant
		}
		return f.text, f.level, nil
	}
	if r.depth == maxDepth {
		return "", f.level, errorAt(CodeTooLarge, 0, "parameters name each other more than %d deep: %s", maxDepth, r.path(name))
	}
	next := frame{name, f.level}
	if slices.Contains(r.chain[:r.depth], next) {
		return "", f.level, r.cycle(name)
	}
	r.chain[r.depth] = next
	r.depth++
	v, err := r.template(f.template)
	r.depth--
	return v, f.level, in(name, err)
}

// qualified resolves T.name, or says why a name means nothing.
func (r *resolver) qualified(name string) (string, error) {
	v, task, output, ok := r.scope.Upstream.Find(name)
	switch {
	case ok:
		return v, nil
	case task != nil:
		return "", errorAt(CodeUnknownParameter, 0, "task %q has no output %q", task.Task, output).suggest(output, sortedKeys(task.Outputs))
	case r.scope.declares(name):
		return "", errorAt(CodeUnknownParameter, 0, "parameter %q has no value; give -p %s=… or declare a default", name, name)
	default:
		return "", UnknownParameter(Ref{Name: name}, r.scope.Names())
	}
}

// UnknownParameter is the error for a reference that means nothing, with the
// nearest of the names that would.
func UnknownParameter(ref Ref, valid []string) *Error {
	return errorAt(CodeUnknownParameter, ref.Offset,
		"${%s} means nothing here; declare the parameter, or write $${%s} for the characters themselves", ref.Name, ref.Name).suggest(ref.Name, valid)
}

func (s *Scope) declares(name string) bool {
	for _, p := range [...]*Params{s.Local, s.Declared, s.Project} {
		if _, ok := p.Type(name); ok {
			return true
		}
	}
	return false
}

func (r *resolver) cycle(name string) error {
	return errorAt(CodeCycle, 0, "parameters need each other: %s; give one of them a value of its own", r.path(name))
}

// path prints the chain that leads to name.
func (r *resolver) path(name string) string {
	var b strings.Builder
	for _, f := range r.chain[:r.depth] {
		b.WriteString(f.name + " → ")
	}
	return b.String() + name
}
