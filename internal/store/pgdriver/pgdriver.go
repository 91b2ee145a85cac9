// Package pgdriver is a small database/sql driver over one native pgx connection: the standard
// library is the pool, and Raw gives the hot path the *pgx.Conn underneath. It differs from
// pgx/stdlib in what happens when a connection is taken: it follows a changing application_name,
// by which a fencer finds the backends of a dead node. And behind a transaction pooler, where a
// session belongs to nobody, it gives every transaction its settings.
//
// It must not know Baton's tables.
package pgdriver

import (
	"context"
	"database/sql/driver"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// Connector opens connections with one configuration.
type Connector struct {
	config *pgx.ConnConfig
	name   atomic.Pointer[string]
	// settings are those of every transaction behind a pooler, nil without one. They are said by local.
	settings map[string]string
	local    atomic.Pointer[string]
}

// NewConnector returns a connector; config must not be changed afterwards.
func NewConnector(config *pgx.ConnConfig) *Connector {
	c := &Connector{config: config}
	name := config.RuntimeParams["application_name"]
	c.name.Store(&name)
	return c
}

// NewPooledConnector returns a connector to a transaction pooler. Nothing outlives a transaction
// there: no setting of the session and no prepared statement, so settings go before the first
// statement of each transaction, in the same round trip, and statements have no names.
func NewPooledConnector(config *pgx.ConnConfig, settings map[string]string) *Connector {
	c := NewConnector(Unnamed(config))
	c.settings = settings
	c.SetApplicationName(*c.name.Load())
	return c
}

// Unnamed returns a configuration whose statements have no names at the server.
func Unnamed(config *pgx.ConnConfig) *pgx.ConnConfig {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	config.StatementCacheCapacity = 0
	return config
}

// SetApplicationName names every connection from its next use on.
func (c *Connector) SetApplicationName(name string) {
	c.name.Store(&name)
	if c.settings == nil {
		return
	}
	// Settings are words and numbers of ours: nothing in them needs quoting.
	calls := []string{"set_config('application_name', '" + name + "', true)"}
	for _, key := range slices.Sorted(maps.Keys(c.settings)) {
		calls = append(calls, "set_config('"+key+"', '"+c.settings[key]+"', true)")
	}
	text := "SELECT " + strings.Join(calls, ", ")
	c.local.Store(&text)
}

// Pooled tells whether what answers on a connection is another process than the one that greeted:
// then there is a pooler between.
func Pooled(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid); err != nil {
		return false, err
	}
	return pid != conn.PgConn().PID(), nil
}

// Connect implements driver.Connector.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	config := c.config.Copy()
	name := *c.name.Load()
	if name != "" {
		config.RuntimeParams["application_name"] = name
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &Conn{conn: conn, connector: c, name: name, used: time.Now()}, nil
}

// Driver implements driver.Connector.
func (c *Connector) Driver() driver.Driver { return openOnly{} }

type openOnly struct{}

func (openOnly) Open(string) (driver.Conn, error) {
	return nil, errors.New("pgdriver opens by Connector only")
}

// Conn is one connection.
type Conn struct {
	conn      *pgx.Conn
	connector *Connector
	name      string    // application_name it has
	used      time.Time // when it was last taken
}

var (
	_ driver.ConnBeginTx        = (*Conn)(nil)
	_ driver.ExecerContext      = (*Conn)(nil)
	_ driver.QueryerContext     = (*Conn)(nil)
	_ driver.Pinger             = (*Conn)(nil)
	_ driver.SessionResetter    = (*Conn)(nil)
	_ driver.Validator          = (*Conn)(nil)
	_ driver.NamedValueChecker  = (*Conn)(nil)
	_ driver.ConnPrepareContext = (*Conn)(nil)
)

// Conn returns the native connection, for use inside sql.Conn.Raw.
func (c *Conn) Conn() *pgx.Conn { return c.conn }

// Ping implements driver.Pinger.
func (c *Conn) Ping(ctx context.Context) error { return c.conn.Ping(ctx) }

// Close implements driver.Conn.
func (c *Conn) Close() error { return c.conn.Close(context.Background()) }

// IsValid implements driver.Validator.
func (c *Conn) IsValid() bool { return !c.conn.IsClosed() }

// ResetSession implements driver.SessionResetter: it runs when a connection is taken again.
func (c *Conn) ResetSession(ctx context.Context) error {
	// A transaction left open would leak into the next use.
	if c.conn.IsClosed() || c.conn.PgConn().TxStatus() != 'I' {
		return driver.ErrBadConn
	}
	if err := c.alive(ctx, time.Now()); err != nil {
		return err
	}
	name := *c.connector.name.Load()
	if name == c.name || c.connector.settings != nil {
		return nil
	}
	if _, err := c.conn.Exec(ctx, "SELECT set_config('application_name', $1, false)", name); err != nil {
		return driver.ErrBadConn
	}
	c.name = name
	return nil
}

// Begin implements driver.Conn.
func (c *Conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx implements driver.ConnBeginTx. The isolation is always READ COMMITTED: under
// REPEATABLE READ a fencer misses what the fenced one commits while the fencer waits.
func (c *Conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts.Isolation != driver.IsolationLevel(0) {
		return nil, errors.New("pgdriver: transactions are READ COMMITTED only")
	}
	how := pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}
	if opts.ReadOnly {
		how.AccessMode = pgx.ReadOnly
	}
	if c.connector.settings != nil {
		how.BeginQuery = "BEGIN ISOLATION LEVEL READ COMMITTED " + string(how.AccessMode) + "; " + *c.connector.local.Load()
	}
	t, err := c.conn.BeginTx(ctx, how)
	if err != nil {
		return nil, err
	}
	return tx{t}, nil
}

type tx struct{ pgx.Tx }

func (t tx) Commit() error   { return t.Tx.Commit(context.Background()) }
func (t tx) Rollback() error { return t.Tx.Rollback(context.Background()) }

// CheckNamedValue implements driver.NamedValueChecker. Slices become PostgreSQL arrays.
func (c *Conn) CheckNamedValue(v *driver.NamedValue) error {
	switch v.Value.(type) {
	case []int64, []string, []int16:
		return nil
	}
	var err error
	v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value)
	return err
}

func plain(args []driver.NamedValue) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a.Value
	}
	return out
}

// ExecContext implements driver.ExecerContext. Without arguments the text may hold several
// statements.
func (c *Conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	as := plain(args)
	if len(as) == 0 {
		if c.apart() {
			query = *c.connector.local.Load() + "; " + query
		}
		as = []any{pgx.QueryExecModeSimpleProtocol}
	} else if c.apart() {
		return c.execApart(ctx, query, as)
	}
	tag, err := c.conn.Exec(ctx, query, as...)
	if err != nil {
		return nil, err
	}
	return driver.RowsAffected(tag.RowsAffected()), nil
}

// QueryContext implements driver.QueryerContext.
func (c *Conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rs, err := c.Query(ctx, query, plain(args)...)
	if err != nil {
		return nil, err
	}
	r := &rows{Rows: rs}
	// The first row is fetched here, so that an error of the statement is an error of the query.
	if r.more = rs.Next(); !r.more {
		if err := rs.Err(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// PrepareContext implements driver.ConnPrepareContext; pgx keeps the prepared statement in its
// cache by text.
func (c *Conn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return &stmt{c, query}, nil
}

// Prepare implements driver.Conn.
func (c *Conn) Prepare(query string) (driver.Stmt, error) { return &stmt{c, query}, nil }
