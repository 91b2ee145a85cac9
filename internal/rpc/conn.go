// Connections with the settings both sides rely on: how big a frame may be and how soon a dead
// peer is noticed.

package rpc

import (
	"context"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// MaxFrame bounds one frame. Frames are batches; senders cut them far below it.
const MaxFrame = 32 << 20

// A peer whose host died without a word is noticed within this time, well inside a lease.
const (
	pingAfter   = 4 * time.Second // longer than between two beats in the default lease: whoever beats is not pinged
	pingTimeout = 3 * time.Second
)

// Windows of flow control. They are fixed: gRPC would find out how large they should be by a ping for every frame
// that comes in, which is most of what an idle worker costs.
const (
	streamWindow = 1 << 20
	connWindow   = 4 << 20
)

// Dial returns a connection to a master. Nil creds mean no TLS. No connection is made yet.
func Dial(address string, creds credentials.TransportCredentials, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	if creds == nil {
		creds = noTLS{insecure.NewCredentials()}
	} else {
		creds = dialTLS{creds}
	}
	all := append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxFrame), grpc.MaxCallSendMsgSize(MaxFrame)),
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: pingTimeout, PermitWithoutStream: false}),
		// The worker's own loop decides when to dial again; the connection must not sit out a long
		// pause of its own behind it.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
	}, opts...)
	conn, err := grpc.NewClient(address, all...)
	if err != nil {
		return nil, fmt.Errorf("dial master %s: %w", address, err)
	}
	return conn, nil
}

// To returns a Dialer to a master's address. Each stream has a connection of its own, which ends with
// it. Nil creds mean no TLS.
func To(address string, creds credentials.TransportCredentials) Dialer {
	return func(ctx context.Context) (Stream, error) {
		conn, err := Dial(address, creds)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // nothing is lost with it
		return Over(conn)(ctx)
	}
}

// NewServer returns a server for m and, unless it is nil, for p. Nil creds mean no TLS.
func NewServer(m MastersServer, p PeersServer, creds credentials.TransportCredentials, opts ...grpc.ServerOption) *grpc.Server {
	if creds == nil {
		creds = insecure.NewCredentials()
	} else {
		creds = serveTLS{creds}
	}
	all := append([]grpc.ServerOption{
		grpc.Creds(creds),
		grpc.MaxRecvMsgSize(MaxFrame), grpc.MaxSendMsgSize(MaxFrame),
		grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
	}, opts...)
	s := grpc.NewServer(all...)
	RegisterMastersServer(s, m)
	if p != nil {
		RegisterPeersServer(s, p)
	}
	return s
}

// Serve serves m and p on l until ctx is cancelled, then ends every stream.
func Serve(ctx context.Context, l net.Listener, m MastersServer, p PeersServer, creds credentials.TransportCredentials) error {
	s := NewServer(m, p, creds)
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	if err := s.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve workers on %s: %w", l.Addr(), err)
	}
	return nil
}

// InMemory returns a listener and a connection to it that never leaves the process, with all of
// gRPC between them: what tests of the real wire use. Within one process Pipe costs less.
func InMemory() (net.Listener, *grpc.ClientConn, error) {
	l := bufconn.Listen(1 << 20)
	conn, err := Dial("passthrough:///memory", nil, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return l.DialContext(ctx)
	}))
	return l, conn, err
}

// NobodyListens tells from the error of a call that the host of the other side said so: the
// process is gone. gRPC keeps of the system's error its text only.
func NobodyListens(err error) bool {
	st, ok := status.FromError(err)
	return ok && st.Code() == codes.Unavailable &&
		(strings.Contains(st.Message(), syscall.ECONNREFUSED.Error()) || strings.Contains(st.Message(), syscall.ECONNRESET.Error()))
}
