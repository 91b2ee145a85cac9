// The one error that crosses the edge to a person or a program outside.

package flow

import (
	"errors"
	"fmt"
)

// Code is the stable name of what went wrong; programs match on it, so it never changes.
type Code string

// The codes of the core. A package may add its own; each maps to one HTTP status and exit code
// at the edge.
const (
	CodeBadRequest   Code = "bad_request"
	CodeInvalidFile  Code = "invalid_file"
	CodeNotSupported Code = "not_supported"
	CodeNotFound     Code = "not_found"
	CodeNotAllowed   Code = "not_allowed"
	CodeUnauthorized Code = "unauthorized"
	CodeConflict     Code = "conflict"
	CodeTooLarge     Code = "too_large"
	CodeUnavailable  Code = "unavailable"
	CodeTimeout      Code = "timeout"
	CodeInternal     Code = "internal"
)

// Error is a failure told in words a person can act on. Field names the input at fault; File,
// Line and Column its place when it came from a file (1-based, 0 unknown); Suggestion is the
// nearest valid name, if one is near.
type Error struct {
	Code       Code   `json:"code"`
	Message    string `json:"message"`
	Field      string `json:"field,omitempty"`
	File       string `json:"file,omitempty"`
	Line       int    `json:"line,omitempty"`
	Column     int    `json:"column,omitempty"`
	Suggestion string `json:"suggestion,omitempty"`
}

func (e *Error) Error() string {
	switch {
	case e.File != "" && e.Line > 0:
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	case e.File != "":
		return e.File + ": " + e.Message
	default:
		return e.Message
	}
}

// Errorf makes an Error with a formatted message.
func Errorf(code Code, field, format string, args ...any) *Error {
	return &Error{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the first Error in err's chain, internal for any other error.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Errors are several found at once, in the order of their places; it is what file validation
// returns, so that a person mends everything in one go.
type Errors []*Error

func (es Errors) Error() string {
	if len(es) == 0 {
		return "no errors"
	}
	if len(es) == 1 {
		return es[0].Error()
	}
	return fmt.Sprintf("%s (and %d more)", es[0].Error(), len(es)-1)
}

// Unwrap lets errors.As find each of them.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// OutrunError tells that a hello came late: a later one of the same home was answered already.
type OutrunError struct{ Hello int64 } // the number of that one

func (e *OutrunError) Error() string {
	return fmt.Sprintf("a later hello of this home, %d, was answered already", e.Hello)
}

// ErrFenced tells a node that others hold it for dead: it must write nothing more and stop.
var ErrFenced = errors.New("fenced: this incarnation was declared dead by another node")
