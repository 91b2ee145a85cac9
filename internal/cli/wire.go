// The one place that names the concrete store and registry: what the roles stand on.

package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/lookout"
	filesystem "baton/internal/lookout/files"
	"baton/internal/lookout/objects"
	"baton/internal/lookout/postgres"
	"baton/internal/registry"
	regclient "baton/internal/registry/client"
	"baton/internal/registry/etcd"
	"baton/internal/registry/sql"
	"baton/internal/registry/zookeeper"
	"baton/internal/store"
)

// ground is what the roles of a cluster stand on.
type ground struct {
	db  *store.DB // nil: a worker that finds the masters without it
	reg registry.Registry
}

// stand opens the ground and waits for it; s tells what for.
func stand(ctx context.Context, cfg Config, withStore bool, log *slog.Logger, s *starting) (g ground, err error) {
	if withStore {
		if g.db, err = openStoreAtLast(ctx, cfg, log, s); err != nil {
			return ground{}, err
		}
		warnOfLease(ctx, cfg, g.db, log)
	}
	g.reg, err = persist(ctx, log, s, "registry", func() (registry.Registry, error) { return openRegistry(ctx, cfg, g.db, log) })
	if err != nil {
		return ground{}, errors.Join(err, g.close())
	}
	return g, nil
}

func (g ground) close() (err error) {
	if g.reg != nil {
		err = g.reg.Close()
	}
	if g.db != nil {
		err = errors.Join(err, g.db.Close())
	}
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

// senses are how a lookout looks.
func senses(cfg lookout.Config) lookout.Config {
	cfg.Dial = postgres.Dial
	buckets := objects.New(os.Getenv)
	cfg.Find = func(pattern string) ([]flow.FoundFile, string, error) {
		if strings.HasPrefix(pattern, flow.BucketScheme) {
			return buckets.Find(pattern)
		}
		return filesystem.Find(pattern)
	}
	return cfg
}

// openStoreAtLast opens the store, and waits for a server that is not there yet. A file that cannot be
// opened is an error at once.
func openStoreAtLast(ctx context.Context, cfg Config, log *slog.Logger, s *starting) (*store.DB, error) {
	if !strings.HasPrefix(storeName(cfg), "postgres") {
		return openStore(ctx, cfg)
	}
	return persist(ctx, log, s, "store", func() (*store.DB, error) { return openStore(ctx, cfg) })
}

// warnOfLease says that a lease in the settings of a node is not the one that holds: the cluster has one,
// which its first node set.
func warnOfLease(ctx context.Context, cfg Config, db *store.DB, log *slog.Logger) {
	if !cfg.given["lease"] {
		return
	}
	text, err := db.Setting(ctx, api.SettingLease)
	if err != nil {
		return // a look, nothing more
	}
	holds, err := flow.ParseDuration(text)
	if wanted, _ := flow.ParseLease(cfg.Lease); err == nil && holds.Std() != wanted {
		log.LogAttrs(ctx, slog.LevelWarn, "the setting lease of this node is not used: the cluster has one for all nodes, which `baton cluster set lease` changes",
			slog.String("lease", cfg.Lease), slog.String("of_the_cluster", text))
	}
}

// refusedForGood tells whether store or registry said something that stays until a person changes a
// setting.
func refusedForGood(err error) bool { return regclient.IsPermanent(err) || store.Refused(err) }

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

// openStoreAsIs opens the store of the settings and migrates nothing.
func openStoreAsIs(ctx context.Context, cfg Config) (*store.DB, error) {
	return store.Open(ctx, storeName(cfg), store.Options{SkipMigrate: true, Direct: cfg.StoreDirect})
}

// lanes is how many commits may be under way at a time: SQLite has one writer; on PostgreSQL a
// second one is prepared while the first waits for the network and the disk.
func lanes(cfg Config) int {
	if strings.HasPrefix(storeName(cfg), "postgres") {
		return 2
	}
	return 1
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
