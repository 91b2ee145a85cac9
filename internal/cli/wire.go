// The one place that names the concrete store, engine, master and worker.

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/credentials"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/master"
	"baton/internal/param"
	"baton/internal/peer"
	"baton/internal/registry"
	regclient "baton/internal/registry/client"
	"baton/internal/registry/etcd"
	"baton/internal/registry/sql"
	"baton/internal/registry/zookeeper"
	"baton/internal/rpc"
	"baton/internal/store"
	"baton/internal/task"
	"baton/internal/task/all"
	"baton/internal/worker"
)

// apiNumber is the node number in the ids that the API of a standalone server makes: its master
// takes the lowest free one.
const apiNumber = 1023

// standalone runs all roles until asked is done: what runs may finish, as long as the setting says;
// then the API stops taking requests, the worker ends what still runs, the master leaves and the
// store is closed.
func standalone(asked context.Context, cfg Config, log *slog.Logger, listener net.Listener, people io.Writer) (err error) {
	port := newGate(listener)
	defer port.Close() //nolint:errcheck // closed long before, when all went well
	begin := &starting{}
	early := serveEarly(port.turn(), begin)
	db, err := openStoreAtLast(asked, cfg, log, begin)
	early()
	if err != nil {
		return ignoreEnd(asked, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	home, err := homeOf(cfg.Data)
	if err != nil {
		return err
	}
	if err := firstToken(asked, db, cfg.Data); err != nil {
		return err
	}
	url := reachable(listener.Addr())
	if err := announce(cfg.Data, url); err != nil {
		return err
	}
	defer retract(cfg.Data)

	types := task.NewSet(all.Types()...)
	node := nodeOf(cfg, home, listener.Addr())
	lease, _ := flow.ParseDuration(cfg.Lease) // checked with the settings
	masterLog := log.With(slog.String("role", "master"))
	m := newMastering(masterLog, func() *master.Master {
		return master.New(master.Config{Lease: lease.Std(), Lanes: lanes(cfg), OverloadMemory: cfg.OverloadMemory}, crashingMaster(db.Master()), types, node, masterLog)
	}, func(ctx context.Context, m *master.Master) error { return m.Run(ctx) })
	w := worker.New(workerConfig(cfg, node), types, worker.OneMaster(crashingDialer(m.dial)), log.With(slog.String("role", "worker")))
	keeper := &api.Housekeeper{Store: db, Log: log.With(slog.String("role", "api"))}
	ids := flow.NewIDSource(apiNumber, 0)
	server := api.New(api.Config{ //nolint:contextcheck // requests bring their own
		Store: crashingAPI(db), Masters: live{m}, Engine: newPlanner(types), Documents: newFiles(),
		NextID:  func() flow.ID { return ids.Next(flow.At(time.Now())) },
		Ready:   readiness(asked, m.ready, w),
		Metrics: func(out io.Writer) error { return errors.Join(keeper.WriteMetrics(out), m.ownMetrics(asked, out)) },
		Version: programVersion(),
		Log:     log.With(slog.String("role", "api")),
	})
	admin, err := listen(asked, "admin-listen", cfg.AdminListen)
	if err != nil {
		return err
	}

	// What is under way lives longer than asked: see drain.
	serving, end := context.WithCancel(context.WithoutCancel(asked))
	defer end()
	g, ctx := errgroup.WithContext(serving)
	// The worker ends first: how its attempts ended is told to a master that still listens.
	mastering, stopMaster := context.WithCancel(context.WithoutCancel(ctx))
	defer stopMaster()
	g.Go(func() error { return m.run(mastering) })
	over := make(chan struct{})
	g.Go(func() error { defer stopMaster(); defer close(over); return w.Run(ctx) })
	g.Go(func() error { return keeper.Run(ctx) })
	g.Go(func() error { return server.Serve(ctx, port.turn()) })
	g.Go(func() error { return serveAdmin(ctx, admin, server) })
	g.Go(func() error {
		select {
		case <-m.registered(ctx):
			welcome(people, log, cfg, url, reachable(admin.Addr()))
			warnOfOthers(ctx, db, home, log)
		case <-ctx.Done():
		}
		return nil
	})
	g.Go(func() error {
		defer end()
		another, forget := anotherSignal(asked)
		defer forget()
		select {
		case <-asked.Done():
		case <-ctx.Done():
			return nil
		}
		most, _ := flow.ParseDuration(cfg.DrainTimeout) // checked with the settings
		drain(ctx, w, over, another, most.Std(), log)
		log.LogAttrs(asked, slog.LevelInfo, "stopping: nothing new is taken, what runs is ended and goes on after the next start")
		return nil
	})
	err = g.Wait()
	log.LogAttrs(asked, slog.LevelInfo, "stopped")
	return err
}

// openRegistry opens the registry that the settings name. Inside the store it needs db; elsewhere it
// shows the nodes of the store's cluster only.
func openRegistry(ctx context.Context, cfg Config, db *store.DB, log *slog.Logger) (registry.Registry, error) {
	kind, _, _ := strings.Cut(cfg.Registry, "://")
	var reg registry.Registry
	var err error
	switch kind {
	case "", "sql":
		return sql.Open(ctx, db.Registry(), log)
	case "etcd":
		reg, err = etcd.Open(ctx, cfg.Registry, log)
	case "zookeeper":
		reg, err = zookeeper.Open(ctx, cfg.Registry, log)
	default:
		err = flow.Errorf(flow.CodeBadRequest, "registry", "registry %q is none of sql, etcd://host:port,… and zookeeper://host:port,…", cfg.Registry)
	}
	if err != nil {
		return nil, err
	}
	cluster := "" // a worker without a store learns it from the first master
	if db != nil {
		if cluster, err = db.Setting(ctx, "cluster"); err != nil {
			return nil, errors.Join(err, reg.Close())
		}
	}
	return registry.Within(reg, cluster, log), nil
}

// openStoreAtLast opens the store, and waits for a server that is not there yet. A file that cannot be
// opened is an error at once.
func openStoreAtLast(ctx context.Context, cfg Config, log *slog.Logger, s *starting) (*store.DB, error) {
	if !strings.HasPrefix(storeName(cfg), "postgres") {
		return openStore(ctx, cfg)
	}
	return persist(ctx, log, s, "store", func() (*store.DB, error) { return openStore(ctx, cfg) })
}

// stores opens store and registry of a role, and waits for them.
func stores(ctx context.Context, cfg Config, log *slog.Logger, s *starting) (*store.DB, registry.Registry, error) {
	db, err := openStoreAtLast(ctx, cfg, log, s)
	if err != nil {
		return nil, nil, err
	}
	reg, err := persist(ctx, log, s, "registry", func() (registry.Registry, error) { return openRegistry(ctx, cfg, db, log) })
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, reg, nil
}

// runMaster runs a master until ctx is done: it lets go of what it drives, and the others take it.
func runMaster(ctx context.Context, cfg Config, log *slog.Logger) error {
	log = log.With(slog.String("role", flow.RoleMaster))
	dialer, server, err := credentialsOf(cfg)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, "rpc-listen", cfg.RPCListen)
	if err != nil {
		return err
	}
	port := newGate(listener)
	defer port.Close() //nolint:errcheck // closed long before, when all went well
	admin, err := listen(ctx, "admin-listen", cfg.AdminListen)
	if err != nil {
		return err
	}
	defer admin.Close()
	begin := &starting{}
	g, ctx := errgroup.WithContext(ctx)
	done, end := context.WithCancel(ctx)
	g.Go(func() error { return serveAdmin(done, admin, begin) })
	g.Go(func() (err error) {
		defer end()
		db, reg, err := stores(ctx, cfg, log, begin)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		defer func() { err = errors.Join(err, reg.Close(), db.Close()) }()
		return masterOn(ctx, cfg, log, db, reg, port, begin, dialer, server, reachable(admin.Addr()))
	})
	return g.Wait()
}

// masterOn runs a master on a store and a registry, on a port that stays when it begins anew.
func masterOn(ctx context.Context, cfg Config, log *slog.Logger, db *store.DB, reg registry.Registry, port *gate, begin *starting,
	dialer, server credentials.TransportCredentials, admin string,
) error {
	node := flow.Node{
		Role: flow.RoleMaster, Name: shownName(cfg, port.Addr()), Address: advertised(cfg, port.Addr()), PID: os.Getpid(),
		Groups: []string{}, Labels: map[string]string{}, State: "ready", Version: programVersion(), Engine: flow.EngineVersion,
	}
	types := task.NewSet(all.Types()...)
	d := newMastering(log, func() *master.Master {
		return master.New(master.Config{Lanes: lanes(cfg), OverloadMemory: cfg.OverloadMemory}, crashingMaster(db.Master()), types, node, log)
	}, func(ctx context.Context, m *master.Master) error {
		set := peer.New(peer.Config{Watch: reg.Watch, Creds: dialer, Identity: m.Identity, Linked: m.Linked, Log: log})
		if err := checkNeighbours(ctx, cfg, log, db, reg, set, node); err != nil {
			return err
		}
		m.Join(reg, set)
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return m.Run(ctx) })
		g.Go(func() error { return ignoreEnd(ctx, set.Run(ctx)) })
		g.Go(func() error { return rpc.Serve(ctx, port.turn(), m, m.PeersServer(), server) })
		g.Go(func() error {
			select {
			case <-m.Ready():
				log.LogAttrs(ctx, slog.LevelInfo, "ready", slog.String("name", node.Name), slog.String("address", node.Address),
					slog.String("admin", admin), slog.String("version", node.Version))
			case <-ctx.Done():
			}
			return nil
		})
		return g.Wait()
	})
	begin.serves(health(d.metrics(db), d.ready, db.Ping))
	return d.run(ctx)
}

