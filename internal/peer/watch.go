// Watching: the feeds of all masters as one.

package peer

import (
	"context"
	"time"

	"baton/internal/rpc"
)

// Watch tells the changes that any master commits to an instance, of all for 0, until ctx is done;
// then the channel is closed. It returns once every reachable master has been subscribed to, so that what is
// committed after is not missed. A gap is told when a feed begins later, and when one breaks.
func (s *Set) Watch(ctx context.Context, instance int64) <-chan *rpc.WatchReply {
	out := make(chan *rpc.WatchReply, 64)
	w := &watch{set: s, ctx: ctx, instance: instance, out: out, feeds: make(map[int64]bool), ended: make(chan feedEnd), started: make(chan struct{})}
	go w.run()
	select {
	case <-w.started:
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
	ended    chan feedEnd
	started  chan struct{} // closed when the watch has begun
}

// feedEnd is the end of a master's feed.
type feedEnd struct {
	master int64
	begun  bool // it told changes; otherwise it was never there
}

// subscribeTimeout is how long a master that does not answer may hold up a watch. Its feed joins
// when it comes, with a gap.
const subscribeTimeout = 250 * time.Millisecond

func (w *watch) run() {
	defer func() {
		for len(w.feeds) > 0 { // they end with ctx
			delete(w.feeds, (<-w.ended).master)
		}
		close(w.out)
	}()
	_, changed := w.set.Masters()
	w.subscribe(subscribeTimeout)
	close(w.started)
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-changed:
			_, changed = w.set.Masters()
			w.subscribe(0)
		case e := <-w.ended:
			delete(w.feeds, e.master)
			if e.begun {
				w.gap()
			}
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
				w.ended <- feedEnd{id, w.feed(p, b)}
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

// feed tells what one master commits until that ends, and whether it ever began. begun is closed when
// it begins, or will not.
func (w *watch) feed(p *peer, begun chan struct{}) bool {
	stream, err := p.client.Watch(w.ctx, &rpc.WatchRequest{Instance: w.instance})
	if err == nil {
		_, err = stream.Recv() // it says that it begins
	}
	close(begun)
	if err != nil {
		return false
	}
	select {
	case <-w.started:
		w.gap() // what was committed before is not told
	default:
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return true
		}
		select {
		case w.out <- r:
		case <-w.ctx.Done():
			return true
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
