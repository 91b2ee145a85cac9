// Logs followed as they grow, over attempts, until the task has ended.

package api

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"baton/internal/flow"
)

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
	for _, r := range slices.Backward(rows) {
		if r.Name == in.Task && (in.Row == "" && r.Valid || in.Row == r.ID.String()) {
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
