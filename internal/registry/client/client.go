// The shell: it steps keeper and sight, makes their calls, and wakes who waits.

package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"baton/internal/clock"
	"baton/internal/flow"
	"baton/internal/registry"
)

// Client is a registry.Registry on a backend.
type Client struct {
	backend Backend
	log     *slog.Logger
	now     func() flow.Time

	// stop ends every call; calls counts them.
	ctx   context.Context //nolint:containedctx // the life of the client, which no single call spans
	stop  context.CancelFunc
	calls sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	keeper   *keeper
	sight    sight
	timer    *time.Timer
	sessions map[sessionID]*open
	changed  chan struct{} // closed and replaced when a session is live or over
	joining  map[int64]chan error
	leaving  map[int64]chan struct{}
	freeing  map[Hold]chan struct{}
	watching context.CancelFunc // of the backend's watch
	watchers map[*watcher]struct{}
	view     registry.View
	seen     bool // view is there
	silent   bool // the log was told
}

// open is a session of the backend and what is held in it.
type open struct {
	Session
	ctx    context.Context //nolint:containedctx // the life of the session
	cancel context.CancelFunc
	leases map[Hold]*lease
}

// New returns a client of a backend, which it closes with itself.
func New(b Backend, log *slog.Logger) *Client {
	clock := clock.New()
	return newClient(b, log, clock.Now)
}

func newClient(b Backend, log *slog.Logger, now func() flow.Time) *Client {
	c := &Client{
		backend: b, log: log, now: now, keeper: newKeeper(),
		sessions: map[sessionID]*open{}, changed: make(chan struct{}), joining: map[int64]chan error{}, leaving: map[int64]chan struct{}{},
		freeing: map[Hold]chan struct{}{}, watchers: map[*watcher]struct{}{},
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.timer = time.AfterFunc(time.Hour, c.tick)
	return c
}

var _ registry.Registry = (*Client)(nil)

// step runs fn on the state after what is due by now, and carries the effects out.
func (c *Client) step(fn func(now flow.Time) []any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stepLocked(fn)
}

func (c *Client) stepLocked(fn func(now flow.Time) []any) {
	if c.closed {
		return
	}
	now := c.now()
	reach := reachOf(c.keeper.shortest())
	c.perform(c.keeper.tick(now))
	c.perform(c.sight.tick(now, reach))
	if fn != nil {
		c.perform(fn(now))
		c.perform(c.keeper.tick(now))
		c.perform(c.sight.tick(now, reach))
	}
	if at := flow.Earliest(c.keeper.due(), c.sight.due(reach)); at != 0 {
		c.timer.Reset(max(at.Sub(now), 0))
	}
}

func (c *Client) tick() { c.step(nil) }

// perform carries effects out, in their order, with c.mu held.
func (c *Client) perform(effects []any) {
	for _, e := range effects {
		switch e := e.(type) {
		case openSession:
			c.call(c.ctx, openWithin, func(ctx context.Context) { c.open(ctx, e.id) })
		case renew:
			if s := c.sessions[e.id]; s != nil {
				c.call(s.ctx, answerWithin(e.id.length), func(ctx context.Context) { c.renew(ctx, s, e) })
			}
		case endSession:
			if s := c.sessions[e.id]; s != nil {
				delete(c.sessions, e.id)
				s.cancel()
				c.call(c.ctx, answerWithin(e.id.length), s.End)
			}
		case sessionLive:
			c.wake()
		case sessionOver:
			if s := c.sessions[e.id]; s != nil {
				for _, l := range s.leases {
					close(l.lost)
				}
				clear(s.leases)
			}
			c.wake()
		case announced:
			if ch := c.joining[e.incarnation]; ch != nil {
				ch <- e.err
				delete(c.joining, e.incarnation)
			}
		case withdrawn:
			if ch := c.leaving[e.incarnation]; ch != nil {
				close(ch)
				delete(c.leaving, e.incarnation)
			}
		case released:
			if ch := c.freeing[e.hold]; ch != nil {
				close(ch)
				delete(c.freeing, e.hold)
			}
		case startWatch:
			c.watch(c.ctx, e.number)
		case probe:
			reach := reachOf(c.keeper.shortest())
			c.call(c.ctx, reach/2, func(ctx context.Context) { c.probe(ctx, e.number, reach) })
		case publish:
			c.publish(e.view)
		}
	}
}

func (c *Client) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// call runs a call of the backend, which ends within a time.
func (c *Client) call(ctx context.Context, within time.Duration, fn func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, within)
	c.calls.Go(func() {
		defer cancel()
		fn(ctx)
	})
}

