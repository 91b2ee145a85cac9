// The words of SQL, as far as needed to see where a statement ends and where a parameter stands:
// everything that quotes or comments differs from database to database.

package sql

import (
	"strings"
	"unicode/utf8"
)

// lexis says how a database quotes.
type lexis struct {
	backslash  bool // \ escapes inside '…' and "…"
	escapeText bool // E'…' is a text with \ escapes
	dollar     bool // $tag$…$tag$ is a text
	backtick   bool // `…` is a name
	bracket    bool // […] is a name
	nested     bool // comments nest
	hash       bool // # begins a comment
	dashSpace  bool // -- begins a comment only before a space
	delimiter  bool // the DELIMITER command of the mysql client
	parens     bool // a semicolon in parentheses ends nothing (CREATE RULE)
}

var (
	postgresLexis = lexis{escapeText: true, dollar: true, nested: true, parens: true}
	mysqlLexis    = lexis{backslash: true, backtick: true, hash: true, dashSpace: true, delimiter: true}
	sqliteLexis   = lexis{backtick: true, bracket: true}
)

type tokenKind uint8

const (
	tokenOther     tokenKind = iota // an operator, a number, a character of no interest
	tokenSpace                      // white space or a comment
	tokenText                       // anything quoted
	tokenOpen                       // something quoted that never ends
	tokenWord                       // a keyword or name
	tokenParam                      // :name
	tokenSemicolon                  // the end of a statement
)

// token returns the kind and the end of the token that begins at s[i]; i is inside s.
func (x lexis) token(s string, i int) (tokenKind, int) {
	c := s[i]
	next := byte(0)
	if i+1 < len(s) {
		next = s[i+1]
	}
	switch {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
		return tokenSpace, i + 1
	case c == ';':
		return tokenSemicolon, i + 1
	case c == '-' && next == '-' && (!x.dashSpace || i+2 == len(s) || s[i+2] <= ' '), c == '#' && x.hash:
		return tokenSpace, lineEnd(s, i)
	case c == '/' && next == '*':
		return tokenSpace, x.commentEnd(s, i)
	case c == '\'' || c == '"':
		return quoted(s, i+1, c, x.backslash)
	case c == '`' && x.backtick:
		return quoted(s, i+1, c, false)
	case c == '[' && x.bracket:
		return enclosed(s, i+1, "]")
	case (c == 'E' || c == 'e') && next == '\'' && x.escapeText:
		return quoted(s, i+2, '\'', true)
	case c == '$' && x.dollar:
		if tag := dollarTag(s[i:]); tag != "" {
			return enclosed(s, i+len(tag), tag)
		}
		return tokenOther, i + 1
	case c == ':':
		return colon(s, i)
	case wordStart(c):
		return tokenWord, wordEnd(s, i)
	case c >= '0' && c <= '9':
		return tokenOther, wordEnd(s, i)
	default:
		return tokenOther, i + 1
	}
}

// colon tells a parameter from a cast (::), an assignment (:=) and the middle of a slice (a[1:n]).
func colon(s string, i int) (tokenKind, int) {
	if i+1 == len(s) {
		return tokenOther, i + 1
	}
	if next := s[i+1]; next == ':' || next == '=' {
		return tokenOther, i + 2
	} else if !wordStart(next) {
		return tokenOther, i + 1
	}
	if i > 0 && (wordPart(s[i-1]) || strings.IndexByte(`)]"'`, s[i-1]) >= 0) {
		return tokenOther, i + 1
	}
	end := i + 1
	for end < len(s) && wordPart(s[end]) && s[end] != '$' {
		end++
	}
	return tokenParam, end
}

func wordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

func wordPart(c byte) bool { return wordStart(c) || c >= '0' && c <= '9' || c == '$' }

func wordEnd(s string, i int) int {
	for i < len(s) && wordPart(s[i]) {
		i++
	}
	return i
}

func lineEnd(s string, i int) int {
	if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(s)
}

// commentEnd returns the end of the comment at s[i]; one without end reaches to the end of s, and
// the database says what it thinks of that.
func (x lexis) commentEnd(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch {
		case strings.HasPrefix(s[i:], "/*") && (x.nested || depth == 0):
			depth++
			i += 2
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return len(s)
}

// quoted scans from behind the opening quote. A doubled quote stands for itself.
func quoted(s string, i int, quote byte, backslash bool) (tokenKind, int) {
	for i < len(s) {
		switch {
		case s[i] == '\\' && backslash:
			i += 2
		case s[i] != quote:
			i++
		case i+1 < len(s) && s[i+1] == quote:
			i += 2
		default:
			return tokenText, i + 1
		}
	}
	return tokenOpen, len(s)
}

func enclosed(s string, i int, end string) (tokenKind, int) {
	if n := strings.Index(s[i:], end); n >= 0 {
		return tokenText, i + n + len(end)
	}
	return tokenOpen, len(s)
}

// dollarTag returns $tag$ when s begins with one. A tag is a name without $; $1 is a parameter.
func dollarTag(s string) string {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '$':
			return s[:i+1]
		case !wordPart(c) || i == 1 && !wordStart(c):
			return ""
		}
	}
	return ""
}
