// Splitting a script into its statements.

package sql

import (
	"fmt"
	"slices"
	"strings"
)

// statement is one statement of a script.
type statement struct {
	text   string // as written, without the semicolon
	line   int    // of its first word in the script, from 1
	params []paramRef
	head   [2]string // its first words, in capitals
	// stateful: it may leave something behind in the session (settings, variables, temporary
	// tables, locks), so the connection must not serve another attempt.
	stateful bool
	copies   bool // COPY from or to the client, which has no file to give
}

// paramRef is where :name stands in the text.
type paramRef struct {
	name       string
	start, end int
}

// lineOf returns the line of the script that holds a byte of the text.
func (s *statement) lineOf(offset int) int {
	return s.line + strings.Count(s.text[:min(max(offset, 0), len(s.text))], "\n")
}

// split cuts a script. An error names the line of a quote that never ends.
func (x lexis) split(script string) ([]statement, error) {
	sp := splitter{lexis: x, script: script, delimiter: ";", line: 1}
	for sp.at < len(script) {
		if err := sp.step(); err != nil {
			return nil, err
		}
	}
	sp.finish(len(script))
	return sp.done, nil
}

type splitter struct {
	lexis
	script    string
	delimiter string
	at        int
	line      int // of byte counted; it only moves on, so that long scripts are read once
	counted   int
	done      []statement

	// The statement under way, once begun.
	begun   bool
	start   int
	current statement
	words   int
	parens  int
	blocks  block
}

func (sp *splitter) step() error {
	s := sp.script
	if sp.delimiter != ";" && strings.HasPrefix(s[sp.at:], sp.delimiter) {
		sp.finish(sp.at)
		sp.at += len(sp.delimiter)
		return nil
	}
	kind, end := sp.token(s, sp.at)
	begin := sp.at
	sp.at = end
	switch kind {
	case tokenSpace:
		return nil
	case tokenOpen:
		return fmt.Errorf("line %d: the quote %.10s … never ends", sp.lineAt(begin), s[begin:])
	case tokenSemicolon:
		if sp.delimiter == ";" && sp.blocks.depth == 0 && sp.parens == 0 {
			sp.finish(begin)
		}
		return nil
	case tokenWord:
		if !sp.begun && sp.delimiterCommand(begin, end) {
			return nil
		}
		sp.begin(begin)
		sp.word(strings.ToUpper(s[begin:end]))
	case tokenParam:
		sp.begin(begin)
		sp.current.params = append(sp.current.params, paramRef{name: s[begin+1 : end], start: begin - sp.start, end: end - sp.start})
	case tokenOther:
		sp.begin(begin)
		sp.other(s[begin])
	case tokenText:
		sp.begin(begin)
	}
	return nil
}

func (sp *splitter) begin(at int) {
	if sp.begun {
		return
	}
	sp.begun, sp.start = true, at
	sp.current.line = sp.lineAt(at)
}

// lineAt returns the line of a byte that is not before the one asked for last.
func (sp *splitter) lineAt(at int) int {
	sp.line += strings.Count(sp.script[sp.counted:at], "\n")
	sp.counted = at
	return sp.line
}

func (sp *splitter) other(c byte) {
	switch {
	case c == '(' && sp.lexis.parens:
		sp.parens++
	case c == ')' && sp.parens > 0:
		sp.parens--
	case c == '@': // a variable of the session
		sp.current.stateful = true
	}
}

// stateless are the statements after which a session is as it was before.
var stateless = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "WITH", "VALUES", "TABLE"}

func (sp *splitter) word(w string) {
	if sp.words < len(sp.current.head) {
		sp.current.head[sp.words] = w
	}
	if sp.words == 0 && !slices.Contains(stateless, w) || w == "GET_LOCK" || w == "TEMP" || w == "TEMPORARY" {
		sp.current.stateful = true
	}
	if sp.current.head[0] == "COPY" && (w == "STDIN" || w == "STDOUT") {
		sp.current.copies = true
	}
	sp.words++
	if sp.delimiter == ";" {
		sp.blocks.word(w, sp.words, sp.current.head[0])
	}
}

// delimiterCommand carries out DELIMITER, which the mysql client understands and the server does
// not.
func (sp *splitter) delimiterCommand(begin, end int) bool {
	if !sp.lexis.delimiter || !strings.EqualFold(sp.script[begin:end], "delimiter") {
		return false
	}
	stop := lineEnd(sp.script, end)
	wanted := strings.TrimSpace(sp.script[end:stop])
	if wanted == "" || strings.ContainsAny(wanted, " \t=(") {
		return false
	}
	sp.delimiter, sp.at = wanted, stop
	return true
}

func (sp *splitter) finish(end int) {
	if sp.begun {
		sp.current.text = strings.TrimRight(sp.script[sp.start:end], " \t\r\n")
		sp.done = append(sp.done, sp.current)
	}
	sp.begun, sp.current, sp.words, sp.parens, sp.blocks = false, statement{}, 0, 0, block{}
}
