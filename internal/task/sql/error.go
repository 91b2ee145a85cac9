// Errors: the database's own code as cause, the line of the script, never a password.

package sql

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"baton/internal/task"
)

// Causes besides sql:CODE with the database's code.
const (
	causeConnect = "sql:connect"
	causeScript  = "sql:script"
	causeResult  = "sql:result"
)

// failure tells where in the script an error arose.
func (r *running) failure(part string, st *step, err error) error {
	told, ok := r.dialect.explain(err)
	if !ok {
		return &task.Failure{Cause: causeConnect, Message: part, Err: err}
	}
	message := part
	if st != nil {
		message = fmt.Sprintf("%s, line %d", part, st.line+told.linesBefore(st.bound))
	}
	return &task.Failure{Cause: "sql:" + told.code, Message: message + ": " + told.message}
}

// linesBefore returns how many lines of the statement as it was sent lie before the error. Binding
// adds and removes none, so they are the lines of the script.
func (e dbError) linesBefore(sent string) int {
	if e.line > 0 {
		return e.line - 1
	}
	lines, chars := 0, 0
	for _, r := range sent {
		if chars++; chars >= e.char {
			break
		}
		if r == '\n' {
			lines++
		}
	}
	return lines
}

// connectFailure tells why there is no connection.
func connectFailure(ctx context.Context, d dialect, a *task.Attempt, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("sql: connect: %w", context.Cause(ctx))
	}
	if failure, ok := errors.AsType[*task.Failure](err); ok {
		return failure
	}
	cause := causeConnect
	message := err.Error()
	if told, ok := d.explain(err); ok {
		cause, message = "sql:"+told.code, told.message
	}
	return &task.Failure{Cause: cause, Message: fmt.Sprintf("data source %s: connect: %s", a.Source.Name, withoutPassword(message, a))}
}

// withoutPassword is the net below the drivers, which name no password themselves.
func withoutPassword(message string, a *task.Attempt) string {
	if a.Password == "" {
		return message
	}
	return strings.ReplaceAll(message, a.Password, "***")
}
