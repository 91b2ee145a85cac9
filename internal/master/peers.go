// Peers: what other masters, api processes and workers ask of this one over the wire.

package master

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/rpc"
)

// Peers are the other masters as this one reaches them. Implementations are safe for concurrent
// use, and none of these calls blocks but Probe.
type Peers interface {
	// Poke tells a master that something durable waits.
	Poke(r *rpc.PokeRequest)
	// PokeAll tells all of them.
	PokeAll(r *rpc.PokeRequest)
	// Probe asks an address who is there, for at most a while.
	Probe(ctx context.Context, incarnation int64, address string, most time.Duration) rpc.Outcome
	// Masters returns the other masters that are seen, and a channel that is closed when they change.
	Masters() ([]registry.Member, <-chan struct{})
}

// Alone is the Peers of a master that has none.
type Alone struct{}

// Poke does nothing.
func (Alone) Poke(*rpc.PokeRequest) {}

// PokeAll does nothing.
func (Alone) PokeAll(*rpc.PokeRequest) {}

// Probe finds nobody.
func (Alone) Probe(context.Context, int64, string, time.Duration) rpc.Outcome { return rpc.Silent }

// Masters are none, for ever.
func (Alone) Masters() ([]registry.Member, <-chan struct{}) { return nil, nil }

// Identity tells the others who this is.
func (m *Master) Identity() *rpc.Identity {
	id := &rpc.Identity{Name: m.node.Name, Version: m.node.Version, StoreOk: m.storeOK(), Now: time.Now().UnixMicro()}
	select {
	case <-m.ready:
		id.Incarnation, id.Generation, id.Cluster = m.lease.Incarnation, m.lease.Generation, m.lease.Cluster
	default:
	}
	return id
}

// storeOK tells whether the store renewed this master within the last half of its lease.
func (m *Master) storeOK() bool {
	return m.clock.Now().Sub(flow.Time(m.renewed.Load())) < time.Duration(m.length.Load())/2
}

// peersServer serves Peers for a master.
type peersServer struct {
	rpc.UnimplementedPeersServer
	*Master
}

// PeersServer returns the server of the service Peers.
func (m *Master) PeersServer() rpc.PeersServer { return peersServer{Master: m} }

// Link stays open as long as both live.
func (s peersServer) Link(stream grpc.BidiStreamingServer[rpc.Identity, rpc.Identity]) error {
	if err := s.await(stream.Context()); err != nil {
		return err
	}
	if err := stream.Send(s.Identity()); err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

// await waits until this master is registered: before, it has no identity.
func (s peersServer) await(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Probe tells who is here.
func (s peersServer) Probe(ctx context.Context, _ *rpc.ProbeRequest) (*rpc.Identity, error) {
	if err := s.await(ctx); err != nil {
		return nil, err
	}
	return s.Identity(), nil
}

// Poke wakes this master, or passes the poke on to the one that is meant.
func (s peersServer) Poke(_ context.Context, r *rpc.PokeRequest) (*rpc.PokeReply, error) {
	if owner := r.GetOwner(); owner != 0 && owner != s.Identity().GetIncarnation() {
		if !r.GetForwarded() {
			s.peers.Poke(&rpc.PokeRequest{
				Commands: r.GetCommands(), Inbox: r.GetInbox(), Handed: r.GetHanded(), Drains: r.GetDrains(), Owner: owner, Instance: r.GetInstance(), Forwarded: true,
			})
		}
		// That master may be dead, and its heir is here.
		s.poke(Poked{Commands: r.GetCommands(), Inbox: r.GetInbox(), Drains: r.GetDrains()})
		return &rpc.PokeReply{}, nil
	}
	s.poke(Poked{Commands: r.GetCommands(), Inbox: r.GetInbox(), Handed: r.GetHanded(), Drains: r.GetDrains()})
	return &rpc.PokeReply{Reached: true}, nil
}

// Watch tells what this master commits.
func (s peersServer) Watch(r *rpc.WatchRequest, stream grpc.ServerStreamingServer[rpc.WatchReply]) error {
	changes := s.Master.Watch(stream.Context(), flow.ID(r.GetInstance()))
	if err := stream.Send(&rpc.WatchReply{}); err != nil {
		return err
	}
	for {
		select {
		case c, open := <-changes:
			if !open {
				return nil
			}
			if err := stream.Send(watchReply(c)); err != nil {
				return err
			}
		case <-s.over:
			return status.Error(codes.Unavailable, "the master ends")
		}
	}
}

func watchReply(c Change) *rpc.WatchReply {
	r := &rpc.WatchReply{
		Instance: int64(c.Instance.ID), Seq: c.Instance.Seq, State: uint32(c.Instance.State), Reason: c.Instance.Reason,
		At: int64(c.At), Gap: c.Gap,
	}
	for _, row := range c.Rows {
		r.Tasks = append(r.Tasks, &rpc.TaskChanged{
			Id: int64(row.ID), Name: row.Name, State: uint32(row.State), Attempt: row.Attempt.Number, Reason: row.Reason,
		})
	}
	return r
}

// ReadLog reads a log from a worker that is connected here.
func (s peersServer) ReadLog(r *rpc.ReadLogRequest, stream grpc.ServerStreamingServer[rpc.ReadLogReply]) error {
	request := LogRequest{
		Instance: flow.ID(r.GetInstance()), Task: flow.ID(r.GetTask()), Token: r.GetToken(), Session: r.GetSession(),
		Offset: r.GetOffset(), Limit: r.GetLimit(), Follow: r.GetFollow(),
	}
	for chunk, err := range s.Master.ReadLog(stream.Context(), request) {
		if err != nil {
			return logStatus(err)
		}
		if err := stream.Send(&rpc.ReadLogReply{Offset: chunk.Offset, Data: chunk.Data}); err != nil {
			return err
		}
	}
	return nil
}

func logStatus(err error) error {
	var known *flow.Error
	if !errors.As(err, &known) {
		return err
	}
	code := codes.Unavailable
	if known.Code == flow.CodeNotFound {
		code = codes.NotFound
	}
	return status.Error(code, known.Message)
}

// Follow tells which masters there are, this one among them.
func (s peersServer) Follow(_ *rpc.FollowRequest, stream grpc.ServerStreamingServer[rpc.FollowReply]) error {
	if err := s.await(stream.Context()); err != nil {
		return err
	}
	for {
		others, changed := s.peers.Masters()
		reply := &rpc.FollowReply{Cluster: s.lease.Cluster, Masters: []*rpc.MasterAddress{{Incarnation: s.lease.Incarnation, Name: s.node.Name, Address: s.node.Address}}}
		for _, o := range others {
			reply.Masters = append(reply.Masters, &rpc.MasterAddress{Incarnation: o.Incarnation, Name: o.Name, Address: o.Address})
		}
		if err := stream.Send(reply); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-s.over:
			return status.Error(codes.Unavailable, "the master ends")
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}
