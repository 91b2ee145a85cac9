// From bytes to documents: size, encoding, syntax, and what YAML allows but a file must not do.

package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"baton/internal/flow"
)

// maxDepth bounds nesting. The deepest key of the file is at 7; the rest is for options that hold
// JSON of their own.
const maxDepth = 64

// maxAliased bounds what aliases may add to a file when they are written out: room for every honest
// repetition, none for a bomb.
const maxAliased = 1 << 20

// Source is one file: a name for messages and its bytes.
type Source struct {
	Name    string
	Content []byte
}

// source is a file being read. Its lines are cut only when an error needs one.
type source struct {
	Source
	cut []string
}

// line returns a line of the file, counted from 1, "" beyond its end.
func (s *source) line(n int) string {
	if s.cut == nil {
		s.cut = strings.Split(string(s.Content), "\n")
	}
	if n < 1 || n > len(s.cut) {
		return ""
	}
	return strings.TrimSuffix(s.cut[n-1], "\r")
}

// documents loads every document of the file. A syntax error ends the file, so what came before it is
// returned beside the error that was reported.
func (r *reader) documents() []value {
	if !r.readable() {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(sameYAML(r.source.Content)),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		r.failAt(1, 1, "", flow.CodeInvalidFile, err.Error())
		return nil
	}
	var docs []value
	for {
		var n yaml.Node
		err := loader.Load(&n)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			r.syntax(err)
			return docs
		}
		if n.Kind != yaml.DocumentNode || len(n.Content) == 0 {
			continue
		}
		doc := root(n.Content[0])
		if doc.isNull() { // nothing but comments between two ---
			continue
		}
		if r.sane(doc) {
			docs = append(docs, doc)
		}
	}
}

// readable checks size and encoding, which the YAML library would report without a place.
func (r *reader) readable() bool {
	b := r.source.Content
	if len(b) > flow.MaxFile {
		r.failAt(1, 1, "", flow.CodeInvalidFile, fmt.Sprintf("the file has %s; at most %s are read: split it, or move data into files: of a task",
			mebibytes(len(b)), mebibytes(flow.MaxFile)))
		return false
	}
	line, column := 1, 1
	for i := 0; i < len(b); {
		c, n := utf8.DecodeRune(b[i:])
		switch {
		case c == utf8.RuneError && n == 1:
			r.failAt(line, column, "", flow.CodeInvalidFile, fmt.Sprintf("byte 0x%02X is no UTF-8; save the file as UTF-8", b[i]))
			return false
		case c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7F:
			r.failAt(line, column, "", flow.CodeInvalidFile, fmt.Sprintf("control character U+%04X; in a double-quoted text write \\x%02X", c, c))
			return false
		case c == 0xFFFE || c == 0xFFFF:
			r.failAt(line, column, "", flow.CodeInvalidFile, fmt.Sprintf("U+%04X is no character; in a double-quoted text write \\u%04X", c, c))
			return false
		}
		i += n
		column++
		if c == '\n' {
			line, column = line+1, 1
		}
	}
	return true
}

