// Outputs that a task announces in its log: ${setValue(rows=42)}.

package param

import (
	"bytes"
	"strings"
)

var (
	setValueName = []byte("setValue(")
	setValueEnd  = []byte(")}")
	equals       = []byte("=")
)

// ScanSetValue calls emit for every ${setValue(name=value)} and
// #{setValue(name=value)} of one log line, in order; the last of a name counts.
// The value ends at the first ")}" and may hold "=" and be empty. What is not
// well formed is skipped; bytes that are no UTF-8, and zero bytes, become U+FFFD.
// A line without one costs a search for the word and allocates nothing.
func ScanSetValue(line []byte, emit func(name, value string)) {
	end := -1 // of the value nearest behind pos, kept so that garbage cannot make the scan quadratic
	for pos := 0; ; {
		at := bytes.Index(line[pos:], setValueName)
		if at < 0 {
			return
		}
		at += pos
		pos = at + len(setValueName)
		if at < 2 || line[at-1] != '{' || line[at-2] != '$' && line[at-2] != '#' {
			continue
		}
		if end < pos {
			n := bytes.Index(line[pos:], setValueEnd)
			if n < 0 {
				return
			}
			end = pos + n
		}
		name, value, ok := bytes.Cut(line[pos:end], equals)
		if name = bytes.TrimSpace(name); !ok || len(name) == 0 || bytes.ContainsAny(name, "${}()") {
			continue
		}
		pos = end + len(setValueEnd)
		emit(clean(name), clean(value))
	}
}

func clean(b []byte) string {
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}
