// Set: the masters there are, each with a connection.

package peer

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/rpc"
)

// Config of a Set.
type Config struct {
	// Watch tells the views of the registry; see registry.Registry.
	Watch func(context.Context) <-chan registry.View
	// Creds of connections; nil: no TLS.
	Creds credentials.TransportCredentials
	// Identity of the master this Set belongs to. Nil in a process that is none: it keeps no links.
	Identity func() *rpc.Identity
	// Linked tells that a link to a master came up or went down. It must not block.
	Linked func(incarnation int64, up bool)
	Log    *slog.Logger
}

// Set follows the registry. Safe for concurrent use.
type Set struct {
	cfg Config

	mu      sync.Mutex
	members []registry.Member // masters other than this one, by incarnation
	peers   map[int64]*peer
	changed chan struct{} // closed and replaced when members change
	wg      sync.WaitGroup
}

// peer is one other master.
type peer struct {
	member registry.Member // when it was dialled; its state now is in members
	conn   *grpc.ClientConn
	client rpc.PeersClient
	cancel context.CancelFunc
	pokes  pokes
	told   told
}

// told is when the log said that this process and a master do not agree about TLS.
type told struct{ at time.Time }

// disagreementTold is how often the log says so.
const disagreementTold = 30 * time.Second

// level is how loud an error is told: loudly what only a person can mend, and not at every try.
func (t *told) level(err error) slog.Level {
	if rpc.TLSFault(err) == "" || time.Since(t.at) < disagreementTold {
		return slog.LevelDebug
	}
	t.at = time.Now()
	return slog.LevelWarn
}

// New returns a Set; nothing happens until Run.
func New(cfg Config) *Set {
	return &Set{cfg: cfg, peers: make(map[int64]*peer), changed: make(chan struct{})}
}

// Run follows the registry until ctx is done.
func (s *Set) Run(ctx context.Context) error {
	for view := range s.cfg.Watch(ctx) {
		s.follow(ctx, view)
	}
	s.follow(ctx, registry.View{})
	s.wg.Wait()
	return ctx.Err()
}

// self is the incarnation of this process's own master, 0 if it has none.
func (s *Set) self() int64 {
	if s.cfg.Identity == nil {
		return 0
	}
	return s.cfg.Identity().GetIncarnation()
}

// follow makes the set what the view shows.
func (s *Set) follow(ctx context.Context, view registry.View) {
	masters := slices.DeleteFunc(view.OfRole(flow.RoleMaster), func(m registry.Member) bool {
		return m.Address == "" || m.Incarnation == s.self()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	known := make(map[int64]bool, len(masters))
	differ := len(masters) != len(s.members)
	for i, m := range masters {
		known[m.Incarnation] = true
		differ = differ || s.members[i].Incarnation != m.Incarnation || s.members[i].State != m.State
		if s.peers[m.Incarnation] != nil {
			continue
		}
		if p := s.dial(ctx, m); p != nil {
			s.peers[m.Incarnation] = p
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.peers)) {
		if !known[id] {
			s.peers[id].cancel()
			delete(s.peers, id)
		}
	}
	s.members = masters
	if differ {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// dial makes a peer; its connection ends when it is cancelled.
func (s *Set) dial(ctx context.Context, m registry.Member) *peer {
	conn, err := rpc.Dial(m.Address, s.cfg.Creds)
	if err != nil {
		s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a master's address cannot be used", slog.String("master", m.Name), slog.String("address", m.Address), slog.Any("error", err))
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &peer{member: m, conn: conn, client: rpc.NewPeersClient(conn), cancel: cancel}
	p.pokes.init()
	s.wg.Go(func() {
		defer conn.Close() //nolint:errcheck // nothing is lost with it
		s.poking(ctx, p)
	})
	s.wg.Go(func() {
		if s.cfg.Identity != nil {
			s.keepLink(ctx, p)
		} else {
			s.try(ctx, p)
		}
	})
	return p
}

// try says if this process and a master do not agree about TLS. One that keeps no links would notice it by
// what it does not get only.
func (s *Set) try(ctx context.Context, p *peer) {
	if _, err := p.client.Probe(ctx, &rpc.ProbeRequest{}); err != nil && ctx.Err() == nil {
		s.cfg.Log.LogAttrs(ctx, p.told.level(err), "a master cannot be asked", slog.String("master", p.member.Name), slog.Any("error", rpc.Plain(err)))
	}
}

// Masters returns the other masters by incarnation, and a channel that is closed when they change.
func (s *Set) Masters() ([]registry.Member, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.members), s.changed
}

// peer returns the peer with an incarnation, nil if there is none.
func (s *Set) peer(incarnation int64) *peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peers[incarnation]
}

// taking returns the peers that take work, by incarnation; all of them if none does.
func (s *Set) taking() []*peer {
	s.mu.Lock()
	var out []*peer
	for _, m := range s.members {
		if p := s.peers[m.Incarnation]; p != nil && m.State == flow.NodeReady {
			out = append(out, p)
		}
	}
	s.mu.Unlock()
	if len(out) == 0 {
		return s.all()
	}
	return out
}

// all returns the peers by incarnation.
func (s *Set) all() []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*peer, 0, len(s.members))
	for _, m := range s.members {
		if p := s.peers[m.Incarnation]; p != nil {
			out = append(out, p)
		}
	}
	return out
}
