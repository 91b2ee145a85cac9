// Finding the pieces of a template.

package param

import (
	"strings"
	"unicode"
)

// scanner cuts a text into parts from left to right.
type scanner struct {
	text    string
	pos     int
	strict  bool
	literal strings.Builder
	parts   []part
}

// step takes one piece from the front.
func (s *scanner) step() error {
	rest := s.text[s.pos:]
	switch {
	case strings.HasPrefix(rest, "$${"), strings.HasPrefix(rest, "$$["):
		s.literal.WriteString(rest[1:3])
		s.pos += 3
		return nil
	case strings.HasPrefix(rest, "${{"):
		return s.expression(rest)
	case strings.HasPrefix(rest, "${"):
		return s.reference(rest)
	case strings.HasPrefix(rest, "$["):
		return s.placeholder(rest)
	}
	n := strings.IndexByte(rest[1:], '$') + 1
	if n == 0 {
		n = len(rest)
	}
	s.literal.WriteString(rest[:n])
	s.pos += n
	return nil
}

func (s *scanner) flush() {
	if s.literal.Len() > 0 {
		s.parts = append(s.parts, part{literal: s.literal.String(), offset: s.pos})
		s.literal.Reset()
	}
}

func (s *scanner) add(p part, length int) {
	s.flush()
	p.offset = s.pos
	s.parts = append(s.parts, p)
	s.pos += length
}

func (s *scanner) expression(rest string) error {
	end := expressionEnd(rest)
	if end < 0 {
		return errorAt(CodeReference, s.pos, "${{ is not closed; write ${{ expression }}, or $${{ for the characters themselves")
	}
	const lead = len("${{")
	e, err := CompileExpression(rest[lead : end-2])
	if err != nil {
		return shift(err, s.pos+lead)
	}
	s.add(part{expr: e}, end)
	return nil
}

func (s *scanner) reference(rest string) error {
	name, end := referenceName(rest)
	switch {
	case end == 0:
		return errorAt(CodeReference, s.pos, "${ is not closed; write ${name}, or $${ for the characters themselves")
	case name == "":
		return errorAt(CodeReference, s.pos, "a name is missing in %s; write ${name}, or $${ for the characters themselves", rest[:end])
	case strings.ContainsAny(name, "${"):
		return errorAt(CodeReference, s.pos, "a reference cannot stand inside the name of another; write ${name}, or $${ for the characters themselves")
	}
	s.add(part{ref: name}, end)
	return nil
}

func (s *scanner) placeholder(rest string) error {
	expr, end := placeholderExpr(rest)
	if !s.strict && jsonPath(expr, end > 0) {
		s.literal.WriteString("$[")
		s.pos += 2
		return nil
	}
	if end == 0 {
		return errorAt(CodePlaceholder, s.pos, "$[ is not closed; write $[yyyyMMdd], or $$[ for the characters themselves")
	}
	e, err := ParseTime(expr)
	if err != nil {
		return shift(err, s.pos+2)
	}
	s.add(part{time: &e}, end)
	return nil
}

// jsonPath reports whether what follows a $[ can only be an index: $[0], $[*], $['a']. Of one that
// is not closed only a quote tells: $['it's'] looks open to who reads it as a format.
func jsonPath(expr string, closed bool) bool {
	if expr != "" && (expr[0] == '\'' || expr[0] == '"') {
		return true
	}
	return closed && strings.IndexFunc(expr, func(r rune) bool { return r < 128 && unicode.IsLetter(r) }) < 0
}

// referenceName reads ${name} at the front of s: the name without blanks around
// it, and the length of the whole; 0 when no } ends it on the same line.
func referenceName(s string) (name string, length int) {
	end := strings.IndexAny(s, "}\n\r\x00")
	if end < 0 || s[end] != '}' {
		return "", 0
	}
	return strings.TrimSpace(s[2:end]), end + 1
}

// placeholderExpr reads $[expr] at the front of s; length 0, and the rest of the line, when no ]
// ends it on the same line. A ] between single quotes does not end it.
func placeholderExpr(s string) (expr string, length int) {
	quoted := false
	for i := 2; i < len(s); i++ {
		switch s[i] {
		case '\n', '\r':
			return s[2:i], 0
		case '\'':
			quoted = !quoted
		case ']':
			if !quoted {
				return s[2:i], i + 1
			}
		}
	}
	return s[2:], 0
}

// expressionEnd returns the length of the ${{ … }} at the front of s, -1 when it
// is not closed. Braces between quotes, and pairs of them, belong to the expression.
func expressionEnd(s string) int {
	depth := 0
	for i := len("${{"); i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\'', '`':
			for i++; i < len(s) && s[i] != c; i++ {
				if s[i] == '\\' && c != '`' {
					i++
				}
			}
		case '{':
			depth++
		case '}':
			if depth == 0 && strings.HasPrefix(s[i:], "}}") {
				return i + 2
			}
			depth--
		}
	}
	return -1
}
