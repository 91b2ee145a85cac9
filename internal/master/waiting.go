// What is said on a master's port before there is a master.

package master

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"baton/internal/rpc"
)

// Waiting answers in the place of a master that is not registered yet, perhaps because the store is away. It
// owns nothing and can grant nothing, so it is no master that a worker would have to fear: to whoever beats it
// says that it does not reach the store either. Silence would make workers end what they run, for a master that
// nobody hears may have the store and grant a successor. It answers no probe: the row of an incarnation may be in
// the store before its master serves.
type Waiting struct {
	rpc.UnimplementedMastersServer
	rpc.UnimplementedPeersServer
}

// Session implements rpc.MastersServer.
func (Waiting) Session(stream grpc.BidiStreamingServer[rpc.FromWorker, rpc.FromMaster]) error {
	for {
		f, err := stream.Recv()
		if err != nil {
			return err
		}
		if f.GetHello() != nil && f.GetHello().GetSession() == 0 {
			return status.Error(codes.Unavailable, "this master waits for its store: it gives no session") // another one is asked
		}
		if b := f.GetBeat(); b != nil {
			if err := stream.Send(&rpc.FromMaster{Outage: true, Heard: b.GetNumber()}); err != nil {
				return err
			}
		}
	}
}
