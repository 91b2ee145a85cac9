package peer_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"baton/internal/flow"
	"baton/internal/peer"
	"baton/internal/registry"
	"baton/internal/rpc"
)

// master is one that tells what the test says.
type master struct {
	rpc.UnimplementedMastersServer
	rpc.UnimplementedPeersServer

	watched chan chan *rpc.WatchReply // each feed that is opened; closing it breaks the feed
	poked   chan *rpc.PokeRequest
	reached bool
}

func (m *master) Watch(_ *rpc.WatchRequest, s grpc.ServerStreamingServer[rpc.WatchReply]) error {
	feed := make(chan *rpc.WatchReply)
	select {
	case m.watched <- feed:
	case <-s.Context().Done():
		return s.Context().Err()
	}
	if err := s.Send(&rpc.WatchReply{}); err != nil {
		return err
	}
	for {
		select {
		case r, open := <-feed:
			if !open {
				return errors.New("broken")
			}
			if err := s.Send(r); err != nil {
				return err
			}
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
}

func (m *master) Poke(_ context.Context, r *rpc.PokeRequest) (*rpc.PokeReply, error) {
	m.poked <- r
	return &rpc.PokeReply{Reached: m.reached}, nil
}

// masters serves masters with incarnations from 1 on, and returns a set that sees them.
func masters(t *testing.T, all ...*master) *peer.Set {
	t.Helper()
	var view registry.View
	for i, m := range all {
		m.watched, m.poked = make(chan chan *rpc.WatchReply), make(chan *rpc.PokeRequest, 8)
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go rpc.Serve(t.Context(), l, m, m, nil)
		view.Members = append(view.Members, registry.Member{Incarnation: int64(i + 1), Role: flow.RoleMaster, State: "ready", Engine: flow.EngineVersion, Address: l.Addr().String()})
	}
	views := make(chan registry.View, 1)
	views <- view
	set := peer.New(peer.Config{Watch: func(context.Context) <-chan registry.View { return views }, Log: slog.New(slog.DiscardHandler)})
	_, changed := set.Masters()
	go set.Run(t.Context())
	<-changed
	return set
}

// What a master commits while its feed is broken is told to nobody: so the reader looks again when the
// feed is back, not only when it breaks.
func TestGapWhenAFeedIsBack(t *testing.T) {
	t.Parallel()
	m := &master{}
	set := masters(t, m)
	first := make(chan chan *rpc.WatchReply, 1)
	go func() { first <- <-m.watched }()
	told := set.Watch(t.Context(), 7)
	feed := <-first
	feed <- &rpc.WatchReply{Instance: 7, Seq: 1}
	if r := <-told; r.GetSeq() != 1 || r.GetGap() {
		t.Fatalf("told %v", r)
	}
	close(feed)
	if r := <-told; !r.GetGap() {
		t.Fatalf("the feed broke, and told was %v", r)
	}
	feed = <-m.watched // it is back; seq 2 was committed before
	if r := <-told; !r.GetGap() {
		t.Fatalf("the feed is back, and told was %v", r)
	}
	feed <- &rpc.WatchReply{Instance: 7, Seq: 3}
	if r := <-told; r.GetSeq() != 3 {
		t.Errorf("told %v", r)
	}
}

// A poke that its master does not hear goes through the others, also when it was merged with one that
// need not.
func TestMergedPokeIsPassedOn(t *testing.T) {
	t.Parallel()
	deaf, other := &master{}, &master{reached: true}
	set := masters(t, deaf, other)
	set.Poke(&rpc.PokeRequest{Inbox: true, Owner: 1})
	set.PokeAll(&rpc.PokeRequest{Commands: true})
	for inbox := false; !inbox; {
		r := <-other.poked
		inbox = r.GetInbox()
	}
}

// What only a person can mend is told loudly, also by who keeps no links: it would only wonder about what
// it does not get.
func TestDisagreementAboutTLSIsTold(t *testing.T) {
	t.Parallel()
	for _, identity := range []func() *rpc.Identity{nil, func() *rpc.Identity { return &rpc.Identity{Incarnation: 9} }} {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 40}) // an alert of TLS
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}
		}()
		views := make(chan registry.View, 1)
		views <- registry.View{Members: []registry.Member{{Incarnation: 1, Role: flow.RoleMaster, Name: "m1", Address: l.Addr().String()}}}
		logs, said := io.Pipe()
		set := peer.New(peer.Config{
			Watch:    func(context.Context) <-chan registry.View { return views },
			Identity: identity, Linked: func(int64, bool) {}, Log: slog.New(slog.NewTextHandler(said, nil)),
		})
		go set.Run(t.Context())
		line, err := bufio.NewReader(logs).ReadString('\n')
		if err != nil || !strings.Contains(line, "level=WARN") || !strings.Contains(line, `error="the master at `) || !strings.Contains(line, "set tls-cert, tls-key and tls-ca here too") {
			t.Errorf("%q, %v", line, err)
		}
	}
}