func (c *Client) open(ctx context.Context, id sessionID) {
	sent := c.now()
	s, granted, err := c.backend.Open(ctx, id.length)
	c.report(err, "open a session")
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != nil {
		o := &open{Session: s, leases: map[Hold]*lease{}}
		o.ctx, o.cancel = context.WithCancel(c.ctx)
		c.sessions[id] = o
		if c.closed { // Close did not see it
			delete(c.sessions, id)
			c.call(context.WithoutCancel(ctx), time.Second, s.End)
			return
		}
	}
	c.stepLocked(func(now flow.Time) []any { return c.keeper.opened(now, id, sent, granted, err) })
}

func (c *Client) renew(ctx context.Context, s *open, e renew) {
	sent := c.now()
	err := s.Sync(ctx, e.news)
	if s.ctx.Err() == nil {
		c.report(err, "renew the lease")
	}
	c.step(func(now flow.Time) []any { return c.keeper.renewed(now, e.id, sent, e.news, err) })
}

func (c *Client) probe(ctx context.Context, number int, reach time.Duration) {
	sent := c.now()
	err := c.backend.Probe(ctx)
	c.step(func(now flow.Time) []any { return c.sight.probed(now, number, sent, reach, err) })
}

// watch ends the watch under way and begins another; with c.mu held.
func (c *Client) watch(ctx context.Context, number int) {
	if c.watching != nil {
		c.watching()
	}
	ctx, cancel := context.WithCancel(ctx)
	c.watching = cancel
	c.calls.Go(func() {
		defer cancel()
		err := c.backend.Watch(ctx, func(members []registry.Member) {
			c.step(func(now flow.Time) []any { return c.sight.tell(now, number, members) })
		})
		if ctx.Err() == nil {
			c.report(err, "watch")
		}
		c.step(func(now flow.Time) []any { return c.sight.broken(now, number, reachOf(c.keeper.shortest()), err) })
	})
}

// report says once that the registry is out of reach, and once that it is back.
func (c *Client) report(err error, what string) {
	if errors.Is(err, ErrOver) {
		c.log.LogAttrs(c.ctx, slog.LevelWarn, "the lease at the registry was not renewed in time and is over; it is taken anew")
		return
	}
	c.mu.Lock()
	was := c.silent
	c.silent = err != nil && (was || c.ctx.Err() == nil)
	is := c.silent
	c.mu.Unlock()
	switch {
	case is && !was:
		c.log.LogAttrs(c.ctx, slog.LevelWarn, "the registry does not answer; Baton goes on and tries again",
			slog.String("call", what), slog.Any("error", err))
	case was && !is:
		c.log.LogAttrs(c.ctx, slog.LevelInfo, "the registry answers again")
	}
}

// Announce implements registry.Registry.
func (c *Client) Announce(ctx context.Context, m registry.Member, length time.Duration) (registry.Presence, error) {
	answer := make(chan error, 1)
	err := registry.ErrClosed
	c.step(func(now flow.Time) []any {
		if err = c.keeper.announce(now, m, length); err == nil {
			c.joining[m.Incarnation] = answer
		}
		return nil
	})
	if err == nil {
		select {
		case err = <-answer:
		case <-c.ctx.Done():
			err = registry.ErrClosed
		case <-ctx.Done():
			err = c.giveUp(ctx, m.Incarnation, answer)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("announce %d in the registry: %w", m.Incarnation, err)
	}
	return &presence{c, m.Incarnation}, nil
}

// giveUp takes back an announcement that nobody waits for any more, unless it was answered just now.
func (c *Client) giveUp(ctx context.Context, incarnation int64, answer chan error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case err := <-answer:
		return err
	default:
	}
	delete(c.joining, incarnation)
	err := ctx.Err()
	if s, _ := c.keeper.find(incarnation); s != nil && s.failure != nil {
		err = errors.Join(err, s.failure)
	}
	c.stepLocked(func(now flow.Time) []any { c.keeper.withdraw(now, incarnation); return nil })
	return err
}

// Close implements registry.Registry.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.timer.Stop()
	c.stop()
	for _, s := range c.sessions {
		for _, l := range s.leases {
			close(l.lost)
		}
	}
	c.mu.Unlock()
	c.calls.Wait() // nothing that was said before must arrive after what is said last
	var ending sync.WaitGroup
	for id, s := range c.sessions {
		ending.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if members := slices.Collect(maps.Keys(c.keeper.sessions[id.length].members)); len(members) > 0 {
				if err := s.Sync(ctx, News{Remove: members}); err != nil {
					c.log.LogAttrs(ctx, slog.LevelWarn, "the registry does not answer; its lease ends the announcement", slog.Any("error", err))
				}
			}
			s.End(ctx)
		})
	}
	ending.Wait()
	return c.backend.Close()
}
