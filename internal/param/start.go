// The parameters of a run, resolved once when it starts.

package param

import (
	"errors"
	"strings"
	"unicode"
)

// Resolve computes the parameters of a run from the workflow's declarations p
// (nil: none), what was given at the start, the project's parameters and the
// built-in ones.
//
// Values given may be templates; one that is data already, such as a parent's
// parameter, is passed through [Escape]. A name that is not declared is
// accepted. The first result holds the names of start alone, the second every
// parameter (the instance's params): both are final texts, never templates.
//
// All faults are reported, joined: missing_parameter, bad_parameter (type or
// enum), bad_parameter_name, and those of [Compile] and [Scope.Lookup].
func (p *Params) Resolve(start map[string]string, project *Params, builtin Builtins) (given, all map[string]string, err error) {
	texts, errs := compileStart(start)
	s := Scope{startTexts: texts, globalTexts: p, Declared: p, Project: project, Builtin: builtin}
	given = make(map[string]string, len(start))
	all = make(map[string]string, len(start)+len(p.Names()))
	for _, name := range texts.Names() {
		v, err := s.global(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		given[name], all[name] = v, v
	}
	for _, name := range p.Names() {
		if _, ok := start[name]; ok {
			continue
		}
		d := p.decls[name]
		if d.value == nil {
			if d.Required {
				errs = append(errs, in(name, errorAt(CodeMissing, 0, "is required; give -p %s=…", name)))
			}
			continue
		}
		v, err := s.global(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all[name] = v
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	return given, all, nil
}

// global resolves one name and checks its value against its declaration.
func (s *Scope) global(name string) (string, error) {
	v, _, err := s.Lookup(name)
	if err != nil {
		return "", in(name, err)
	}
	if s.Declared != nil && s.Declared.decls[name] != nil {
		err = in(name, s.Declared.decls[name].check(v))
	}
	return v, err
}

// compileStart compiles what was given at a start. Its names are freer than
// declared ones: `-p system.biz.date=…` overrides a built-in parameter.
func compileStart(start map[string]string) (*Params, []error) {
	p := &Params{decls: make(map[string]*declared, len(start))}
	var errs []error
	for _, name := range sortedKeys(start) {
		text := start[name]
		t, err := compile(text, false)
		if err == nil {
			err = checkStartName(name)
		}
		if err != nil {
			errs = append(errs, in(name, err))
			continue
		}
		p.decls[name] = &declared{Decl: Decl{Name: name, Default: &text}, value: t}
		p.sorted = append(p.sorted, name)
	}
	return p, errs
}

func checkStartName(name string) error {
	if strings.TrimSpace(name) == "" || len(name) > 512 || strings.ContainsAny(name, "={}$") || strings.ContainsFunc(name, unicode.IsControl) {
		return errorAt(CodeBadName, 0, "%q cannot be a parameter's name; letters, digits, _ and - are safe everywhere", name)
	}
	return nil
}
