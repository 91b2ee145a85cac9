// Links: a stream to each other master whose end is a hint that the master died.

package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"baton/internal/rpc"
)

// Pause between two tries to open a link. A master that was restarted is another incarnation, so
// only a broken network is waited for.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// keepLink keeps a link to p open until ctx is done.
func (s *Set) keepLink(ctx context.Context, p *peer) {
	pause := firstPause
	for ctx.Err() == nil {
		up, err := s.link(ctx, p)
		if ctx.Err() != nil {
			return
		}
		if up {
			pause = firstPause
			s.cfg.Linked(p.member.Incarnation, false)
		}
		s.cfg.Log.LogAttrs(ctx, p.told.level(err), "no link to a master", slog.String("master", p.member.Name), slog.Any("error", rpc.Plain(err)))
		t := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		pause = min(2*pause, lastPause)
	}
}

// errOther is the end of a link to an address where another process listens now.
var errOther = errors.New("another master listens there")

// link opens one link and returns when it ended, and whether it was up.
func (s *Set) link(ctx context.Context, p *peer) (up bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.client.Link(ctx)
	if err != nil {
		return false, err
	}
	if err := stream.Send(s.cfg.Identity()); err != nil {
		return false, err
	}
	for {
		id, err := stream.Recv()
		if err != nil {
			return up, err
		}
		if id.GetIncarnation() != p.member.Incarnation {
			return up, fmt.Errorf("%s at %s: %w", p.member.Name, p.member.Address, errOther)
		}
		if !up {
			up = true
			s.cfg.Linked(p.member.Incarnation, true)
		}
	}
}

// Probe asks the address of a master who is there. It takes at most the given time.
func (s *Set) Probe(ctx context.Context, incarnation int64, address string, most time.Duration) rpc.Outcome {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	// A connection of its own: that of the set may sit out a pause before it dials again.
	conn, err := rpc.Dial(address, s.cfg.Creds)
	if err != nil {
		return rpc.Silent
	}
	defer conn.Close() //nolint:errcheck // nothing is lost with it
	id, err := rpc.NewPeersClient(conn).Probe(ctx, &rpc.ProbeRequest{})
	switch {
	case err == nil && id.GetIncarnation() != incarnation:
		return rpc.Gone
	case err == nil && id.GetStoreOk():
		return rpc.Alive
	case err == nil:
		return rpc.Astray
	case rpc.NobodyListens(err):
		return rpc.Gone
	}
	return rpc.Silent
}
