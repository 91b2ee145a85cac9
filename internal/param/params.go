// Declared parameters: of a workflow, a task, a project.

package param

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Decl is a parameter as it is declared.
type Decl struct {
	Name        string
	Type        Type    // empty: String
	Default     *string // a template; nil: there is none
	Required    bool    // a start without it, and without a default, is refused
	Enum        []string
	Description string
}

// Params are compiled declarations. A nil *Params holds none. They are
// immutable and safe for concurrent use.
type Params struct {
	decls  map[string]*declared
	sorted []string
}

type declared struct {
	Decl
	value *Template // nil without a default
}

// CompileParams compiles declarations. All that is wrong with them is reported,
// joined: bad_parameter_name, bad_parameter (a constant default that breaks its
// type or enum), and the errors of [Compile], each naming its parameter.
func CompileParams(decls []Decl) (*Params, error) {
	return compileParams(decls, false)
}

func compileParams(decls []Decl, strict bool) (*Params, error) {
	p := &Params{decls: make(map[string]*declared, len(decls))}
	var errs []error
	for _, d := range decls {
		if err := p.add(d, strict); err != nil {
			errs = append(errs, in(d.Name, err))
		}
	}
	p.sorted = sortedKeys(p.decls)
	return p, errors.Join(errs...)
}

func (p *Params) add(d Decl, strict bool) error {
	if err := CheckName(d.Name); err != nil {
		return err
	}
	if p.decls[d.Name] != nil {
		return errorAt(CodeBadName, 0, "is declared twice; remove one")
	}
	t, err := ParseType(string(d.Type))
	if err != nil {
		return err
	}
	d.Type = t
	c := &declared{Decl: d}
	p.decls[d.Name] = c
	if d.Default == nil {
		return nil
	}
	if c.value, err = compile(*d.Default, strict); err != nil {
		return err
	}
	if c.value.IsConstant() {
		return c.check(c.value.Constant())
	}
	return nil
}

// CheckName reports whether a parameter may be declared with this name: up to
// 128 characters, none of them blank, a control character, a dot (dots belong
// to the engine's names and to T.name) or one of $ { } [ ] ( ) = , " ' ` \ /.
func CheckName(name string) error {
	switch {
	case name == "":
		return errorAt(CodeBadName, 0, "a parameter has no name")
	case !utf8.ValidString(name) || utf8.RuneCountInString(name) > 128:
		return errorAt(CodeBadName, 0, "a parameter's name is UTF-8 text of at most 128 characters")
	}
	at := strings.IndexFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(".${}[]()=,\"'`\\/", r)
	})
	if at < 0 {
		return nil
	}
	r, _ := utf8.DecodeRuneInString(name[at:])
	return errorAt(CodeBadName, at, "a parameter's name cannot hold %q; letters, digits, _ and - are safe everywhere", r)
}

// check tests a resolved value against type and enum.
func (d *declared) check(text string) error {
	if err := d.Type.Check(text); err != nil {
		return err
	}
	if len(d.Enum) > 0 && !slices.Contains(d.Enum, text) {
		return errorAt(CodeBadValue, 0, "%q is not one of %s", text, strings.Join(d.Enum, ", ")).suggest(text, d.Enum)
	}
	return nil
}

// Names lists the declared names, sorted. The caller must not change the list.
func (p *Params) Names() []string {
	if p == nil {
		return nil
	}
	return p.sorted
}

// Type returns the type of a declared parameter.
func (p *Params) Type(name string) (Type, bool) {
	if p == nil || p.decls[name] == nil {
		return "", false
	}
	return p.decls[name].Type, true
}

// Decl returns a declaration as it was written, its type resolved.
func (p *Params) Decl(name string) (Decl, bool) {
	if p == nil || p.decls[name] == nil {
		return Decl{}, false
	}
	return p.decls[name].Decl, true
}

// Refs lists what the default of a parameter mentions.
func (p *Params) Refs(name string) []Ref {
	if t, ok := p.template(name); ok {
		return t.Refs()
	}
	return nil
}

func (p *Params) template(name string) (*Template, bool) {
	if p == nil {
		return nil, false
	}
	d := p.decls[name]
	if d == nil || d.value == nil {
		return nil, false
	}
	return d.value, true
}

// valued lists the parameters that have a value of their own.
func (p *Params) valued() []string {
	var names []string
	for _, n := range p.Names() {
		if p.decls[n].value != nil {
			names = append(names, n)
		}
	}
	return names
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
