// Parameters: of a workflow, declared; of a task or project, given.

package spec

import (
	"errors"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
	"golang.org/x/text/unicode/norm"

	"baton/internal/flow"
	"baton/internal/param"
)

// paramKey checks what a parameter is called.
func paramKey(s string) string {
	if e, ok := errors.AsType[*param.Error](param.CheckName(s)); ok {
		return e.Message
	}
	return ""
}

var asPairs = ordered("a map of parameters, such as {limit: 100}", asText, paramKey,
	func(k, v string) flow.Pair { return flow.Pair{Name: k, Value: v} },
	func(p flow.Pair) (string, string) { return p.Name, p.Value })

var declarationKeys = newTable("a parameter",
	field("type", "Type of its values: "+strings.Join(paramTypes(), ", ")+".", asParamType, func(p *flow.Param) *string { return &p.Type }),
	field("default", "Value when a run is started without one; may hold ${…} and $[…].", asOptional, func(p *flow.Param) **string { return &p.Default }).alias("value"),
	field("required", "True: a run is not started without a value.", asBoolean, func(p *flow.Param) *bool { return &p.Required }),
	field("enum", "The values it may have.", listOf(asText), func(p *flow.Param) *[]string { return &p.Enum }).alias("options", "choices", "values"),
	field("description", "What it is for, for people.", asText, func(p *flow.Param) *string { return &p.Description }),
)

// optionalText tells an empty text from none.
var asOptional = shape[*string]{
	schema: asText.schema,
	read:   pointer(asText).read,
	write: func(s *string) *yaml.Node {
		if s == nil {
			return nil
		}
		return textNode(*s)
	},
}

func paramTypes() []string {
	var out []string
	for _, t := range param.Types() {
		out = append(out, string(t))
	}
	return out
}

// paramType takes DolphinScheduler's names too and keeps ours.
var asParamType = func() shape[string] {
	words := oneOf(paramTypes()...)
	return shape[string]{
		schema: func() object { return object{"type": "string", "examples": paramTypes()} },
		read: func(r *reader, v value) (string, bool) {
			if v.isScalar() {
				if t, err := param.ParseType(v.node.Value); err == nil && v.node.Value != "" {
					return string(t), true
				}
			}
			return words.read(r, v)
		},
		write: words.write,
	}
}()

// asDeclaration is a bare value or a map. {default: eu} and eu mean the same and are the same.
var asDeclaration = shape[flow.Param]{
	schema: func() object { return object{"anyOf": []any{asText.schema(), declarationKeys.schema()}} },
	read: func(r *reader, v value) (flow.Param, bool) {
		var p flow.Param
		switch {
		case v.isList():
			r.fail(v, "expected a value or a map with type and default, found a list; write a list as JSON text, '[1, 2]', with type: list")
			return p, false
		case v.isMap():
			ok := declarationKeys.read(r, v, &p)
			return p, ok
		}
		s, ok := r.text(v, "a text, or a map with type, default, required, enum, description")
		p.Default = &s
		return p, ok
	},
	write: func(p flow.Param) *yaml.Node {
		bare := flow.Param{Name: p.Name, Default: p.Default}
		if p.Default != nil && p.Type == bare.Type && !p.Required && p.Enum == nil && p.Description == "" {
			return textNode(*p.Default)
		}
		n := declarationKeys.write(&p)
		n.Style = yaml.FlowStyle
		return n
	},
}

// asDeclarations are a workflow's parameters, in order of the file, each checked with its type.
var asDeclarations = func() shape[[]flow.Param] {
	s := ordered("a map of parameters, such as {region: eu}", asDeclaration, paramKey,
		func(k string, p flow.Param) flow.Param { p.Name = k; return p },
		func(p flow.Param) (string, flow.Param) { return p.Name, p })
	read := s.read
	s.read = func(r *reader, v value) ([]flow.Param, bool) {
		list, ok := read(r, v)
		byName := make(map[string]value, len(list))
		for k, child := range v.entries() {
			byName[norm.NFC.String(k.Value)] = child
		}
		for _, p := range list {
			if at, found := byName[p.Name]; found {
				r.declared(at, p)
			}
		}
		return list, ok
	}
	return s
}()

// declared checks a default against type and enum, and the enum against the type.
func (r *reader) declared(v value, p flow.Param) {
	kind, err := param.ParseType(p.Type)
	if err != nil {
		return // reported
	}
	for i, e := range p.Enum {
		if err := kind.Check(e); err != nil {
			r.fail(v.at("enum").index(i), "%s", err.Error())
		}
		if slices.Index(p.Enum, e) < i {
			r.fail(v.at("enum").index(i), "%s is in the list twice", shown(e))
		}
	}
	if p.Default == nil {
		if p.Type == "" && !p.Required && p.Enum == nil && p.Description == "" && v.isMap() && len(v.node.Content) == 0 {
			r.fail(v, "a parameter needs a value, or a map with type, default, required, enum, description")
		}
		return
	}
	at := v
	if v.isMap() {
		at = v.at("default")
	}
	t, ok := r.template(at, *p.Default)
	if !ok || !t.IsConstant() {
		return
	}
	if err := kind.Check(t.Constant()); err != nil {
		r.fail(at, "%s", err.Error())
		return
	}
	if len(p.Enum) > 0 && !slices.Contains(p.Enum, t.Constant()) {
		r.suggest(r.fail(at, "the default %s is not one of %s", shown(t.Constant()), strings.Join(p.Enum, ", ")), t.Constant(), p.Enum, "")
	}
}
