// A master of a cluster, and what it has in common with the other roles that stand on its ground.

package cli

import (
	"context"
	"errors"
	"log/slog"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/credentials"

	"baton/internal/flow"
	"baton/internal/master"
	"baton/internal/peer"
	"baton/internal/rpc"
	"baton/internal/task"
	"baton/internal/task/all"
)

// onGround runs a role once store and registry are there. Health is served at admin from the first
// moment on, by begin, until the role has ended.
func onGround(asked context.Context, cfg Config, log *slog.Logger, begin *starting, role func(ctx context.Context, on ground, admin string) error) error {
	admin, err := listen(asked, "admin-listen", cfg.AdminListen)
	if err != nil {
		return err
	}
	defer admin.Close()
	g, ctx := errgroup.WithContext(asked)
	serving, end := context.WithCancel(ctx)
	g.Go(func() error { return serveAdmin(serving, admin, begin) })
	g.Go(func() (err error) {
		defer end()
		on, err := stand(ctx, cfg, true, log, begin)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		defer func() { err = errors.Join(err, on.close()) }()
		return role(ctx, on, reachable(admin.Addr()))
	})
	forget := context.AfterFunc(asked, func() { log.LogAttrs(ctx, slog.LevelInfo, "stopping") })
	defer forget()
	err = g.Wait()
	logEnd(asked, log, err)
	return err
}

// logEnd is a role's last line in the log.
func logEnd(ctx context.Context, log *slog.Logger, err error) {
	if err != nil {
		log.LogAttrs(ctx, slog.LevelError, "stopped by an error", slog.Any("error", err))
		return
	}
	log.LogAttrs(ctx, slog.LevelInfo, "stopped")
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
	begin := &starting{}
	early := serveWaiting(ctx, port, server)
	defer early()
	return onGround(ctx, cfg, log, begin, func(ctx context.Context, on ground, admin string) error {
		early()
		return masterOn(ctx, cfg, log, on, port, begin, dialer, server, admin)
	})
}

// serveWaiting answers on the port of a master that is not registered yet, until end is called.
func serveWaiting(ctx context.Context, port *gate, creds credentials.TransportCredentials) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = rpc.Serve(ctx, port.turn(), master.Waiting{}, master.Waiting{}, creds) // it ends with the port, which is told elsewhere
	}()
	return func() { cancel(); <-done }
}

// masterOn runs a master on a store and a registry, on a port that stays when it begins anew.
func masterOn(ctx context.Context, cfg Config, log *slog.Logger, on ground, port *gate, begin *starting,
	dialer, server credentials.TransportCredentials, admin string,
) error {
	node := newNode(cfg, flow.RoleMaster, port.Addr())
	node.Address = advertised(cfg, port.Addr())
	warnOfCertificate(ctx, cfg, node.Address, log)
	types := task.NewSet(all.Types()...)
	d := newMastering(log, func() *master.Master {
		return master.New(master.Config{Lanes: lanes(cfg), OverloadMemory: cfg.OverloadMemory}, crashingMaster(on.db.Master()), types, node, log)
	}, func(ctx context.Context, m *master.Master) error {
		waiting := serveWaiting(ctx, port, server)
		defer waiting()
		set := peer.New(peer.Config{Watch: on.reg.Watch, Creds: dialer, Identity: m.Identity, Linked: m.Linked, Log: log})
		if err := checkNeighbours(ctx, cfg, log, on, set, node); err != nil {
			return err
		}
		m.Join(on.reg, set)
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return drive(ctx, m, crashingLookout(on.db.Master()), log) })
		g.Go(func() error { return ignoreEnd(ctx, set.Run(ctx)) })
		g.Go(func() error {
			select {
			case <-m.Ready():
			case <-ctx.Done():
			}
			waiting()
			return rpc.Serve(ctx, port.turn(), m, m.PeersServer(), server)
		})
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
	begin.serves(health(d.metrics(on.db), d.ready, on.db.Ping))
	return d.run(ctx)
}
