// Integer arithmetic of time placeholders: + - * / ( ), unary signs, checked for overflow.

package param

import (
	"math"
	"strconv"
)

// maxNesting bounds the recursion of the hand-written parsers.
const maxNesting = 64

// arith is a recursive-descent evaluator over one expression.
//
//	sum     := product {("+"|"-") product}
//	product := factor {("*"|"/") factor}
//	factor  := ("+"|"-") factor | "(" sum ")" | digits
//
// Signs bind tighter than any operator; division truncates towards zero.
type arith struct {
	text  string
	pos   int
	depth int
}

// evalInt computes an integer expression. Offsets of its errors count in text.
func evalInt(text string) (int64, error) {
	a := arith{text: text}
	v, err := a.sum()
	if err != nil {
		return 0, err
	}
	if a.peek() != 0 {
		return 0, a.fault("unexpected %q in the number %q", a.text[a.pos:a.pos+1], text)
	}
	return v, nil
}

func (a *arith) fault(format string, args ...any) error {
	return errorAt(CodePlaceholder, a.pos, format+"; write an integer expression such as 1, -7*2 or (1+2)*7", args...)
}

// peek skips blanks and returns the next byte, 0 at the end.
func (a *arith) peek() byte {
	for a.pos < len(a.text) && a.text[a.pos] == ' ' {
		a.pos++
	}
	if a.pos == len(a.text) {
		return 0
	}
	return a.text[a.pos]
}

func (a *arith) sum() (int64, error) {
	v, err := a.product()
	for err == nil {
		op := a.peek()
		if op != '+' && op != '-' {
			return v, nil
		}
		v, err = a.binary(v, op, a.product)
	}
	return 0, err
}

func (a *arith) product() (int64, error) {
	v, err := a.factor()
	for err == nil {
		op := a.peek()
		if op != '*' && op != '/' {
			return v, nil
		}
		v, err = a.binary(v, op, a.factor)
	}
	return 0, err
}

func (a *arith) binary(left int64, op byte, next func() (int64, error)) (int64, error) {
	at := a.pos
	a.pos++
	right, err := next()
	if err != nil {
		return 0, err
	}
	if op == '/' && right == 0 {
		return 0, errorAt(CodePlaceholder, at, "division by zero in %q", a.text)
	}
	v, ok := apply(left, op, right)
	if !ok {
		return 0, errorAt(CodePlaceholder, at, "the result of %q is too large", a.text)
	}
	return v, nil
}

func (a *arith) factor() (int64, error) {
	if a.depth++; a.depth > maxNesting {
		return 0, a.fault("more than %d signs and brackets inside each other", maxNesting)
	}
	defer func() { a.depth-- }()
	switch c := a.peek(); {
	case c == '+':
		a.pos++
		return a.factor()
	case c == '-':
		a.pos++
		v, err := a.factor()
		return -v, err // literals are positive and sums checked: MinInt64 cannot be reached
	case c == '(':
		a.pos++
		v, err := a.sum()
		if err != nil {
			return 0, err
		}
		if a.peek() != ')' {
			return 0, a.fault("a closing bracket is missing in %q", a.text)
		}
		a.pos++
		return v, nil
	case c >= '0' && c <= '9':
		start := a.pos
		for a.pos < len(a.text) && a.text[a.pos] >= '0' && a.text[a.pos] <= '9' {
			a.pos++
		}
		v, err := strconv.ParseInt(a.text[start:a.pos], 10, 64)
		if err != nil {
			return 0, errorAt(CodePlaceholder, start, "the number %s is too large", a.text[start:a.pos])
		}
		return v, nil
	case c == 0:
		return 0, a.fault("a number is missing at the end of %q", a.text)
	default:
		return 0, a.fault("%q is not a number", a.text[a.pos:])
	}
}

// apply computes one operation; ok is false on overflow (math.MinInt64 counts as one).
func apply(x int64, op byte, y int64) (v int64, ok bool) {
	switch op {
	case '+':
		v = x + y
		ok = (v > x) == (y > 0)
	case '-':
		v = x - y
		ok = (v < x) == (y > 0)
	case '*':
		v = x * y
		ok = x == 0 || v/x == y
	case '/':
		v, ok = x/y, true
	}
	return v, ok && v != math.MinInt64
}
