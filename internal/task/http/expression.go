// Expressions over an answer, and over the environment for secret headers.

package http

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// maxExpression bounds the text; the work is bounded by the library's memory budget.
const maxExpression = 4 << 10

// The names an expression may use, with values of their types.
var (
	answerNames = map[string]any{"status": 0, "headers": map[string]string{}, "body": any(nil)}
	secretNames = map[string]any{"env": map[string]string{}}
)

func compile(text string, names map[string]any) (*vm.Program, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d KiB", maxExpression>>10)
	}
	program, err := expr.Compile(text, expr.Env(names))
	if err != nil {
		return nil, oneLine(text, err)
	}
	return program, nil
}

// evaluate computes an expression. A value that is not there (a missing field or header) is nil.
func evaluate(text string, names, env map[string]any) (any, error) {
	program, err := compile(text, names)
	if err != nil {
		return nil, err
	}
	value, err := expr.Run(program, env)
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
