// Sessions of a cluster: what many masters cost and bring, how soon the work of the dead goes on, and
// what a cluster does that has nothing to do.

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"baton/bench/internal/product"
	"baton/bench/internal/stat"
)

// masterCounts are how many masters share the load.
var masterCounts = []int{1, 2, 4}

func (w *world) cluster(ctx context.Context, name string, masters, workers int) (c *product.Cluster, db string, err error) {
	dir, err := w.folder("cluster-" + name)
	if err != nil {
		return nil, "", err
	}
	db = "cluster_" + strings.ReplaceAll(filepath.Base(dir), "-", "_")
	if err := w.pg.Fresh(ctx, db); err != nil {
		return nil, "", err
	}
	c, err = product.StartCluster(ctx, w.binary, dir, w.pg.URL(db), masters, workers, w.pg.PID())
	return c, db, err
}

// share measures latency and throughput with so many masters, one worker and one api.
func (w *world) share(ctx context.Context, round, masters int) error {
	c, _, err := w.cluster(ctx, fmt.Sprint(masters), masters, 1)
	if err != nil {
		return err
	}
	defer c.Stop()
	add := func(metric string, v float64) { w.Add(round, fmt.Sprintf("cluster.%d.%s", masters, metric), v) }
	chain, idle := product.Chain("chain", steps), product.Chain("idle", steps)
	if err := c.Apply(ctx, "default", chain, idle); err != nil {
		return err
	}
	if _, err := c.Closed(ctx, chain, 8, 0, time.Second, 0); err != nil { // warm
		return err
	}
	r, err := c.Closed(ctx, idle, 1, w.idleRuns, 0, between)
	if err != nil {
		return fmt.Errorf("idle: %w", err)
	}
	add("idle.p50", stat.Percentile(r.Gaps, 0.5))
	add("idle.p99", stat.Percentile(r.Gaps, 0.99))
	if r, err = c.Closed(ctx, chain, w.clients, 0, w.phase, 0); err != nil {
		return fmt.Errorf("chain: %w", err)
	}
	add("steps", r.StepsPerSecond())
	add("cpu", r.CPUPerStep())
	return nil
}

// failover measures targets 12 and 13: three masters, two workers.
func (w *world) failover(ctx context.Context, round int) error {
	c, db, err := w.cluster(ctx, "failover", 3, 2)
	if err != nil {
		return err
	}
	defer c.Stop()
	pulse := product.Chain("pulse", 100)
	long, host := product.Sleeps("long", 8, 6), product.Sleeps("host", 8, 20)
	if err := c.Apply(ctx, "default", pulse, long, host); err != nil {
		return err
	}
	if err := w.idleCluster(ctx, round, c, db); err != nil {
		return err
	}
	gaps, err := c.KillMasters(ctx, pulse, 6, w.kills)
	if err != nil {
		return fmt.Errorf("masters: %w", err)
	}
	w.Add(round, "cluster.failover.p50", stat.Percentile(gaps, 0.5)/1000)
	w.Add(round, "cluster.failover.p99", stat.Percentile(gaps, 0.99)/1000)
	w.Add(round, "cluster.failover.max", stat.Percentile(gaps, 1)/1000)
	w.Add(round, "cluster.failover.runs", float64(len(gaps)))
	took, err := c.KillWorkers(ctx, long, w.kills)
	if err != nil {
		return fmt.Errorf("workers: %w", err)
	}
	w.Add(round, "cluster.adopted.p50", stat.Percentile(took, 0.5)/1000)
	w.Add(round, "cluster.adopted.p99", stat.Percentile(took, 0.99)/1000)
	if took, err = c.KillHost(ctx, host, c.Workers[0]); err != nil {
		return fmt.Errorf("host: %w", err)
	}
	w.Add(round, "cluster.host.max", stat.Percentile(took, 1)/1000)
	return nil
}

// idleCluster counts what a cluster asks its database when nothing runs.
func (w *world) idleCluster(ctx context.Context, round int, c *product.Cluster, db string) error {
	if err := pause(ctx, w.idleFor/2); err != nil {
		return err
	}
	count := func() (n float64, err error) {
		// Each statement of ours is a transaction. What a session has done is told within a second of
		// its end or of its next statement.
		err = w.pg.Query(ctx, "postgres", "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '"+db+"'", &n)
		return n, err
	}
	before, err := count()
	if err != nil {
		return err
	}
	used, at := c.Used(), time.Now()
	if err := pause(ctx, w.idleFor); err != nil {
		return err
	}
	after, err := count()
	if err != nil {
		return err
	}
	seconds := time.Since(at).Seconds()
	users := float64(len(c.Masters) + 1) // workers have no store
	w.Add(round, "cluster.idle.statements", (after-before)/seconds/users)
	w.Add(round, "cluster.idle.cpu", 100*c.Since(used).All().Seconds()/seconds)
	return nil
}

// inside runs a benchmark of the main module, which needs the product's own packages, and books what it
// reports.
func (w *world) inside(ctx context.Context, round int, pkg, name, times string, series map[string]string) error {
	cmd := exec.CommandContext(ctx, "go", "test", pkg, "-run", "-", "-bench", name, "-benchtime", times)
	cmd.Dir = w.root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark"+name) {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if s, wanted := series[fields[i+1]]; wanted {
				v, err := strconv.ParseFloat(fields[i], 64)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				w.Add(round, s, v)
			}
		}
		return nil
	}
	return fmt.Errorf("%s reports nothing: %s", name, out)
}

// seen measures target 20: how soon a change of one node is seen by all others.
func (w *world) seen(ctx context.Context, round int) error {
	return w.inside(ctx, round, "./internal/registry/registrytest", "Change", fmt.Sprintf("%dx", w.changes), map[string]string{
		"sql-p50-ms": "registry.sql.p50", "sql-p99-ms": "registry.sql.p99", "etcd-p50-ms": "registry.etcd.p50", "etcd-p99-ms": "registry.etcd.p99",
		"zookeeper-p50-ms": "registry.zookeeper.p50", "zookeeper-p99-ms": "registry.zookeeper.p99", "commit-p99-ms": "registry.commit.p99",
	})
}

// fleet measures what a master and its database pay for a thousand workers that have nothing to do.
func (w *world) fleet(ctx context.Context, round int) error {
	return w.inside(ctx, round, "./test/fleet", "IdleWorkers", "1x", map[string]string{
		"master-%cpu": "cluster.fleet.master", "database-%cpu": "cluster.fleet.database", "statements/s": "cluster.fleet.statements",
	})
}
