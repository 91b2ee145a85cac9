// Errors at the edge: flow.Code becomes an HTTP status here and nowhere else.

package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"baton/internal/flow"
)

// Problem is the body of every error, application/problem+json (RFC 9457) with a stable code.
type Problem struct { //nolint:errname // as RFC 9457 names it, in the document too
	Title      string       `json:"title" doc:"The status in words"`
	Status     int          `json:"status" doc:"The HTTP status"`
	Code       flow.Code    `json:"code" doc:"Stable name of what went wrong; programs match on it"`
	Detail     string       `json:"detail" doc:"What went wrong and what to do, for people"`
	Field      string       `json:"field,omitempty" doc:"The input at fault"`
	File       string       `json:"file,omitempty" doc:"The file at fault"`
	Line       int          `json:"line,omitempty" doc:"Line in it, from 1"`
	Column     int          `json:"column,omitempty" doc:"Column in it, from 1"`
	Suggestion string       `json:"suggestion,omitempty" doc:"The nearest valid name"`
	Errors     []flow.Error `json:"errors,omitempty" doc:"Everything that is wrong, when there is more to say than the first"`
}

// Error makes a Problem an error; huma finds it in the chain and writes it.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType marks the body as a problem.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

var statusOf = map[flow.Code]int{
	flow.CodeBadRequest:   http.StatusBadRequest,
	flow.CodeInvalidFile:  http.StatusUnprocessableEntity,
	flow.CodeNotSupported: http.StatusUnprocessableEntity,
	flow.CodeNotFound:     http.StatusNotFound,
	flow.CodeNotAllowed:   http.StatusForbidden,
	flow.CodeUnauthorized: http.StatusUnauthorized,
	flow.CodeConflict:     http.StatusConflict,
	flow.CodeTooLarge:     http.StatusRequestEntityTooLarge,
	flow.CodeUnavailable:  http.StatusServiceUnavailable,
	flow.CodeTimeout:      http.StatusGatewayTimeout,
	flow.CodeInternal:     http.StatusInternalServerError,
}

// status of a code; a package's own codes (bad_cron, …) are faults of the request.
func status(code flow.Code) int {
	if s, known := statusOf[code]; known {
		return s
	}
	return http.StatusBadRequest
}

func problemOf(e *flow.Error) *Problem {
	s := status(e.Code)
	return &Problem{
		Title: http.StatusText(s), Status: s, Code: e.Code, Detail: e.Message, Field: e.Field,
		File: e.File, Line: e.Line, Column: e.Column, Suggestion: e.Suggestion,
	}
}

// problem turns any error into what the caller sees. What is not a flow.Error is logged and
// hidden: it may hold SQL or paths.
func problem(err error, log *slog.Logger, op string) *Problem {
	var many flow.Errors
	if errors.As(err, &many) && len(many) > 0 {
		p := problemOf(many[0])
		for _, e := range many {
			p.Errors = append(p.Errors, *e)
		}
		return p
	}
	var e *flow.Error
	if errors.As(err, &e) && e.Code != flow.CodeInternal {
		return problemOf(e)
	}
	if errors.Is(err, context.Canceled) { // who asked is gone, or the server stops
		return problemOf(flow.Errorf(flow.CodeUnavailable, "", "the request was given up"))
	}
	log.Error("request failed", slog.String("operation", op), slog.Any("error", err))
	return problemOf(flow.Errorf(flow.CodeInternal, "", "internal error in %s; the server's log says more", op))
}

// codeOfStatus names what huma itself refuses.
func codeOfStatus(status int) flow.Code {
	switch status {
	case http.StatusUnauthorized:
		return flow.CodeUnauthorized
	case http.StatusForbidden:
		return flow.CodeNotAllowed
	case http.StatusNotFound:
		return flow.CodeNotFound
	case http.StatusConflict:
		return flow.CodeConflict
	case http.StatusRequestEntityTooLarge:
		return flow.CodeTooLarge
	case http.StatusServiceUnavailable:
		return flow.CodeUnavailable
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return flow.CodeTimeout
	}
	if status >= http.StatusInternalServerError {
		return flow.CodeInternal
	}
	return flow.CodeBadRequest
}

// settle makes huma report its own refusals (validation, body too large) as Problems, and describe
// lists as lists: they are never null. Both are globals of huma's, therefore once.
var settle = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		first := &flow.Error{Code: codeOfStatus(status), Message: message}
		faults := make([]flow.Error, 0, len(errs))
		for _, err := range errs {
			if err != nil {
				faults = append(faults, faultOf(first.Code, err))
			}
		}
		if len(faults) > 0 {
			first = &faults[0]
		}
		p := problemOf(first)
		if len(faults) > 1 {
			p.Errors = faults
		}
		return p
	}
})

// faultOf reads one of huma's details: its location is body.a.b, query.a or path.a.
func faultOf(code flow.Code, err error) flow.Error {
	var d *huma.ErrorDetail
	if !errors.As(err, &d) {
		return flow.Error{Code: code, Message: err.Error()}
	}
	field := d.Location
	for _, prefix := range []string{"body.", "query.", "path.", "header."} {
		field = strings.TrimPrefix(field, prefix)
	}
	message := d.Message
	if field != "" && field != "body" {
		message = field + ": " + message
	}
	return flow.Error{Code: code, Message: message, Field: strings.TrimPrefix(field, "body")}
}
