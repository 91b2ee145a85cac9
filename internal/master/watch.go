// The feed of committed changes, for those who look.

package master

import (
	"context"
	"sync"
	"time"

	"baton/internal/flow"
)

// feed hands committed changes to watchers; one that is too slow loses some and is told.
type feed struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
}

type watcher struct {
	instance flow.ID // 0: all
	ch       chan Change
	gap      bool // the last that was sent is a gap
}

// Change is one committed change of an instance, or a gap.
type Change struct {
	Instance flow.Instance
	Rows     []flow.TaskRow // that changed
	At       flow.Time
	Gap      bool // changes were left out; the other fields mean nothing
}

const watchDepth = 256

// Watch tells the committed changes of one instance, of all for 0, until ctx is done; then the
// channel is closed.
func (m *Master) Watch(ctx context.Context, instance flow.ID) <-chan Change {
	w := &watcher{instance: instance, ch: make(chan Change, watchDepth)}
	f := &m.feed
	f.mu.Lock()
	if f.watchers == nil {
		f.watchers = make(map[*watcher]struct{})
	}
	f.watchers[w] = struct{}{}
	f.mu.Unlock()
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, w)
		close(w.ch)
	})
	return w.ch
}

func (f *feed) publish(c flow.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.watchers) == 0 {
		return
	}
	ev := Change{Instance: c.Instance, Rows: append([]flow.TaskRow(nil), c.NewTasks...), At: flow.At(time.Now())}
	for i := range c.Tasks {
		ev.Rows = append(ev.Rows, c.Tasks[i].Row)
	}
	for w := range f.watchers {
		if w.instance != 0 && w.instance != c.Instance.ID {
			continue
		}
		w.offer(ev)
	}
}

// offer never blocks. The last place is kept for the gap: a reader that was too slow for the last
// change of all hears of it too, although nothing comes after. Only offer sends, so there is room.
func (w *watcher) offer(ev Change) {
	switch room := cap(w.ch) - len(w.ch); {
	case room > 1:
		w.ch <- ev
		w.gap = false
	case room == 1 && !w.gap:
		w.ch <- Change{Gap: true}
		w.gap = true
	}
}
