// Binding: the database's placeholders in place of :name.

package sql

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"baton/internal/task"
)

// bind puts the database's placeholders in place of :name. Names nobody declared are left as they
// are when the task has no params at all, since they may mean something to the database; else they
// are typing errors.
func (p params) bind(s *statement, declared bool, placeholder func(n int) string) (string, []any, error) {
	if len(s.params) == 0 {
		return s.text, nil, nil
	}
	var (
		text strings.Builder
		args []any
		from int
	)
	for _, ref := range s.params {
		values, known := p[ref.name]
		if !known {
			if !declared {
				continue
			}
			return "", nil, fmt.Errorf("line %d: there is no parameter %q in params", s.lineOf(ref.start), ref.name)
		}
		text.WriteString(s.text[from:ref.start])
		for i, v := range values {
			if i > 0 {
				text.WriteString(", ")
			}
			args = append(args, v)
			text.WriteString(placeholder(len(args)))
		}
		if ref.end < len(s.text) && wordPart(s.text[ref.end]) {
			text.WriteByte(' ')
		}
		from = ref.end
	}
	text.WriteString(s.text[from:])
	return text.String(), args, nil
}

// driverValues turns numbers into what drivers take, without losing digits.
func driverValues(args []any) []any {
	out := make([]any, len(args))
	for i, v := range args {
		if n, ok := v.(json.Number); ok {
			v = driverNumber(n.String())
		}
		out[i] = v
	}
	return out
}

func driverNumber(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	if raw := task.NumberValue(s); raw[0] == '"' { // too long for floating point: the database converts
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	return f
}
