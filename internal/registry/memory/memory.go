// Package memory is the registry of a single process: a hub, and clients of it that see each
// other. A session that is not renewed in time is over here too, so that what uses a registry can
// be tried without a server; Reach cuts a client off.
//
// It must not know anything outside the process.
package memory

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"baton/internal/clock"
	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/registry/client"
)

// late makes a timer fire when the time has come on the other clock too.
const late = time.Millisecond

// Hub is the registry. Safe for concurrent use.
type Hub struct {
	clock clock.Clock

	mu       sync.Mutex
	fence    int64
	members  map[int64]*session
	said     map[int64]registry.Member
	names    map[string]holder
	sessions map[*session]struct{}
	changed  chan struct{} // closed and replaced at every change
	cut      map[*backend]bool
}

type holder struct {
	session *session
	fence   int64
}

// NewHub returns an empty registry.
func NewHub() *Hub {
	return &Hub{
		clock: clock.New(), members: map[int64]*session{}, said: map[int64]registry.Member{}, names: map[string]holder{},
		sessions: map[*session]struct{}{}, changed: make(chan struct{}), cut: map[*backend]bool{},
	}
}

// Client is a client of a hub.
type Client struct {
	*client.Client
	backend *backend
}

// Open returns a client that sees what all others of the hub do.
func Open(_ context.Context, hub *Hub, log *slog.Logger) (*Client, error) {
	b := &backend{hub}
	return &Client{client.New(b, log), b}, nil
}

var errCut = errors.New("the client is cut off from the registry")

// Reach cuts the client off (false), as a broken network does, and heals it (true).
func (c *Client) Reach(in bool) {
	h := c.backend.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut[c.backend] = !in
	h.tell()
}

// tell wakes who waits for a change; with h.mu held, as all below.
func (h *Hub) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// enter locks the hub for a client and ends the sessions that are due.
func (h *Hub) enter(b *backend) error {
	h.mu.Lock()
	now := h.clock.Now()
	for s := range h.sessions {
		if now >= s.until {
			h.end(s)
		}
	}
	if h.cut[b] {
		h.mu.Unlock()
		return errCut
	}
	return nil
}

func (h *Hub) end(s *session) {
	if _, on := h.sessions[s]; !on {
		return
	}
	s.timer.Stop()
	delete(h.sessions, s)
	maps.DeleteFunc(h.members, func(incarnation int64, of *session) bool {
		if of == s {
			delete(h.said, incarnation)
		}
		return of == s
	})
	maps.DeleteFunc(h.names, func(_ string, of holder) bool { return of.session == s })
	h.tell()
}

type backend struct{ hub *Hub }

// session is one of the hub's.
type session struct {
	backend *backend
	length  time.Duration
	until   flow.Time
	timer   *time.Timer
}

// Open implements client.Backend.
func (b *backend) Open(_ context.Context, length time.Duration) (client.Session, time.Duration, error) {
	h := b.hub
	if err := h.enter(b); err != nil {
		return nil, 0, err
	}
	defer h.mu.Unlock()
	s := &session{backend: b, length: length, until: h.clock.Now().Add(length)}
	s.timer = time.AfterFunc(length+late, func() { // it is the others who want to know
		if h.enter(b) == nil {
			h.mu.Unlock()
		}
	})
	h.sessions[s] = struct{}{}
	return s, length, nil
}

// Watch implements client.Backend.
func (b *backend) Watch(ctx context.Context, tell func([]registry.Member)) error {
	h := b.hub
	for {
		if err := h.enter(b); err != nil {
			return err
		}
		members := slices.SortedFunc(maps.Values(h.said), func(a, b registry.Member) int { return cmp.Compare(a.Incarnation, b.Incarnation) })
		changed := h.changed
		h.mu.Unlock()
		tell(members)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Probe implements client.Backend.
func (b *backend) Probe(context.Context) error {
	err := b.hub.enter(b)
	if err == nil {
		b.hub.mu.Unlock()
	}
	return err
}

// Close implements client.Backend.
func (b *backend) Close() error {
	b.hub.mu.Lock()
	defer b.hub.mu.Unlock()
	delete(b.hub.cut, b)
	return nil
}

// Sync implements client.Session.
func (s *session) Sync(_ context.Context, n client.News) error {
	h := s.backend.hub
	if err := h.enter(s.backend); err != nil {
		return err
	}
	defer h.mu.Unlock()
	if _, on := h.sessions[s]; !on {
		return client.ErrOver
	}
	s.until = h.clock.Now().Add(s.length)
	s.timer.Reset(s.length + late)
	for _, m := range n.Put {
		h.members[m.Incarnation], h.said[m.Incarnation] = s, m
	}
	for _, incarnation := range n.Remove {
		if h.members[incarnation] == s {
			delete(h.members, incarnation)
			delete(h.said, incarnation)
		}
	}
	for _, hold := range n.Unlock {
		if h.names[hold.Name] == (holder{s, hold.Fence}) {
			delete(h.names, hold.Name)
		}
	}
	if len(n.Put)+len(n.Remove)+len(n.Unlock) > 0 {
		h.tell()
	}
	return nil
}

// Lock implements client.Session.
func (s *session) Lock(ctx context.Context, name string, _ int64) (client.Hold, error) {
	h := s.backend.hub
	for {
		if err := h.enter(s.backend); err != nil {
			return client.Hold{}, err
		}
		if _, on := h.sessions[s]; !on {
			h.mu.Unlock()
			return client.Hold{}, client.ErrOver
		}
		if _, taken := h.names[name]; !taken {
			h.fence++
			fence := h.fence
			h.names[name] = holder{s, fence}
			h.mu.Unlock()
			return client.Hold{Name: name, Fence: fence, Key: strconv.FormatInt(fence, 10)}, nil
		}
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return client.Hold{}, ctx.Err()
		}
	}
}

// End implements client.Session.
func (s *session) End(context.Context) {
	h := s.backend.hub
	if h.enter(s.backend) == nil {
		h.end(s)
		h.mu.Unlock()
	}
}
