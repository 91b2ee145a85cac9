// A run: what is built and started once, then rounds of sessions, then the report.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"baton/bench/internal/book"
	"baton/bench/internal/peer"
	"baton/bench/internal/postgres"
	"baton/bench/internal/proc"
	"baton/bench/internal/product"
	"baton/bench/internal/report"
)

// world is what the sessions share.
type world struct {
	options
	*book.Book
	dir      string // of this run
	results  string // where reports go
	binary   string
	pg       *postgres.Cluster
	temporal *peer.Temporal
	river    *peer.RiverQueue
	sessions int // counts folders
	profiles []string
}

// session measures one system in one round.
type session struct {
	name string
	run  func(context.Context, int) error
	ours bool // a failure is a fault of the product
}

func run(ctx context.Context, o options) error {
	w := &world{options: o, Book: book.New(), results: filepath.Join(o.bench, "results")}
	began, machine := time.Now(), proc.Machine()
	cleanup, err := w.prepare(ctx)
	defer cleanup()
	if err != nil {
		return err
	}
	for round := range o.pairs {
		plan := w.plan()
		if round%2 == 1 {
			slices.Reverse(plan) // who is measured first changes
		}
		for _, s := range plan {
			w.do(ctx, round, s)
		}
	}
	if w.wants("schedules") {
		for _, store := range o.bigStores {
			w.do(ctx, 0, session{name: fmt.Sprintf("%d schedules on %s", o.many, store), ours: true, run: func(ctx context.Context, _ int) error { return w.manySchedules(ctx, store) }})
		}
	}
	if w.wants("waiting") {
		for _, store := range o.bigStores {
			w.do(ctx, 0, session{name: fmt.Sprintf("%d waiting tasks on %s", o.waiting, store), ours: true, run: func(ctx context.Context, _ int) error { return w.waitingTasks(ctx, store) }})
		}
	}
	if w.wants("history") {
		for _, store := range o.bigStores {
			w.do(ctx, 0, session{name: "history on " + store, ours: true, run: func(ctx context.Context, _ int) error { return w.history(ctx, store) }})
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return w.report(began, machine)
}

// prepare builds and starts what all rounds share. A peer that cannot be had is noted.
func (w *world) prepare(ctx context.Context) (cleanup func(), err error) {
	cleanup = func() {}
	if err := os.MkdirAll(filepath.Join(w.bench, ".cache"), 0o755); err != nil {
		return cleanup, err
	}
	if err := os.MkdirAll(w.results, 0o755); err != nil {
		return cleanup, err
	}
	if w.dir, err = os.MkdirTemp(w.options.dir, "run-"); err != nil {
		return cleanup, err
	}
	cleanup = func() {
		w.pg.Stop()
		if w.keep {
			fmt.Println("kept:", w.dir)
			return
		}
		_ = os.RemoveAll(w.dir)
	}
	if err := os.Chmod(w.dir, 0o755); err != nil { // PostgreSQL runs as another user
		return cleanup, err
	}
	if memory(w.dir) {
		w.note("%s is in memory, not on a disk: nothing here is durable, say -dir", w.dir)
	}
	w.say("build baton")
	if w.binary, err = product.Build(ctx, w.root, w.dir); err != nil {
		return cleanup, err
	}
	var more []string
	if w.profile {
		more = append(more, "shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_planning=on")
	}
	w.pg, err = postgres.Start(ctx, filepath.Join(w.dir, "pg"), more...)
	switch {
	case errors.Is(err, postgres.ErrNone):
		w.Missing["PostgreSQL"] = err.Error()
		err = nil
	case err != nil:
		return cleanup, err
	default:
		if err := w.pg.Durable(ctx, "postgres"); err != nil {
			return cleanup, err
		}
	}
	w.buildPeers(ctx)
	return cleanup, ctx.Err()
}

func (w *world) buildPeers(ctx context.Context) {
	for name, why := range map[string]string{
		"Dagu":  "its Go module is not served by the module proxy (github.com/dagu-org/dagu and github.com/dagucloud/dagu: 403, Nov 2026)",
		"Dkron": "its Go module is not served by the module proxy (github.com/distribworks/dkron/v4: 403, Nov 2026)",
	} {
		w.Missing[name] = why
	}
	if !w.peers {
		w.Missing["Temporal"], w.Missing["River"] = "-peers=false", "-peers=false"
		return
	}
	ctx, cancel := context.WithTimeout(ctx, w.build)
	defer cancel()
	cache := filepath.Join(w.bench, ".cache")
	var err error
	if w.wants("postgres", "schedules") {
		w.say("build River's driver")
		if w.river, err = peer.BuildRiver(ctx, cache, w.bench); err != nil {
			w.Missing["River"] = err.Error()
		}
	}
	if w.wants("postgres", "sqlite", "idle") {
		w.say("build Temporal (minutes, the first time)")
		if w.temporal, err = peer.BuildTemporal(ctx, cache, w.bench); err != nil {
			w.Missing["Temporal"] = err.Error()
		}
	}
}

// wants tells whether one of the scenarios is to be measured.
func (w *world) wants(scenarios ...string) bool {
	return slices.ContainsFunc(scenarios, func(s string) bool { return slices.Contains(w.only, s) })
}

// plan is a round.
func (w *world) plan() []session {
	var plan []session
	if w.wants("postgres") && w.pg != nil {
		plan = append(plan, session{"baton on PostgreSQL", func(ctx context.Context, n int) error { return w.baton(ctx, n, "pg") }, true})
		if w.temporal != nil {
			plan = append(plan, session{"temporal on PostgreSQL", func(ctx context.Context, n int) error { return w.temporalOn(ctx, n, "pg") }, false})
		}
		if w.river != nil {
			plan = append(plan, session{"river", w.riverOn, false})
		}
		plan = append(plan, session{"limits of PostgreSQL", w.postgresLimits, false})
	}
	if w.wants("sqlite") {
		plan = append(plan, session{"baton on SQLite", func(ctx context.Context, n int) error { return w.baton(ctx, n, "sqlite") }, true})
		if w.temporal != nil {
			plan = append(plan, session{"temporal on SQLite", func(ctx context.Context, n int) error { return w.temporalOn(ctx, n, "sqlite") }, false})
		}
	}
	if w.wants("idle") {
		plan = append(plan, session{"baton idle", w.idle, true})
		if w.temporal != nil {
			plan = append(plan, session{"temporal idle", w.temporalIdle, false})
		}
	}
	if w.wants("cluster") && w.pg != nil {
		for _, n := range masterCounts {
			plan = append(plan, session{fmt.Sprintf("%d masters", n), func(ctx context.Context, round int) error { return w.share(ctx, round, n) }, true})
		}
		plan = append(plan,
			session{"failover", w.failover, true},
			session{"changes of nodes", w.seen, true},
			session{"a thousand idle workers", w.fleet, true})
	}
	if w.wants("schedules") {
		plan = append(plan, w.scheduleSessions()...)
	}
	if w.wants("postgres", "sqlite", "idle", "cluster", "history") { // schedules have limits of their own
		plan = append(plan, session{"limits", w.limits, false})
	}
	return plan
}

// do runs a session; what goes wrong is written down, and the run goes on.
func (w *world) do(ctx context.Context, round int, s session) {
	if ctx.Err() != nil {
		return
	}
	w.say("round %d: %s", round+1, s.name)
	if w.pg != nil { // what the one before left is written out on its own account
		_ = w.pg.Exec(ctx, "postgres", "CHECKPOINT")
	}
	err := s.run(ctx, round)
	if err == nil || ctx.Err() != nil {
		return
	}
	text := fmt.Sprintf("round %d: %s: %v", round+1, s.name, err)
	fmt.Println("  ", text)
	if s.ours {
		w.Faults = append(w.Faults, text)
	} else {
		w.Notes = append(w.Notes, text)
	}
}

func (w *world) say(format string, args ...any) {
	fmt.Printf("%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

func (w *world) note(format string, args ...any) {
	w.Notes = append(w.Notes, fmt.Sprintf(format, args...))
}

// folder is a new one for a session.
func (w *world) folder(name string) (string, error) {
	w.sessions++
	dir := filepath.Join(w.dir, fmt.Sprintf("%03d-%s", w.sessions, name))
	return dir, os.MkdirAll(dir, 0o755)
}

func (w *world) report(began time.Time, machine time.Duration) error {
	used := proc.Machine() - machine
	ours := proc.CPU(os.Getpid())
	took := time.Since(began)
	info := report.About{
		At: began.UTC(), Took: took, Short: w.short, Pairs: w.pairs, Profiled: w.profile, Clients: w.clients, Runs: w.runs,
		Elsewhere: (used - ours).Seconds() / took.Seconds(),
	}
	if w.pg != nil {
		info.PostgreSQL = w.pg.Version
	}
	r := report.New(info, w.Book)
	if err := r.Write(w.results); err != nil {
		return err
	}
	fmt.Println()
	fmt.Print(r.Text())
	for _, p := range w.profiles {
		fmt.Println()
		fmt.Print(p)
	}
	switch {
	case len(w.Faults) > 0:
		return fmt.Errorf("%d faults of the product, see above", len(w.Faults))
	case w.gate && r.Missed() > 0:
		return fmt.Errorf("%d gates are missed", r.Missed())
	}
	return nil
}

// memory tells whether a folder is on no disk.
func memory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return false
	}
	return fs.Type == tmpfs || fs.Type == ramfs
}
