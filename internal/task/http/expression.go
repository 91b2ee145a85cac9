// Expressions over an answer, and over the environment for secret headers.

package http

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// maxExpression bounds the text; memory is bounded by the library, time by forbidding loops in
// loops.
const maxExpression = 4 << 10

// answerNames are the names in `success` and `outputs`.
type answerNames struct {
	Status  int               `expr:"status"`
	Headers map[string]string `expr:"headers"`
	Body    any               `expr:"body"`
}

// secretNames are the names in `secret_headers`.
type secretNames struct {
	Env map[string]string `expr:"env"`
}

// compile checks an expression against names, one of the structs above.
func compile(text string, names any) (*vm.Program, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d KiB", maxExpression>>10)
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, oneLine(text, err)
	}
	bound := &loops{}
	ast.Walk(&tree.Node, bound)
	if bound.nested {
		return nil, fmt.Errorf("expression %s: a function over a list cannot stand inside another one; compute it in a task", text)
	}
	program, err := expr.Compile(text, expr.Env(names))
	if err != nil {
		return nil, oneLine(text, err)
	}
	return program, nil
}

// loops finds loops in loops: over a large answer they would keep the worker busy for hours, and
// nothing can interrupt them.
type loops struct{ nested bool }

// Visit is called for every node.
func (l *loops) Visit(node *ast.Node) {
	outer, ok := (*node).(*ast.PredicateNode)
	if !ok || l.nested {
		return
	}
	inner := &firstLoop{}
	ast.Walk(&outer.Node, inner)
	l.nested = inner.found
}

type firstLoop struct{ found bool }

// Visit is called for every node.
func (f *firstLoop) Visit(node *ast.Node) {
	if _, ok := (*node).(*ast.PredicateNode); ok {
		f.found = true
	}
}

// evaluate computes an expression. A value that is not there (a missing field or header) is nil.
func evaluate(text string, names any) (any, error) {
	program, err := compile(text, names)
	if err != nil {
		return nil, err
	}
	value, err := expr.Run(program, names)
	if err != nil {
		return nil, oneLine(text, err)
	}
	return value, nil
}

// oneLine drops the picture the library draws below its message.
func oneLine(text string, err error) error {
	message, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("expression %s: %s", text, message)
}
