// Faults, as they are brought about and mended.

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fault is one that happened.
type fault struct {
	planned
	number int
	at     time.Time // when it was there
	mended time.Time // when it was over: what was ended answers again
	alone  bool      // no other was there at the same time
	caught []string  // the runs that the victim drove
	idle   bool      // there was nothing to break: the victim was dead already
}

// inject brings a fault about and returns what mends it.
func (r *run) inject(ctx context.Context, f *fault) (mend func() error, err error) {
	none := func() error { return nil }
	n := r.node(f.victim)
	if n.role == roleMaster {
		f.caught = r.driven(ctx, f.victim)
	}
	if f.class == cutPair {
		f.caught = r.driven(ctx, f.other)
	}
	f.idle = !n.alive()
	f.at = time.Now()
	// What takes a while to bring about is there when all of it is: tasks go on meanwhile.
	switch f.class {
	case freezeMaster, freezeWorker, freezeLock, cutMaster, cutWorker, cutLock, muteMaster, muteWorker, deafMaster, deafWorker, cutStore, cutPair, cutRegistry, loseStore:
		defer func() { f.at = time.Now() }()
	}
	switch f.class {
	case killMaster, killAPI:
		return n.start, n.kill()
	case termMaster:
		if f.idle {
			return n.start, nil
		}
		return func() error { return errors.Join(n.stop(), n.start()) }, n.unwanted().signal(syscall.SIGTERM)
	case freezeMaster, freezeWorker, freezeLock:
		n.freeze()
		return func() error { n.thaw(); return nil }, nil
	case cutMaster, cutWorker, cutLock, loseStore:
		return r.net.heal, r.cutOff(f.victim, true, true)
	case muteMaster, muteWorker:
		return r.net.heal, r.cutOff(f.victim, true, false)
	case deafMaster, deafWorker:
		return r.net.heal, r.cutOff(f.victim, false, true)
	case cutStore, cutPair, cutRegistry:
		return r.net.heal, errors.Join(r.net.cut(f.victim, f.other), r.net.cut(f.other, f.victim))
	case killProper:
		pid := 0
		if !f.idle {
			pid = n.proper()
		}
		if pid == 0 {
			f.idle = true
			return none, nil
		}
		f.at = time.Now()
		return none, syscall.Kill(pid, syscall.SIGKILL)
	case killSupervisor:
		return n.start, n.kill()
	case killWorker:
		n.freeze()
		f.at = time.Now()
		return n.start, n.die()
	case fullDisk:
		return r.fill(f)
	case stopStore:
		return r.reopen(ctx, n), n.end(syscall.SIGINT)
	case crashStore:
		return r.reopen(ctx, n), n.end(syscall.SIGQUIT)
	case sessionsStore:
		r.count(ctx, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid()")
		return none, nil
	case killRegistry:
		return func() error {
			if err := n.start(); err != nil {
				return err
			}
			return r.answers(ctx, r.registryAnswers, n)
		}, n.kill()
	}
	return nil, fmt.Errorf("nobody knows how to do %q", f.class)
}

// driven are the runs that a master has at this moment; none when the store does not say.
func (r *run) driven(ctx context.Context, master string) []string {
	ids, err := query[string](ctx, r, "SELECT i.id::text FROM instance i JOIN node n ON n.incarnation = i.owner WHERE n.name = $1", master)
	if err != nil {
		r.log("which runs %s drives is not known: %v", master, err)
	}
	return ids
}

// cutOff cuts a node off from all others.
func (r *run) cutOff(name string, out, in bool) error {
	var errs []error
	for _, other := range r.nodes {
		if other.name == name || other.role == roleLock {
			continue
		}
		if out {
			errs = append(errs, r.net.cut(name, other.name))
		}
		if in {
			errs = append(errs, r.net.cut(other.name, name))
		}
	}
	return errors.Join(errs...)
}

func (r *run) reopen(ctx context.Context, n *node) func() error {
	return func() error {
		if err := n.start(); err != nil {
			return err
		}
		return r.answers(ctx, r.storeAnswers, n)
	}
}

func (r *run) answers(ctx context.Context, holds func(context.Context) bool, n *node) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if !poll(ctx, 10*time.Millisecond, func() bool { return holds(ctx) }) {
		return fmt.Errorf("%s does not answer after its restart\n%s", n.name, tail(n.logFile()))
	}
	return nil
}

// fill writes until nothing more fits.
func (r *run) fill(f *fault) (mend func() error, err error) {
	if r.tmpfs == "" {
		f.idle = true
		return func() error { return nil }, nil
	}
	path := filepath.Join(r.tmpfs, "ballast")
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for size := 1 << 20; size > 0; {
		if _, err := file.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return func() error { return os.Remove(path) }, nil
}

// breakAll works through the plan. Faults that overlap are mended together.
func (r *run) breakAll(ctx context.Context) {
	for i := 0; i < len(r.plan.faults) && ctx.Err() == nil; {
		var group []*fault
		var mends []func() error
		lasts := time.Duration(0)
		for ; i < len(r.plan.faults); i++ {
			f := &fault{planned: r.plan.faults[i], number: i + 1}
			mend, err := r.inject(ctx, f)
			if err != nil {
				r.fault("fault %d, %s: %v", f.number, f.planned, err)
			}
			r.log("%6.1fs  fault %d/%d  %s", time.Since(r.begun).Seconds(), f.number, len(r.plan.faults), f.planned)
			group = append(group, f)
			if mend != nil {
				mends = append(mends, mend)
			}
			lasts = max(lasts, f.lasts)
			r.mu.Lock()
			r.faults = append(r.faults, f)
			r.mu.Unlock()
			if !f.overlap {
				i++
				break
			}
			wait(ctx, r.opt.Lease/5)
		}
		wait(ctx, lasts)
		for _, mend := range mends {
			if err := mend(); err != nil {
				r.fault("after fault %d: %v", group[0].number, err)
			}
		}
		now := time.Now()
		for _, f := range group {
			r.mu.Lock()
			f.mended, f.alone = now, len(group) == 1
			r.mu.Unlock()
		}
		r.steady(ctx, group[len(group)-1])
		wait(ctx, group[len(group)-1].calm)
	}
}

// steady waits until every node is there again, exactly once.
func (r *run) steady(ctx context.Context, f *fault) {
	ctx, cancel := context.WithTimeout(ctx, 3*r.opt.Lease+20*time.Second)
	defer cancel()
	var last map[string]int
	var there map[string]bool
	if !poll(ctx, 50*time.Millisecond, func() bool {
		last, there = map[string]int{}, map[string]bool{}
		for _, n := range r.client.nodes(ctx) {
			if n.State == "ready" || n.State == "busy" {
				last[n.Role]++
				there[n.Name] = true
			}
		}
		return last[roleMaster] == 3 && last[roleWorker] == 3
	}) && !errors.Is(ctx.Err(), context.Canceled) {
		r.violate(invWhole, "", "after fault %d (%s) there are %v, not 3 masters and 3 workers", f.number, f.planned, last)
		for _, n := range append(r.role(roleMaster), r.role(roleWorker)...) {
			if !there[n.name] { // what it does instead is in its log: all its goroutines
				_ = n.process().signal(syscall.SIGQUIT)
			}
		}
	}
}
