// Logs for those who read them: answers to ReadLog.

package worker

import (
	"context"
	"errors"
	"sync"

	"baton/internal/rpc"
	"baton/internal/worker/tasklog"
)

const (
	logChunk   = 64 << 10 // bytes of one LogChunk
	logDefault = 1 << 20  // bytes of an answer when none are said
)

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
	ctx, cancel := context.WithCancel(ctx)
	l.m[key] = cancel
	l.w.wg.Go(func() {
		defer func() {
			cancel()
			l.mu.Lock()
			delete(l.m, key)
			l.mu.Unlock()
		}()
		l.w.sendLog(ctx, c, r)
	})
}

// detach forgets the requests of a stream; its context has ended them.
func (l *logReaders) detach(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, cancel := range l.m {
		if key.conn == c.id {
			cancel()
		}
	}
}

// sendLog sends chunks until the request is answered.
func (w *Worker) sendLog(ctx context.Context, c *conn, r *rpc.ReadLog) {
	key := tasklog.Key{Instance: r.GetInstance(), Task: r.GetTask(), Token: r.GetToken()}
	offset, left := r.GetOffset(), int(r.GetLimit())
	unlimited := left <= 0 && r.GetFollow()
	if left <= 0 {
		left = logDefault
	}
	for {
		n := logChunk
		if !unlimited {
			n = min(n, left)
		}
		part, err := w.logs.Read(ctx, key, offset, n, r.GetFollow())
		chunk := &rpc.LogChunk{Request: r.GetRequest(), Offset: offset, Data: part.Data, End: part.End}
		switch {
		case errors.Is(err, tasklog.ErrNotFound):
			chunk.Error = tasklog.ErrNotFound.Error()
		case ctx.Err() != nil:
			return
		case err != nil:
			chunk.Error = err.Error()
		}
		if c.sendBulk(ctx, &rpc.FromWorker{Logs: []*rpc.LogChunk{chunk}}) != nil {
			return
		}
		offset += int64(len(part.Data))
		left -= len(part.Data)
		if err != nil || part.End || !unlimited && left <= 0 || !r.GetFollow() && len(part.Data) < n {
			return
		}
	}
}
