// The table of keys: what a map of the file may hold, said once.

package spec

import (
	"fmt"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

// object is a part of a JSON Schema.
type object = map[string]any

// key is one key of a map that is read into a T.
type key[T any] struct {
	name     string
	doc      string
	aka      []string // what other schedulers call it, for suggestions
	required bool
	later    bool // of the contract, but refused as not_supported until it does something
	work     bool // only of tasks that a worker runs; a switch or conditions task has no use for it

	schema func() object
	read   func(r *reader, v value, into *T)
	write  func(from *T) *yaml.Node // nil: not set
}

// table is the keys of one kind of map, in the order people write and read them.
type table[T any] struct {
	what  string // "a task", for messages
	keys  []key[T]
	index map[string]int
}

// newTable makes a table. A key listed twice is a mistake of the program and panics.
func newTable[T any](what string, keys ...key[T]) *table[T] {
	t := &table[T]{what: what, keys: keys, index: make(map[string]int, len(keys))}
	for i, k := range keys {
		if _, twice := t.index[k.name]; twice {
			panic("key " + k.name + " of " + what + " is listed twice")
		}
		t.index[k.name] = i
	}
	return t
}

// field is a key whose value is kept in one field of T.
func field[T, V any](name, doc string, s shape[V], at func(*T) *V) key[T] {
	return key[T]{
		name: name, doc: doc, schema: s.schema,
		read: func(r *reader, v value, into *T) {
			if x, ok := s.read(r, v); ok {
				*at(into) = x
			}
		},
		write: func(from *T) *yaml.Node { return s.write(*at(from)) },
	}
}

// later is a key of the contract that this version refuses.
func later[T any](name, doc string) key[T] {
	return key[T]{
		name: name, doc: doc, later: true,
		schema: func() object { return object{"not": object{}} },
		read:   func(*reader, value, *T) {},
		write:  func(*T) *yaml.Node { return nil },
	}
}

func (k key[T]) must() key[T] {
	k.required = true
	return k
}

func (k key[T]) ofWork() key[T] {
	k.work = true
	return k
}

func (k key[T]) alias(names ...string) key[T] {
	k.aka = names
	return k
}

// notSupported reports something the contract has and this version does not do.
func (r *reader) notSupported(v value, what string) { r.notSupportedAt(v.node, v, what) }

func (r *reader) notSupportedAt(n *yaml.Node, v value, what string) {
	r.failAt(n.Line, n.Column, v.path(), flow.CodeNotSupported, what+" is not supported yet; nothing is ignored, so remove it")
}

// read fills into from a map and tells whether v was one. Every fault is reported and the rest is
// still read.
func (t *table[T]) read(r *reader, v value, into *T) bool {
	if !v.isMap() {
		r.expected(v, t.what+": a map with "+strings.Join(t.names(), ", "))
		return false
	}
	seen := make([]bool, len(t.keys))
	for k, child := range v.entries() {
		i, known := t.index[k.Value]
		switch {
		case !known:
			if meant, ok := t.index[t.unknown(r, v, k, child)]; ok {
				seen[meant] = true // not missing as well
			}
		case t.keys[i].later:
			r.notSupportedAt(k, child, fmt.Sprintf("%q (%s)", k.Value, t.keys[i].doc))
		case seen[i]: // reported when the file was loaded; the first one counts
		default:
			seen[i] = true
			t.keys[i].read(r, child, into)
		}
	}
	for i, k := range t.keys {
		if k.required && !seen[i] {
			r.failAt(v.node.Line, v.node.Column, join(v.path(), k.name), flow.CodeInvalidFile,
				fmt.Sprintf("%s needs the key %q: %s", t.what, k.name, k.doc))
		}
	}
	return true
}

// unknown reports a key that is none and returns the one that was perhaps meant.
func (t *table[T]) unknown(r *reader, v value, k *yaml.Node, child value) (meant string) {
	if k.Value == "<<" || k.Kind != yaml.ScalarNode {
		return "" // reported when the file was loaded
	}
	e := r.failAt(k.Line, k.Column, child.path(), flow.CodeInvalidFile, fmt.Sprintf("unknown key %s in %s", shown(k.Value), t.what))
	for _, known := range t.keys {
		if slices.Contains(known.aka, k.Value) {
			e.Suggestion = known.name
			e.Message += fmt.Sprintf("; here it is called %q", known.name)
			return known.name
		}
	}
	if v.node.Style&yaml.FlowStyle != 0 && child.isNull() {
		e.Message += "; in {…} a comma ends a value: quote a value that holds one"
		return ""
	}
	r.suggest(e, k.Value, t.names(), "it takes")
	return e.Suggestion
}

// knows tells whether every key of a map is in the table.
func (t *table[T]) knows(v value) bool {
	for k := range v.entries() {
		if _, known := t.index[k.Value]; !known {
			return false
		}
	}
	return true
}

// names lists the keys that may be written.
func (t *table[T]) names() []string {
	var out []string
	for _, k := range t.keys {
		if !k.later {
			out = append(out, k.name)
		}
	}
	return out
}

// write is the inverse of read: a map with the keys that are set, in order of the table.
func (t *table[T]) write(from *T) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range t.keys {
		if v := k.write(from); v != nil {
			n.Content = append(n.Content, textNode(k.name), v)
		}
	}
	return n
}

// schema is the JSON Schema of the map.
func (t *table[T]) schema() object {
	properties := object{}
	var required []string
	for _, k := range t.keys {
		p := k.schema()
		p["description"] = k.doc
		if k.later {
			p["description"] = k.doc + " (not supported yet)"
		}
		properties[k.name] = p
		if k.required {
			required = append(required, k.name)
		}
	}
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		s["required"] = required
	}
	return s
}
