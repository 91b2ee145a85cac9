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
func (r *running) failure(part string, st *statement, err error) error {
	told, ok := r.dialect.explain(err)
	if !ok {
		return &task.Failure{Cause: causeConnect, Message: part, Err: err}
	}
	message := part
	if st != nil {
		line := st.line
		switch {
		case told.line > 0:
			line += told.line - 1
		case told.offset >= 0:
			line = st.lineOf(told.offset)
		}
		message = fmt.Sprintf("%s, line %d", part, line)
	}
	return &task.Failure{Cause: "sql:" + told.code, Message: message + ": " + told.message}
}

// connectFailure tells why there is no connection.
func connectFailure(ctx context.Context, d dialect, a *task.Attempt, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("sql: connect: %w", context.Cause(ctx))
	}
	var failure *task.Failure
	if errors.As(err, &failure) {
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
