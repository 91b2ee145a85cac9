// Within one cluster: a registry that several clusters use.

package registry

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Within is a registry that shows the members of one cluster only, and announces them as such. Others
// are warned of. Without a cluster it is that of the first member which says one.
func Within(r Registry, cluster string, log *slog.Logger) Registry {
	return &within{Registry: r, cluster: cluster, log: log}
}

type within struct {
	Registry
	log *slog.Logger

	mu      sync.Mutex
	cluster string
	told    map[string]bool
}

// Announce implements Registry.
func (w *within) Announce(ctx context.Context, m Member, lease time.Duration) (Presence, error) {
	m.Cluster = w.own()
	p, err := w.Registry.Announce(ctx, m, lease)
	if err != nil {
		return nil, err
	}
	return presenceWithin{p, m.Cluster}, nil
}

func (w *within) own() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cluster
}

// presenceWithin keeps the cluster of a member that is updated.
type presenceWithin struct {
	Presence
	cluster string
}

// Update implements Presence.
func (p presenceWithin) Update(m Member) {
	m.Cluster = p.cluster
	p.Presence.Update(m)
}

// Watch implements Registry.
func (w *within) Watch(ctx context.Context) <-chan View {
	out := make(chan View)
	go func() {
		defer close(out)
		in := w.Registry.Watch(ctx)
		var view View
		var to chan<- View // nil: there is nothing new to show
		for {
			select {
			case v, open := <-in:
				if !open {
					return
				}
				view, to = w.narrow(ctx, v), out // a slow reader gets the newest
			case to <- view:
				to = nil
			}
		}
	}()
	return out
}

// narrow leaves out the members of other clusters. Those that say none are of a registry that only
// one cluster can use.
func (w *within) narrow(ctx context.Context, v View) View {
	w.mu.Lock()
	defer w.mu.Unlock()
	v.Members = slices.DeleteFunc(slices.Clone(v.Members), func(m Member) bool {
		if m.Cluster == "" || m.Cluster == w.cluster {
			return false
		}
		if w.cluster == "" {
			w.cluster = m.Cluster
			return false
		}
		if !w.told[m.Cluster] {
			if w.told == nil {
				w.told = map[string]bool{}
			}
			w.told[m.Cluster] = true
			w.log.LogAttrs(ctx, slog.LevelWarn, "another cluster uses the same registry; its nodes are left alone. Give each cluster a path of its own, such as etcd://host/cluster-a",
				slog.String("role", m.Role), slog.String("name", m.Name), slog.String("address", m.Address))
		}
		return true
	})
	return v
}
