// Logs: read through any master that the worker is connected to.

package peer

import (
	"cmp"
	"context"
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// ErrEnough is returned when the reader wants no more.
var ErrEnough = errors.New("the reader wants no more of the log")

// ReadLog reads a log through the first master that can, and hands its pieces to yield until that
// wants no more (ErrEnough). Other errors are *flow.Error: not found, or unavailable.
func (s *Set) ReadLog(ctx context.Context, r *rpc.ReadLogRequest, yield func(*rpc.ReadLogReply) bool) error {
	peers := s.all()
	if len(peers) == 0 {
		return flow.Errorf(flow.CodeUnavailable, "", "no master can be reached, and logs are read through one; `baton get masters` lists them")
	}
	var missing, failed error
	for _, p := range peers {
		some, err := readLog(ctx, p.client, r, yield)
		if err == nil || some || ctx.Err() != nil {
			return err
		}
		if flow.CodeOf(err) == flow.CodeNotFound {
			missing = err
		} else {
			failed = err
		}
	}
	if failed != nil {
		return failed // it may be there: with a worker that could not be asked
	}
	return missing
}

// readLog reads through one master; some tells whether anything came.
func readLog(ctx context.Context, c rpc.PeersClient, r *rpc.ReadLogRequest, yield func(*rpc.ReadLogReply) bool) (some bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.ReadLog(ctx, r)
	if err != nil {
		return false, fault(err)
	}
	for {
		piece, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return some, nil
		case err != nil:
			return some, fault(err)
		}
		some = true
		if !yield(piece) {
			return true, ErrEnough
		}
	}
}

// fault turns the status of a call into the error of the domain.
func fault(err error) error {
	st, _ := status.FromError(err)
	code := flow.CodeUnavailable
	if st.Code() == codes.NotFound {
		code = flow.CodeNotFound
	}
	return flow.Errorf(code, "", "%s", cmp.Or(rpc.TLSFault(err), st.Message()))
}