// checkNeighbours refuses a store whose masters are in another registry. A registry inside the store
// shows what the store has.
func checkNeighbours(ctx context.Context, cfg Config, log *slog.Logger, db *store.DB, reg registry.Registry, set *peer.Set, node flow.Node) error {
	if cfg.Registry == "" || cfg.Registry == "sql" {
		return nil
	}
	text, err := db.Setting(ctx, api.SettingLease)
	if err != nil {
		return err
	}
	lease, err := flow.ParseDuration(text)
	if err != nil {
		lease, _ = flow.ParseDuration(cfg.Lease) // checked with the settings
	}
	return neighbours{
		name: node.Name, registry: cfg.Registry, lease: lease.Std(), log: log, watch: reg.Watch, probe: set.Probe,
		peers: func(ctx context.Context) ([]flow.Peer, error) { return db.Master().Peers(ctx, 0) },
	}.check(ctx)
}

// runAPI runs the HTTP interface of a cluster until ctx is done.
func runAPI(ctx context.Context, cfg Config, log *slog.Logger, listener net.Listener) error {
	log = log.With(slog.String("role", flow.RoleAPI))
	dialer, _, err := credentialsOf(cfg)
	if err != nil {
		return err
	}
	admin, err := listen(ctx, "admin-listen", cfg.AdminListen)
	if err != nil {
		return err
	}
	defer admin.Close()
	port := newGate(listener)
	defer port.Close() //nolint:errcheck // closed long before, when all went well
	begin := &starting{}
	g, ctx := errgroup.WithContext(ctx)
	done, end := context.WithCancel(ctx)
	g.Go(func() error { return serveAdmin(done, admin, begin) })
	g.Go(func() (err error) {
		defer end()
		early := serveEarly(port.turn(), begin)
		db, reg, err := stores(ctx, cfg, log, begin)
		if err != nil {
			early()
			return ignoreEnd(ctx, err)
		}
		defer func() { err = errors.Join(err, reg.Close(), db.Close()) }()
		roll, err := persist(ctx, log, begin, "store", func() (*enrolment, error) {
			return enrol(ctx, db.Master(), flow.Node{
				Role: flow.RoleAPI, Name: shownName(cfg, port.Addr()), Address: reachable(port.Addr()), PID: os.Getpid(),
				Groups: []string{}, Labels: map[string]string{}, State: "ready", Version: programVersion(), Engine: flow.EngineVersion,
			}, log)
		})
		early()
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		return apiOn(ctx, log, db, reg, roll, port, begin, dialer, reachable(admin.Addr()))
	})
	return g.Wait()
}

