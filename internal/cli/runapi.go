// The HTTP interface of a cluster.

package cli

import (
	"context"
	"log/slog"
	"net"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/credentials"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/peer"
	"baton/internal/task"
	"baton/internal/task/all"
)

// runAPI runs the HTTP interface of a cluster until ctx is done.
func runAPI(ctx context.Context, cfg Config, log *slog.Logger, listener net.Listener) error {
	log = log.With(slog.String("role", flow.RoleAPI))
	dialer, _, err := credentialsOf(cfg)
	if err != nil {
		return err
	}
	port := newGate(listener)
	defer port.Close() //nolint:errcheck // closed long before, when all went well
	begin := &starting{}
	early := serveEarly(port.turn(), begin)
	defer early()
	return onGround(ctx, cfg, log, begin, func(ctx context.Context, on ground, admin string) error {
		node := newNode(cfg, flow.RoleAPI, port.Addr())
		node.Address = reachable(port.Addr())
		roll, err := persist(ctx, log, begin, "store", func() (*enrolment, error) { return enrol(ctx, on.db.Master(), node, log) })
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		early()
		return apiOn(ctx, log, on, roll, port, begin, dialer, admin)
	})
}

// apiOn runs the HTTP interface on its ground.
func apiOn(ctx context.Context, log *slog.Logger, on ground, roll *enrolment, port *gate, begin *starting,
	dialer credentials.TransportCredentials, admin string,
) error {
	types := task.NewSet(all.Types()...)
	set := peer.New(peer.Config{Watch: on.reg.Watch, Creds: dialer, Log: log})
	keeper := &api.Housekeeper{Store: on.db, Log: log}
	server := api.New(api.Config{ //nolint:contextcheck // requests bring their own
		Store: crashingAPI(on.db), Masters: fleet{set}, Engine: newPlanner(types), Documents: newFiles(), NextID: roll.nextID,
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
