// Logs of tasks: which attempt is meant, and its text.

package api

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"baton/internal/flow"
)

type logIn struct {
	TaskPath
	Attempt int32  `query:"attempt" minimum:"1" doc:"Number of the attempt; default: the present one"`
	Row     string `query:"task_instance" doc:"Id of the row, when the task has several; default: the newest"`
	Offset  int64  `query:"offset" minimum:"0" doc:"First byte"`
	Limit   int64  `query:"limit" minimum:"0" doc:"Most bytes; 0: all"`
	Follow  bool   `query:"follow" doc:"Go on as server-sent events: log, attempt, end"`
}

// LogText is a piece of a log, as text.
type LogText struct {
	Offset int64  `json:"offset" doc:"First byte"`
	Next   int64  `json:"next" doc:"First byte of what follows"`
	Text   string `json:"text" doc:"What is no UTF-8 is replaced"`
}

// LogAttempt tells which attempt the following pieces are of.
type LogAttempt struct {
	Attempt int32     `json:"attempt"`
	Token   int64     `json:"token"`
	Worker  *string   `json:"worker"`
	Started flow.Time `json:"started_at"`
}

// LogEnd tells that the log is complete.
type LogEnd struct {
	State TaskState `json:"state"`
}

func (s *Server) readLog(ctx context.Context, in *logIn) (*huma.StreamResponse, error) {
	id, err := flow.ParseID(in.Instance)
	if err != nil {
		return nil, err
	}
	if in.Follow {
		return s.followLog(ctx, id, in)
	}
	a, err := s.attempt(ctx, id, in)
	if err != nil {
		return nil, err
	}
	next, stop := iter.Pull2(s.masters.ReadLog(ctx, s.request(id, a, in)))
	first, err, more := next()
	if more && err != nil {
		stop()
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer stop()
		_, w := humachi.Unwrap(hc)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		ctrl := http.NewResponseController(w)
		for chunk := first; more && err == nil; chunk, err, more = next() {
			_ = ctrl.SetWriteDeadline(time.Now().Add(writeTimeout)) // a recorder in a test has none
			if _, gone := w.Write(chunk.Data); gone != nil {
				return
			}
		}
		if err != nil {
			panic(http.ErrAbortHandler) // a log cut short must not look whole
		}
	}}, nil
}

func (s *Server) request(id flow.ID, a flow.NamedAttempt, in *logIn) LogRequest {
	return LogRequest{
		Instance: id, Task: a.Task, Token: a.Token, Session: a.Session, Worker: a.Worker,
		Offset: in.Offset, Limit: in.Limit, Follow: in.Follow,
	}
}
