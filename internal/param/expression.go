// Expressions over parameters: ${{ … }}, switch.when, loop.until.

package param

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// Limits of one expression. With them a single evaluation ends within a moment
// whatever the text and the values say; see budget.
const (
	maxExpression    = 4096     // bytes of text
	maxNodes         = 256      // nodes of the syntax tree
	maxExprValue     = 64 << 10 // bytes of one value an expression sees
	maxExprElements  = 100_000  // elements of lists made on the way
	maxExprWork      = 1_000_000
	exprWorkPerBytes = 64
)

// Expression is a compiled expression. It is immutable and safe for concurrent use.
//
// Parameters are written by name: region == "eu", limit * 2 > 10. Other names
// are reached as params["每日-limit"], outputs of one task as extract.count or
// tasks["每日-订单"].count, built-in ones as system.biz.date. Values have the
// type of their declaration, without one they are text. Comparing text to a
// number is an error. There is no I/O and no clock.
type Expression struct {
	text    string
	names   []exprName
	program *vm.Program
}

// CompileExpression compiles an expression. Errors are bad_expression and
// too_large; whether its names mean anything is only known in a scope, see [Expression.Refs].
func CompileExpression(text string) (*Expression, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errorAt(CodeExpression, 0, `the expression is empty; write one such as region == "eu"`)
	}
	if len(text) > maxExpression {
		return nil, errorAt(CodeTooLarge, maxExpression, "the expression has %d bytes; at most %d are allowed", len(text), maxExpression)
	}
	config := conf.CreateNew()
	config.MaxNodes = maxNodes
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, exprError(text, err)
	}
	g := guard{text: text}
	g.inspect(tree.Node)
	if g.err != nil {
		return nil, g.err
	}
	options := append(strictOptions(), expr.MaxNodes(2*maxNodes), expr.Optimize(false))
	program, err := expr.Compile(text, options...)
	if err != nil {
		return nil, exprError(text, err)
	}
	return &Expression{text: text, names: g.names, program: program}, nil
}

// Text returns the expression as it was written.
func (e *Expression) Text() string { return e.text }

// Refs lists the names it mentions, repeated ones once, at their first place.
// The name of an output is qualified: "extract.count".
func (e *Expression) Refs() []Ref {
	refs := make([]Ref, len(e.names))
	for i, n := range e.names {
		refs[i] = Ref{Name: n.name(), Offset: n.offset}
		if n.key == "" {
			refs[i].Root = n.root
		}
	}
	return refs
}

// Eval computes the expression. The result is a string, int, float64, bool,
// []any, map[string]any or nil. Errors: bad_expression, too_large, and those of
// [Scope.Lookup].
func (e *Expression) Eval(scope *Scope) (any, error) {
	r := resolver{scope: scope}
	return e.eval(&r)
}

// EvalBool computes a condition; a result that is not true or false is bad_expression.
func (e *Expression) EvalBool(scope *Scope) (bool, error) {
	v, err := e.Eval(scope)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, errorAt(CodeExpression, 0, "the condition %q gives %s, not true or false; compare it to something", e.text, kindOf(v))
	}
	return b, nil
}

func (e *Expression) eval(r *resolver) (any, error) {
	env, err := e.env(r)
	if err != nil {
		return nil, err
	}
	machine := vm.VM{MemoryBudget: maxExprElements}
	v, err := machine.Run(e.program, env)
	if err != nil {
		fault := exprError(e.text, err)
		if strings.HasPrefix(fault.Message, "invalid operation") { // of values whose types do not fit
			fault.Message += declareType
		}
		return nil, fault
	}
	return v, nil
}

// render computes the expression as a text: a list or map as JSON.
func (e *Expression) render(r *resolver) (string, error) {
	v, err := e.eval(r)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case nil:
		return "", errorAt(CodeExpression, 0, "%q has no value", e.text)
	}
	if sizeOf(v) > MaxText {
		return "", errorAt(CodeTooLarge, 0, "the value of %q has more than %d bytes", e.text, MaxText)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", errorAt(CodeExpression, 0, "the value of %q cannot be written as text: %v", e.text, err)
	}
	return string(b), nil
}

// exprError translates an error of expr-lang, whose positions count runes. One
// that the strict operators raised keeps its words and gets its place.
func exprError(text string, err error) *Error {
	e := &Error{Code: CodeExpression, Message: err.Error()}
	if f, ok := errors.AsType[*file.Error](err); ok {
		e.Message, e.Offset = f.Message, byteOffset(text, f.From)
		if strings.Contains(f.Message, "memory budget") || strings.Contains(f.Message, "maximum allowed nodes") {
			e.Code = CodeTooLarge
		}
	}
	if own, ok := errors.AsType[*Error](err); ok {
		e.Code, e.Message = own.Code, own.Message
	}
	return e
}

func byteOffset(text string, runes int) int {
	for i := range text {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(text)
}
