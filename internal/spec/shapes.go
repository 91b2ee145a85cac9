// Shapes made of others: lists, maps, and maps with a table of keys.

package spec

import (
	"fmt"
	"maps"
	"slices"

	yaml "go.yaml.in/yaml/v4"
	"golang.org/x/text/unicode/norm"

	"baton/internal/flow"
)

// listOf is a list of values; a single one may stand without brackets.
func listOf[V any](of shape[V]) shape[[]V] {
	return shape[[]V]{
		schema: func() object {
			return object{"anyOf": []any{of.schema(), object{"type": "array", "items": of.schema()}}}
		},
		read: func(r *reader, v value) ([]V, bool) {
			if v.isNull() {
				r.expected(v, "a list")
				return nil, false
			}
			var out []V
			for _, item := range v.items() {
				x, _ := of.read(r, item) // a wrong item keeps its place, so that later checks point to the right one
				out = append(out, x)
			}
			return out, true
		},
		write: func(l []V) *yaml.Node {
			if len(l) == 0 {
				return nil
			}
			n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
			for _, x := range l {
				n.Content = append(n.Content, orEmpty(of.write(x)))
			}
			return n
		},
	}
}

// entry is one key and value of an ordered map.
type entry[V any] struct {
	key string
	at  value
	val V
}

// pairs reads a map with keys of the user's choice, in order of the file. check refuses a key.
func pairs[V any](r *reader, v value, what string, of shape[V], check func(string) string) ([]entry[V], bool) {
	if !v.isMap() {
		r.expected(v, what)
		return nil, false
	}
	out := make([]entry[V], 0, len(v.node.Content)/2)
	seen := make(map[string]bool, len(v.node.Content)/2)
	for k, child := range v.entries() {
		if k.Kind != yaml.ScalarNode {
			continue
		}
		name := norm.NFC.String(k.Value)
		if fault := check(name); fault != "" {
			r.failAt(k.Line, k.Column, child.path(), flow.CodeInvalidFile, fault)
			continue
		}
		if seen[name] {
			if name != k.Value || !doubled(v, k) {
				r.failAt(k.Line, k.Column, child.path(), flow.CodeInvalidFile,
					fmt.Sprintf("key %s is given twice: it is the same name as another in a different Unicode form", shown(k.Value)))
			}
			continue
		}
		seen[name] = true
		if x, ok := of.read(r, child); ok {
			out = append(out, entry[V]{name, child, x})
		}
	}
	return out, true
}

// doubled tells whether the key stands byte for byte before k in the map: then it was reported when
// the file was loaded.
func doubled(v value, k *yaml.Node) bool {
	for other := range v.entries() {
		if other == k {
			return false
		}
		if other.Value == k.Value {
			return true
		}
	}
	return false
}

// ordered is a map whose order is kept, as a slice of E.
func ordered[V, E any](what string, of shape[V], check func(string) string, pack func(string, V) E, unpack func(E) (string, V)) shape[[]E] {
	return shape[[]E]{
		schema: func() object { return object{"type": "object", "additionalProperties": of.schema()} },
		read: func(r *reader, v value) ([]E, bool) {
			entries, ok := pairs(r, v, what, of, check)
			var out []E
			for _, e := range entries {
				out = append(out, pack(e.key, e.val))
			}
			return out, ok
		},
		write: func(l []E) *yaml.Node {
			if len(l) == 0 {
				return nil
			}
			n := &yaml.Node{Kind: yaml.MappingNode}
			for _, x := range l {
				key, val := unpack(x)
				n.Content = append(n.Content, textNode(key), orEmpty(of.write(val)))
			}
			return n
		},
	}
}

// orEmpty writes what a shape would leave out as an empty text: a key of the user stays.
func orEmpty(n *yaml.Node) *yaml.Node {
	if n == nil {
		return textNode("")
	}
	return n
}

// asLabels is a map of texts without order.
var asLabels = shape[map[string]string]{
	schema: func() object { return object{"type": "object", "additionalProperties": asText.schema()} },
	read: func(r *reader, v value) (map[string]string, bool) {
		entries, ok := pairs(r, v, "a map of texts, such as {team: dw}", asText, labelKey)
		if !ok || len(entries) == 0 {
			return nil, ok
		}
		out := make(map[string]string, len(entries))
		for _, e := range entries {
			out[e.key] = e.val
		}
		return out, true
	},
	write: func(m map[string]string) *yaml.Node {
		if len(m) == 0 {
			return nil
		}
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			n.Content = append(n.Content, textNode(k), textNode(m[k]))
		}
		return n
	},
}

func labelKey(s string) string {
	if e := flow.CheckName(s); e != nil {
		return e.Message
	}
	return ""
}

// mapped is a map with a table of keys. valid looks at the whole; it may be nil. A map of which
// nothing is set is not written.
func mapped[V any](t *table[V], style yaml.Style, valid func(r *reader, v value, x *V)) shape[V] {
	return shape[V]{
		schema: t.schema,
		read: func(r *reader, v value) (V, bool) {
			var x V
			ok := t.read(r, v, &x)
			if ok && valid != nil {
				valid(r, v, &x)
			}
			return x, ok
		},
		write: func(x V) *yaml.Node {
			n := t.write(&x)
			if len(n.Content) == 0 {
				return nil
			}
			n.Style = style
			return n
		},
	}
}

// pointer is a shape that is either there or nil.
func pointer[V any](of shape[V]) shape[*V] {
	return shape[*V]{
		schema: of.schema,
		read: func(r *reader, v value) (*V, bool) {
			x, ok := of.read(r, v)
			if !ok {
				return nil, false
			}
			return &x, true
		},
		write: func(x *V) *yaml.Node {
			if x == nil {
				return nil
			}
			return of.write(*x)
		},
	}
}
