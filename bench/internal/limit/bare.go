// A bare Go server in a process of its own: a stream that answers each message, and an HTTP
// handler. What it weighs and how soon it answers is the least any Go server can.

package limit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"baton/bench/internal/proc"
)

// ChildArg makes this program the bare server: it listens on the two addresses that follow.
const ChildArg = "bare-server"

var desc = grpc.ServiceDesc{ServiceName: "b.B", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
	StreamName: "S", ServerStreams: true, ClientStreams: true, Handler: func(_ any, st grpc.ServerStream) error {
		for {
			in := new(wrapperspb.BytesValue)
			if err := st.RecvMsg(in); err != nil {
				return nil //nolint:nilerr // the client is done
			}
			if err := st.SendMsg(in); err != nil {
				return err
			}
		}
	},
}}}

// Serve is the child.
func Serve(wire, web string) error {
	l, err := net.Listen("tcp", wire)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s := grpc.NewServer()
	s.RegisterService(&desc, struct{}{})
	go func() { _ = s.Serve(l) }()
	return http.ListenAndServe(web, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }))
}

// Bare is what the bare server is measured at.
type Bare struct {
	Start    time.Duration // from its start to its first HTTP answer
	PSS      int64
	PingPong Rate // a message there and back over a stream
}

// MeasureBare starts the child and measures it.
func MeasureBare(ctx context.Context, dir string, d time.Duration) (b Bare, err error) {
	self, err := os.Executable()
	if err != nil {
		return b, fmt.Errorf("find myself: %w", err)
	}
	var addr [2]string
	for i := range addr {
		port, err := proc.FreePort()
		if err != nil {
			return b, err
		}
		addr[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	start := time.Now()
	child, err := proc.Start(proc.Spec{Name: "bare", Dir: dir, Path: self, Args: []string{ChildArg, addr[0], addr[1]}})
	if err != nil {
		return b, err
	}
	defer child.Stop(syscall.SIGTERM, time.Second)
	if err := child.Until(ctx, 10*time.Second, time.Millisecond, func(ctx context.Context) error { return Answers(ctx, "http://"+addr[1]) }); err != nil {
		return b, err
	}
	b.Start = time.Since(start)
	if b.PSS, err = proc.PSS(child.PID); err != nil {
		return b, err
	}
	b.PingPong, err = pingPong(ctx, addr[0], d)
	return b, err
}

// Answers asks once.
func Answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("ask %s: %s", url, res.Status), err)
	}
	return nil
}

func pingPong(ctx context.Context, addr string, d time.Duration) (Rate, error) {
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return Rate{}, fmt.Errorf("dial: %w", err)
	}
	defer cc.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := cc.NewStream(ctx, &desc.Streams[0], "/b.B/S")
	if err != nil {
		return Rate{}, fmt.Errorf("open a stream: %w", err)
	}
	payload, out := &wrapperspb.BytesValue{Value: make([]byte, 200)}, new(wrapperspb.BytesValue)
	return loop(1, d, func(int, int) error {
		if err := st.SendMsg(payload); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		return st.RecvMsg(out)
	})
}
