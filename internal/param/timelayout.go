// Formats of time placeholders: the letters of Java's DateTimeFormatter that a
// local date and time can print, in English, with ISO weeks.

package param

import "strings"

// layout is a compiled format. Literal text has letter 0.
type layout []layoutField

type layoutField struct {
	letter  byte
	width   int // how often the letter was written
	literal string
}

// layoutWidths holds the most often each supported letter may be written.
//
//	y u year · Y week-based year · Q quarter · M month · w ISO week · D day of year · d day · E e day of week
//	a am/pm · H 0-23 · k 1-24 · h 1-12 · K 0-11 · m minute · s second · S fraction
var layoutWidths = [128]int{
	'y': 19, 'u': 19, 'Y': 19, 'Q': 4, 'M': 5, 'w': 2, 'D': 3, 'd': 2, 'E': 5, 'e': 2,
	'a': 1, 'H': 2, 'k': 2, 'h': 2, 'K': 2, 'm': 2, 's': 2, 'S': 9,
}

// parseLayout compiles a format. Letters that are not supported are an error,
// never copied: a wrong path is worse than a refusal.
func parseLayout(text string) (layout, error) {
	var l layout
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			l = append(l, layoutField{literal: lit.String()})
			lit.Reset()
		}
	}
	fields := 0
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			n := 1
			for i+n < len(text) && text[i+n] == c {
				n++
			}
			most := layoutWidths[c]
			if most == 0 {
				return nil, errorAt(CodePlaceholder, i,
					"the letter %q prints nothing in a format; known are y M d H m s S and u Y Q w D E e a h k K, other text goes between single quotes", c)
			}
			if n > most {
				return nil, errorAt(CodePlaceholder, i, "%q is too many letters; %q may stand at most %d times in a row", text[i:i+n], c, most)
			}
			flush()
			l = append(l, layoutField{letter: c, width: n})
			fields++
			i += n
		case c == '\'':
			s, n, ok := unquote(text[i:])
			if !ok {
				return nil, errorAt(CodePlaceholder, i, "the single quote is not closed; a quote itself is written ''")
			}
			lit.WriteString(s)
			i += n
		case strings.IndexByte("[]{}#$", c) >= 0:
			return nil, errorAt(CodePlaceholder, i, "%q has no meaning in a format; put it between single quotes", c)
		default:
			lit.WriteByte(c)
			i++
		}
	}
	flush()
	if fields == 0 {
		return nil, errorAt(CodePlaceholder, 0, "the format %q names no part of a time; write one such as yyyy-MM-dd", text)
	}
	return l, nil
}

// unquote reads 'text' (with ” for a quote inside) or a lone ” from the front of s.
func unquote(s string) (text string, length int, ok bool) {
	if strings.HasPrefix(s, "''") {
		return "'", 2, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

// digits returns how many digits the layout always prints, -1 when that varies or other text is among them.
func (l layout) digits() int {
	total := 0
	for _, f := range l {
		switch {
		case f.letter == 0:
			if strings.Trim(f.literal, "0123456789") != "" {
				return -1
			}
			total += len(f.literal)
		case f.letter == 'S' || f.letter == 'e' || f.width == 2 && f.letter != 'E' && f.letter != 'D':
			total += f.width
		case f.letter == 'D' && f.width == 3, strings.IndexByte("yuY", f.letter) >= 0 && f.width >= 4, f.letter == 'Q' && f.width == 1:
			total += f.width
		default:
			return -1
		}
	}
	return total
}

// repeats reports whether any letter stands twice or more in a row.
func (l layout) repeats() bool {
	for _, f := range l {
		if f.width > 1 {
			return true
		}
	}
	return false
}
