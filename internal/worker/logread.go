// Logs for those who read them: answers to ReadLog.

package worker

import (
	"context"
	"errors"
	"sync"

	"baton/internal/rpc"
	"baton/internal/worker/tasklog"
)

// logChunk bounds the bytes of one LogChunk.
const logChunk = 256 << 10

// logReaders are the requests under way.
type logReaders struct {
	w  *Worker
	mu sync.Mutex
	m  map[logRequest]context.CancelFunc
}

type logRequest struct {
	conn    StreamID
	request int64
}

func newLogReaders(w *Worker) *logReaders {
	return &logReaders{w: w, m: map[logRequest]context.CancelFunc{}}
}

// serve begins or cancels a request.
func (l *logReaders) serve(ctx context.Context, c *conn, r *rpc.ReadLog) {
	key := logRequest{c.id, r.GetRequest()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if cancel := l.m[key]; cancel != nil || r.GetCancel() {
		if r.GetCancel() && cancel != nil {
			cancel()
		}
		return
	}
	reading, cancel := context.WithCancel(ctx)
	l.m[key] = cancel
	l.w.wg.Go(func() {
		chunk := l.w.readLog(reading, r)
		l.forget(key) // before the answer, on which the next request with the same number may follow
		if chunk != nil {
			c.sendBulk(ctx, &rpc.FromWorker{Logs: []*rpc.LogChunk{chunk}}) //nolint:errcheck // the stream is gone, and with it who asked
		}
	})
}

func (l *logReaders) forget(key logRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.m[key]()
	delete(l.m, key)
}

// detach ends the requests of a stream.
func (l *logReaders) detach(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, cancel := range l.m {
		if key.conn == c.id {
			cancel()
		}
	}
}

// readLog is the one chunk that answers a request, nil when nobody wants it any more.
func (w *Worker) readLog(ctx context.Context, r *rpc.ReadLog) *rpc.LogChunk {
	key := tasklog.Key{Instance: r.GetInstance(), Task: r.GetTask(), Token: r.GetToken()}
	limit := int(r.GetLimit())
	if limit <= 0 || limit > logChunk {
		limit = logChunk
	}
	part, err := w.logs.Read(ctx, key, r.GetOffset(), limit, r.GetFollow())
	if ctx.Err() != nil {
		return nil
	}
	chunk := &rpc.LogChunk{Request: r.GetRequest(), Offset: r.GetOffset(), Data: part.Data, End: part.End}
	switch {
	case errors.Is(err, tasklog.ErrNotFound):
		chunk.Error = tasklog.ErrNotFound.Error()
	case err != nil:
		chunk.Error = err.Error()
	}
	return chunk
}
