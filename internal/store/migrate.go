// Schema versions: goose as a library, the files inside the binary.

package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"baton/internal/flow"
	"baton/internal/store/pgdriver"
)

//go:embed migrations/*/*.sql
var migrations embed.FS

// Migration is one step of the schema and when it was made; AppliedAt is zero while it is pending.
type Migration struct {
	Version   int64
	Name      string
	AppliedAt flow.Time
}

// Migrator changes the schema of a store.
type Migrator struct {
	db       *sql.DB
	provider *goose.Provider
	explain  func(error) error
}

// NewMigrator opens dsn to look at its schema or to change it; Open does so by itself.
func NewMigrator(dsn string) (*Migrator, error) { return newMigrator(dsn) }

func newMigrator(dsn string) (*Migrator, error) {
	m := &Migrator{}
	var dialect goose.Dialect
	var dir string
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	switch {
	case strings.HasPrefix(dsn, "sqlite:"):
		db, err := dialSQLite(strings.TrimPrefix(dsn, "sqlite:"), false)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1)
		m.db, m.explain, dialect, dir = db, explainSQLite, goose.DialectSQLite3, "sqlite"
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		config, err := parsePostgres(dsn)
		if err != nil {
			return nil, err
		}
		// Several nodes start at once: one of them migrates, the others wait for it. The lock is a row,
		// because one of a session would be lost in a pooler, and statements have no names for the same
		// reason.
		locker, err := lock.NewPostgresTableLocker(
			lock.WithTableLockTimeout(250*time.Millisecond, 240), lock.WithTableLogger(slog.New(slog.DiscardHandler)),
			lock.WithTableRetryPolicy(func(err error) bool { return sqlState(err) == "" && !broken(err) })) // somebody has it
		if err != nil {
			return nil, fmt.Errorf("migrate: %w", err)
		}
		db, _ := dialPostgres(pgdriver.Unnamed(config), 2)
		m.db, m.explain, dialect, dir = db, explainPostgres, goose.DialectPostgres, "postgres"
		options = append(options, goose.WithLocker(locker))
	default:
		return nil, flow.Errorf(flow.CodeBadRequest, "store", "store %q is neither sqlite:PATH nor postgres://…", redact(dsn))
	}
	files, err := fs.Sub(migrations, "migrations/"+dir)
	if err == nil {
		m.provider, err = goose.NewProvider(dialect, m.db, files, options...)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("migrate: %w", err), m.db.Close())
	}
	return m, nil
}

// redact leaves out of a dsn what may be a password.
func redact(dsn string) string {
	if i := strings.LastIndexByte(dsn, '@'); i >= 0 {
		return "…" + dsn[i:]
	}
	return dsn
}

// prepare brings the schema to this program's version, or refuses what it must not touch.
func (m *Migrator) prepare(ctx context.Context, skip bool) error {
	current, target, err := m.provider.GetVersions(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read the schema version: %w", m.explain(err))
	case current > target:
		return flow.Errorf(flow.CodeConflict, "store", "the database has schema version %d, this program knows %d: it was written by a newer Baton; run that version, or restore a backup made with this one", current, target)
	case current == target:
		return nil
	case skip:
		return flow.Errorf(flow.CodeConflict, "store", "the database has schema version %d, this program needs %d; run `baton migrate up`", current, target)
	}
	return m.Up(ctx)
}

// Up brings the schema to this program's version.
func (m *Migrator) Up(ctx context.Context) error {
	if _, err := m.provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", m.explain(err))
	}
	return nil
}

// DownTo takes the schema back to a version; 0 deletes everything.
func (m *Migrator) DownTo(ctx context.Context, version int64) error {
	if _, err := m.provider.DownTo(ctx, version); err != nil {
		return fmt.Errorf("migrate: %w", m.explain(err))
	}
	return nil
}

// Status lists all steps in order.
func (m *Migrator) Status(ctx context.Context) ([]Migration, error) {
	steps, err := m.provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the schema version: %w", m.explain(err))
	}
	out := make([]Migration, len(steps))
	for i, s := range steps {
		out[i] = Migration{Version: s.Source.Version, Name: s.Source.Path, AppliedAt: flow.At(s.AppliedAt)}
	}
	return out, nil
}

// Close ends the connection.
func (m *Migrator) Close() error { return m.db.Close() }
