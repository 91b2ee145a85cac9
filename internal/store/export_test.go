package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"baton/internal/store/pgdriver"
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
	db := &DB{backend: p, opts: opts}
	return db, db.settle(ctx)
}

// Hot runs fn on a connection as masters have them.
func (db *DB) Hot(ctx context.Context, fn func(*pgx.Conn) error) error {
	return db.backend.(*postgresDB).native(ctx, func(c *pgdriver.Conn) error { return fn(c.Conn()) })
}

// WriterExec runs a statement on SQLite's writing connection outside a transaction, or on a
// connection of PostgreSQL without timeouts.
func (db *DB) WriterExec(ctx context.Context, text string) error {
	if s, ok := db.backend.(*sqliteDB); ok {
		_, err := s.writer.conn.ExecContext(ctx, text)
		return err
	}
	_, err := db.backend.(*postgresDB).cold.ExecContext(ctx, "SET LOCAL statement_timeout = 0; "+text)
	return err
}

// ListByDay lets lists by data time go the way of long histories.
func (db *DB) ListByDay() { db.byDayOnly = true }

// Keyed runs fn on a connection as lists and reads by key have them.
func (db *DB) Keyed(ctx context.Context, fn func(*pgx.Conn) error) error {
	c, err := db.backend.(*postgresDB).keyed.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Raw(func(dc any) error { return fn(dc.(*pgdriver.Conn).Conn()) })
}

// SQLiteTexts returns every text that a SQLite store was asked to run, as SQLite got it.
func (db *DB) SQLiteTexts() []string {
	s := db.backend.(*sqliteDB)
	texts := slices.Collect(maps.Keys(s.writer.prepared))
	s.texts.Range(func(_, text any) bool { texts = append(texts, text.(string)); return true })
	slices.Sort(texts)
	return texts
}

// SQLitePlan explains a statement.
func (db *DB) SQLitePlan(ctx context.Context, text string, args int) (plan []string, err error) {
	rows, err := db.backend.(*sqliteDB).readers.QueryContext(ctx, "EXPLAIN QUERY PLAN "+text, make([]any, args)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id, parent, unused int
		var line string
		if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
			return nil, err
		}
		plan = append(plan, line)
	}
	return plan, rows.Err()
}

// FirstID is the bound in ids of a bound in time.
var FirstID = firstID

// StoreID makes an id of a token.
var StoreID = storeID

// Freeze begins a transaction as masters have them, and leaves it to the caller.
func (db *DB) Freeze(ctx context.Context) (*sql.Tx, error) {
	return db.backend.(*postgresDB).hot.BeginTx(ctx, nil)
}

// SessionSettings shows what is set where masters run statements outside a transaction.
func (db *DB) SessionSettings(ctx context.Context, names ...string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range names {
		var value string
		if err := db.backend.(*postgresDB).hot.QueryRowContext(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return nil, err
		}
		out[name] = value
	}
	return out, nil
}
