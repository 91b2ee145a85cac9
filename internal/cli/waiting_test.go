package cli

import (
	"net"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"baton/internal/rpc"
)

// The port of a master that waits for its store answers: workers hear that it does not reach it, those that
// look for a session go elsewhere, and other masters learn nothing.
func TestPortOfAMasterThatWaits(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := newGate(l)
	defer port.Close()
	end := serveWaiting(t.Context(), port, nil)
	defer end()
	conn, err := rpc.Dial(l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func(frames ...*rpc.FromWorker) (*rpc.FromMaster, error) {
		stream, err := rpc.NewMastersClient(conn).Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			if err := stream.Send(f); err != nil {
				t.Fatal(err)
			}
		}
		return stream.Recv()
	}
	got, err := ask(&rpc.FromWorker{Hello: &rpc.Hello{Session: 5}}, &rpc.FromWorker{Beat: &rpc.Beat{Number: 9}})
	if err != nil || !got.Outage || got.Heard != 9 || got.Welcome != nil {
		t.Errorf("a worker with a session hears %v, %v", got, err)
	}
	if got, err := ask(&rpc.FromWorker{Hello: &rpc.Hello{}}); status.Code(err) != codes.Unavailable {
		t.Errorf("a worker without one hears %v, %v", got, err)
	}
	// Not that nobody is here: the row of the incarnation that is about to serve is in the store by then.
	if id, err := rpc.NewPeersClient(conn).Probe(t.Context(), &rpc.ProbeRequest{}); err == nil || rpc.NobodyListens(err) {
		t.Errorf("a master hears %v, %v", id, err)
	}
	end()
	again := serveWaiting(t.Context(), port, nil) // the port stays
	again()
}
