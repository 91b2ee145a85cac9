// Shapes of single values: how one is read, described to an editor, and written back.

package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"
	"golang.org/x/text/unicode/norm"

	"baton/internal/flow"
)

// shape is a kind of value. read reports what is wrong and then returns false; write returns nil for
// a value that is not set.
type shape[V any] struct {
	schema func() object
	read   func(r *reader, v value) (V, bool)
	write  func(V) *yaml.Node
}

// scalarTypes are what JSON makes of a scalar: `limit: 100` is a number to an editor, a text to us.
func scalarTypes() []string { return []string{"string", "number", "boolean"} }

// asText keeps a scalar exactly as it was written: 007, 1e3 and true are texts too.
var asText = shape[string]{
	schema: func() object { return object{"type": scalarTypes()} },
	read:   func(r *reader, v value) (string, bool) { return r.text(v, "a text") },
	write: func(s string) *yaml.Node {
		if s == "" {
			return nil
		}
		return textNode(s)
	},
}

func (r *reader) text(v value, want string) (string, bool) {
	if !v.isScalar() || v.isNull() {
		r.expected(v, want)
		return "", false
	}
	s := v.node.Value
	if strings.IndexByte(s, 0) >= 0 {
		r.fail(v, "a text cannot hold the character NUL (\\0): databases and environments do not take it")
		return "", false
	}
	return s, true
}

// asName is what projects, workflows, tasks and the like are called, in NFC so that one name has one
// spelling.
var asName = shape[string]{
	schema: func() object {
		return object{"type": scalarTypes(), "minLength": 1, "maxLength": flow.MaxName, "pattern": `^[^/]+$`}
	},
	read: func(r *reader, v value) (string, bool) {
		s, ok := r.text(v, "a name")
		if !ok {
			return "", false
		}
		s = norm.NFC.String(s)
		if e := flow.CheckName(s); e != nil {
			r.fail(v, "%s", e.Message)
			return "", false
		}
		return s, true
	},
	write: asText.write,
}

// asBoolean is true or false; YAML 1.1's yes, no, on and off are texts.
var asBoolean = shape[bool]{
	schema: func() object { return object{"type": "boolean"} },
	read: func(r *reader, v value) (bool, bool) {
		if !v.isScalar() || kindOf(v.node) != boolScalar {
			r.expected(v, "true or false")
			return false, false
		}
		return strings.EqualFold(v.node.Value, "true"), true
	},
	write: func(b bool) *yaml.Node {
		if !b {
			return nil
		}
		return plainNode("!!bool", "true")
	},
}

// whole is a whole number within bounds.
func whole(least, most int) shape[int] {
	return shape[int]{
		schema: func() object { return object{"type": "integer", "minimum": least, "maximum": most} },
		read: func(r *reader, v value) (int, bool) {
			n, ok := integer(v.node)
			if !v.isScalar() || !ok || n < least || n > most {
				r.expected(v, fmt.Sprintf("a whole number from %d to %d", least, most))
				return 0, false
			}
			return n, true
		},
		write: func(n int) *yaml.Node {
			if n == 0 {
				return nil
			}
			return plainNode("!!int", strconv.Itoa(n))
		},
	}
}

// asFactor is a number of at least 1.
var asFactor = shape[float64]{
	schema: func() object { return object{"type": "number", "minimum": 1, "maximum": 1000} },
	read: func(r *reader, v value) (float64, bool) {
		if k := kindOf(v.node); v.isScalar() && (k == intScalar || k == floatScalar) {
			if f, err := strconv.ParseFloat(jsonNumber(v.node.Value), 64); err == nil && f >= 1 && f <= 1000 {
				return f, true
			}
		}
		r.expected(v, "a number from 1 to 1000")
		return 0, false
	},
	write: func(f float64) *yaml.Node {
		if f == 0 {
			return nil
		}
		return plainNode("!!float", strconv.FormatFloat(f, 'g', -1, 64))
	},
}

