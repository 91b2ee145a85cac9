package peer_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"baton/internal/peer"
	"baton/internal/rpc"
)

// lines passes on what is logged.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// A worker whose masters do not answer says so in its log, with whom it asked and what came back.
func TestNobodyAnswersIsSaid(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close() // nobody listens there, then
	said := make(lines, 100)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	peer.Follow(ctx, []string{address}, nil, slog.New(slog.NewTextHandler(said, nil)))
	select {
	case line := <-said:
		if !strings.Contains(line, "level=WARN") || !strings.Contains(line, "no master answers") || !strings.Contains(line, address) || !strings.Contains(line, "refused") {
			t.Error(line)
		}
	case <-ctx.Done():
		t.Error("nothing was said")
	}
}

// follows is a master of a cluster, as those see it who follow it.
type follows struct {
	rpc.UnimplementedPeersServer
	reply *rpc.FollowReply
}

func (f follows) Follow(_ *rpc.FollowRequest, s rpc.Peers_FollowServer) error {
	if f.reply != nil {
		if err := s.Send(f.reply); err != nil {
			return err
		}
	}
	<-s.Context().Done()
	return nil
}

// Seeds of two clusters by mistake: those of the first that answers are told, and the log says what is wrong.
func TestFollowsOneCluster(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	serve := func(cluster string) (string, *grpc.Server) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer()
		rpc.RegisterPeersServer(s, follows{reply: &rpc.FollowReply{Cluster: cluster, Masters: []*rpc.MasterAddress{{Address: l.Addr().String()}}}})
		go s.Serve(l)
		t.Cleanup(s.Stop)
		return l.Addr().String(), s
	}
	first, server := serve("c1")
	second, _ := serve("c2")
	said := make(lines, 1000)
	lists := peer.Follow(ctx, []string{first, second}, nil, slog.New(slog.NewTextHandler(said, nil)))
	if got := <-lists; !slices.Equal(got, []string{first}) {
		t.Fatalf("told %v", got)
	}
	server.Stop() // now the other one is asked
	for {
		select {
		case line := <-said:
			if strings.Contains(line, "level=ERROR") {
				if !strings.Contains(line, second) || !strings.Contains(line, "of cluster c2") || !strings.Contains(line, "of cluster c1") {
					t.Error(line)
				}
				return
			}
		case list := <-lists:
			t.Fatalf("told %v", list)
		case <-ctx.Done():
			t.Fatal("nothing was said")
		}
	}
}

// A master that accepts and says nothing, since it is not registered yet, holds nobody up.
func TestFollowsPastASilentMaster(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	rpc.RegisterPeersServer(s, follows{})
	go s.Serve(silent)
	t.Cleanup(s.Stop)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	there := l.Addr().String()
	other := grpc.NewServer()
	rpc.RegisterPeersServer(other, follows{reply: &rpc.FollowReply{Masters: []*rpc.MasterAddress{{Address: there}}}})
	go other.Serve(l)
	t.Cleanup(other.Stop)
	select {
	case list := <-peer.Follow(ctx, []string{silent.Addr().String(), there}, nil, slog.New(slog.DiscardHandler)):
		if !slices.Equal(list, []string{there}) {
			t.Errorf("told %v", list)
		}
	case <-ctx.Done():
		t.Error("it waits for the first one")
	}
}
