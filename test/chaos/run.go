// A run from beginning to end.

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say what a run is.
type Options struct {
	Binary   string
	Registry string
	Seed     uint64
	Faults   int
	Tasks    int // of the planned runs, those of the pulses are more
	Pulses   int // how many runs of short steps there are at any time
	Lease    time.Duration
	Classes  []string // nil: all
	Proxy    bool     // no namespaces, even where there might be
	Keep     bool     // the folder of the run stays
	Strict   bool     // a bound of recovery that was missed is a failure
	Log      func(format string, args ...any)
}

// Run makes a cluster, breaks it and checks it. An error says that this could not be done.
func Run(ctx context.Context, o Options) (res *Result, err error) {
	sweep()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid()))
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL is somebody else
		return nil, err
	}
	r := &run{
		opt: o, id: filepath.Base(dir), dir: dir, ledger: filepath.Join(dir, "ledger"), log: o.Log, plan: makePlan(o),
		seen: map[string][]sighting{}, sizes: firstSizes(), given: map[string][]time.Time{}, result: &Result{Options: o, Dir: dir, looked: map[string]int{}},
	}
	if r.net, err = o.network(r.log); err != nil {
		return nil, err
	}
	r.result.Network = r.net.kind()
	if err := os.WriteFile(filepath.Join(dir, "plan"), []byte(r.plan.String()), 0o600); err != nil {
		return nil, errors.Join(err, r.close())
	}
	err = r.work(ctx)
	r.writeFaults()
	r.writeOrders()
	r.writeOutside()
	if len(r.result.violations) > 0 || len(r.faulty) > 0 {
		r.evidence(ctx)
	}
	r.result.faulty = r.faulty
	r.result.faults = r.faults
	err = errors.Join(err, r.close())
	if err == nil && !o.Keep && len(r.result.violations) == 0 && len(r.faulty) == 0 {
		err = os.RemoveAll(dir)
		r.result.Dir = ""
	}
	return r.result, err
}

func (o Options) network(log func(string, ...any)) (network, error) {
	if o.Proxy {
		return newProxies()
	}
	n, err := newNamespaces()
	if err != nil {
		log("no network namespaces here, proxies take their place: %v", err)
		return newProxies()
	}
	return n, nil
}

func (r *run) work(ctx context.Context) error {
	begun := time.Now()
	if err := r.build(ctx); err != nil {
		return err
	}
	if err := r.assertNetwork(ctx); err != nil {
		return err
	}
	text, err := file()
	if err != nil {
		return err
	}
	if _, err := r.client.call(ctx, 0, http.MethodPost, "/api/v1/apply", map[string]any{"files": []map[string]string{{"name": "chaos.yaml", "content": text}}}, nil, ""); err != nil {
		return fmt.Errorf("apply the workflows: %w", err)
	}
	if err := r.openDesks(ctx); err != nil {
		return err
	}
	if err := r.openTriggers(ctx); err != nil {
		return err
	}
	r.log("the cluster is up after %s; %s", time.Since(begun).Round(time.Millisecond), r.net.kind())

	r.begun = time.Now()
	breaking, calm := context.WithCancel(ctx)
	var load, eyes sync.WaitGroup
	watching, blind := context.WithCancel(ctx)
	eyes.Go(func() { r.observe(watching) })
	eyes.Go(func() { r.metrics(watching) })
	eyes.Go(func() { r.sleeps(watching) })
	eyes.Go(func() { r.holders(watching) })
	for _, n := range r.nodes {
		if n.role != roleStore && n.role != roleRegistry {
			eyes.Go(func() { n.keep(watching, func(last string) { r.fell(n, last) }) })
		}
	}
	load.Go(func() { r.pulses(breaking, ctx, r.opt.Pulses) })
	load.Go(func() { r.runs(ctx, r.plan.length()) })
	load.Go(func() { r.timings(breaking, ctx) })
	load.Go(func() { r.backfills(ctx, r.plan.length()) })
	load.Go(func() { r.arrivals(breaking) })
	load.Go(func() { r.notices(breaking) })
	load.Go(func() { r.resize(breaking, ctx) })
	wait(ctx, r.opt.Lease/2)
	r.breakAll(ctx)
	calm()
	load.Wait()
	r.log("%6.1fs  the faults are over, what is left comes to its end", time.Since(r.begun).Seconds())
	r.fired(ctx)
	r.backfilled(ctx)
	r.happened(ctx)
	settling, cancel := context.WithTimeout(ctx, 3*time.Minute)
	open := r.settle(settling)
	cancel()
	blind()
	eyes.Wait()
	r.result.took = time.Since(r.begun)
	r.checkSlots(ctx)
	for _, n := range r.role(roleLock) {
		if err := n.stop(); err != nil {
			r.fault("%v", err)
		}
	}
	if err := r.check(ctx, open); err != nil {
		return err
	}
	r.leave()
	return ctx.Err()
}

