// The error of this package: a code for machines, a sentence with the remedy for people.

package param

import (
	"errors"
	"fmt"

	"baton/internal/flow"
)

// Codes of [Error]. They are part of the published contract; never rename one.
const (
	CodePlaceholder      = "bad_placeholder"    // a $[…] that is not of the grammar or cannot be computed
	CodeReference        = "bad_reference"      // a ${…} that is malformed, or stands where it may not
	CodeExpression       = "bad_expression"     // an expression that does not compile or fails
	CodeUnknownParameter = "unknown_parameter"  // a name that resolves to nothing
	CodeUnknownTask      = "unknown_task"       // an expression over upstreams names no upstream
	CodeCycle            = "parameter_cycle"    // parameters that need each other
	CodeMissing          = "missing_parameter"  // a required parameter was not given
	CodeBadValue         = "bad_parameter"      // a value that breaks its type or enum
	CodeBadName          = "bad_parameter_name" // a name that no parameter may have
	CodeTooLarge         = "too_large"          // a text or an amount of work beyond the limits
)

// Error says what is wrong with a text and what to write instead.
type Error struct {
	Code       string // one of the Code constants
	Message    string // a sentence, with the remedy
	Offset     int    // byte offset of the fault in the text
	Param      string // the parameter whose text Offset counts in; empty: the text that was passed in
	Suggestion string // the nearest valid name, when the fault is a name; also part of Message
}

// Error returns the message, led by the parameter at fault when it is not the text itself.
func (e *Error) Error() string {
	if e.Param != "" {
		return fmt.Sprintf("parameter %q: %s", e.Param, e.Message)
	}
	return e.Message
}

func errorAt(code string, offset int, format string, args ...any) *Error {
	return &Error{Code: code, Offset: offset, Message: fmt.Sprintf(format, args...)}
}

// suggest completes an error about an unknown name with the nearest of the valid ones.
func (e *Error) suggest(name string, valid []string) *Error {
	if best := flow.Nearest(name, valid); best != "" {
		e.Suggestion = best
		e.Message += fmt.Sprintf("; did you mean %q?", best)
	}
	return e
}

// in names the parameter whose own text the error is about, unless a deeper one is named already.
func in(name string, err error) error {
	if name == "" || err == nil {
		return err
	}
	var e *Error
	if !errors.As(err, &e) || e.Param != "" {
		return err
	}
	c := *e
	c.Param = name
	return &c
}

// shift moves an error found in a part of a text to its place in the whole.
func shift(err error, by int) error {
	if by == 0 || err == nil {
		return err
	}
	var e *Error
	if !errors.As(err, &e) || e.Param != "" {
		return err
	}
	c := *e
	c.Offset += by
	return &c
}
