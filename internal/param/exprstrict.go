// The strict operators of expressions.

package param

import (
	"fmt"
	"reflect"

	"github.com/expr-lang/expr/vm/runtime"
)

// strictEqual compares two values of one kind. Text is never equal to a number:
// asking is a mistake, and an error. Anything may be compared to nil.
func strictEqual(a, b any) (bool, error) {
	if a == nil || b == nil {
		return a == nil && b == nil, nil
	}
	if ka, kb := kindOf(a), kindOf(b); ka != kb {
		return false, errorAt(CodeExpression, 0, "%s cannot be compared to %s (%s, %s)"+declareType, ka, kb, short(a), short(b))
	}
	return runtime.Equal(a, b), nil
}

// strictIn looks for an element of a list, a key of a map, or a text in a text.
func strictIn(needle, in any) (bool, error) {
	switch in := in.(type) {
	case nil:
		return false, nil
	case []any:
		for _, e := range in {
			if eq, err := strictEqual(needle, e); eq || err != nil {
				return eq, err
			}
		}
		return false, nil
	}
	v := reflect.ValueOf(in)
	if v.Kind() == reflect.Slice { // a range such as 1..5
		for i := range v.Len() {
			if eq, err := strictEqual(needle, v.Index(i).Interface()); eq || err != nil {
				return eq, err
			}
		}
		return false, nil
	}
	if kindOf(in) == "a map" && kindOf(needle) == "text" {
		return runtime.In(needle, in), nil
	}
	return false, errorAt(CodeExpression, 0, "%s cannot be looked for in %s; on the right of in stands a list or a map", kindOf(needle), kindOf(in))
}

// scalarText is string(v). Lists and maps are refused: their text can be far larger than they are.
func scalarText(v any) (string, error) {
	switch k := kindOf(v); k {
	case "text", "a number", "a truth value":
		return fmt.Sprint(v), nil
	default:
		return "", errorAt(CodeExpression, 0, "string(…) takes a number, a truth value or a text, not %s", k)
	}
}

func short(v any) string {
	s := fmt.Sprintf("%v", v)
	if text, ok := v.(string); ok {
		s = fmt.Sprintf("%.40s", text)
	}
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return s
}

// sizeOf estimates the bytes of a value as text.
func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []any:
		n := 0
		for _, e := range v {
			n += 8 + sizeOf(e)
		}
		return n
	case map[string]any:
		n := 0
		for k, e := range v {
			n += 8 + len(k) + sizeOf(e)
		}
		return n
	case nil, bool, int, float64:
		return 0
	default:
		if r := reflect.ValueOf(v); r.Kind() == reflect.Slice {
			return 8 * r.Len()
		}
		return 0
	}
}
