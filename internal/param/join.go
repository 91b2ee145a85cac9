// Conditions over the tasks upstream: join rules and conditions.if.

package param

import (
	"slices"
)

// Upshot is how a task upstream ended, as flags: what the fields of a join
// expression ask for.
type Upshot uint8

// The flags. A row that was disabled or skipped by hand is Skipped and
// Succeeded; one whose branch was not taken is Skipped alone.
const (
	Succeeded Upshot = 1 << iota // also forced_success, disabled, skipped by hand
	Failed                       // failed or killed
	Killed
	Skipped
	Unreached
	Ended // whatever of the above it is; 0 while it has not
)

var upshotNames = map[string]Upshot{
	"succeeded": Succeeded, "failed": Failed, "killed": Killed, "skipped": Skipped, "unreached": Unreached, "ended": Ended,
}

// Join is a compiled condition over upstreams. It is immutable and safe for concurrent use.
type Join struct {
	text  string
	tasks []string
	names []string
	root  joinNode
}

// CompileJoin compiles a join rule (all_succeeded, any_succeeded, none_failed,
// all_done) or an expression over upstreams:
//
//	eu.succeeded and not tasks["每日-订单"].failed
//
// with succeeded failed killed skipped unreached ended, and or not ( ), && || !.
// tasks are the upstreams, the only names allowed. Errors: bad_expression,
// unknown_task, too_large.
func CompileJoin(text string, tasks []string) (*Join, error) {
	if len(text) > maxExpression {
		return nil, errorAt(CodeTooLarge, maxExpression, "the expression has %d bytes; at most %d are allowed", len(text), maxExpression)
	}
	j := &Join{text: text, tasks: slices.Clone(tasks)}
	p := joinParser{lexer: joinLexer{text: text}, tasks: j.tasks}
	p.next()
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.token.kind != tokenEnd {
		return nil, p.unexpected("and, or, or the end")
	}
	slices.Sort(p.names)
	j.root, j.names = root, slices.Compact(p.names)
	return j, nil
}

// Text returns the condition as it was written.
func (j *Join) Text() string { return j.text }

// Names lists the tasks the condition names, sorted; the rules name none.
func (j *Join) Names() []string { return j.names }

// Eval decides the condition. upshot is asked for a task's flags, perhaps
// several times; every task must have ended for the answer to be final.
func (j *Join) Eval(upshot func(task string) Upshot) bool {
	return j.root.eval(j.tasks, upshot)
}

// joinNode is a node of the syntax tree.
type joinNode interface {
	eval(tasks []string, upshot func(string) Upshot) bool
}

type (
	joinAnd  struct{ left, right joinNode }
	joinOr   struct{ left, right joinNode }
	joinNot  struct{ node joinNode }
	joinTask struct {
		task string
		flag Upshot
	}
	joinRule string
)

func (n joinAnd) eval(tasks []string, upshot func(string) Upshot) bool {
	return n.left.eval(tasks, upshot) && n.right.eval(tasks, upshot)
}

func (n joinOr) eval(tasks []string, upshot func(string) Upshot) bool {
	return n.left.eval(tasks, upshot) || n.right.eval(tasks, upshot)
}

func (n joinNot) eval(tasks []string, upshot func(string) Upshot) bool {
	return !n.node.eval(tasks, upshot)
}

func (n joinTask) eval(_ []string, upshot func(string) Upshot) bool {
	return upshot(n.task)&n.flag != 0
}

// The join rules.
const (
	AllSucceeded = "all_succeeded" // all that a branch did not leave out succeeded, and there is one; the default
	AnySucceeded = "any_succeeded"
	NoneFailed   = "none_failed" // none failed, was killed or is unreached
	AllDone      = "all_done"
)

// JoinRules lists the join rules.
func JoinRules() []string { return []string{AllSucceeded, AnySucceeded, NoneFailed, AllDone} }

func (n joinRule) eval(tasks []string, upshot func(string) Upshot) bool {
	succeeded, leftOut, lost, ended := 0, 0, 0, 0
	for _, t := range tasks {
		u := upshot(t)
		switch {
		case u&Succeeded != 0:
			succeeded++
		case u&Skipped != 0:
			leftOut++
		}
		if u&(Failed|Killed|Unreached) != 0 {
			lost++
		}
		if u&Ended != 0 {
			ended++
		}
	}
	switch n {
	case AnySucceeded:
		return succeeded > 0
	case NoneFailed:
		return lost == 0
	case AllDone:
		return ended == len(tasks)
	default:
		return succeeded > 0 && succeeded+leftOut == len(tasks)
	}
}
