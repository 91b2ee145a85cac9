// Types of parameters. A value is always a text; its type says which texts are
// allowed and what an expression sees.

package param

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Type is the declared type of a parameter.
type Type string

// The types. Dates and times are texts in expressions, which compare
// in order of time as long as they are written alike.
const (
	TypeString    Type = "string"
	TypeInteger   Type = "integer"   // 64 bit
	TypeFloat     Type = "float"     // finite
	TypeBoolean   Type = "boolean"   // true, false
	TypeDate      Type = "date"      // 2026-03-01 or 20260301
	TypeTime      Type = "time"      // 10:30 or 10:30:00
	TypeTimestamp Type = "timestamp" // 2026-03-01 10:30:00, with T and offset as in RFC 3339, or 20260301103000
	TypeList      Type = "list"      // a JSON list
	TypeJSON      Type = "json"      // any JSON value
	TypeFile      Type = "file"      // a path or the name of a file parameter
)

// Types lists every type.
func Types() []Type {
	return []Type{TypeString, TypeInteger, TypeFloat, TypeBoolean, TypeDate, TypeTime, TypeTimestamp, TypeList, TypeJSON, TypeFile}
}

var typeAliases = map[string]Type{
	"varchar": TypeString, "text": TypeString, "int": TypeInteger, "long": TypeInteger, "double": TypeFloat,
	"number": TypeFloat, "bool": TypeBoolean, "datetime": TypeTimestamp, "object": TypeJSON,
}

// ParseType reads the name of a type in any case, DolphinScheduler's (VARCHAR,
// INTEGER, LONG, DOUBLE, …) included. Empty is TypeString.
func ParseType(name string) (Type, error) {
	lower := strings.ToLower(name)
	if lower == "" {
		return TypeString, nil
	}
	if t, ok := typeAliases[lower]; ok {
		return t, nil
	}
	var names []string
	for _, t := range Types() {
		if string(t) == lower {
			return t, nil
		}
		names = append(names, string(t))
	}
	return "", errorAt(CodeBadValue, 0, "there is no type %q; the types are %s", name, strings.Join(names, ", ")).suggest(lower, names)
}

var timeLayouts = map[Type][]string{
	TypeDate:      {"2006-01-02", "20060102"},
	TypeTime:      {"15:04:05", "15:04"},
	TypeTimestamp: {"2006-01-02 15:04:05", time.RFC3339, "2006-01-02T15:04:05", "20060102150405"},
}

// Check reports whether a text is a value of the type; the error, of code
// bad_parameter, shows how one is written.
func (t Type) Check(text string) error {
	_, err := t.value(text)
	return err
}

// value returns what an expression sees: string, int, float64, bool, []any or map[string]any.
func (t Type) value(text string) (any, error) {
	switch t {
	case TypeInteger:
		if v, err := strconv.Atoi(text); err == nil {
			return v, nil
		}
		return nil, t.mismatch(text, "a whole number such as 42")
	case TypeFloat:
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
			return v, nil
		}
		return nil, t.mismatch(text, "a number such as 0.5")
	case TypeBoolean:
		switch strings.ToLower(text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, t.mismatch(text, "true or false")
	case TypeList, TypeJSON:
		v, err := decodeJSON(text)
		if _, isList := v.([]any); err == nil && (isList || t == TypeJSON) {
			return v, nil
		}
		return nil, t.mismatch(text, map[Type]string{TypeList: `a JSON list such as ["a", "b"]`, TypeJSON: `JSON such as {"a": 1}`}[t])
	case TypeFile:
		if text != "" && !strings.ContainsRune(text, 0) {
			return text, nil
		}
		return nil, t.mismatch(text, "a path")
	case TypeDate, TypeTime, TypeTimestamp:
		for _, l := range timeLayouts[t] {
			if _, err := time.Parse(l, text); err == nil {
				return text, nil
			}
		}
		return nil, t.mismatch(text, "written like "+timeLayouts[t][0])
	default:
		return text, nil
	}
}

func (t Type) mismatch(text, want string) error {
	if len(text) > 64 {
		text = strings.ToValidUTF8(text[:64], "") + "…"
	}
	return errorAt(CodeBadValue, 0, "%q is not of type %s; it must be %s", text, t, want)
}