func mebibytes(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// sameYAML hides a %YAML 1.2 directive from a library that takes the version it speaks for a
// stranger. Places stay what they are.
func sameYAML(b []byte) []byte {
	const is, reads = "%YAML 1.2", "%YAML 1.1"
	if !bytes.Contains(b, []byte(is)) {
		return b
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	for i, l := range lines {
		if bytes.HasPrefix(l, []byte("---")) {
			break
		}
		if bytes.HasPrefix(l, []byte(is)) {
			lines[i] = append([]byte(reads), l[len(is):]...)
		}
	}
	return bytes.Join(lines, nil)
}

// sane reports duplicate keys, keys that are no text, tags and merge keys, and aliases that loop or
// blow up. Only a document whose aliases are harmless may be walked by anyone else.
func (r *reader) sane(doc value) bool {
	m := measure{reader: r, seen: map[*yaml.Node]size{}}
	total := m.size(doc, 0)
	return !m.refused && m.bounded(doc.node, total)
}

// measure finds out how large a document is with its aliases written out, without writing them out.
type measure struct {
	*reader
	seen    map[*yaml.Node]size // of anchored nodes
	refused bool
}

type size struct {
	bytes, depth int
	open         bool // being measured: to meet it again is a loop
}

func (m *measure) size(v value, depth int) size {
	n := v.node
	if n.Anchor != "" {
		if s, ok := m.seen[n]; ok {
			return s
		}
		m.seen[n] = size{open: true}
	}
	if n.Style&yaml.TaggedStyle != 0 && n.Kind == yaml.ScalarNode && n.Tag != "!!str" {
		m.fail(v, "tag %s is not used in this file; leave it out", shown(n.Tag))
	}
	s := size{bytes: len(n.Value) + 1, depth: 1}
	if n.Kind == yaml.MappingNode {
		m.keys(v)
	}
	for i, c := range n.Content {
		var part size
		if c.Kind == yaml.AliasNode {
			part = m.alias(c)
		} else {
			part = m.size(v.part(i, c), depth+1)
		}
		s.bytes = min(s.bytes+part.bytes, 2*flow.MaxFile)
		s.depth = max(s.depth, part.depth+1)
	}
	if n.Anchor != "" {
		m.seen[n] = s
	}
	return s
}

// part is the i-th node of a map or list, for the path of an error.
func (v value) part(i int, n *yaml.Node) value {
	if v.node.Kind == yaml.MappingNode {
		if i%2 == 0 {
			return value{node: n, up: v.up, key: v.key, item: v.item}
		}
		return v.child(follow(v.node.Content[i-1]).Value, n)
	}
	return value{node: n, up: &v, item: i}
}

func (m *measure) alias(c *yaml.Node) size {
	s, ok := m.seen[follow(c)]
	if s.open || !ok {
		m.refused = true
		m.failAt(c.Line, c.Column, "", flow.CodeInvalidFile, fmt.Sprintf("alias *%s stands inside what it is an alias of", c.Value))
	}
	return s
}

func (m *measure) bounded(n *yaml.Node, s size) bool {
	switch {
	case len(m.seen) > 0 && s.bytes > len(m.source.Content)+maxAliased:
		m.failAt(n.Line, n.Column, "", flow.CodeInvalidFile, fmt.Sprintf("its aliases, written out, add more than %s to the document", mebibytes(maxAliased)))
	case s.depth > maxDepth:
		m.failAt(n.Line, n.Column, "", flow.CodeInvalidFile, fmt.Sprintf("with its aliases written out the document nests deeper than %d levels", maxDepth))
	default:
		return true
	}
	return false
}

// keys reports keys of a map that are given twice or are no text.
func (m *measure) keys(v value) {
	const few = 8 // below it comparing is cheaper than a set
	var set map[string]*yaml.Node
	if len(v.node.Content) > 2*few {
		set = make(map[string]*yaml.Node, len(v.node.Content)/2)
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k := follow(v.node.Content[i])
		switch {
		case k.Kind != yaml.ScalarNode:
			m.refused = true
			m.failAt(k.Line, k.Column, v.path(), flow.CodeInvalidFile, "a key must be a text, not a map or a list; quote ${…} in {…} and […]")
			continue
		case k.Value == "<<" && k.Style == 0:
			m.failAt(k.Line, k.Column, v.path(), flow.CodeInvalidFile, "merge key << is not part of YAML 1.2; write the keys out, or use an alias for a whole value")
			continue
		}
		var first *yaml.Node
		if set != nil {
			first = set[k.Value]
			set[k.Value] = k
		} else {
			for j := 0; j < i && first == nil; j += 2 {
				if other := follow(v.node.Content[j]); other.Kind == yaml.ScalarNode && other.Value == k.Value {
					first = other
				}
			}
		}
		if first != nil {
			m.failAt(k.Line, k.Column, join(v.path(), k.Value), flow.CodeInvalidFile, fmt.Sprintf("key %s is given twice; first in line %d", shown(k.Value), first.Line))
		}
	}
}
