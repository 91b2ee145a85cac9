// A stream within one process: frames are handed over as they are, neither encoded nor copied.

package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/metadata"
)

// Pipe returns a Dialer whose streams call m.Session in this process. Encoding and HTTP/2 cost
// more than running a small task, so standalone does without them. As with every stream, a frame
// is not touched by its sender after Send.
func Pipe(m MastersServer) Dialer {
	return func(ctx context.Context) (Stream, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		p := &pipe{
			ctx: ctx, cancel: cancel,
			up: make(chan *FromWorker, pipeDepth), down: make(chan *FromMaster, pipeDepth),
			closed: make(chan struct{}),
		}
		go func() {
			err := m.Session(pipeServer{p})
			if err == nil {
				err = io.EOF
			}
			cancel(err)
		}()
		return p, nil
	}
}

// pipeDepth is how many frames may be under way, so that neither side waits for the other's turn.
const pipeDepth = 64

type pipe struct {
	ctx    context.Context //nolint:containedctx // it is the life of the stream, as in grpc.ClientStream
	cancel context.CancelCauseFunc
	up     chan *FromWorker
	down   chan *FromMaster
	closed chan struct{} // the worker sends no more
}

func (p *pipe) Send(f *FromWorker) error {
	select {
	case p.up <- f:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

func (p *pipe) Recv() (*FromMaster, error) {
	select {
	case f := <-p.down:
		return f, nil
	default:
	}
	select {
	case f := <-p.down:
		return f, nil
	case <-p.ctx.Done():
		return nil, context.Cause(p.ctx)
	}
}

// CloseSend may be called once, as Send, by the sending side.
func (p *pipe) CloseSend() error {
	close(p.closed)
	return nil
}

// pipeServer is the master's end; it is a Masters_SessionServer.
type pipeServer struct{ p *pipe }

func (s pipeServer) Send(f *FromMaster) error {
	select {
	case s.p.down <- f:
		return nil
	case <-s.p.ctx.Done():
		return context.Cause(s.p.ctx)
	}
}

func (s pipeServer) Recv() (*FromWorker, error) {
	select {
	case f := <-s.p.up:
		return f, nil
	default:
	}
	select {
	case f := <-s.p.up:
		return f, nil
	case <-s.p.closed:
		select { // what was sent before the close comes before it
		case f := <-s.p.up:
			return f, nil
		default:
			return nil, io.EOF
		}
	case <-s.p.ctx.Done():
		return nil, context.Cause(s.p.ctx)
	}
}

func (s pipeServer) Context() context.Context     { return s.p.ctx }
func (s pipeServer) SetHeader(metadata.MD) error  { return nil }
func (s pipeServer) SendHeader(metadata.MD) error { return nil }
func (s pipeServer) SetTrailer(metadata.MD)       {}

var errPipeMessage = errors.New("a pipe carries frames only")

func (s pipeServer) SendMsg(m any) error {
	f, ok := m.(*FromMaster)
	if !ok {
		return fmt.Errorf("send %T: %w", m, errPipeMessage)
	}
	return s.Send(f)
}

func (s pipeServer) RecvMsg(any) error { return errPipeMessage }
