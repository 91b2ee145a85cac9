// A worker of the fleet: its supervisor, and the worker proper below.

package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/credentials"

	"baton/internal/flow"
	"baton/internal/peer"
	"baton/internal/rpc"
	"baton/internal/task"
	"baton/internal/task/all"
	"baton/internal/worker"
	"baton/internal/worker/supervisor"
)

// supervise runs the supervisor of a worker; args are those of the command.
func supervise(ctx context.Context, cfg Config, args []string, log *slog.Logger) error {
	// What the worker proper could only fail with again and again is told here, where it ends the command.
	if _, _, err := credentialsOf(cfg); err != nil {
		return err
	}
	self := append([]string{os.Args[0]}, args...)
	another, forget := anotherSignal(ctx)
	defer forget()
	return worker.Supervise(ctx, workerConfig(cfg), worker.Programs{
		Path: program, Self: self, Proper: append(slices.Clone(self), properName),
	}, another, log.With(slog.String("role", "supervisor")))
}

// workBelow runs a worker below its supervisor, at the other end of the link. It works while the masters
// are still looked for: what runs already goes on, and the supervisor hears from it.
func workBelow(ctx context.Context, cfg Config, end *os.File, log *slog.Logger) error {
	log = log.With(slog.String("role", flow.RoleWorker))
	dialer, _, err := credentialsOf(cfg)
	if err != nil {
		return err
	}
	// The masters are followed until the worker has ended, which takes longer than ctx.
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	lists := make(chan []string)
	begin := &starting{}
	w := worker.New(workerConfig(cfg), task.NewSet(all.Types()...), worker.Masters{
		Lists: lists, Source: cfg.Registry + " " + cfg.Store,
		Dial: func(ctx context.Context, address string) (rpc.Stream, error) {
			return crashingDialer(rpc.To(address, dialer))(ctx)
		},
	}, log)
	stopAdmin := serveWorkerAdmin(following, cfg, w, begin, log)
	defer stopAdmin()
	g, working := errgroup.WithContext(ctx)
	g.Go(func() error { return followMasters(following, cfg, dialer, lists, begin, log) })
	g.Go(func() error {
		defer stop()
		return w.RunBelow(working, end)
	})
	err = g.Wait()
	if err != nil && hopeless(err) {
		log.ErrorContext(ctx, "the worker cannot begin until a setting is changed", slog.Any("error", err))
		return silentError(supervisor.Hopeless)
	}
	return err
}

// followMasters tells a worker where the masters are until ctx is done: as any of them says, or as the
// registry shows. Its error is one that only a person can mend.
func followMasters(ctx context.Context, cfg Config, creds credentials.TransportCredentials, lists chan<- []string, begin *starting, log *slog.Logger) (err error) {
	var from <-chan []string
	if strings.HasPrefix(cfg.Registry, "master://") {
		seeds, err := masterAddresses(cfg.Registry)
		if err != nil {
			return err
		}
		from = peer.Follow(ctx, seeds, creds, log)
	} else {
		on, sErr := stand(ctx, cfg, cfg.Registry == "" || cfg.Registry == "sql", log, begin)
		if sErr != nil {
			return ignoreEnd(ctx, sErr)
		}
		defer func() { err = errors.Join(err, on.close()) }()
		from = peer.Addresses(ctx, on.reg.Watch(ctx))
	}
	for list := range from {
		select {
		case lists <- list:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// workerConfig is that of the settings.
func workerConfig(cfg Config) worker.Config {
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
