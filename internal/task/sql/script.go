// The script of an attempt: what runs, in which order, with which values.

package sql

import (
	"fmt"
	"slices"
	"strconv"

	"baton/internal/task"
)

// step is one statement, ready to run.
type step struct {
	*statement
	part  string // pre[1], sql, post
	bound string
	args  []any
	wants bool // its rows are the result
}

type script struct {
	steps       []step
	transaction bool
	maxRows     int64 // -1: all
	saveAs      string
}

func readScript(a *task.Attempt, d dialect) (*script, error) {
	o := schema.Read(a.Options)
	s := &script{transaction: o.Bool("transaction"), maxRows: -1, saveAs: o.Text("save_as")}
	if o.Has("max_rows") {
		s.maxRows = max(o.Integer("max_rows"), 0)
	}
	pre, main, post := o.Texts("pre"), o.Text("sql"), o.Texts("post")
	declared, err := readParams(o.Raw("params"), finalValues)
	if err == nil {
		err = o.Err()
	}
	if err != nil {
		return nil, &task.Failure{Cause: task.CauseOptions, Message: err.Error()}
	}
	b := binder{dialect: d, params: declared.withAttempt(a), declared: len(declared) > 0}
	for i, text := range pre {
		b.add(partName("pre", i, len(pre)), text, false)
	}
	before := len(b.steps)
	b.add("sql", main, true)
	if b.err == nil && len(b.steps) == before {
		b.err = fmt.Errorf("sql: there is no statement in it")
	}
	for i, text := range post {
		b.add(partName("post", i, len(post)), text, false)
	}
	s.steps = b.steps
	if b.err == nil {
		b.err = s.checkSteps()
	}
	if b.err != nil {
		return nil, &task.Failure{Cause: causeScript, Message: b.err.Error()}
	}
	return s, nil
}

func partName(name string, i, n int) string {
	if n == 1 {
		return name
	}
	return name + "[" + strconv.Itoa(i+1) + "]"
}

// binder collects steps until the first error.
type binder struct {
	dialect  dialect
	params   params
	declared bool
	steps    []step
	err      error
}

func (b *binder) add(part, text string, wants bool) {
	if b.err != nil {
		return
	}
	statements, err := b.dialect.lexis().split(text)
	if err != nil {
		b.err = fmt.Errorf("%s, %w", part, err)
		return
	}
	for i := range statements {
		st := &statements[i]
		bound, args, err := b.params.bind(st, b.declared, b.dialect.placeholder)
		if err != nil {
			b.err = fmt.Errorf("%s, %w", part, err)
			return
		}
		b.steps = append(b.steps, step{statement: st, part: part, bound: bound, args: args, wants: wants})
	}
}

// checkSteps refuses what would undo the promise of one transaction or wait for input for ever.
func (s *script) checkSteps() error {
	var open *step
	for i := range s.steps {
		st := &s.steps[i]
		if s.transaction && st.controls() {
			return fmt.Errorf("%s, line %d: %s would end the transaction that holds pre, sql and post; set `transaction: false` to write transactions yourself", st.part, st.line, st.head[0])
		}
		if st.copies {
			return fmt.Errorf("%s, line %d: COPY with STDIN or STDOUT needs a client; use `save_as`, or psql in a shell task", st.part, st.line)
		}
		if st.opens() {
			open = st
		} else if st.controls() {
			open = nil
		}
	}
	if open != nil {
		return fmt.Errorf("%s, line %d: the transaction that begins here is never committed", open.part, open.line)
	}
	return nil
}

// opens tells whether the statement begins a transaction. BEGIN NOT ATOMIC is a block of MariaDB.
func (s *statement) opens() bool {
	return s.head[0] == "BEGIN" && s.head[1] != "NOT" || s.head[0] == "START" && s.head[1] == "TRANSACTION"
}

// controls tells whether the statement begins or ends a transaction.
func (s *statement) controls() bool {
	switch s.head[0] {
	case "COMMIT", "END", "ABORT":
		return true
	case "ROLLBACK":
		return s.head[1] != "TO"
	default:
		return s.opens()
	}
}

func (s *script) stateful() bool {
	return slices.ContainsFunc(s.steps, func(st step) bool { return st.stateful })
}

// reads tells whether nothing but queries are in the script, as far as the first word says.
func (s *script) reads() bool {
	return !slices.ContainsFunc(s.steps, func(st step) bool {
		return !slices.Contains([]string{"SELECT", "VALUES", "EXPLAIN", "TABLE", "SHOW"}, st.head[0])
	})
}
