package registrytest_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/registry/etcd"
	"baton/internal/registry/registrytest/servers"
	"baton/internal/registry/sql"
	"baton/internal/registry/zookeeper"
	"baton/internal/store"
	"baton/internal/store/storetest/pgtest"
)

// watchers is how many clients see a change besides the one that makes it.
const watchers = 5

// cluster is a registry with clients.
type cluster struct {
	name    string
	clients []registry.Registry
	member  registry.Member
	said    registry.Presence
	views   []<-chan registry.View
	took    []time.Duration
}

// change changes the state of a member and returns when the last watcher has seen it.
func (c *cluster) change(b *testing.B, state string) {
	c.member.State = state
	begun := time.Now()
	c.said.Update(c.member)
	var seen sync.WaitGroup
	for _, views := range c.views {
		seen.Go(func() {
			for v := range views {
				if m, _ := v.Find(c.member.Incarnation); m.State == state {
					return
				}
			}
			b.Errorf("%s: the watch ended", c.name)
		})
	}
	seen.Wait()
	c.took = append(c.took, time.Since(begun))
}

func start(b *testing.B, name string, m registry.Member, open func() (registry.Registry, error)) *cluster {
	b.Helper()
	c := &cluster{name: name, member: m}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for range watchers + 1 {
		r, err := open()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = r.Close() })
		c.clients = append(c.clients, r)
	}
	var err error
	if c.said, err = c.clients[0].Announce(ctx, m, 10*time.Second); err != nil {
		b.Fatal(err)
	}
	for _, r := range c.clients[1:] {
		views := r.Watch(b.Context())
		for v := range views {
			if _, seen := v.Find(m.Incarnation); seen && v.Since != 0 {
				break
			}
		}
		c.views = append(c.views, views)
	}
	return c
}

func percentile(d []time.Duration, p float64) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[min(int(p*float64(len(d))), len(d)-1)]
}

// BenchmarkChange measures how long it takes from a change at one node until all others see it, in
// each registry by turns: the database alone beside the two that are made for it.
func BenchmarkChange(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	pg := pgtest.Start(b)
	db := func() *store.DB {
		db, err := store.Open(b.Context(), pg.DSN(), store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
		return db
	}
	lease, err := db().Master().Register(b.Context(), flow.Node{Role: flow.RoleMaster, Name: "one"})
	if err != nil {
		b.Fatal(err)
	}
	member := registry.Member{Incarnation: lease.Incarnation, Role: flow.RoleMaster, Name: "one", State: "ready"}
	etcdURL, zkURL := "etcd://"+servers.Etcd(b).Address(), "zookeeper://"+servers.ZooKeeper(b).Address()
	clusters := []*cluster{
		start(b, "sql", member, func() (registry.Registry, error) { return sql.Open(b.Context(), db().Registry(), log) }),
		start(b, "etcd", member, func() (registry.Registry, error) { return etcd.Open(b.Context(), etcdURL, log) }),
		start(b, "zookeeper", member, func() (registry.Registry, error) { return zookeeper.Open(b.Context(), zkURL, log) }),
	}
	// The limit: the same commit, and nobody to see it.
	alone := db()
	lease, err = alone.Master().Register(b.Context(), flow.Node{Role: flow.RoleMaster, Name: "two"})
	if err != nil {
		b.Fatal(err)
	}
	limit := &cluster{name: "commit"}
	for n := 0; b.Loop(); n++ {
		begun := time.Now()
		if err := alone.Registry().Announce(b.Context(), flow.Node{Incarnation: lease.Incarnation, Name: "two"}, time.Minute, false); err != nil {
			b.Fatal(err)
		}
		limit.took = append(limit.took, time.Since(begun))
		for i := range clusters {
			clusters[(i+n)%len(clusters)].change(b, fmt.Sprint("state ", n))
		}
	}
	clusters = append(clusters, limit)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	for _, c := range clusters {
		b.ReportMetric(ms(percentile(c.took, 0.5)), c.name+"-p50-ms")
		b.ReportMetric(ms(percentile(c.took, 0.99)), c.name+"-p99-ms")
		if c != clusters[0] {
			b.ReportMetric(ms(percentile(clusters[0].took, 0.5))/ms(percentile(c.took, 0.5)), "sql/"+c.name+"-p50")
			b.ReportMetric(ms(percentile(clusters[0].took, 0.99))/ms(percentile(c.took, 0.99)), "sql/"+c.name+"-p99")
		}
	}
}
