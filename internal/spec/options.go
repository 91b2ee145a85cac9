// The options of a task type, from YAML into the JSON that is kept.

package spec

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
	"baton/internal/task"
)

// options reads one `with`. extra holds options that are written elsewhere: the script of `run`.
type options struct {
	*reader
	kind  string
	with  value
	extra map[string]value
	// beside are options that are kept elsewhere: what a map does with each item.
	beside []string
}

// read returns the options as JSON, in order of the schema, so that the order of a file makes no new
// version, and the files they name.
func (o options) read() (json.RawMessage, []string) {
	schema := o.types.schemas[o.kind]
	given := o.collect(schema)
	var out bytes.Buffer
	var resources []string
	out.WriteByte('{')
	for _, opt := range schema.Options {
		v, ok := given[opt.Name]
		if !ok || slices.Contains(o.beside, opt.Name) {
			continue
		}
		if opt.Kind == task.FileOption && v.isScalar() && !v.isNull() {
			p, ok := asPath.read(o.reader, v)
			if !ok {
				continue
			}
			resources = append(resources, p)
			clean := *v.node
			clean.Value = p
			v.node = &clean
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		writeJSONText(&out, opt.Name)
		out.WriteByte(':')
		o.json(&out, v, opt.Kind)
	}
	out.WriteByte('}')
	with := json.RawMessage(out.Bytes())
	o.check(schema, given, with)
	if len(given) == 0 {
		return nil, resources
	}
	return with, resources
}

// collect takes what is written by option, and reports what the schema does not know.
func (o options) collect(schema task.Schema) map[string]value {
	given := make(map[string]value, len(schema.Options))
	maps.Copy(given, o.extra)
	for k, v := range o.with.entries() {
		if k.Kind != yaml.ScalarNode || k.Value == "<<" {
			continue
		}
		if _, known := schema.Option(k.Value); !known {
			e := o.failAt(k.Line, k.Column, v.path(), flow.CodeInvalidFile, "unknown option "+shown(k.Value)+" of type "+o.kind)
			o.suggest(e, k.Value, schema.Names(), "it takes")
			continue
		}
		if first, twice := given[k.Value]; twice {
			if _, elsewhere := o.extra[k.Value]; elsewhere {
				o.fail(v, "option %q is given twice; line %d has it as run", k.Value, first.node.Line)
			}
			continue
		}
		given[k.Value] = v
	}
	return given
}

// check asks the schema and then the type, and puts what they say in its place.
func (o options) check(schema task.Schema, given map[string]value, with json.RawMessage) {
	faults := schema.Check(with)
	if t, ok := o.types.set.Get(o.kind); ok && len(faults) == 0 {
		faults = t.Check(with)
	}
	for _, f := range faults {
		at := o.place(given, f.Field)
		code := f.Code
		if code != flow.CodeNotSupported {
			code = flow.CodeInvalidFile
		}
		e := o.failAt(at.node.Line, at.node.Column, at.path(), code, f.Message)
		e.Suggestion = f.Suggestion
	}
}

// place finds the node of a field such as "headers.Accept" or "cases[0].to".
func (o options) place(given map[string]value, field string) value {
	name, rest, _ := strings.Cut(strings.ReplaceAll(field, "[", ".["), ".")
	v, ok := given[name]
	if !ok {
		return o.with.at(name)
	}
	for rest != "" {
		if exact, ok := v.get(strings.ReplaceAll(rest, ".[", "[")); ok { // a key may hold dots
			return exact
		}
		name, rest, _ = strings.Cut(rest, ".")
		if i, isIndex := strings.CutPrefix(name, "["); isIndex {
			if n, ok := integer(&yaml.Node{Value: strings.TrimSuffix(i, "]")}); ok {
				v = v.index(n)
			}
			continue
		}
		child, ok := v.get(name)
		if !ok {
			return v
		}
		v = child
	}
	return v
}

// json writes a value as an option of the kind wants it. Where a text is wanted a scalar stays as it
// was written (007, 1e3, true); elsewhere it has the type YAML gives it.
func (r *reader) json(out *bytes.Buffer, v value, kind task.Kind) {
	inner := kind
	if v.isList() || v.isMap() {
		switch kind {
		case task.TextMap, task.ExpressionMap, task.TextList, task.Tasks:
			inner = task.Text
		default:
			inner = task.AnyValue
		}
	}
	switch {
	case v.isMap():
		r.jsonMap(out, v, inner)
	case v.isList():
		out.WriteByte('[')
		for i, item := range v.items() {
			if i > 0 {
				out.WriteByte(',')
			}
			r.json(out, item, inner)
		}
		out.WriteByte(']')
	default:
		r.jsonScalar(out, v, kind)
	}
}

// jsonMap writes keys sorted: in maps of the user's own, order says nothing.
func (r *reader) jsonMap(out *bytes.Buffer, v value, kind task.Kind) {
	type member struct {
		key string
		val value
	}
	var members []member
	for k, child := range v.entries() {
		if k.Kind == yaml.ScalarNode {
			members = append(members, member{k.Value, child})
		}
	}
	slices.SortStableFunc(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
	members = slices.CompactFunc(members, func(a, b member) bool { return a.key == b.key })
	out.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			out.WriteByte(',')
		}
		writeJSONText(out, m.key)
		out.WriteByte(':')
		r.json(out, m.val, kind)
	}
	out.WriteByte('}')
}

func (r *reader) jsonScalar(out *bytes.Buffer, v value, kind task.Kind) {
	s := v.node.Value
	typed := kindOf(v.node)
	switch {
	case typed == nullScalar:
		out.WriteString("null")
		return
	case strings.IndexByte(s, 0) >= 0:
		r.fail(v, "a text cannot hold the character NUL (\\0)")
	}
	switch kind {
	case task.Integer, task.Boolean, task.AnyValue:
		switch typed {
		case boolScalar:
			out.WriteString(strings.ToLower(s))
			return
		case intScalar, floatScalar:
			out.WriteString(jsonNumber(s))
			return
		case textScalar, nullScalar:
		}
	default: // every other kind takes texts
	}
	writeJSONText(out, s)
}

// writeJSONText escapes as json.Marshal does, so that options are the same bytes after a journey
// through the store.
func writeJSONText(out *bytes.Buffer, s string) {
	b, err := json.Marshal(s)
	if err != nil {
		b = []byte(`""`) // a string always marshals
	}
	out.Write(b)
}

// withResources adds the files that options name to those of the task, so that whoever uploads and
// delivers files has one list.
func withResources(fs []flow.File, paths []string) []flow.File {
	for _, p := range paths {
		if !slices.ContainsFunc(fs, func(f flow.File) bool { return f.Path == p }) {
			fs = append(fs, flow.File{Path: p})
		}
	}
	return fs
}

// baseNames refuses two files that would lie on one another in the work folder.
func (r *reader) baseNames(v value, fs []flow.File) {
	at := make(map[string]string, len(fs))
	for i, f := range fs {
		if f.Path == "" {
			continue
		}
		place := v.at("files").index(i)
		base := path.Base(f.Path)
		other, taken := at[base]
		switch {
		case taken && other == f.Path:
			r.fail(place, "file %s is in the list twice", shown(f.Path))
		case taken:
			r.fail(place, "files %s and %s would both be %s in the work folder; rename one", shown(other), shown(f.Path), shown(base))
		default:
			at[base] = f.Path
		}
	}
}
