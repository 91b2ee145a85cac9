// Forms: fields that a person fills in while a run waits.

package param

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Form is the fields of a form by name. In JSON a field that is no object is its default.
type Form map[string]Field

// Field is one field of a form.
type Field struct {
	Type        Type            `json:"type"`
	Default     json.RawMessage `json:"default"`
	Required    bool            `json:"required"`
	Enum        []string        `json:"enum"`
	Description string          `json:"description"`
}

// UnmarshalJSON reads a field, or the default of one. Keys that a field does not have are refused.
func (f *Field) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		f.Default = slices.Clone(raw)
		return nil
	}
	type plain Field
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode((*plain)(f))
}

// DefaultText is the default as it is written, nil for none.
func (f Field) DefaultText() *string {
	if text, given := textOf(f.Default); given {
		return &text
	}
	return nil
}

// Check tells what is wrong with the form itself.
func (f Form) Check() error {
	_, err := f.compile()
	return err
}

func (f Form) compile() (*Params, error) {
	decls := make([]Decl, 0, len(f))
	for _, name := range slices.Sorted(maps.Keys(f)) {
		field := f[name]
		d := Decl{Name: name, Type: field.Type, Required: field.Required, Enum: field.Enum, Description: field.Description, Default: field.DefaultText()}
		decls = append(decls, d)
	}
	return CompileParams(decls)
}

// textOf is a JSON value as a text; null is none.
func textOf(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", false
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	return string(raw), true
}

// Fill returns the value of every field: what was given, else its default. Fields that the form does not have,
// that are missing, or that break their type or enum are refused, all at once.
func (f Form) Fill(given map[string]string) (map[string]string, error) {
	p, err := f.compile()
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(f))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		d := p.decls[name]
		if d == nil {
			errs = append(errs, in(name, errorAt(CodeBadName, 0, "the form has no such field; it has %s", fieldList(p))))
			continue
		}
		if err := d.check(given[name]); err != nil {
			errs = append(errs, in(name, err))
		}
		out[name] = given[name]
	}
	for _, name := range p.Names() {
		d := p.decls[name]
		if _, said := given[name]; said {
			continue
		}
		switch {
		case d.value != nil && d.value.IsConstant():
			out[name] = d.value.Constant()
		case d.Default != nil:
			out[name] = *d.Default
		case d.Required:
			errs = append(errs, in(name, errorAt(CodeMissing, 0, "is required; give -p %s=…", name)))
		}
	}
	return out, errors.Join(errs...)
}

func fieldList(p *Params) string {
	if names := p.Names(); len(names) > 0 {
		return strings.Join(names, ", ")
	}
	return "none"
}