// apiOn runs the HTTP interface on a store and a registry.
func apiOn(ctx context.Context, log *slog.Logger, db *store.DB, reg registry.Registry, roll *enrolment, port *gate, begin *starting,
	dialer credentials.TransportCredentials, admin string,
) error {
	types := task.NewSet(all.Types()...)
	set := peer.New(peer.Config{Watch: reg.Watch, Creds: dialer, Log: log})
	keeper := &api.Housekeeper{Store: db, Log: log}
	server := api.New(api.Config{ //nolint:contextcheck // requests bring their own
		Store: crashingAPI(db), Masters: fleet{set}, Engine: newPlanner(types), Documents: newFiles(), NextID: roll.nextID,
		Metrics: keeper.WriteMetrics, Version: programVersion(), Log: log,
	})
	begin.serves(server)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return roll.run(ctx) })
	g.Go(func() error { return ignoreEnd(ctx, set.Run(ctx)) })
	g.Go(func() error { return keeper.Run(ctx) })
	g.Go(func() error { return server.Serve(ctx, port.turn()) })
	log.LogAttrs(ctx, slog.LevelInfo, "ready", slog.String("url", reachable(port.Addr())), slog.String("admin", admin), slog.String("version", programVersion()))
	return g.Wait()
}

// refusedForGood tells whether store or registry said something that stays until a person changes a
// setting.
func refusedForGood(err error) bool { return regclient.IsPermanent(err) || store.Refused(err) }

