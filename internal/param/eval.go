// Pure questions: `baton param eval`.

package param

import (
	"errors"
	"strings"
	"time"
)

// EvalTime replaces every $[…] in a text for a data time read in a zone (nil:
// UTC); ${…} stays. A placeholder that cannot be computed is an error of code
// bad_placeholder, never left in place. $$[ stands for $[ itself.
func EvalTime(text string, data time.Time, zone *time.Location) (string, error) {
	b := Builtins{DataTime: data, Zone: zone}
	s := scanner{text: text, strict: true}
	for s.pos < len(text) {
		rest := text[s.pos:]
		if n := len(rest) - len(strings.TrimLeft(rest, "$")); n > 0 && strings.HasPrefix(rest[n:], "{") {
			s.literal.WriteString(rest[:n+1])
			s.pos += n + 1
			continue
		}
		if err := s.step(); err != nil {
			return "", err
		}
	}
	s.flush()
	var out []byte
	for _, p := range s.parts {
		if p.time == nil {
			out = append(out, p.literal...)
			continue
		}
		var err error
		if out, err = p.time.Append(out, data, b.zone()); err != nil {
			return "", shift(err, p.offset)
		}
	}
	return string(out), nil
}

// Eval answers `baton param eval`: it replaces every $[…], and every ${…} by
// the given parameters, the built-in ones of the data time, or an expression
// over them. Whatever cannot be computed is an error of code bad_placeholder.
func Eval(text string, data time.Time, zone *time.Location, params map[string]string) (string, error) {
	v, err := eval(text, data, zone, params)
	var e *Error
	if errors.As(err, &e) && e.Code != CodePlaceholder {
		c := *e
		c.Code = CodePlaceholder
		return "", &c
	}
	return v, err
}

func eval(text string, data time.Time, zone *time.Location, params map[string]string) (string, error) {
	given, errs := compileStart(params)
	if len(errs) > 0 {
		return "", errs[0]
	}
	t, err := compile(text, true)
	if err != nil {
		return "", err
	}
	return t.Render(&Scope{startTexts: given, Builtin: Builtins{DataTime: data, Zone: zone}})
}
