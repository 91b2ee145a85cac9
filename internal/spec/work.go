// What a task does: run, type and with, which only mean something together.

package spec

import (
	"encoding/json"
	"slices"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
	"baton/internal/task"
)

const (
	typeShell    = "shell"
	optionScript = "script"
)

// laterTypes are task types of the contract that this version refuses.
var laterTypes = []string{"handler"}

// typeTable is the task types of one Parse with their schemas made once: ten thousand tasks ask.
type typeTable struct {
	set     *task.Set
	schemas map[string]task.Schema
	names   []string // that may be written, in order
}

func newTypeTable(set *task.Set) *typeTable {
	t := &typeTable{set: set, schemas: map[string]task.Schema{}}
	for _, k := range set.All() {
		t.schemas[k.Name()] = k.Schema()
		t.names = append(t.names, k.Name())
	}
	for _, engine := range []string{flow.TypeSwitch, flow.TypeConditions} {
		if !slices.Contains(t.names, engine) {
			t.names = append(t.names, engine)
		}
	}
	return t
}

// work is what run, type and with come to.
type work struct {
	kind     string
	with     json.RawMessage
	files    []string // resources named by options
	branches []flow.Branch
	decide   string
	inner    *flow.Task // of a map or a loop
}

// The three keys are read together by work, after the map they stand in; the table has them for the
// schema and the exporter.

func runKey[T any](get func(*T) (kind string, with []byte)) key[T] {
	return key[T]{
		name: "run", doc: "A shell script; short for type: shell, with: {script: …}.",
		aka:    []string{"command", "cmd", "script", "exec", "rawScript"},
		schema: asText.schema,
		read:   func(*reader, value, *T) {},
		write: func(from *T) *yaml.Node {
			kind, with := get(from)
			if script, ok := plainScript(kind, with); ok {
				return textNode(script)
			}
			return nil
		},
	}
}

func typeKey[T any](get func(*T) (kind string, with []byte)) key[T] {
	return key[T]{
		name: "type", doc: "What the task does; its options are in `with`.",
		aka:    []string{"taskType", "kind", "plugin", "uses"},
		schema: func() object { return object{"type": "string"} },
		read:   func(*reader, value, *T) {},
		write: func(from *T) *yaml.Node {
			kind, with := get(from)
			if _, sugar := plainScript(kind, with); sugar {
				return nil
			}
			return textNode(kind)
		},
	}
}

func withKey[T any](write func(*T) *yaml.Node) key[T] {
	return key[T]{
		name: "with", doc: "The options of the type.",
		aka:    []string{"options", "taskParams", "args", "config", "spec"},
		schema: func() object { return object{"type": "object"} },
		read:   func(*reader, value, *T) {},
		write:  write,
	}
}

// plainScript tells a shell task of which only the script is said: it is written as `run`.
func plainScript(kind string, with []byte) (string, bool) {
	if kind != typeShell {
		return "", false
	}
	var options map[string]json.RawMessage
	if json.Unmarshal(with, &options) != nil || len(options) != 1 {
		return "", false
	}
	var script string
	if raw, ok := options[optionScript]; !ok || json.Unmarshal(raw, &script) != nil {
		return "", false
	}
	return script, true
}

// work reads the three keys of v.
func (r *reader) work(v value) work {
	var w work
	run, sugared := v.get("run")
	kind, typed := v.get("type")
	switch {
	case typed:
		if w.kind = r.kind(kind); w.kind == "" {
			return w
		}
		if sugared && w.kind != typeShell {
			r.fail(run, "run is short for type: shell; a task of type %s has its options in with", w.kind)
			sugared = false
		}
	case sugared:
		w.kind = typeShell
	default:
		r.failAt(v.node.Line, v.node.Column, v.path(), flow.CodeInvalidFile, "it does nothing: add run: with a script, or type: with its options in with:")
		return w
	}
	with, given := v.get("with")
	if given && !with.isMap() {
		r.expected(with, "a map of options")
		return w
	}
	if !given {
		with = value{node: &yaml.Node{Kind: yaml.MappingNode, Line: v.node.Line, Column: v.node.Column}, up: &v, key: "with"}
		if typed {
			with.node.Line, with.node.Column = kind.node.Line, kind.node.Column
		}
	}
	switch w.kind {
	case flow.TypeSwitch:
		w.branches = r.switchArms(with)
		return w
	case flow.TypeConditions:
		w.decide, w.branches = r.conditions(with)
		return w
	}
	o := options{reader: r, kind: w.kind, with: with, extra: map[string]value{}}
	if flow.Fans(w.kind) {
		o.beside = besideOf(w.kind)
		w.inner = r.inner(w.kind, with)
	}
	if sugared {
		o.extra[optionScript] = run
	}
	w.with, w.files = o.read()
	return w
}

// kind reads a task type's name, "" when it is none that can be used.
func (r *reader) kind(v value) string {
	s, ok := r.text(v, "a task type: a text, one of "+joined(r.types.names))
	switch {
	case !ok:
		return ""
	case slices.Contains(r.types.names, s):
		return s
	case slices.Contains(laterTypes, s):
		r.notSupported(v, "task type "+s)
	default:
		valid := append(slices.Clone(r.types.names), laterTypes...)
		r.suggest(r.fail(v, "there is no task type %s", shown(s)), s, valid, "the types are")
	}
	return ""
}