// ignoreEnd takes the end of a context for no error.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was asked to end
	}
	return err
}

// supervise runs the supervisor of a worker; args are those of the command.
func supervise(ctx context.Context, cfg Config, args []string, log *slog.Logger) error {
	self := append([]string{os.Args[0]}, args...)
	another, forget := anotherSignal(ctx)
	defer forget()
	return worker.Supervise(ctx, fleetWorker(cfg), worker.Programs{
		Path: program, Self: self, Proper: append(slices.Clone(self), properName),
	}, another, log.With(slog.String("role", "supervisor")))
}

// workBelow runs a worker below its supervisor, at the other end of the link.
func workBelow(ctx context.Context, cfg Config, end *os.File, log *slog.Logger) (err error) {
	log = log.With(slog.String("role", flow.RoleWorker))
	dialer, _, err := credentialsOf(cfg)
	if err != nil {
		return err
	}
	// The masters are followed until the worker has ended, which takes longer than ctx.
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	lists, done, err := mastersOf(following, cfg, dialer, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	w := worker.New(fleetWorker(cfg), task.NewSet(all.Types()...), worker.Masters{
		Lists: lists,
		Dial: func(ctx context.Context, address string) (rpc.Stream, error) {
			return crashingDialer(rpc.To(address, dialer))(ctx)
		},
	}, log)
	stopAdmin := serveWorkerAdmin(following, cfg, w, log)
	defer stopAdmin()
	return w.RunBelow(ctx, end)
}

// mastersOf tells a worker where the masters are: through any of them, or as the registry shows.
func mastersOf(ctx context.Context, cfg Config, creds credentials.TransportCredentials, log *slog.Logger) (lists <-chan []string, done func() error, err error) {
	if strings.HasPrefix(cfg.Registry, "master://") {
		seeds, err := masterAddresses(cfg.Registry)
		if err != nil {
			return nil, nil, err
		}
		return peer.Follow(ctx, seeds, creds, log), func() error { return nil }, nil
	}
	var db *store.DB
	if cfg.Registry == "" || cfg.Registry == "sql" {
		if db, err = openStoreAtLast(ctx, cfg, log, nil); err != nil {
			return nil, nil, err
		}
	}
	reg, err := openRegistry(ctx, cfg, db, log)
	if err != nil {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
		return nil, nil, err
	}
	return peer.Addresses(ctx, reg.Watch(ctx)), func() error {
		err := reg.Close()
		if db != nil {
			err = errors.Join(err, db.Close())
		}
		return err
	}, nil
}

// fleetWorker is the config of a worker that is a process of its own.
func fleetWorker(cfg Config) worker.Config {
	labels, _ := cfg.labels() // these are checked with the settings
	limit, _ := parseSize(cfg.LogLimit)
	drain, _ := flow.ParseDuration(cfg.DrainTimeout)
	return worker.Config{
		Name: cfg.Name, Data: cfg.Data, Version: programVersion(), Groups: split(cfg.Groups), Slots: cfg.Slots, Labels: labels,
		LogLimit: limit, DrainFor: drain.Std(),
		FunctionSlots: cfg.FunctionSlots, Weight: cfg.Weight, Limits: limits(cfg),
	}
}

// limits are where a worker takes nothing new.
func limits(cfg Config) worker.Limits {
	disk, _ := cfg.overloadDisk() // checked with the settings
	return worker.Limits{CPU: cfg.OverloadCPU, Memory: cfg.OverloadMemory, Disk: disk}
}

// warnOfOthers says when another server works on the same store: runs then go on where the other
// cannot show their logs, and it takes a lease to notice that one of them died.
func warnOfOthers(ctx context.Context, db *store.DB, home string, log *slog.Logger) {
	nodes, err := db.Nodes(ctx, flow.RoleStandalone)
	if err != nil {
		return // a look, nothing more
	}
	for _, n := range nodes {
		if n.Home != home && n.State != "lost" {
			log.LogAttrs(ctx, slog.LevelWarn, "another standalone server uses this store; several on one store are not supported yet",
				slog.String("server", n.Name), slog.Int("pid", n.PID))
		}
	}
}

// lanes is how many commits may be under way at a time: SQLite has one writer; on PostgreSQL a
// second one is prepared while the first waits for the network and the disk.
func lanes(cfg Config) int {
	if strings.HasPrefix(storeName(cfg), "postgres") {
		return 2
	}
	return 1
}

func nodeOf(cfg Config, home string, address net.Addr) flow.Node {
	name := cfg.Name
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "localhost"
		}
		_, port, _ := net.SplitHostPort(address.String())
		name = net.JoinHostPort(host, port)
	}
	labels, _ := cfg.labels() // checked with the settings
	return flow.Node{
		Role: flow.RoleStandalone, Name: name, Home: home, PID: os.Getpid(), Groups: split(cfg.Groups), Slots: cfg.Slots,
		Labels: labels, State: "ready", Version: programVersion(), Engine: flow.EngineVersion,
	}
}

