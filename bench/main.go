// Bench measures Baton beside its peers and beside the limits of the machine: the targets 1 to 8,
// 10 to 17 and 20 of the project's performance goals, in alternating pairs, as ratios.
//
//	go run . [-short] [-pairs 5] [-only postgres,sqlite,idle,cluster,schedules,waiting,history] [-profile]
//
// Durability is on and every setting of Baton is the default. See README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"baton/bench/internal/limit"
)

// options are the flags.
type options struct {
	pairs       int
	only        []string
	peers       bool
	profile     bool
	gate        bool
	keep        bool
	dir         string
	clients     int
	runs        int
	phase       time.Duration // of load
	limitPhase  time.Duration
	idleRuns    int
	fanRuns     int
	idleFor     time.Duration
	pages       int // requests a list page
	prune       int // runs that retention deletes
	kills       int // of masters, and of workers, a round
	changes     int // of a node
	bigStores   []string
	schedules   int // that are due in turns, and then at once
	many        int // that are loaded at a start
	waiting     int // tasks
	build       time.Duration
	bench, root string
	short       bool
}

var scenarios = []string{"postgres", "sqlite", "idle", "cluster", "schedules", "waiting", "history"}

func main() {
	if len(os.Args) == 4 && os.Args[1] == limit.ChildArg {
		exit(limit.Serve(os.Args[2], os.Args[3]))
	}
	o, err := flags()
	if err != nil {
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func flags() (options, error) {
	o := options{phase: 8 * time.Second, limitPhase: 3 * time.Second, idleRuns: 200, fanRuns: 3, idleFor: 20 * time.Second, pages: 40, kills: 20, changes: 1000}
	flag.BoolVar(&o.short, "short", false, "a quick look: one pair, seconds a phase, 20,000 rows of history")
	flag.IntVar(&o.pairs, "pairs", 5, "rounds in which Baton, peers and limits alternate")
	only := flag.String("only", strings.Join(scenarios, ","), "scenarios to measure")
	flag.BoolVar(&o.peers, "peers", true, "measure peers too; false: Baton and the limits only")
	flag.BoolVar(&o.profile, "profile", false, "write CPU profiles of Baton and the cost of its SQL during targets 1, 2 and 5, and print the top")
	flag.BoolVar(&o.gate, "gate", false, "exit with 1 when a gate is missed")
	flag.BoolVar(&o.keep, "keep", false, "keep the work folder with stores and logs")
	flag.StringVar(&o.root, "repo", "", "repository of the Baton to measure, such as an older checkout (default: this one)")
	flag.StringVar(&o.dir, "dir", "", "folder for stores, on a real disk (default: .cache in bench)")
	flag.IntVar(&o.clients, "clients", 64, "concurrent workflows, of Baton and of Temporal")
	flag.IntVar(&o.runs, "runs", 1_000_000, "runs in the history, with ten task rows each")
	flag.IntVar(&o.prune, "prune", 0, "runs that retention deletes while latency is measured (default: a twentieth of -runs)")
	stores := flag.String("stores", "postgres,sqlite", "stores that get the history, many schedules, and waiting tasks")
	flag.IntVar(&o.schedules, "schedules", 10_000, "schedules, a tenth of which is due each second, and all at once in a stampede")
	flag.IntVar(&o.many, "many", 100_000, "schedules that are loaded at a start, a hundredth of which is due each second")
	flag.IntVar(&o.waiting, "waiting", 1_000_000, "tasks that wait while latency is measured")
	flag.DurationVar(&o.phase, "phase", o.phase, "of load")
	flag.DurationVar(&o.build, "build", 40*time.Minute, "at most, to build a peer the first time")
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.short {
		o.limitPhase, o.idleRuns, o.fanRuns, o.idleFor, o.pages, o.kills, o.changes = time.Second, 40, 1, 5*time.Second, 10, 3, 100
		for name, set := range map[string]func(){
			"pairs": func() { o.pairs = 1 }, "runs": func() { o.runs = 1_800 }, "phase": func() { o.phase = 3 * time.Second },
			"stores": func() { *stores = "sqlite" }, "schedules": func() { o.schedules = 500 }, "many": func() { o.many = 2_000 },
			"waiting": func() { o.waiting = 4_000 },
		} {
			if !given[name] {
				set()
			}
		}
	}
	if o.prune == 0 {
		o.prune = o.runs / 20
		if o.short {
			o.prune = o.runs / 2
		}
	}
	o.only, o.bigStores = strings.Split(*only, ","), strings.Split(*stores, ",")
	for _, s := range o.only {
		if !slices.Contains(scenarios, s) {
			return o, fmt.Errorf("-only %s: there are %s", s, strings.Join(scenarios, ", "))
		}
	}
	for _, s := range o.bigStores {
		if s != "postgres" && s != "sqlite" {
			return o, fmt.Errorf("-stores %s: there are postgres, sqlite", s)
		}
	}
	if flag.NArg() > 0 || o.pairs < 1 || o.runs < 100 || o.clients < 1 || o.schedules < 10 || o.many < 100 || o.waiting < 100 || o.prune >= o.runs {
		return o, fmt.Errorf("impossible flags; see -help")
	}
	var err error
	if o.bench, err = os.Getwd(); err != nil {
		return o, err
	}
	if o.root == "" {
		o.root = filepath.Dir(o.bench)
	}
	if _, err := os.Stat(filepath.Join(o.root, "cmd", "baton")); err != nil {
		return o, fmt.Errorf("run me in the folder bench of the repository: %w", err)
	}
	if _, err := os.Stat("peers"); err != nil {
		return o, fmt.Errorf("run me in the folder bench of the repository: %w", err)
	}
	if o.dir == "" {
		o.dir = filepath.Join(o.bench, ".cache")
	}
	return o, nil
}
