// The option schema of a type: file validation, the published JSON Schema and, later, forms are
// made from it.

package task

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"baton/internal/flow"
)

// Kind of an option: its JSON type, and how references in it are treated.
type Kind string

// Kinds of options. Text and everything below it holds templates (${name}, ${{ … }}, $[…]) that
// are put in before the attempt starts; Script follows the rules for scripts; Expression is
// evaluated by the type itself and left untouched; Plain holds no references at all.
const (
	Text             Kind = "text"
	Script           Kind = "script"
	Expression       Kind = "expression"
	Plain            Kind = "plain"
	Integer          Kind = "integer"        // also as a template
	Boolean          Kind = "boolean"        // also as a template
	DurationOption   Kind = "duration"       // also as a template
	TextMap          Kind = "text_map"       // object of texts
	TextList         Kind = "text_list"      // list of texts; a single text is a list of one
	ExpressionMap    Kind = "expression_map" // object of expressions
	AnyValue         Kind = "any"            // any JSON; texts in it are templates
	DataSourceOption Kind = "datasource"     // name of a DataSource of the project
	FileOption       Kind = "file"           // a resource beside the file, put into the work folder
	Tasks            Kind = "tasks"          // names of tasks of the same workflow
	Nested           Kind = "task"           // a task within the task: kept beside the options, not among them
)

// Option is one key of `with:`.
type Option struct {
	Name        string
	Kind        Kind
	Required    bool
	Default     string // as a person would write it, "" none
	Enum        []string
	Description string
	Secret      bool // the value is masked wherever it is shown
	Multiline   bool
}

// Schema is the list of options in the order people read them.
type Schema struct {
	Description string
	Options     []Option
}

// Option returns the option of a name.
func (s Schema) Option(name string) (Option, bool) {
	i := slices.IndexFunc(s.Options, func(o Option) bool { return o.Name == name })
	if i < 0 {
		return Option{}, false
	}
	return s.Options[i], true
}

// Names returns the option names in order.
func (s Schema) Names() []string {
	out := make([]string, len(s.Options))
	for i, o := range s.Options {
		out[i] = o.Name
	}
	return out
}

// Check holds options (a JSON object; empty is {}) against the schema. Fields of the errors are
// option names. Templates are accepted wherever a text may stand in for the value.
func (s Schema) Check(options json.RawMessage) []*flow.Error {
	values := map[string]json.RawMessage{}
	if len(options) > 0 {
		if err := json.Unmarshal(options, &values); err != nil {
			return []*flow.Error{flow.Errorf(flow.CodeInvalidFile, "", "expected a map of options")}
		}
	}
	var errs []*flow.Error
	for _, o := range s.Options {
		raw, given := values[o.Name]
		if !given {
			if o.Required {
				errs = append(errs, flow.Errorf(flow.CodeInvalidFile, o.Name, "option %q is required: %s", o.Name, o.Description))
			}
			continue
		}
		if e := o.check(raw); e != nil {
			errs = append(errs, e)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, known := s.Option(name); !known {
			e := flow.Errorf(flow.CodeInvalidFile, name, "unknown option %q; this type takes %s", name, strings.Join(s.Names(), ", "))
			errs = append(errs, e)
		}
	}
	return errs
}

func (o Option) check(raw json.RawMessage) *flow.Error {
	bad := func(want string) *flow.Error {
		if o.Secret {
			return flow.Errorf(flow.CodeInvalidFile, o.Name, "option %q: expected %s", o.Name, want)
		}
		return flow.Errorf(flow.CodeInvalidFile, o.Name, "option %q: expected %s, found %s", o.Name, want, shorten(raw))
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return bad("a JSON value")
	}
	text, isText := v.(string)
	template := isText && bytes.ContainsAny(raw, "$")
	switch o.Kind {
	case Text, Script, Expression, Plain, DataSourceOption, FileOption:
		if !isScalar(v) {
			return bad("a text")
		}
		if o.Required && isText && strings.TrimSpace(text) == "" {
			return flow.Errorf(flow.CodeInvalidFile, o.Name, "option %q is empty: %s", o.Name, o.Description)
		}
	case Integer:
		if n, ok := v.(json.Number); ok {
			text = n.String()
		}
		if _, err := strconv.ParseInt(text, 10, 64); err != nil && !template { // a text too: templates render to texts
			return bad("a whole number")
		}
	case Boolean:
		if _, ok := v.(bool); !ok && text != "true" && text != "false" && !template {
			return bad("true or false")
		}
	case DurationOption:
		if !isText {
			return bad("a duration such as 30s")
		}
		if !template {
			if _, err := flow.ParseDuration(text); err != nil {
				return bad("a duration such as 30s")
			}
		}
	case TextMap, ExpressionMap:
		m, ok := v.(map[string]any)
		if !ok {
			return bad("a map of texts")
		}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !isScalar(m[k]) {
				return flow.Errorf(flow.CodeInvalidFile, o.Name+"."+k, "option %q: the value of %q must be a text", o.Name, k)
			}
		}
	case TextList, Tasks:
		if isText {
			break
		}
		l, ok := v.([]any)
		if !ok || slices.ContainsFunc(l, func(x any) bool { return !isScalar(x) }) {
			return bad("a list of texts")
		}
	case AnyValue, Nested:
	}
	if len(o.Enum) > 0 && isText && !template && !slices.Contains(o.Enum, text) {
		return bad("one of " + strings.Join(o.Enum, ", "))
	}
	return nil
}

func isScalar(v any) bool {
	switch v.(type) {
	case string, json.Number, bool:
		return true
	}
	return false
}

func shorten(raw json.RawMessage) string {
	const most = 60
	if len(raw) <= most {
		return string(raw)
	}
	return flow.Text(string(raw), most) + "…"
}

// JSONSchema returns the schema of the options object, draft 2020-12.
func (s Schema) JSONSchema() map[string]any {
	props := map[string]any{}
	required := []string{}
	for _, o := range s.Options {
		props[o.Name] = o.jsonSchema()
		if o.Required {
			required = append(required, o.Name)
		}
	}
	out := map[string]any{"type": "object", "properties": props, "additionalProperties": false, "description": s.Description}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func (o Option) jsonSchema() map[string]any {
	scalar := []string{"string", "number", "boolean"}
	p := map[string]any{"description": o.Description}
	switch o.Kind {
	case Integer:
		p["type"] = []string{"integer", "string"}
	case Boolean:
		p["type"] = []string{"boolean", "string"}
	case DurationOption:
		p["type"] = "string"
	case TextMap, ExpressionMap:
		p["type"] = "object"
		p["additionalProperties"] = map[string]any{"type": scalar}
	case TextList, Tasks:
		p["oneOf"] = []any{map[string]any{"type": "string"}, map[string]any{"type": "array", "items": map[string]any{"type": scalar}}}
	case AnyValue:
	case Nested:
		p["$ref"] = "#/$defs/inner"
	case Text, Script, Expression, Plain, DataSourceOption, FileOption:
		p["type"] = scalar
	}
	if len(o.Enum) > 0 {
		p["examples"] = o.Enum
	}
	if o.Default != "" {
		p["default"] = o.Default
	}
	return p
}
