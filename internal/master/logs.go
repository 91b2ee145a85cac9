// Logs: read from the worker that keeps them, over its stream.

package master

import (
	"context"
	"iter"
	"sort"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// LogRequest names an attempt by its token and the part of its log that is wanted.
type LogRequest struct {
	Instance flow.ID
	Task     flow.ID
	Token    int64
	Session  int64 // of the attempt; asked first
	Offset   int64
	Limit    int64 // 0: all
	Follow   bool
}

// LogChunk is a piece of a log.
type LogChunk struct {
	Offset int64
	Data   []byte
}

// logPiece is the most one request asks for at a time.
const logPiece = 256 << 10

// ReadLog reads the log of one attempt from whoever keeps it.
func (m *Master) ReadLog(ctx context.Context, r LogRequest) iter.Seq2[LogChunk, error] {
	return func(yield func(LogChunk, error) bool) {
		streams := m.logStreams(r.Session)
		if len(streams) == 0 {
			yield(LogChunk{}, flow.Errorf(flow.CodeUnavailable, "", "no worker is connected that could have the log"))
			return
		}
		for i, st := range streams {
			found, more := st.readLog(ctx, m.logSeq.Add(1), r, yield)
			if found || !more {
				return
			}
			if i == len(streams)-1 {
				yield(LogChunk{}, flow.Errorf(flow.CodeNotFound, "", "no connected worker has a log of this attempt: it printed nothing, or its log was removed, or its worker is away"))
			}
		}
	}
}

// logStreams lists the connections, that of the session first.
func (m *Master) logStreams(session int64) []*stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*stream, 0, len(m.conns))
	for _, st := range m.conns {
		if st.sess != 0 {
			out = append(out, st)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if (out[i].sess == session) != (out[j].sess == session) {
			return out[i].sess == session
		}
		return out[i].id < out[j].id
	})
	return out
}

// readLog asks one worker. found is false when it does not have the log; more is false when the
// reader wants no more.
func (st *stream) readLog(ctx context.Context, id int64, r LogRequest, yield func(LogChunk, error) bool) (found, more bool) {
	answers := make(chan *rpc.LogChunk, 16)
	st.mu.Lock()
	if st.logs == nil {
		st.mu.Unlock()
		return false, true
	}
	st.logs[id] = answers
	st.mu.Unlock()
	defer func() {
		st.mu.Lock()
		delete(st.logs, id)
		st.mu.Unlock()
	}()
	offset, left := r.Offset, r.Limit
	for {
		piece := int64(logPiece)
		if r.Limit > 0 {
			piece = min(piece, left)
		}
		st.push(&rpc.FromMaster{ReadLogs: []*rpc.ReadLog{{
			Request: id, Token: r.Token, Offset: offset, Limit: int32(piece), Follow: r.Follow, Instance: int64(r.Instance), Task: int64(r.Task),
		}}})
		select {
		case <-ctx.Done():
			st.push(&rpc.FromMaster{ReadLogs: []*rpc.ReadLog{{Request: id, Cancel: true}}})
			yield(LogChunk{}, ctx.Err())
			return true, false
		case c, open := <-answers:
			switch {
			case !open:
				yield(LogChunk{}, flow.Errorf(flow.CodeUnavailable, "", "the worker went away while its log was read"))
				return true, false
			case c.Error == "not_found":
				return false, true
			case c.Error != "":
				yield(LogChunk{}, flow.Errorf(flow.CodeUnavailable, "", "read log: %s", c.Error))
				return true, false
			}
			if len(c.Data) > 0 && !yield(LogChunk{c.Offset, c.Data}, nil) {
				return true, false
			}
			offset = c.Offset + int64(len(c.Data))
			left -= int64(len(c.Data))
			if c.End || (!r.Follow && len(c.Data) == 0) || (r.Limit > 0 && left <= 0) {
				return true, false
			}
		}
	}
}

// deliver brings a chunk to its reader; one that is gone gets nothing.
func (st *stream) deliver(c *rpc.LogChunk) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if ch := st.logs[c.Request]; ch != nil {
		select {
		case ch <- c:
		default: // one request is answered by one chunk: it has room
		}
	}
}

func (st *stream) closeLogs() {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, ch := range st.logs {
		close(ch)
	}
	st.logs = nil
}
