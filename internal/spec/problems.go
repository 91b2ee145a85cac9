// Everything that is wrong with the files, collected and put in order.

package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// maxProblems bounds what one answer holds: a generated file can be wrong a million times, and
// nobody reads beyond the first screens.
const maxProblems = 1000

// problems are the errors of all files of one Parse.
type problems struct {
	list    []located
	dropped int
	budget  int // comparisons left for suggestions, so that many errors in a huge file stay cheap
}

type located struct {
	file int
	err  *flow.Error
}

func (p *problems) add(file int, e *flow.Error) {
	if len(p.list) >= 4*maxProblems { // sorted before it is cut; bounded even so
		p.dropped++
		return
	}
	p.list = append(p.list, located{file, e})
}

// errors returns them by place. Two of the same place and words, from an anchor used twice, are one.
func (p *problems) errors() flow.Errors {
	slices.SortStableFunc(p.list, func(a, b located) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.err.Line, b.err.Line), cmp.Compare(a.err.Column, b.err.Column))
	})
	var out flow.Errors
	for i, l := range p.list {
		if i > 0 && *l.err == *p.list[i-1].err {
			continue
		}
		if len(out) == maxProblems {
			p.dropped += len(p.list) - i
			break
		}
		out = append(out, l.err)
	}
	if p.dropped > 0 {
		last := *out[len(out)-1]
		last.Field, last.Suggestion = "", ""
		last.Message = fmt.Sprintf("and %d more errors; mend these first", p.dropped)
		out = append(out, &last)
	}
	return out
}

// reader reads one file. It has no state between documents but the problems found.
type reader struct {
	file     int
	source   *source
	types    *typeTable
	problems *problems
}

// fail reports at a value.
func (r *reader) fail(v value, format string, args ...any) *flow.Error {
	return r.failAt(v.node.Line, v.node.Column, v.path(), flow.CodeInvalidFile, fmt.Sprintf(format, args...))
}

// expected reports a value of the wrong kind.
func (r *reader) expected(v value, want string) *flow.Error {
	if v.isNull() && strings.Contains(want, "text") {
		return r.fail(v, `expected %s, found nothing; write "" for an empty text`, want)
	}
	return r.fail(v, "expected %s, found %s", want, v.found())
}

func (r *reader) failAt(line, column int, field string, code flow.Code, message string) *flow.Error {
	e := &flow.Error{Code: code, Message: message, Field: field, File: r.source.Name, Line: max(line, 1), Column: max(column, 1)}
	r.problems.add(r.file, e)
	return e
}

// suggest completes an error about a wrong name: the nearest valid one, else all of them where they
// are few enough to read.
func (r *reader) suggest(e *flow.Error, name string, valid []string, noun string) {
	if near := r.problems.nearest(name, valid); near != "" {
		e.Suggestion = near
		e.Message += fmt.Sprintf("; did you mean %q?", near)
		return
	}
	if len(valid) > 0 && len(valid) <= 40 && noun != "" {
		e.Message += "; " + noun + " " + strings.Join(valid, ", ")
	}
}
