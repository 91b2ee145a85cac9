// An announced member.

package client

import (
	"context"
	"errors"
	"fmt"

	"baton/internal/flow"
	"baton/internal/registry"
)

type presence struct {
	client      *Client
	incarnation int64
}

// Update implements registry.Presence.
func (p *presence) Update(m registry.Member) {
	m.Incarnation = p.incarnation
	p.client.step(func(now flow.Time) []any { p.client.keeper.update(now, m); return nil })
}

// Until implements registry.Presence.
func (p *presence) Until() flow.Time {
	p.client.mu.Lock()
	defer p.client.mu.Unlock()
	return p.client.keeper.until(p.incarnation)
}

// Withdraw implements registry.Presence.
func (p *presence) Withdraw(ctx context.Context) error {
	c := p.client
	gone := make(chan struct{})
	done := true
	c.step(func(now flow.Time) []any {
		if done = c.keeper.withdraw(now, p.incarnation); !done {
			c.leaving[p.incarnation] = gone
		}
		return nil
	})
	if done {
		return nil
	}
	return c.wait(ctx, gone, fmt.Sprintf("withdraw %d from the registry", p.incarnation))
}

// wait returns when the registry has done what was asked of it.
func (c *Client) wait(ctx context.Context, done <-chan struct{}, what string) error {
	select {
	case <-done:
		return nil
	case <-c.ctx.Done():
		return nil // closing gives everything back
	case <-ctx.Done():
		return fmt.Errorf("%s: %w; its lease ends it", what, errors.Join(ctx.Err(), c.failure()))
	}
}

// failure is that of the last calls, nil if they were answered.
func (c *Client) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.keeper.sessions {
		if s.failure != nil {
			return s.failure
		}
	}
	return nil
}

var _ registry.Presence = (*presence)(nil)
