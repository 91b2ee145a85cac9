// A place in the file: a YAML node with the way that leads to it.

package spec

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// value is a node and its parent chain, so that paths are only spelled out when something is wrong.
// Aliases are followed when a value is made: node is never an alias.
type value struct {
	node *yaml.Node
	up   *value
	key  string // "" of a list item
	item int    // position in a list
}

func root(n *yaml.Node) value { return value{node: follow(n)} }

// follow goes through an alias to what it stands for. Loops were refused when the file was loaded.
func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// child is the value of a key that is written in v, or would be.
func (v value) child(key string, n *yaml.Node) value {
	return value{node: follow(n), up: &v, key: key}
}

// entries walks a map in order of the file, with the node of each key.
func (v value) entries() iter.Seq2[*yaml.Node, value] {
	return func(yield func(*yaml.Node, value) bool) {
		if v.node.Kind != yaml.MappingNode {
			return
		}
		up := &v
		for i := 0; i+1 < len(v.node.Content); i += 2 {
			k := follow(v.node.Content[i])
			if !yield(k, value{node: follow(v.node.Content[i+1]), up: up, key: k.Value}) {
				return
			}
		}
	}
}

// get returns the value of a key of a map. It searches, so it is for maps of few keys.
func (v value) get(key string) (value, bool) {
	for k, child := range v.entries() {
		if k.Value == key {
			return child, true
		}
	}
	return value{}, false
}

// at is get for a place to point to: where the key is missing, that is the map itself.
func (v value) at(key string) value {
	if child, ok := v.get(key); ok {
		return child
	}
	return value{node: v.node, up: &v, key: key}
}

// items walks a list; a single value is a list of one, as everywhere in the file.
func (v value) items() iter.Seq2[int, value] {
	return func(yield func(int, value) bool) {
		if v.node.Kind != yaml.SequenceNode {
			yield(0, v)
			return
		}
		up := &v
		for i, n := range v.node.Content {
			if !yield(i, value{node: follow(n), up: up, item: i}) {
				return
			}
		}
	}
}

// index returns the i-th item of a list, v itself where there is none.
func (v value) index(i int) value {
	if v.node.Kind != yaml.SequenceNode || i >= len(v.node.Content) {
		return v
	}
	return value{node: follow(v.node.Content[i]), up: &v, item: i}
}

// path is the field of errors: tasks.extract.needs[0]. Names that would be misread are quoted, as in
// expressions: tasks["a.b"].run.
func (v value) path() string {
	if v.up == nil {
		return ""
	}
	base := v.up.path()
	if v.key == "" {
		return base + "[" + strconv.Itoa(v.item) + "]"
	}
	return join(base, v.key)
}

func join(base, key string) string {
	if key == "" || strings.ContainsAny(key, `.[]" `) {
		return base + "[" + strconv.Quote(key) + "]"
	}
	if base == "" {
		return key
	}
	return base + "." + key
}

func (v value) isMap() bool    { return v.node.Kind == yaml.MappingNode }
func (v value) isList() bool   { return v.node.Kind == yaml.SequenceNode }
func (v value) isScalar() bool { return v.node.Kind == yaml.ScalarNode }

// isNull tells an absent value: nothing, ~ or null, unquoted.
func (v value) isNull() bool { return v.isScalar() && kindOf(v.node) == nullScalar }

// found names what stands there, for "expected …, found …".
func (v value) found() string {
	switch {
	case v.isMap():
		return "a map"
	case v.isList():
		return "a list"
	case v.isNull():
		return "nothing"
	case v.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return "the text " + shown(v.node.Value)
	default:
		return shown(v.node.Value)
	}
}

// shown quotes a text for a message and keeps it short.
func shown(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	if strings.ContainsAny(s, "\"\\") && !strings.ContainsAny(s, "`\n\t") {
		return "`" + s + "`"
	}
	return fmt.Sprintf("%q", s)
}
