// What a worker is told: options, environment and files of a task, compiled once per version and
// rendered once per attempt.

package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"baton/internal/flow"
	"baton/internal/param"
	"baton/internal/task"
)

// work is the compiled form of a task's type, options, environment and files.
type work struct {
	typ      string
	process  bool // its parameters are passed as environment variables
	options  *option
	local    *param.Params
	env      []envText
	secrets  []flow.EnvVar
	files    []flow.File
	patterns []string
	timeout  flow.Timeout
	source   string // name of the option that names a data source, "" none
	script   string // name of the option that is a script, "" none
}

type envText struct {
	name string
	text *param.Template
}

// option is a node of the tree of options; exactly one of the fields is set.
type option struct {
	raw    json.RawMessage // nothing to put in
	text   *param.Template
	script *param.Script
	list   []*option
	keys   []string // of fields, in order
	fields []*option
}

func (p *Plan) compileParams() error {
	decls := make([]param.Decl, len(p.Def.Workflow.Params))
	for i, d := range p.Def.Workflow.Params {
		decls[i] = param.Decl{Name: d.Name, Type: param.Type(d.Type), Default: d.Default, Required: d.Required, Enum: d.Enum, Description: d.Description}
	}
	var err error
	if p.declared, err = param.CompileParams(decls); err != nil {
		return fmt.Errorf("params: %w", err)
	}
	if p.project, err = compilePairs(p.Def.ProjectParams); err != nil {
		return fmt.Errorf("project params: %w", err)
	}
	return nil
}

func compilePairs(pairs []flow.Pair) (*param.Params, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	decls := make([]param.Decl, 0, len(pairs))
	for _, d := range pairs {
		value := d.Value
		decl := param.Decl{Name: d.Name, Default: &value}
		if i := slices.IndexFunc(decls, func(e param.Decl) bool { return e.Name == d.Name }); i >= 0 {
			decls[i] = decl // the compensation's own wins over the task's
			continue
		}
		decls = append(decls, decl)
	}
	return param.CompileParams(decls)
}

func (p *Plan) compileWork(types *task.Set, typ string, with json.RawMessage, params []flow.Pair, env []flow.EnvVar, files []flow.File, sub flow.Substitute) (work, error) {
	w := work{typ: typ, files: files}
	t, ok := types.Get(typ)
	if !ok {
		return w, fmt.Errorf("task type %q is not known here", typ)
	}
	_, w.process = t.(task.Process)
	var err error
	if w.local, err = compilePairs(params); err != nil {
		return w, fmt.Errorf("params: %w", err)
	}
	mode, err := param.ParseSubstitute(string(sub))
	if err != nil {
		return w, err
	}
	if w.options, err = p.compileOptions(t.Schema(), with, mode); err != nil {
		return w, err
	}
	for _, e := range env {
		if e.Secret != nil {
			w.secrets = append(w.secrets, e)
			continue
		}
		text, err := param.Compile(e.Value)
		if err != nil {
			return w, fmt.Errorf("env.%s: %w", e.Name, err)
		}
		w.env = append(w.env, envText{e.Name, text})
	}
	for _, o := range t.Schema().Options {
		switch o.Kind {
		case task.DataSourceOption:
			w.source = o.Name
		case task.Script:
			w.script = o.Name
		default:
		}
	}
	return w, nil
}

// compileOptions compiles `with` by the kinds of its options.
func (p *Plan) compileOptions(schema task.Schema, with json.RawMessage, mode param.Substitute) (*option, error) {
	if len(with) == 0 {
		with = json.RawMessage("{}")
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(with, &values); err != nil {
		return nil, fmt.Errorf("with: %w", err)
	}
	root := &option{}
	constant := true
	for _, o := range schema.Options {
		raw, given := values[o.Name]
		if !given {
			continue
		}
		c, err := p.compileOption(o.Kind, raw, mode)
		if err != nil {
			return nil, fmt.Errorf("with.%s: %w", o.Name, err)
		}
		constant = constant && c.raw != nil
		root.keys, root.fields = append(root.keys, o.Name), append(root.fields, c)
	}
	if constant {
		return &option{raw: with}, nil
	}
	return root, nil
}

func (p *Plan) compileOption(kind task.Kind, raw json.RawMessage, mode param.Substitute) (*option, error) {
	switch kind {
	case task.Expression, task.ExpressionMap, task.Plain, task.Tasks:
		return &option{raw: raw}, nil
	case task.Script:
		if raw[0] != '"' {
			return &option{raw: raw}, nil // a bare number or boolean as a script
		}
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
		s, err := param.CompileScript(text, mode, func(name string) bool { _, ok := p.index[name]; return ok })
		if err != nil {
			return nil, err
		}
		if s.IsConstant() {
			return &option{raw: raw}, nil
		}
		return &option{script: s}, nil
	default:
		return compileTree(raw)
	}
}

// compileTree compiles any JSON whose texts are templates.
func compileTree(raw json.RawMessage) (*option, error) {
	switch first := bytes.TrimSpace(raw); {
	case len(first) == 0 || !bytes.ContainsRune(raw, '$'):
		return &option{raw: raw}, nil
	case first[0] == '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
		t, err := param.Compile(text)
		if err != nil {
			return nil, err
		}
		return &option{text: t}, nil
	case first[0] == '[':
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, err
		}
		o := &option{list: []*option{}}
		for i, item := range items {
			c, err := compileTree(item)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			o.list = append(o.list, c)
		}
		return o, nil
	case first[0] == '{':
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
		o := &option{}
		for k := range fields {
			o.keys = append(o.keys, k)
		}
		slices.Sort(o.keys)
		for _, k := range o.keys {
			c, err := compileTree(fields[k])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			o.fields = append(o.fields, c)
		}
		return o, nil
	}
	return &option{raw: raw}, nil
}

// render appends the JSON of the option with everything put in.
func (o *option) render(b []byte, scope *param.Scope) ([]byte, error) {
	switch {
	case o.raw != nil:
		return append(b, o.raw...), nil
	case o.text != nil:
		v, err := o.text.Render(scope)
		return appendText(b, v), err
	case o.script != nil:
		v, err := o.script.Render(scope)
		return appendText(b, v), err
	case o.list != nil:
		b = append(b, '[')
		for i, item := range o.list {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = item.render(b, scope); err != nil {
				return b, fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return append(b, ']'), nil
	}
	b = append(b, '{')
	for i, k := range o.keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, k), ':')
		var err error
		if b, err = o.fields[i].render(b, scope); err != nil {
			return b, fmt.Errorf("%s: %w", k, err)
		}
	}
	return append(b, '}'), nil
}

func appendText(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // strings cannot fail
		return strconv.AppendQuote(b, s)
	}
	return append(b, quoted...)
}
