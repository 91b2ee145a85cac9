// Watching: the feeds of all masters as one.

package peer

import (
	"context"
	"time"

	"baton/internal/rpc"
)

// Watch tells the changes that any master commits to an instance, of all for 0, until ctx is done;
// then the channel is closed. It returns once every reachable master has been subscribed to, so that what is
// committed after is not missed. When a master comes or goes, or its feed breaks, a gap is told.
func (s *Set) Watch(ctx context.Context, instance int64) <-chan *rpc.WatchReply {
	out := make(chan *rpc.WatchReply, 64)
	w := &watch{set: s, ctx: ctx, instance: instance, out: out, feeds: make(map[int64]bool), ended: make(chan int64)}
	started := make(chan struct{})
	go w.run(started)
	select {
	case <-started:
	case <-ctx.Done():
	}
	return out
}

type watch struct {
	set      *Set
	ctx      context.Context //nolint:containedctx // it is the life of the watch
	instance int64
	out      chan *rpc.WatchReply
	feeds    map[int64]bool
	ended    chan int64
}

// subscribeTimeout is how long a master that does not answer may hold up a watch. Its feed joins
// when it comes, with a gap.
const subscribeTimeout = 250 * time.Millisecond

func (w *watch) run(started chan struct{}) {
	defer func() {
		for len(w.feeds) > 0 { // they end with ctx
			delete(w.feeds, <-w.ended)
		}
		close(w.out)
	}()
	_, changed := w.set.Masters()
	w.subscribe(subscribeTimeout)
	close(started)
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-changed:
			_, changed = w.set.Masters()
			w.subscribe(0)
			w.gap()
		case id := <-w.ended:
			delete(w.feeds, id)
			w.gap()
			t := time.NewTimer(firstPause) // a master that still is there is asked again, not at once
			select {
			case <-w.ctx.Done():
			case <-t.C:
			}
			t.Stop()
			w.subscribe(0)
		}
	}
}

// subscribe opens the feeds that are not open and waits for them to begin.
func (w *watch) subscribe(wait time.Duration) {
	var begun []chan struct{}
	for _, p := range w.set.all() {
		if id := p.member.Incarnation; !w.feeds[id] {
			w.feeds[id] = true
			b := make(chan struct{})
			begun = append(begun, b)
			go func() {
				w.feed(p, b)
				w.ended <- id
			}()
		}
	}
	if wait == 0 {
		return
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for _, b := range begun {
		select {
		case <-b:
		case <-over.C:
			return
		case <-w.ctx.Done():
			return
		}
	}
}

func (w *watch) feed(p *peer, begun chan struct{}) {
	first := true
	end := func() {
		if first {
			first = false
			close(begun)
		}
	}
	defer end()
	stream, err := p.client.Watch(w.ctx, &rpc.WatchRequest{Instance: w.instance})
	if err != nil {
		return
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return
		}
		if first {
			end()
			continue
		}
		select {
		case w.out <- r:
		case <-w.ctx.Done():
			return
		}
	}
}

// gap tells the reader to look again.
func (w *watch) gap() {
	select {
	case w.out <- &rpc.WatchReply{Gap: true}:
	case <-w.ctx.Done():
	}
}
