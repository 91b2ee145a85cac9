// Package store keeps Baton's rows in SQLite or PostgreSQL: a file per aggregate, one SQL text
// for both wherever that is possible, and one group commit for each.
//
// It must not decide anything about a run: it compares owner and seq, checks the source states it
// is given, and writes. It knows package flow only; what masters and the API need of it are
// interfaces on their side.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"baton/internal/flow"
)

// Options of a store. The zero value is right for production.
type Options struct {
	// SkipMigrate refuses a database that is not of this program's version instead of migrating it.
	SkipMigrate bool
	// Clock is the clock that SQLite's leases run by; nil is time.Now. PostgreSQL uses its own.
	Clock func() time.Time
	// Lease is the length of leases of a cluster that has not set it yet, and bounds how long a
	// statement may hold locks (a quarter of it); 0 is 10 s.
	Lease time.Duration
	// Direct is the address of a PostgreSQL whose store is reached through a transaction pooler, for
	// sessions that cannot pass it; "" for none.
	Direct string
	// MaxConns bounds PostgreSQL connections for the API, for reads by key and for the rest each; 0 is
	// 8. Masters use 4 of their own.
	MaxConns int
	// KeyTTL is how long an idempotency key is remembered; 0 is 7 days.
	KeyTTL time.Duration
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Lease == 0 {
		o.Lease = 10 * time.Second
	}
	if o.MaxConns == 0 {
		o.MaxConns = 8
	}
	if o.KeyTTL == 0 {
		o.KeyTTL = 7 * 24 * time.Hour
	}
	return o
}

// DB is an open store. Its methods are what the API needs; Master returns what a master needs.
// Safe for concurrent use.
type DB struct {
	backend
	opts  Options
	lease atomic.Int64 // length of leases in microseconds as it was read last, 0 for not yet
	// watched: some trigger waits for ends, as far as the last commit knew.
	watched atomic.Bool
	// byDayOnly lets lists by data time go the way of long histories; tests are short of history.
	byDayOnly bool
}

// Master is the hot side of a store: on PostgreSQL its statements run on connections of their
// own, with plans that cannot flip and short timeouts.
type Master struct{ *DB }

// Master returns the store as a master uses it.
func (db *DB) Master() *Master { return &Master{db} }

// querier is what a statement runs on: a pool, or the transaction it is part of.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// class of a statement: which queue or pool it goes through.
type class uint8

const (
	forAPI    class = iota // people wait for it
	forEngine              // runs wait for it: goes first
	byKey                  // people wait for it, and an index finds it: one plan serves everybody
)

// How queries are written so that their plans hold on PostgreSQL, also one that was made while the
// tables were empty: a list of keys is "= ANY(ARRAY(SELECT …))" and not "IN (SELECT …)", a look at
// another table is a scalar subquery and not EXISTS or a join; either could become a join that
// reads a whole index. TestPlansOnEmptyTables looks at all of them.

// backend is one database. The text of queries is PostgreSQL's; a backend that speaks another
// dialect translates the few phrases that differ (see sqliteText).
type backend interface {
	// text translates a query.
	text(query string) string
	// lateral tells whether a subquery may look at what stands before it in FROM.
	lateral() bool
	// list makes ids an argument for "= ANY($n)".
	list(ids []flow.ID) any
	// records is a part of FROM, called u, with the objects of a JSON list as rows of columns, which
	// are given with their types as PostgreSQL writes them.
	records(arg, columns string) string
	// names makes texts an argument for "= ANY($n)".
	names(texts []string) any
	// read returns where to read.
	read(class) querier
	// write runs fn in one transaction. fn may be run again after a deadlock or serialization
	// failure, so it only touches what it gets.
	write(ctx context.Context, c class, fn func(querier) error) error
	// statement runs fn, which is a single statement that changes rows: on PostgreSQL without a
	// transaction around it, so that no lock waits for this process.
	statement(ctx context.Context, c class, fn func(querier) error) error
	// nextTokens takes n numbers of the token sequence, generation included.
	nextTokens(ctx context.Context, q querier, n int) ([]int64, error)
	// commit writes changes, sorted by instance, all or nothing; see commit.go.
	commit(ctx context.Context, b *sortedBatch) error
	// raise adds one to the epoch of an incarnation that may still hold locks.
	raise(ctx context.Context, dead int64) (bool, error)
	// identify names the connections of the engine by the incarnation they serve.
	identify(incarnation int64)
	// telling ends a statement that tells who listens on a channel: the time and argument n. "" if
	// nobody can be told.
	telling(channel string, n int) string
	// listen calls heard when it can hear, with nothing, and with all that is told, or returns
	// flow.ErrNoChannel.
	listen(ctx context.Context, channel string, heard func(string)) error
	// damaged tells whether an error is the fault of the rows written: it would come again.
	damaged(err error) bool
	// explain turns an error of the driver into one for people, where there is a remedy.
	explain(err error) error
	close() error
}

// Open opens the store that dsn names, sqlite:PATH or postgres://…, and brings its schema to this
// program's version.
func Open(ctx context.Context, dsn string, opts Options) (*DB, error) {
	opts = opts.withDefaults()
	m, err := newMigrator(dsn)
	if err != nil {
		return nil, err
	}
	err = m.prepare(ctx, opts.SkipMigrate)
	if closeErr := m.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	var b backend
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		b, err = openSQLite(ctx, path, opts)
	} else {
		b, err = openPostgres(ctx, dsn, opts)
	}
	if err != nil {
		return nil, err
	}
	db := &DB{backend: b, opts: opts}
	if err := db.settle(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// settle sets what a cluster's first process decides.
func (db *DB) settle(ctx context.Context) error {
	return db.wrap("set the length of leases", db.statement(ctx, forAPI, func(q querier) error {
		_, err := exec(ctx, db, q, `
			INSERT INTO setting (key, value) VALUES ('lease', $1) ON CONFLICT (key) DO NOTHING`, flow.Duration(db.opts.Lease).String())
		return err
	}))
}

// Close ends all connections; what is being written is finished first.
func (db *DB) Close() error { return db.close() }

// Ping tells whether the store answers.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	err := db.read(forAPI).QueryRowContext(ctx, "SELECT 1").Scan(&one)
	return db.wrap("ping the store", err)
}

// wrap names the operation in an error; the remedy is found on the way.
func (db *DB) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, db.explain(err))
}
