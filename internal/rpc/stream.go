// The two ends of a session's stream, as their users see them.

package rpc

import (
	"context"

	"google.golang.org/grpc"
)

// Stream is the worker's end of a session. Send and Recv may run beside each other, but each only
// once at a time. A frame belongs to the stream once it was sent: it is not changed any more.
type Stream interface {
	Send(*FromWorker) error
	Recv() (*FromMaster, error)
	CloseSend() error
}

// Dialer opens a session's stream; it lives until ctx is cancelled or either end fails.
type Dialer func(ctx context.Context) (Stream, error)

// Over returns a Dialer on a connection, which the caller closes.
func Over(conn grpc.ClientConnInterface) Dialer {
	client := NewMastersClient(conn)
	return func(ctx context.Context) (Stream, error) { return client.Session(ctx) }
}
