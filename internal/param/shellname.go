// Parameters that a script asks its shell for, and that no shell can have.

package param

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckShellNames finds the first $name or ${name} of a shell's script that means a parameter whose
// name is none for a shell: 每日 for instance. The shell would leave $每日 as it is and stop at
// ${每日} with "bad substitution". The error, of code bad_reference, has the remedy.
//
// isParam tells the names of parameters. Lines of comment and an escaped \$ are left out; what
// quotes mean is the shell's business.
func CheckShellNames(script string, mode Substitute, isParam func(name string) bool) error {
	for at, line := 0, ""; at < len(script); at += len(line) {
		line = script[at:]
		if end := strings.IndexByte(line, '\n'); end >= 0 {
			line = line[:end+1]
		}
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for i := range len(line) {
			if line[i] != '$' || i > 0 && (line[i-1] == '\\' || line[i-1] == '$') {
				continue
			}
			if name := shellAsksFor(line[i:], mode, isParam); name != "" {
				return noShellName(name, mode, at+i)
			}
		}
	}
	return nil
}

// shellAsksFor returns the parameter that a $ at the front of s means and the shell cannot know.
func shellAsksFor(s string, mode Substitute, isParam func(string) bool) string {
	unknown := func(name string) bool { return envName(name) != name && !isASCII(name) && isParam(name) }
	word := s[1:]
	if strings.HasPrefix(word, "{") {
		word = strings.TrimLeft(word[1:], "#!") // ${#name}, ${!name}
		if name, n := referenceName(s); n > 0 && unknown(name) {
			if mode == SubstituteText {
				return "" // put in before the shell sees it
			}
			return name
		}
	}
	if end := strings.IndexFunc(word, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	}); end >= 0 {
		word = word[:end]
	}
	// Some languages write without blanks: $每日的 means 每日. But $day的 is the shell's own $day.
	head := strings.IndexFunc(word, func(r rune) bool { return r >= utf8.RuneSelf })
	if head < 0 || head > 0 && isParam(word[:head]) {
		return ""
	}
	for name := word; len(name) > head; {
		if unknown(name) {
			return name
		}
		_, last := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-last]
	}
	return ""
}

func noShellName(name string, mode Substitute, at int) error {
	if mode == SubstituteText {
		return errorAt(CodeReference, at, "a shell has no variable %s, its names are of ASCII letters, digits and _; write ${%[1]s}, which is put in as text", name)
	}
	variable := envName(name)
	if c := variable[0]; c == '_' || c >= '0' && c <= '9' {
		variable = "VALUE"
	}
	return errorAt(CodeReference, at,
		`a shell has no variable %s, its names are of ASCII letters, digits and _; pass it with env: {%s: "${%[1]s}"} and write $%[2]s, or set substitute: text and write ${%[1]s}`, name, variable)
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