func workerConfig(cfg Config, node flow.Node) worker.Config {
	limit, _ := parseSize(cfg.LogLimit) // checked with the settings
	return worker.Config{
		LogLimit: limit, FunctionSlots: cfg.FunctionSlots, Weight: cfg.Weight, Limits: limits(cfg),
		Name: node.Name, Data: cfg.Data, Version: node.Version, Groups: node.Groups, Slots: node.Slots, Labels: node.Labels,
	}
}

// storeName is the store of the settings: by default a file in the data folder.
func storeName(cfg Config) string {
	if cfg.Store != "" {
		return cfg.Store
	}
	return "sqlite:" + filepath.Join(cfg.Data, "baton.db")
}

func openStore(ctx context.Context, cfg Config) (*store.DB, error) {
	lease, _ := flow.ParseDuration(cfg.Lease) // checked with the settings
	return store.Open(ctx, storeName(cfg), store.Options{Lease: lease.Std(), Direct: cfg.StoreDirect})
}

// store looks at the schema, the clock and the rows of the store itself. It migrates nothing.
func (d *doctor) store(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	steps, err := migrations(limited, d.config)
	if err != nil {
		d.found.fail("store", "check --store", "%v", err)
		return
	}
	missing := 0
	for _, s := range steps {
		if !s.Applied {
			missing++
		}
	}
	if missing > 0 {
		d.found.fail("store", "`baton migrate up`", "%d of %d steps of the schema are missing", missing, len(steps))
		return
	}
	db, err := store.Open(limited, storeName(d.config), store.Options{SkipMigrate: true, Direct: d.config.StoreDirect})
	if err != nil {
		d.found.fail("store", "check --store", "%v", err)
		return
	}
	defer func() { _ = db.Close() }() // nothing was written
	sent := time.Now()
	command, inbox, now, err := db.Waits(limited)
	if err != nil {
		d.found.fail("store", "check --store", "%v", err)
		return
	}
	took := time.Since(sent)
	d.skews["database"] = now.Std().Sub(sent.Add(took / 2))
	d.found.ok("store", "schema %d, answers in %s", len(steps), span(took))
	if age := max(since(command, now), since(inbox, now)); age > 10 {
		d.found.warn("waiting", "are there masters, and do they keep up? See baton_queue_length and baton_commit_seconds of /metrics", "an order waits for a master since %.0f s", age)
	}
	if n, err := db.Stray(limited); err == nil && len(d.nodes) == 0 {
		d.strayRows(strconv.Itoa(n))
	}
}

