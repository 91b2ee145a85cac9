// How a command's own error looks: to people, and with -o json to programs.

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"baton/internal/flow"
)

// errorDocument is the form of the contract: the first error, and all of a file.
type errorDocument struct {
	Error  *flow.Error   `json:"error"`
	Errors []*flow.Error `json:"errors,omitempty"`
}

func documentOf(err error) errorDocument {
	var many flow.Errors
	if errors.As(err, &many) && len(many) > 0 {
		return errorDocument{Error: many[0], Errors: many}
	}
	var e *flow.Error
	var usage usageError
	switch {
	case errors.As(err, &usage): // what was wrapped around the cause names the flag
		out := &flow.Error{Code: flow.CodeBadRequest, Message: usage.Error()}
		if errors.As(err, &e) {
			out.Field, out.Suggestion = e.Field, e.Suggestion
		}
		return errorDocument{Error: out}
	case errors.As(err, &e):
		return errorDocument{Error: e}
	default:
		return errorDocument{Error: &flow.Error{Code: codeOf(err), Message: err.Error()}}
	}
}

func printErrorJSON(w io.Writer, err error) {
	doc := documentOf(err)
	if doc.Error.Code == flow.CodeInvalidFile && len(doc.Errors) == 0 {
		doc.Errors = []*flow.Error{doc.Error}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(doc) // stderr is gone; the exit code remains
}

// printError writes each error on a line of its own, places first, as compilers do.
func printError(w io.Writer, err error) {
	doc := documentOf(err)
	if len(doc.Errors) == 0 {
		say(w, "baton: %s\n", withSuggestion(doc.Error))
		return
	}
	for _, e := range doc.Errors {
		say(w, "%s\n", withSuggestion(e))
	}
	if n := len(doc.Errors); n > 1 {
		say(w, "baton: %d errors\n", n)
	}
}

// say writes to a person. When they are gone there is nobody to tell.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

func withSuggestion(e *flow.Error) string {
	if e.Suggestion == "" || strings.Contains(e.Message, "did you mean") || strings.Contains(e.Message, strconv.Quote(e.Suggestion)) {
		return e.Error()
	}
	return fmt.Sprintf("%s (did you mean %q?)", e.Error(), e.Suggestion)
}
