// A standalone server: every role in one process.

package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/master"
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
	warnOfLease(asked, cfg, db, log)
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
	node := newNode(cfg, flow.RoleStandalone, listener.Addr())
	node.Home, node.Groups, node.Slots = home, split(cfg.Groups), cfg.Slots
	node.Labels, _ = cfg.labels() // checked with the settings
	local := workerConfig(cfg)
	local.Name = node.Name
	lease, _ := flow.ParseDuration(cfg.Lease) // checked with the settings
	masterLog := log.With(slog.String("role", "master"))
	m := newMastering(masterLog, func() *master.Master {
		return master.New(master.Config{Lease: lease.Std(), Lanes: lanes(cfg), OverloadMemory: cfg.OverloadMemory}, crashingMaster(db.Master()), types, node, masterLog)
	}, func(ctx context.Context, m *master.Master) error {
		return drive(ctx, m, crashingLookout(db.Master()), masterLog)
	})
	w := worker.New(local, types, worker.OneMaster(crashingDialer(m.dial)), log.With(slog.String("role", "worker")))
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
	logEnd(asked, log, err)
	return err
}

// nodeList is where all nodes are listed.
type nodeList interface {
	Nodes(ctx context.Context, role string) ([]flow.Node, error)
}

// warnOfOthers says when another server works on the same store: runs then go on where the other
// cannot show their logs, and it takes a lease to notice that one of them died.
func warnOfOthers(ctx context.Context, db nodeList, home string, log *slog.Logger) {
	nodes, err := db.Nodes(ctx, flow.RoleStandalone)
	if err != nil {
		return // a look, nothing more
	}
	for _, n := range nodes {
		if n.Home != home && n.State != flow.NodeLost {
			log.LogAttrs(ctx, slog.LevelWarn, "another standalone server uses this store; several on one store are not supported yet",
				slog.String("server", n.Name), slog.Int("pid", n.PID))
		}
	}
}
