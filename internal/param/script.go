// Scripts: what is put into them as text. Everything else stays byte for byte.

package param

import "strings"

// Substitute says what of the parameters is put into a script as text. The
// environment has them in every mode.
type Substitute string

// The modes.
const (
	SubstituteEnv  Substitute = "env"  // the engine's names with a dot, and $[…]; the default
	SubstituteText Substitute = "text" // also ${name} of every parameter in scope, as DolphinScheduler does
	SubstituteNone Substitute = "none" // nothing
)

// ParseSubstitute reads a mode; empty is SubstituteEnv.
func ParseSubstitute(word string) (Substitute, error) {
	modes := []string{string(SubstituteEnv), string(SubstituteText), string(SubstituteNone)}
	switch s := Substitute(word); s {
	case "":
		return SubstituteEnv, nil
	case SubstituteEnv, SubstituteText, SubstituteNone:
		return s, nil
	}
	return "", errorAt(CodeBadValue, 0, "substitute is env, text or none, not %q", word).suggest(word, modes)
}

// Script is a compiled script. It is immutable and safe for concurrent use.
type Script struct {
	text  string
	mode  Substitute
	parts []scriptPart // nil: the script runs as it is written
}

// scriptPart is text, or a piece that is replaced when it means something.
type scriptPart struct {
	text   string    // as written; literal when nothing else is set
	name   string    // of ${name}
	time   *TimeExpr // of $[…]
	offset int
}

// CompileScript compiles a script. isTask tells the names of the workflow's
// tasks (nil: it has none); ${T.name} of one is bad_reference except under SubstituteText: in a
// script a shell reads it, and an output is passed by env.
//
// $${name} becomes ${name}; a $[…] is replaced only when it is of the grammar.
// Outside SubstituteText a bare format must hold a letter twice in a row
// (yyyy, MM): $[m+1] and $[a/b] are the shell's arithmetic.
func CompileScript(text string, mode Substitute, isTask func(name string) bool) (*Script, error) {
	if len(text) > MaxText {
		return nil, errorAt(CodeTooLarge, MaxText, "the script has %d bytes; at most %d are allowed, put it into a file", len(text), MaxText)
	}
	s := &Script{text: text, mode: mode}
	start := 0 // of the literal text not yet taken
	take := func(p scriptPart, from, to int) {
		if from > start {
			s.parts = append(s.parts, scriptPart{text: text[start:from]})
		}
		p.offset = from
		s.parts = append(s.parts, p)
		start = to
	}
	for i := 0; i < len(text); {
		at := strings.IndexByte(text[i:], '$')
		if at < 0 {
			break
		}
		i += at
		p, n, err := s.piece(text, i, isTask)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			i++
			continue
		}
		take(p, i, i+n)
		i += n
	}
	if len(s.parts) > 0 && start < len(text) {
		s.parts = append(s.parts, scriptPart{text: text[start:]})
	}
	return s, nil
}

// piece looks at the $ at position i; length 0 means that it is the script's own.
func (s *Script) piece(text string, i int, isTask func(string) bool) (p scriptPart, length int, err error) {
	rest := text[i:]
	switch {
	case strings.HasPrefix(rest, "$${") && s.mode != SubstituteNone:
		if name, n := referenceName(rest[1:]); n > 0 && shellLike(name) {
			return scriptPart{text: rest[1 : n+1]}, n + 1, nil
		}
		return p, 0, nil
	case strings.HasPrefix(rest, "${"):
		name, n := referenceName(rest)
		if n == 0 || name == "" || strings.ContainsAny(name, "${") {
			return p, 0, nil
		}
		if s.mode == SubstituteText {
			return scriptPart{text: rest[:n], name: name}, n, nil
		}
		if task, output, ok := SplitTaskRef(name, isTask); ok {
			return p, 0, errorAt(CodeReference, i,
				`${%s} cannot stand in a script; pass it with env: {%s: "${%s}"} and write $%[2]s, or set substitute: text`, name, envName(task+"_"+output), name)
		}
		if s.mode == SubstituteNone || !strings.Contains(name, ".") {
			return p, 0, nil
		}
		return scriptPart{text: rest[:n], name: name}, n, nil
	case strings.HasPrefix(rest, "$[") && s.mode != SubstituteNone && (i == 0 || text[i-1] != '$'):
		expr, n := placeholderExpr(rest)
		e, err := ParseTime(expr)
		if n == 0 || err != nil || s.mode != SubstituteText && e.bare && !e.layout.repeats() {
			return p, 0, nil //nolint:nilerr // what is not of the grammar is the script's own
		}
		return scriptPart{text: rest[:n], time: &e}, n, nil
	}
	return p, 0, nil
}

// shellLike reports whether a name could be meant for the shell: letters, digits, _ - and dots.
func shellLike(name string) bool {
	return name != "" && !strings.ContainsAny(name, " \t(){}[]$'\"`:;|&<>#%/\\=,*?!+@^~")
}

// IsConstant reports whether the script is the same in every scope.
func (s *Script) IsConstant() bool { return s.parts == nil }

// Render returns the script as it runs in a scope. A name that has no value
// stays as it is written.
func (s *Script) Render(scope *Scope) (string, error) {
	if s.parts == nil {
		return s.text, nil
	}
	var b strings.Builder
	for i := range s.parts {
		p := &s.parts[i]
		v, err := p.value(scope, s.mode)
		if err != nil {
			return "", shift(err, p.offset)
		}
		if b.Len()+len(v) > 2*MaxText {
			return "", errorAt(CodeTooLarge, p.offset, "the script has more than %d bytes once its parameters are in it; read large values from the environment or a file", 2*MaxText)
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

func (p *scriptPart) value(scope *Scope, mode Substitute) (string, error) {
	switch {
	case p.time != nil:
		return p.time.Eval(scope.Builtin.DataTime, scope.Builtin.zone())
	case p.name == "":
		return p.text, nil
	case mode != SubstituteText:
		if v, ok := scope.Builtin.Lookup(p.name); ok {
			return v, nil
		}
		return p.text, nil
	case !scope.has(p.name):
		return p.text, nil
	}
	v, _, err := scope.Lookup(p.name)
	return v, err
}

// has reports whether a name means something here.
func (s *Scope) has(name string) bool {
	if _, ok := s.find(name, levelStart); ok {
		return true
	}
	_, _, _, ok := s.Upstream.Find(name)
	return ok
}
