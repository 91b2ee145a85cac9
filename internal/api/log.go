// Logs of tasks: which attempt is meant, and its text.

package api

import (
	"context"
	"iter"
	"net/http"
	"slices"
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

// attempt finds the attempt whose log is wanted.
func (s *Server) attempt(ctx context.Context, id flow.ID, in *logIn) (flow.NamedAttempt, error) {
	var none flow.NamedAttempt
	all, err := s.store.Attempts(ctx, id, in.Task)
	if err != nil {
		return none, err
	}
	if len(all) == 0 {
		return none, s.noAttempt(ctx, id, in.Task)
	}
	row := all[len(all)-1].Task
	if in.Row != "" {
		if row, err = flow.ParseID(in.Row); err != nil {
			return none, err
		}
	}
	for _, a := range slices.Backward(all) {
		if a.Task == row && (in.Attempt == 0 || in.Attempt == a.Number) {
			return a, nil
		}
	}
	return none, flow.Errorf(flow.CodeNotFound, "attempt", "task %q of run %s has no attempt %d", in.Task, id, in.Attempt)
}

// noAttempt says why there is no log: the task is not known, or it has not begun.
func (s *Server) noAttempt(ctx context.Context, id flow.ID, task string) error {
	run, rows, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Name != task {
			continue
		}
		said, err := s.failures(ctx, run.ID)
		if err != nil {
			return err
		}
		return flow.Errorf(flow.CodeNotFound, "task", "task %q has no log, for it did not begin: it is %s (%s)", task, r.State, said.why(task, r.Reason))
	}
	if err := s.knows(ctx, run, task); err != nil {
		return err
	}
	return flow.Errorf(flow.CodeNotFound, "task", "task %q of run %s has not been reached", task, id)
}

// knows refuses a task that the run's version does not have.
func (s *Server) knows(ctx context.Context, run flow.Run, task string) error {
	def, err := s.store.Workflow(ctx, run.ProjectName, run.WorkflowName, run.Version)
	if err != nil {
		return err
	}
	owner, _, _ := flow.CutItem(task)
	for _, t := range def.Workflow.AllTasks() {
		if t.Name == task || t.Inner != nil && t.Name == owner || t.Compensate != nil && t.Name+":compensate" == task {
			return nil
		}
	}
	return flow.Errorf(flow.CodeNotFound, "task", "workflow %q version %d has no task %q", run.WorkflowName, run.Version, task)
}