// asDuration is a span with its unit.
var asDuration = shape[flow.Duration]{
	schema: func() object {
		return object{"type": []string{"string", "integer"}, "pattern": `^[-+]?([0-9.]+[a-zµμ].*|0)$`, "maximum": 0, "minimum": 0, "examples": []string{"30s", "5m", "2h", "1d"}}
	},
	read: func(r *reader, v value) (flow.Duration, bool) {
		s, ok := r.text(v, "a duration such as 30s, 5m, 2h or 1d")
		if !ok {
			return 0, false
		}
		d, err := flow.ParseDuration(s)
		if err != nil {
			r.fail(v, "%s", err.Error())
			return 0, false
		}
		return d, true
	},
	write: func(d flow.Duration) *yaml.Node {
		if d == 0 {
			return nil
		}
		return textNode(d.String())
	},
}

// asSpan is a duration that means nothing when it is shorter than least.
func asSpan(least flow.Duration) shape[flow.Duration] {
	span := asDuration
	span.read = func(r *reader, v value) (flow.Duration, bool) {
		s, ok := r.text(v, "a duration such as 15m")
		if !ok {
			return 0, false
		}
		d, err := flow.ParseDuration(s)
		if err == nil && d >= least {
			return d, true
		}
		r.expected(v, fmt.Sprintf("a duration from %s to %s, such as 15m", least, flow.MaxDuration))
		return 0, false
	}
	return span
}

// oneOf is a word of a list.
func oneOf[V ~string](words ...V) shape[V] {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = string(w)
	}
	return shape[V]{
		schema: func() object { return object{"enum": slices.Clone(list)} },
		read: func(r *reader, v value) (V, bool) {
			want := "one of " + strings.Join(list, ", ")
			if !v.isScalar() || v.isNull() {
				r.expected(v, want)
				return "", false
			}
			if slices.Contains(list, v.node.Value) {
				return V(v.node.Value), true
			}
			r.suggest(r.expected(v, want), v.node.Value, list, "")
			return "", false
		},
		write: func(w V) *yaml.Node { return asText.write(string(w)) },
	}
}

// asPriority is a level's name.
var asPriority = func() shape[flow.Priority] {
	var levels []string
	for p := flow.PriorityHighest; p <= flow.PriorityLowest; p++ {
		levels = append(levels, p.String())
	}
	words := oneOf(levels...)
	return shape[flow.Priority]{
		schema: words.schema,
		read: func(r *reader, v value) (flow.Priority, bool) {
			s, ok := words.read(r, v)
			if !ok {
				return 0, false
			}
			p, err := flow.ParsePriority(s)
			return p, err == nil
		},
		write: func(p flow.Priority) *yaml.Node {
			if p == 0 {
				return nil
			}
			return textNode(p.String())
		},
	}
}()

// defaulting reads what a key means when it is left out as if it had been left out, so that two
// files that mean the same are the same version.
func defaulting[V comparable](s shape[V], usual V) shape[V] {
	read := s.read
	s.read = func(r *reader, v value) (V, bool) {
		x, ok := read(r, v)
		if x == usual {
			var unset V
			return unset, ok
		}
		return x, ok
	}
	schema := s.schema
	s.schema = func() object {
		o := schema()
		var shown any
		if b, err := json.Marshal(usual); err == nil && json.Unmarshal(b, &shown) == nil {
			o["default"] = shown
		}
		return o
	}
	return s
}

// checked adds a check that says what is wrong, "" for nothing.
func checked[V any](s shape[V], check func(V) string) shape[V] {
	read := s.read
	s.read = func(r *reader, v value) (V, bool) {
		x, ok := read(r, v)
		if !ok {
			return x, false
		}
		if fault := check(x); fault != "" {
			r.fail(v, "%s", fault)
			return x, false
		}
		return x, true
	}
	return s
}