// sleeps notes when this process was kept from running for a part of a lease, and with it probably all
// others, until ctx is done.
func (r *run) sleeps(ctx context.Context) {
	for last := time.Now(); ctx.Err() == nil; {
		wait(ctx, 20*time.Millisecond)
		now := time.Now()
		if now.Sub(last) > r.opt.Lease/8 {
			r.mu.Lock()
			r.slept = append(r.slept, now)
			r.mu.Unlock()
		}
		last = now
	}
}

// fell notes that a process ended that nobody ended.
func (r *run) fell(n *node, last string) {
	r.log("%6.1fs  %s ended by itself: %s", time.Since(r.begun).Seconds(), n.name, last)
	r.violate(invFell, "", "%s ended at %s: %s", n.name, clock(time.Now()), last)
}

// length is about how long the faults take.
func (p plan) length() time.Duration {
	sum := time.Duration(0)
	for _, f := range p.faults {
		sum += f.lasts + f.calm
	}
	return sum
}

// assertNetwork checks that a cut is one and that healing heals, before anything is built on it.
func (r *run) assertNetwork(ctx context.Context) error {
	reach := func() bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		c, err := r.net.dial(ctx, r.net.address("a1"))
		if err != nil {
			return false
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
			return false
		}
		if _, err := c.Write([]byte("GET /livez HTTP/1.0\r\n\r\n")); err != nil {
			return false
		}
		_, err = c.Read(make([]byte, 1))
		return err == nil
	}
	if r.opt.Proxy || r.net.kind() != (&namespaces{}).kind() {
		return nil // the test itself goes past the proxies
	}
	for _, way := range [][2]string{{outside, "a1"}, {"a1", outside}} {
		if !reach() {
			return errors.New("the network does not carry")
		}
		if err := r.net.cut(way[0], way[1]); err != nil {
			return err
		}
		if reach() {
			return fmt.Errorf("the network carries what was cut from %s to %s", way[0], way[1])
		}
		if err := r.net.heal(); err != nil {
			return err
		}
		if !reach() {
			return fmt.Errorf("the network does not carry after the cut from %s to %s", way[0], way[1])
		}
	}
	return nil
}

// metrics looks for rows that the api calls stray, until ctx is done.
func (r *run) metrics(ctx context.Context) {
	for api := 0; ctx.Err() == nil; api++ {
		var text string
		if _, err := r.client.call(ctx, api, http.MethodGet, "/metrics", nil, &text, ""); err == nil {
			for line := range strings.Lines(text) {
				if value, found := strings.CutPrefix(line, "baton_stray_rows "); found {
					n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
					if err != nil || n != 0 {
						r.violate(invStray, "", "baton_stray_rows is %s at %s", strings.TrimSpace(value), clock(time.Now()))
					}
					r.looked(invStray, 1)
				}
			}
		}
		wait(ctx, time.Second)
	}
}

// checkSlots: when every run has ended the workers run nothing, and no process of a task is left.
func (r *run) checkSlots(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.opt.Lease+20*time.Second)
	defer cancel()
	var busy []string
	poll(ctx, 100*time.Millisecond, func() bool {
		busy = nil
		nodes := r.client.nodes(ctx)
		for _, w := range nodes {
			if w.Role == roleWorker && w.State != "lost" && w.Running != 0 {
				busy = append(busy, fmt.Sprintf("%s (%s): %d", w.Name, w.State, w.Running))
			}
		}
		return nodes != nil && len(busy) == 0
	})
	if busy != nil {
		r.violate(invSlots, "", "all runs have ended, and workers say that they run: %v", busy)
	}
	for _, w := range r.role(roleWorker) {
		r.looked(invSlots, 1)
		for _, pid := range w.pids() {
			if token := variable(pid, "BATON_FENCE"); token != "" {
				r.violate(invSlots, "", "all runs have ended, and process %d of token %s is there on %s", pid, token, w.name)
			}
		}
	}
}

// leave ends all nodes in order; nobody may be left.
func (r *run) leave() {
	for _, role := range []string{roleWorker, roleAPI, roleMaster} {
		for _, n := range r.role(role) {
			r.looked(invLeftBehind, 1)
			if err := n.stop(); err != nil {
				r.violate(invLeftBehind, "", "%s: %v", n.name, err)
			}
			if left := n.pids(); len(left) > 0 {
				r.violate(invLeftBehind, "", "%s ended after SIGTERM and left processes %v", n.name, left)
			}
		}
	}
}
