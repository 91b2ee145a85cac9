package etcd_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"baton/internal/registry"
	"baton/internal/registry/etcd"
	"baton/internal/registry/registrytest"
	"baton/internal/registry/registrytest/servers"
)

var backend = registrytest.Backend{
	Lease: 2 * time.Second,
	Serve: func(t testing.TB) registrytest.Server { return servers.Etcd(t) },
	Open: func(ctx context.Context, address, space string, log *slog.Logger) (registry.Registry, error) {
		return etcd.Open(ctx, "etcd://"+address+"/tests/"+space, log)
	},
}

func TestMain(m *testing.M) { os.Exit(registrytest.Main(m, backend)) }

func TestRegistry(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, backend)
}
