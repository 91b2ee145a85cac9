// What is wrong with YAML that does not parse, in words that say what to type instead.

package spec

import (
	"errors"
	"fmt"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

// syntax reports a fault the YAML library found. Its words name grammar rules; ours name the remedy.
func (r *reader) syntax(err error) {
	var fault *yaml.LoadError
	if !errors.As(err, &fault) {
		r.failAt(1, 1, "", flow.CodeInvalidFile, "not YAML: "+err.Error())
		return
	}
	for _, s := range syntaxTable {
		if !strings.Contains(fault.Message, s.says) {
			continue
		}
		if line, column, message := s.explain(r.source, fault); message != "" {
			r.failAt(line, column, "", flow.CodeInvalidFile, message)
			return
		}
	}
	r.failAt(fault.Mark.Line, fault.Mark.Column, "", flow.CodeInvalidFile, "not YAML: "+fault.Message)
}

// syntaxTable holds what the library says against how we say it. The first explanation that applies
// is given.
var syntaxTable = []struct {
	says    string
	explain func(s *source, e *yaml.LoadError) (line, column int, message string)
}{
	{"did not find expected ',' or", unquotedReference},
	{"did not find expected ',' or", openBracket},
	{"did not find expected node content", unquotedReference},
	{"did not find expected node content", openBracket},
	{"tab character", atMark("a tab stands where YAML counts spaces; indent with spaces")},
	{"mapping values are not allowed", secondColon},
	{"cannot start any token", reserved},
	{"unexpected end of stream", atContext("this quote is never closed")},
	{"unexpected document indicator", atContext("this quote is not closed before the next document")},
	{"unknown anchor", unknownAnchor},
	{"expected alphabetic or numeric character", atContext("a value cannot begin with * or & unless it is an alias or anchor; quote it")},
	{"did not find expected '-' indicator", atMark("expected another item (- …) of the list above, or less indentation")},
	{"did not find expected key", afterQuote},
	{"did not find expected key", atMark("this line does not fit the lines above: keys of one map begin in one column")},
	{"could not find expected ':'", atContext("expected a key and its value, such as name: value")},
	{"expected comment or line break", atMark("text beside | or > begins on the next line, indented")},
	{"unknown escape character", atMark(`\ begins an escape in a double-quoted text; write \\ or use single quotes`)},
	{"block sequence entries are not allowed", atMark("a list item (- …) begins on a line of its own; quote the value if it is a text")},
	{"did not find expected <document start>", atMark("nothing may follow the document here; is a bracket closed once too often?")},
	{"exceeded max depth", atMark(fmt.Sprintf("nested deeper than %d levels", maxDepth))},
	{"incompatible YAML document", atMark("the file is read as YAML 1.2; remove the %YAML line")},
}

func atMark(message string) func(*source, *yaml.LoadError) (int, int, string) {
	return func(_ *source, e *yaml.LoadError) (int, int, string) { return e.Mark.Line, e.Mark.Column, message }
}

func atContext(message string) func(*source, *yaml.LoadError) (int, int, string) {
	return func(_ *source, e *yaml.LoadError) (int, int, string) {
		if e.ContextMark.Line == 0 {
			return e.Mark.Line, e.Mark.Column, message
		}
		return e.ContextMark.Line, e.ContextMark.Column, message
	}
}

// unquotedReference is the mistake everybody makes once: ${day} inside {…} or […]. The scanner stops
// at the bracket after the $; the value around it is what needs quotes.
func unquotedReference(s *source, e *yaml.LoadError) (int, int, string) {
	line := []rune(s.line(e.Mark.Line))
	at := e.Mark.Column - 1
	if at < 1 || at >= len(line) || line[at-1] != '$' || line[at] != '{' && line[at] != '[' {
		return 0, 0, ""
	}
	begin := at
	for begin > 0 && !strings.ContainsRune("{[,", line[begin-1]) && (line[begin-1] != ' ' || begin <= 1 || line[begin-2] != ':') {
		begin--
	}
	for line[begin] == ' ' {
		begin++
	}
	end, open := at, 0
	for ; end < len(line); end++ {
		switch line[end] {
		case '{', '[':
			open++
		case '}', ']':
			open--
		}
		if open < 0 || open == 0 && line[end] == ',' {
			break
		}
	}
	found := strings.ReplaceAll(strings.TrimSpace(string(line[begin:end])), `"`, `\"`)
	within := "{…}"
	if strings.Contains(e.ContextMsg, "sequence") {
		within = "[…]"
	}
	return e.Mark.Line, begin + 1, fmt.Sprintf(`inside %s a value that holds { } [ ] or , must be quoted: write "%s"`, within, found)
}

func openBracket(_ *source, e *yaml.LoadError) (int, int, string) {
	line, column := e.ContextMark.Line, e.ContextMark.Column
	if line == 0 {
		line, column = e.Mark.Line, e.Mark.Column
	}
	open, closed := "{", "}"
	if strings.Contains(e.ContextMsg, "sequence") {
		open, closed = "[", "]"
	}
	if strings.Contains(e.ContextMsg, "node") {
		return e.Mark.Line, e.Mark.Column, "expected a value or the closing bracket"
	}
	return line, column, fmt.Sprintf("%s is not closed: expected , or %s by line %d, column %d; quote values that hold { } [ ] or ,",
		open, closed, e.Mark.Line, e.Mark.Column)
}

func secondColon(s *source, e *yaml.LoadError) (int, int, string) {
	line := s.line(e.Mark.Line)
	if key, rest, ok := strings.Cut(line, ": "); ok && strings.Contains(rest, ":") {
		return e.Mark.Line, e.Mark.Column, fmt.Sprintf("a second \": \" in one line; quote the value: %s: '%s'", strings.TrimSpace(key), strings.ReplaceAll(strings.TrimSpace(rest), "'", "''"))
	}
	return e.Mark.Line, e.Mark.Column, "a key does not belong here: the line above already has a value, or the indentation is wrong"
}

func reserved(s *source, e *yaml.LoadError) (int, int, string) {
	line := []rune(s.line(e.Mark.Line))
	if i := e.Mark.Column - 1; i >= 0 && i < len(line) {
		if line[i] == '\t' {
			return e.Mark.Line, e.Mark.Column, "a tab stands where YAML counts spaces; indent with spaces"
		}
		return e.Mark.Line, e.Mark.Column, fmt.Sprintf("a value cannot begin with %c; quote it", line[i])
	}
	return e.Mark.Line, e.Mark.Column, "a value cannot begin with this character; quote it"
}

func unknownAnchor(s *source, e *yaml.LoadError) (int, int, string) {
	return e.Mark.Line, e.Mark.Column, e.Message + "; quote a value that begins with *"
}

// afterQuote is text behind a closed quote or bracket: a: "x" y.
func afterQuote(s *source, e *yaml.LoadError) (int, int, string) {
	line := []rune(s.line(e.Mark.Line))
	i := e.Mark.Column - 1
	if i <= 0 || i > len(line) {
		return 0, 0, ""
	}
	before := strings.TrimRight(string(line[:i]), " ")
	if before == "" || !strings.ContainsAny(before[len(before)-1:], `"'}]`) {
		return 0, 0, ""
	}
	return e.Mark.Line, e.Mark.Column, "text follows a closed quote or bracket; quote the whole value"
}
