// The words and signs of join expressions.

package param

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd  tokenKind = iota
	tokenWord           // an identifier or keyword
	tokenSign           // ( ) [ ] . ! && ||
	tokenText           // between quotes; text is what stands inside
	tokenBad            // text is the complaint
)

type joinToken struct {
	kind   tokenKind
	text   string
	offset int
}

var joinKeywords = map[string]bool{"and": true, "or": true, "not": true}

type joinLexer struct {
	text string
	pos  int
}

func (l *joinLexer) next() joinToken {
	for l.pos < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.pos]) >= 0 {
		l.pos++
	}
	start := l.pos
	if start == len(l.text) {
		return joinToken{offset: start}
	}
	rest := l.text[start:]
	for _, sign := range [...]string{"&&", "||", "(", ")", "[", "]", ".", "!"} {
		if strings.HasPrefix(rest, sign) {
			l.pos += len(sign)
			return joinToken{tokenSign, sign, start}
		}
	}
	if rest[0] == '"' || rest[0] == '\'' {
		return l.quoted(rest)
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if n < 0 {
		n = len(rest)
	}
	if n == 0 {
		_, n = utf8.DecodeRuneInString(rest)
		l.pos += n
		return joinToken{tokenBad, `"` + strings.ToValidUTF8(rest[:n], "?") + `" has no meaning here; names that are not letters, digits and _ alone are written tasks["a name"]`, start}
	}
	l.pos += n
	return joinToken{tokenWord, rest[:n], start}
}

// quoted reads a name between quotes; a backslash keeps the next character.
func (l *joinLexer) quoted(rest string) joinToken {
	start := l.pos
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == rest[0]:
			l.pos += i + 1
			return joinToken{tokenText, b.String(), start}
		case c == '\\' && i+1 < len(rest):
			i++
			b.WriteByte(rest[i])
		default:
			b.WriteByte(c)
		}
	}
	l.pos = len(l.text)
	return joinToken{tokenBad, "the quote is not closed", start}
}
