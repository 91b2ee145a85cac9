// Server-sent events: what a stream writes, and that no timeout cuts it.

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
)

const (
	// writeTimeout drops a client that takes nothing any more.
	writeTimeout = 30 * time.Second
	// heartbeat keeps proxies from closing a silent stream, and finds clients that are gone.
	heartbeat = 15 * time.Second
)

// eventWriter writes server-sent events and flushes each.
type eventWriter struct {
	w    http.ResponseWriter
	ctrl *http.ResponseController
}

// stream answers with server-sent events until run returns or the server stops. An error that
// run returns is told as the event `failed` with the problem as its data.
func (s *Server) stream(ctx context.Context, run func(context.Context, *eventWriter) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humachi.Unwrap(hc)
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no")
		w.WriteHeader(http.StatusOK)
		out := &eventWriter{w: w, ctrl: http.NewResponseController(w)}
		ctx, cancel := s.until(ctx)
		defer cancel()
		err := run(ctx, out)
		if err == nil || ctx.Err() != nil || errors.Is(err, errGone) {
			return
		}
		_ = out.event("failed", "", problem(err, s.log, hc.Operation().OperationID))
	}}
}

// errGone ends a stream whose client takes nothing any more.
var errGone = errors.New("the client is gone")

func (e *eventWriter) event(name, id string, data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	return e.write(fmt.Appendf(nil, "event: %s\n%sdata: %s\n\n", name, id, raw))
}

// connected is the first that a stream says, once it misses nothing any more.
func (e *eventWriter) connected() error { return e.comment("connected") }

func (e *eventWriter) comment(text string) error { return e.write([]byte(": " + text + "\n\n")) }

func (e *eventWriter) write(b []byte) error {
	_ = e.ctrl.SetWriteDeadline(time.Now().Add(writeTimeout)) // a recorder in a test has none
	if _, err := e.w.Write(b); err != nil {
		return errGone
	}
	if err := e.ctrl.Flush(); err != nil {
		return errGone
	}
	return nil
}