// registry looks whether it answers, and whether it shows the masters that the server knows.
func (d *doctor) registry(ctx context.Context) {
	if kind, _, _ := strings.Cut(d.config.Registry, "://"); kind == "sql" || kind == "master" {
		return
	}
	limited, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	reg, err := openRegistry(limited, d.config, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		d.found.fail("registry", "check --registry", "%v", err)
		return
	}
	defer func() { _ = reg.Close() }() // nothing was announced
	for v := range reg.Watch(limited) {
		if v.Since == 0 {
			continue
		}
		var unseen []string
		for _, n := range d.nodes {
			id, _ := strconv.ParseInt(n.ID, 10, 64)
			if _, shown := v.Find(id); !shown && n.Role == flow.RoleMaster && n.State != "lost" {
				unseen = append(unseen, n.Name)
			}
		}
		if len(unseen) > 0 {
			d.found.fail("registry", "give all masters of a store the same --registry", "it answers, and does not show %s", strings.Join(unseen, ", "))
			return
		}
		d.found.ok("registry", "it answers and shows %d masters", len(v.OfRole(flow.RoleMaster)))
		return
	}
	d.found.fail("registry", "check --registry, and that it runs", "%s does not answer within %s", d.config.Registry, askWithin)
}

func migrateUp(ctx context.Context, cfg Config) (err error) {
	m, err := store.NewMigrator(storeName(cfg))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return m.Up(ctx)
}

func migrations(ctx context.Context, cfg Config) (steps []migration, err error) {
	m, err := store.NewMigrator(storeName(cfg))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	all, err := m.Status(ctx)
	for _, s := range all {
		steps = append(steps, migration{Version: s.Version, Name: s.Name, Applied: s.AppliedAt != 0, AppliedAt: s.AppliedAt})
	}
	return steps, err
}

// evalParam answers `baton param eval`.
func evalParam(text string, at time.Time, zone *time.Location, params map[string]string) (string, error) {
	value, err := param.Eval(text, at, zone, params)
	if e, ok := errors.AsType[*param.Error](err); ok {
		return "", &flow.Error{Code: flow.Code(e.Code), Field: "text", Message: e.Error(), Suggestion: e.Suggestion}
	}
	if err != nil {
		return "", fmt.Errorf("evaluate: %w", err)
	}
	return value, nil
}
