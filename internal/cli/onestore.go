// One store, one registry: masters that work on the same store without seeing each other would
// declare each other dead.

package cli

import (
	"context"
	"log/slog"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/peer"
	"baton/internal/registry"
	"baton/internal/rpc"
)

// neighbours are what a master looks at before it joins.
type neighbours struct {
	name, registry string
	lease          time.Duration
	peers          func(ctx context.Context) ([]flow.Peer, error) // all masters of the store
	watch          func(ctx context.Context) <-chan registry.View
	probe          func(ctx context.Context, incarnation int64, address string, most time.Duration) rpc.Outcome
	log            *slog.Logger
}

// checkNeighbours refuses a store whose masters are in another registry. A registry inside the store
// shows what the store has.
func checkNeighbours(ctx context.Context, cfg Config, log *slog.Logger, on ground, set *peer.Set, node flow.Node) error {
	if cfg.Registry == "" || cfg.Registry == "sql" {
		return nil
	}
	own, _ := flow.ParseDuration(cfg.Lease) // checked with the settings
	text, err := patient(ctx, own.Std(), func(ctx context.Context) (string, error) { return on.db.Setting(ctx, api.SettingLease) })
	if err != nil {
		return err
	}
	lease, err := flow.ParseDuration(text)
	if err != nil {
		lease, _ = flow.ParseDuration(cfg.Lease) // checked with the settings
	}
	return neighbours{
		name: node.Name, registry: cfg.Registry, lease: lease.Std(), log: log, watch: on.reg.Watch, probe: set.Probe,
		peers: func(ctx context.Context) ([]flow.Peer, error) { return on.db.Master().Peers(ctx, 0) },
	}.check(ctx)
}

const (
	neighboursGap = 250 * time.Millisecond
	// unseenLeases is for how many leases a live master may be missing in the registry. It is missing for
	// one at most when it lost its session, and for longer where everything is slow.
	unseenLeases = 3
)

// check refuses to join when a live master of the store is not seen in the registry for some leases. One
// that died a moment ago is either proven gone or its row grows old meanwhile.
func (n neighbours) check(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	views := n.watch(ctx)
	began := time.Now()
	var view registry.View
	var since time.Time // of seeing the registry
	gone := map[int64]bool{}
	tick := time.NewTicker(neighboursGap)
	defer tick.Stop()
	for {
		select {
		case v, open := <-views:
			if !open {
				return ctx.Err()
			}
			if view = v; v.Since == 0 {
				since = time.Time{}
			} else if since.IsZero() {
				since = time.Now()
			}
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if since.IsZero() {
			if time.Since(began) < n.lease {
				continue
			}
			n.log.LogAttrs(ctx, slog.LevelWarn, "the registry does not answer: whether other masters of this store are in it is not known")
			return nil
		}
		peers, err := patient(ctx, n.lease, n.peers)
		if err != nil {
			return err
		}
		unseen := n.unseen(ctx, peers, view, gone)
		if unseen == nil {
			return nil
		}
		if waited := unseenLeases * n.lease; time.Since(since) >= waited {
			return flow.Errorf(flow.CodeConflict, "registry",
				"master %s (%s) works on this store, and the registry of %s (%s) has not shown it for %s: are these two clusters on one store? Give all masters of a store the same --registry, or this one a store of its own",
				unseen.Name, unseen.Address, n.name, n.registry, waited)
		}
	}
}

// unseen returns a live master that the registry does not show, nil if there is none.
func (n neighbours) unseen(ctx context.Context, peers []flow.Peer, view registry.View, gone map[int64]bool) *flow.Peer {
	for i, p := range peers {
		if _, shown := view.Find(p.Incarnation); shown || p.Fenced || p.Stale || gone[p.Incarnation] {
			continue
		}
		if p.Address != "" && n.probe(ctx, p.Incarnation, p.Address, neighboursGap) == rpc.Gone {
			gone[p.Incarnation] = true
			continue
		}
		return &peers[i]
	}
	return nil
}
