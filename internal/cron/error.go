// The error of this package: where in the expression, what was expected, what to write instead.

package cron

import (
	"fmt"
	"slices"
	"strings"
)

// The codes of an [Error]. They are part of the published contract.
const (
	CodeBadCron     = "bad_cron"     // of a schedule
	CodeBadCalendar = "bad_calendar" // of a calendar
)

// Error says what is wrong with a schedule or a calendar and what to write instead.
type Error struct {
	Code       string // CodeBadCron or CodeBadCalendar
	Message    string // a sentence, with place and remedy
	Field      string // the field at fault, such as "hour" or "holidays"; empty: the whole
	Position   int    // the field's number, or the entry's in a list of a calendar, from 1; 0: the whole
	Offset     int    // byte offset of the fault in the expression
	Suggestion string // the nearest valid word or expression, if there is one; also part of Message
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func errorf(format string, args ...any) *Error {
	return &Error{Code: CodeBadCron, Message: fmt.Sprintf(format, args...)}
}

// suggesting completes an error with what to write instead; "" is nothing.
func (e *Error) suggesting(word string) *Error {
	if word != "" {
		e.Suggestion = word
		e.Message += fmt.Sprintf("; did you mean %q?", word)
	}
	return e
}

// instead completes an error about one sign with the one to write in its place.
func (e *Error) instead(sign string) *Error {
	e.Suggestion = sign
	e.Message += fmt.Sprintf("; write %q here", sign)
	return e
}

// nearest returns the valid word that a wrong one was likely meant to be, "" when none is near.
func nearest(word string, valid []string) string {
	word = strings.ToUpper(word)
	for _, v := range valid {
		if strings.HasPrefix(word, strings.ToUpper(v)) || sameLetters(word, strings.ToUpper(v)) {
			return v // MONDAY, MNO
		}
	}
	for _, v := range valid {
		if u := strings.ToUpper(v); 3*alike(word, u) >= 2*max(len(word), len(u)) {
			return v // MOM, DAYLY
		}
	}
	return ""
}

// alike counts the letters that two words share at their beginnings and at their ends.
func alike(a, b string) int {
	n, shorter := 0, min(len(a), len(b))
	for n < shorter && a[n] == b[n] {
		n++
	}
	for end := 1; n < shorter && a[len(a)-end] == b[len(b)-end]; end++ {
		n++
	}
	return n
}

func sameLetters(a, b string) bool {
	x, y := []byte(a), []byte(b)
	slices.Sort(x)
	slices.Sort(y)
	return string(x) == string(y)
}
