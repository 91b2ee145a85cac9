// Metrics: what a master counts about itself, in Prometheus' text format.

package master

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"baton/internal/dispatch"
	"baton/internal/flow"
)

// commitSeconds are the upper bounds of the histogram of commits.
var commitSeconds = [...]float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5}

// counters are what the shell counts.
type counters struct {
	takeovers atomic.Int64

	mu      sync.Mutex
	commits int64
	failed  int64
	sum     time.Duration
	buckets [len(commitSeconds)]int64
}

func (c *counters) commit(took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commits++
	if err != nil {
		c.failed++
	}
	c.sum += took
	for i, bound := range commitSeconds {
		if took.Seconds() <= bound {
			c.buckets[i]++
		}
	}
}

// figures are what the reactor has at one moment.
type figures struct {
	instances int
	pool      dispatch.Figures
}

func (c *Core) figures() figures { return figures{len(c.insts), c.pool.Figures()} }

// WriteMetrics writes what this master counts. It waits for the reactor, which is soon.
func (m *Master) WriteMetrics(ctx context.Context, w io.Writer) error {
	var b strings.Builder
	m.counters.write(&b, m.clock.Now().Sub(flow.Time(m.renewed.Load())))
	answer := make(chan figures, 1)
	var err error
	select {
	case m.asked <- answer:
		f := <-answer
		f.write(&b)
	case <-m.over:
	case <-ctx.Done():
		err = fmt.Errorf("the master is too busy to say what it has: %w", ctx.Err())
	}
	if _, werr := io.WriteString(w, b.String()); werr != nil {
		return werr
	}
	return err
}

func head(b *strings.Builder, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (c *counters) write(b *strings.Builder, leaseAge time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head(b, "baton_commits_total", "counter", "Commits that the store was asked for.")
	fmt.Fprintf(b, "baton_commits_total{result=\"ok\"} %d\nbaton_commits_total{result=\"unknown\"} %d\n", c.commits-c.failed, c.failed)
	const name = "baton_commit_seconds"
	head(b, name, "histogram", "How long commits took.")
	for i, bound := range commitSeconds {
		fmt.Fprintf(b, "%s_bucket{le=\"%g\"} %d\n", name, bound, c.buckets[i])
	}
	fmt.Fprintf(b, "%s_bucket{le=\"+Inf\"} %d\n%s_sum %g\n%s_count %d\n", name, c.commits, name, c.sum.Seconds(), name, c.commits)
	head(b, "baton_takeovers_total", "counter", "Masters that this one declared dead.")
	fmt.Fprintf(b, "baton_takeovers_total %d\n", c.takeovers.Load())
	head(b, "baton_lease_age_seconds", "gauge", "Since the heartbeat that was answered last; at half of the lease orders stop.")
	fmt.Fprintf(b, "baton_lease_age_seconds %g\n", leaseAge.Seconds())
}

func (f figures) write(b *strings.Builder) {
	head(b, "baton_instances_owned", "gauge", "Runs in the memory of this master.")
	fmt.Fprintf(b, "baton_instances_owned %d\n", f.instances)
	head(b, "baton_sessions", "gauge", "Workers that this master may give work.")
	fmt.Fprintf(b, "baton_sessions %d\n", f.pool.Sessions)
	head(b, "baton_slots", "gauge", "Places on workers as far as they are this master's.")
	fmt.Fprintf(b, "baton_slots{state=\"used\"} %d\nbaton_slots{state=\"free\"} %d\nbaton_slots{state=\"unavailable\"} %d\n", f.pool.Used, f.pool.Free, f.pool.Apart)
	head(b, "baton_queue_length", "gauge", "Tasks of this master's runs that wait for a place, by worker group.")
	for _, group := range slices.Sorted(maps.Keys(f.pool.Waiting)) {
		fmt.Fprintf(b, "baton_queue_length{group=%q} %d\n", group, f.pool.Waiting[group])
	}
}
