// Names held exclusively.

package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
)

type lease struct {
	client *Client
	id     sessionID
	hold   Hold
	lost   chan struct{} // closed with client.mu held, by whoever takes it out of its session
}

// Acquire implements registry.Registry.
func (c *Client) Acquire(ctx context.Context, name string, holder int64, length time.Duration) (registry.Lease, error) {
	c.step(func(now flow.Time) []any { c.keeper.want(now, length); return nil })
	defer c.step(func(flow.Time) []any { c.keeper.unwant(length); return nil })
	for {
		id, s, err := c.session(ctx, length)
		if err != nil {
			return nil, fmt.Errorf("acquire %q: %w", name, err)
		}
		l, err := c.lock(ctx, id, s, name, holder)
		switch {
		case l != nil:
			return l, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("acquire %q: %w", name, ctx.Err())
		case IsPermanent(err):
			return nil, fmt.Errorf("acquire %q: %w", name, err)
		}
		pause := time.NewTimer(tryAgain(length))
		select {
		case <-pause.C:
		case <-ctx.Done():
		case <-s.ctx.Done(): // the next one
		}
		pause.Stop()
	}
}

// session waits for a live session.
func (c *Client) session(ctx context.Context, length time.Duration) (sessionID, *open, error) {
	for {
		c.mu.Lock()
		var found *session
		if !c.closed {
			found = c.keeper.sessions[length]
		}
		changed := c.changed
		if found != nil && found.live {
			id, s := found.id, c.sessions[found.id]
			c.mu.Unlock()
			return id, s, nil
		}
		var failure error
		if found != nil {
			failure = found.failure
		}
		c.mu.Unlock()
		if IsPermanent(failure) {
			return sessionID{}, nil, failure
		}
		again := time.NewTimer(tryAgain(length))
		select {
		case <-again.C: // to see a failure that stays
		case <-changed:
		case <-c.ctx.Done():
			return sessionID{}, nil, registry.ErrClosed
		case <-ctx.Done():
			return sessionID{}, nil, errors.Join(ctx.Err(), failure)
		}
		again.Stop()
	}
}

// lock takes the name in a session. Nil without an error: the session ended meanwhile.
func (c *Client) lock(ctx context.Context, id sessionID, s *open, name string, holder int64) (registry.Lease, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)() //nolint:contextcheck // it ends with either of two
	h, err := s.Lock(ctx, name, holder)
	l := &lease{client: c, id: id, hold: h, lost: make(chan struct{})}
	held := false
	c.step(func(now flow.Time) []any {
		switch {
		case errors.Is(err, ErrOver):
			if s := c.keeper.current(id); s != nil && s.live {
				return c.keeper.over(now, s)
			}
		case h.Key == "":
		case !c.keeper.hold(id, h): // it ended with its session
		case err != nil:
			c.keeper.release(now, id, h)
		default:
			held = true
			s.leases[h] = l
		}
		return nil
	})
	if !held {
		return nil, err
	}
	return l, nil
}

// Fence implements registry.Lease.
func (l *lease) Fence() int64 { return l.hold.Fence }

// Lost implements registry.Lease.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Release implements registry.Lease.
func (l *lease) Release(ctx context.Context) error {
	c := l.client
	free := make(chan struct{})
	done := true
	c.step(func(now flow.Time) []any {
		s := c.sessions[l.id]
		if s == nil || s.leases[l.hold] != l {
			return nil // lost, or released already
		}
		delete(s.leases, l.hold)
		close(l.lost)
		if done = c.keeper.release(now, l.id, l.hold); !done {
			c.freeing[l.hold] = free
		}
		return nil
	})
	if done {
		return nil
	}
	return c.wait(ctx, free, fmt.Sprintf("release %q", l.hold.Name))
}

var _ registry.Lease = (*lease)(nil)
