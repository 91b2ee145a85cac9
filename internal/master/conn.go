// Connections of workers: the server side of the stream.

package master

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// Session serves one worker. It returns when either side is gone.
func (m *Master) Session(s grpc.BidiStreamingServer[rpc.FromWorker, rpc.FromMaster]) error {
	ctx, cancel := context.WithCancelCause(s.Context())
	defer cancel(nil)
	st := newStream(m.connSeq.Add(1), cancel)
	m.mu.Lock()
	m.conns[st.id] = st
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.conns, st.id)
		m.mu.Unlock()
		st.closeLogs()
		// The core must hear of it, also when the stream's own context is over.
		select {
		case m.events <- Closed{st.id}:
		case <-m.over:
		case <-s.Context().Done():
			go m.postClosed(st.id)
		}
	}()
	go func() { cancel(m.sendLoop(ctx, s, st)) }()
	recv := make(chan error, 1)
	go func() { recv <- m.recvLoop(ctx, s, st) }()
	select {
	case err := <-recv:
		return err
	case <-m.over:
		return status.Error(codes.Unavailable, "the master ends")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (m *Master) postClosed(id int64) {
	select {
	case m.events <- Closed{id}:
	case <-m.over:
	}
}

func (m *Master) recvLoop(ctx context.Context, s grpc.BidiStreamingServer[rpc.FromWorker, rpc.FromMaster], st *stream) error {
	for {
		f, err := s.Recv()
		if err != nil {
			return fmt.Errorf("worker %s: %w", st.name, err)
		}
		if f.Hello != nil {
			st.hello(f.Hello)
			m.log.LogAttrs(ctx, slog.LevelInfo, "worker connected", slog.String("worker", f.Hello.Name), slog.Int("holds", len(f.Hello.Held)))
		}
		for _, l := range f.Logs {
			st.deliver(l)
		}
		for _, b := range f.Blobs {
			go m.sendBlob(ctx, st, b.Sha256)
		}
		if !forCore(f) {
			continue
		}
		select {
		case m.events <- Frame{st.id, f}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// forCore tells whether anything of a frame is the reactor's; logs and blobs are served beside it.
func forCore(f *rpc.FromWorker) bool {
	return f.Hello != nil || f.Beat != nil || f.Room != nil || f.Leave != 0 || len(f.Started)+len(f.Ended)+len(f.Refused)+len(f.Held) > 0
}

func (m *Master) sendLoop(ctx context.Context, s grpc.BidiStreamingServer[rpc.FromWorker, rpc.FromMaster], st *stream) error {
	for {
		var f *rpc.FromMaster
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case b := <-st.blobs:
			f = &rpc.FromMaster{Blobs: []*rpc.BlobChunk{b}}
		case <-st.wake:
			var over bool
			if f, over = st.pop(); over {
				return errLast
			}
		}
		if f == nil {
			continue
		}
		if orders(f) && !m.storeOK() {
			// It was frozen since it decided so, and another master may have taken over. What is still
			// true is settled when the worker is back.
			return fmt.Errorf("orders for worker %s: %w", st.worker(), errUnsure)
		}
		if err := s.Send(f); err != nil {
			return fmt.Errorf("send to worker %s: %w", st.worker(), err)
		}
	}
}

// orders tells whether a worker acts on a frame as only the word of an owner may have it act: it begins,
// ends or forgets an attempt.
func orders(f *rpc.FromMaster) bool {
	return len(f.Grants)+len(f.Begins)+len(f.Kills)+len(f.Acks)+len(f.Settles)+len(f.Forget) > 0
}

// errSilent ends a stream whose worker sends nothing any more.
var errSilent = errors.New("nothing was heard for most of a lease")

// errUnsure ends a stream on which a master has orders that may be out of date.
var errUnsure = errors.New("the lease of this master may be over")

// outgoing collects the frames of one step, a frame a connection.
type outgoing struct {
	m            *Master
	ids          []int64
	frames       []*rpc.FromMaster
	environments map[string]func() (flow.Environment, error) // read once for all grants of the step
}

func (m *Master) frames() *outgoing { return &outgoing{m: m} }

func (o *outgoing) frame(conn int64) *rpc.FromMaster {
	if i := slices.Index(o.ids, conn); i >= 0 {
		return o.frames[i]
	}
	f := &rpc.FromMaster{Master: o.m.node.Incarnation}
	o.ids, o.frames = append(o.ids, conn), append(o.frames, f)
	return f
}

func (o *outgoing) merge(conn int64, f *rpc.FromMaster) {
	if i := slices.Index(o.ids, conn); i >= 0 {
		f.Grants = append(f.Grants, o.frames[i].Grants...)
		o.frames[i] = f
		return
	}
	o.ids, o.frames = append(o.ids, conn), append(o.frames, f)
}

func (o *outgoing) flush() {
	for i, id := range o.ids {
		if st := o.m.stream(id); st != nil {
			if w := o.frames[i].Welcome; w != nil {
				o.m.mu.Lock()
				st.sess = w.Session
				o.m.mu.Unlock()
			}
			st.push(o.frames[i])
		}
	}
}

func (m *Master) stream(id int64) *stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conns[id]
}

func (m *Master) closeConns() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, st := range m.conns {
		st.cancel(context.Canceled)
	}
}

// sendBlob streams a resource in pieces that fit a frame, each when the wire is free for it.
func (m *Master) sendBlob(ctx context.Context, st *stream, sum string) {
	const piece = 1 << 20
	asking, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	data, err := m.store.Blob(asking, sum)
	if err != nil {
		st.sendBlob(ctx, &rpc.BlobChunk{Sha256: sum, Last: true, Error: err.Error()})
		return
	}
	for {
		n := min(piece, len(data))
		if !st.sendBlob(ctx, &rpc.BlobChunk{Sha256: sum, Data: data[:n], Last: n == len(data)}) || n == len(data) {
			return
		}
		data = data[n:]
	}
}
