// Logs of tasks: read once, or followed over attempts until the task has ended.

package api

import (
	"context"
	"iter"
	"net/http"
	"time"
	"unicode/utf8"

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
	for i := len(all) - 1; i >= 0; i-- {
		if a := all[i]; a.Task == row && (in.Attempt == 0 || in.Attempt == a.Number) {
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
		if r.Name == task {
			return flow.Errorf(flow.CodeNotFound, "task", "task %q has not begun: it is %s %s", task, r.State, r.Reason)
		}
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
	for _, t := range def.Workflow.Tasks {
		if t.Name == task || t.Compensate != nil && t.Name+":compensate" == task {
			return nil
		}
	}
	return flow.Errorf(flow.CodeNotFound, "task", "workflow %q version %d has no task %q", run.WorkflowName, run.Version, task)
}

// followLog tells a log as it grows. Without a chosen attempt it goes on with the next one of the
// task until the task has ended.
func (s *Server) followLog(ctx context.Context, id flow.ID, in *logIn) (*huma.StreamResponse, error) {
	run, err := s.store.Instance(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.knows(ctx, run, in.Task); err != nil {
		return nil, err
	}
	return s.stream(ctx, func(ctx context.Context, out *eventWriter) error {
		events := s.masters.Watch(ctx, id)
		if err := out.connected(); err != nil {
			return err
		}
		var told int64 // token of the newest attempt told
		for {
			a, err := s.attempt(ctx, id, in)
			if err != nil && flow.CodeOf(err) != flow.CodeNotFound {
				return err
			}
			if err == nil && a.Token != told {
				told = a.Token
				if err := s.tellLog(ctx, out, s.request(id, a, in), a); err != nil {
					return err
				}
				in.Offset = 0
				continue // the row may have moved on meanwhile
			}
			state, over, err := s.taskOver(ctx, id, in)
			if err != nil || over {
				if err != nil {
					return err
				}
				return out.event("end", "", LogEnd{State: TaskState(state)})
			}
			if err := nextEvent(ctx, out, events); err != nil {
				return err
			}
		}
	}), nil
}

// tellLog writes one attempt's log. A piece may end inside a character; its rest waits for the
// next piece.
func (s *Server) tellLog(ctx context.Context, out *eventWriter, r LogRequest, a flow.NamedAttempt) error {
	if err := out.event("attempt", "", LogAttempt{Attempt: a.Number, Token: a.Token, Worker: text(a.Worker), Started: a.StartedAt}); err != nil {
		return err
	}
	rest := LogText{Offset: r.Offset, Next: r.Offset}
	var tail []byte
	for chunk, err := range s.masters.ReadLog(ctx, r) {
		if err != nil {
			return err
		}
		data := append(tail, chunk.Data...)
		first, whole := chunk.Offset-int64(len(tail)), wholeRunes(data)
		if whole > 0 {
			if err := out.event("log", "", LogText{Offset: first, Next: first + int64(whole), Text: string(data[:whole])}); err != nil {
				return err
			}
		}
		tail = append([]byte(nil), data[whole:]...)
		rest = LogText{Offset: first + int64(whole), Next: chunk.Offset + int64(len(chunk.Data))}
	}
	if rest.Text = string(tail); rest.Text != "" {
		return out.event("log", "", rest)
	}
	return nil
}

// wholeRunes is the length of b without a character that was cut at its end.
func wholeRunes(b []byte) int {
	for i := 1; i <= min(utf8.UTFMax, len(b)); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}

// taskOver tells whether no further log will come: the chosen attempt was told, or the newest row
// of the task has ended, or the run has ended without one.
func (s *Server) taskOver(ctx context.Context, id flow.ID, in *logIn) (string, bool, error) {
	run, rows, err := s.load(ctx, id)
	if err != nil {
		return "", false, err
	}
	for i := len(rows) - 1; i >= 0; i-- {
		if r := rows[i]; r.Name == in.Task {
			return r.State.String(), r.State.Ended() || in.Attempt > 0 && r.Attempt.Number >= in.Attempt, nil
		}
	}
	return "", run.State.Ended(), nil
}

// nextEvent waits for a change of the run; a slow tick is the net under lost events.
func nextEvent(ctx context.Context, out *eventWriter, events <-chan Event) error {
	net := time.NewTimer(waitNet)
	defer net.Stop()
	select {
	case _, open := <-events:
		if open {
			return nil
		}
	case <-net.C:
		return out.comment("alive")
	case <-ctx.Done():
		return errGone
	}
	select { // the masters are gone; the net remains
	case <-net.C:
		return nil
	case <-ctx.Done():
		return errGone
	}
}
