// Who watches, and what they are shown.

package client

import (
	"context"
	"slices"

	"baton/internal/flow"
	"baton/internal/registry"
)

// watcher is one reader. Its channel holds the newest view that it has not taken.
type watcher struct{ views chan registry.View }

// Watch implements registry.Registry.
func (c *Client) Watch(ctx context.Context) <-chan registry.View {
	w := &watcher{make(chan registry.View, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		close(w.views)
		return w.views
	}
	c.watchers[w] = struct{}{}
	if c.seen {
		w.show(c.view)
	}
	if len(c.watchers) == 1 {
		c.stepLocked(func(now flow.Time) []any { c.sight.start(now); return nil })
	}
	c.calls.Go(func() {
		select {
		case <-ctx.Done():
		case <-c.ctx.Done():
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, w)
		close(w.views)
		if len(c.watchers) == 0 {
			c.sight.stop()
			c.seen = false
			if c.watching != nil {
				c.watching()
				c.watching = nil
			}
		}
	})
	return w.views
}

// publish shows a view to everybody; with c.mu held.
func (c *Client) publish(v registry.View) {
	c.view, c.seen = v, true
	for w := range c.watchers {
		w.show(v)
	}
}

// show replaces a view that was not taken; with the client's mutex held, so there is one writer.
func (w *watcher) show(v registry.View) {
	v.Members = slices.Clone(v.Members)
	select {
	case <-w.views:
	default:
	}
	w.views <- v
}
