package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// OpenTraced opens a migrated PostgreSQL store whose statements a tracer sees.
func OpenTraced(ctx context.Context, dsn string, tracer pgx.QueryTracer) (*DB, error) {
	config, err := parsePostgres(dsn)
	if err != nil {
		return nil, err
	}
	config.Tracer = tracer
	opts := Options{}.withDefaults()
	p, err := newPostgres(ctx, config, opts)
	if err != nil {
		return nil, err
	}
	return &DB{backend: p, opts: opts}, nil
}

// Hot runs fn on a connection as masters have them.
func (db *DB) Hot(ctx context.Context, fn func(*pgx.Conn) error) error {
	return db.backend.(*postgresDB).native(ctx, fn)
}

// WriterExec runs a statement on SQLite's writing connection outside a transaction, or on a
// connection of PostgreSQL without timeouts.
func (db *DB) WriterExec(ctx context.Context, text string) error {
	if s, ok := db.backend.(*sqliteDB); ok {
		_, err := s.writer.conn.ExecContext(ctx, text)
		return err
	}
	_, err := db.backend.(*postgresDB).cold.ExecContext(ctx, "SET statement_timeout = 0; "+text)
	return err
}

// FirstID is the bound in ids of a bound in time.
var FirstID = firstID
