// Templates: texts with $[…], ${…} and ${{ … }} in them, compiled.

package param

import "strings"

// MaxText bounds a text that is compiled and a text that comes out, in bytes.
const MaxText = 1 << 20

// Template is a compiled text of an option or of a parameter's value. The zero
// value is the empty text. Templates are immutable and safe for concurrent use.
type Template struct {
	text     string
	parts    []part // nil: the text is constant
	constant string // the text without escapes, when parts is nil
}

// part is one piece of a template; exactly one of its kinds is set.
type part struct {
	literal string
	ref     string      // the name between ${ and }
	time    *TimeExpr   // the inside of $[ ]
	expr    *Expression // the inside of ${{ }}
	offset  int         // where the piece begins in the text
}

// Ref is a name that a text mentions.
type Ref struct {
	Name   string // "day", "extract.count", "system.biz.date"
	Root   string // in an expression: the identifier Name begins with; its fields may be those of a JSON value
	Offset int    // byte offset in the text
}

// Known reports whether a reference can mean something, given what the names of
// parameters are and which tasks lie upstream.
func (r Ref) Known(isParam, isTask func(name string) bool) bool {
	if isParam(r.Name) || r.Root != "" && isParam(r.Root) {
		return true
	}
	_, _, ok := SplitTaskRef(r.Name, isTask)
	return ok
}

// Compile compiles the text of an option or of a parameter's value.
//
// ${name} is a reference, ${{ … }} an expression, $[…] a time placeholder;
// $${ and $$[ stand for ${ and $[ themselves. A $[…] without a letter in it, or
// one that begins with a quote, is left as it is: JSON paths look so. Any other $[
// that is not closed on its line is bad_placeholder.
// Errors are bad_placeholder, bad_reference, bad_expression, too_large.
func Compile(text string) (*Template, error) {
	return compile(text, false)
}

// compile is [Compile]; strict takes every $[…] for a placeholder.
func compile(text string, strict bool) (*Template, error) {
	if len(text) > MaxText {
		return nil, errorAt(CodeTooLarge, MaxText, "the text has %d bytes; at most %d are allowed", len(text), MaxText)
	}
	t := &Template{text: text, constant: text}
	if !strings.Contains(text, "${") && !strings.Contains(text, "$[") {
		return t, nil
	}
	s := scanner{text: text, strict: strict}
	for s.pos < len(text) {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.flush()
	switch {
	case len(s.parts) == 0:
		t.constant = ""
	case len(s.parts) == 1 && s.parts[0].literal != "":
		t.constant = s.parts[0].literal
	default:
		t.parts = s.parts
	}
	return t, nil
}

// Text returns the text as it was written.
func (t *Template) Text() string { return t.text }

// IsConstant reports whether the value is the same in every scope; it is then [Template.Constant].
func (t *Template) IsConstant() bool { return t.parts == nil }

// Constant returns the value of a constant template: the text with its escapes resolved.
func (t *Template) Constant() string { return t.constant }

// Refs lists every name the text mentions, also inside expressions, in order of
// appearance, repeated ones too.
func (t *Template) Refs() []Ref {
	var refs []Ref
	for _, p := range t.parts {
		switch {
		case p.ref != "":
			refs = append(refs, Ref{Name: p.ref, Offset: p.offset})
		case p.expr != nil:
			for _, r := range p.expr.Refs() {
				r.Offset += p.offset + len("${{")
				refs = append(refs, r)
			}
		}
	}
	return refs
}

// Render returns the value in a scope. A constant text costs nothing.
// A name that resolves to nothing is unknown_parameter.
func (t *Template) Render(scope *Scope) (string, error) {
	if t.parts == nil {
		return t.constant, nil
	}
	r := resolver{scope: scope}
	return r.template(t)
}

// Escape returns a text whose compiled value is text itself, whatever is in it.
func Escape(text string) string {
	if !strings.Contains(text, "${") && !strings.Contains(text, "$[") {
		return text
	}
	return strings.NewReplacer("${", "$${", "$[", "$$[").Replace(text)
}
