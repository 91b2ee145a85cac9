// PostgreSQL: three pools, short timeouts, and which errors are worth another try.

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"baton/internal/flow"
	"baton/internal/store/pgdriver"
)

// postgresDB is three pools on one server. hot serves masters: few connections, no plans that read
// whole tables, short timeouts, named by incarnation so that a fencer can end them. keyed serves
// the API's lists and reads by key with the same plans, which are made once. cold serves the rest,
// with the planner as it is.
type postgresDB struct {
	hot, keyed, cold *sql.DB
	connector        *pgdriver.Connector
	direct           *pgx.ConnConfig // of connections that keep their session; nil if there is no way to have one
	lease            time.Duration
	commits          commitTexts
}

func parsePostgres(dsn string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, flow.Errorf(flow.CodeBadRequest, "store", "the store's address is not valid: %s", withoutAddress(err))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	config.RuntimeParams["application_name"] = "baton"
	config.AfterConnect = checkEncoding
	// A commit must not wait for a host that is gone until TCP gives up after a quarter of an hour: keep
	// alive is for who waits for an answer, the other for what is not acknowledged.
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
		Control:         unacknowledged(10 * time.Second),
	}
	config.DialFunc = dialer.DialContext
	return config, nil
}

// withoutAddress is what is wrong with an address, without the address: that may hold a password.
func withoutAddress(err error) string {
	const behind = "`: "
	text := err.Error()
	if i := strings.LastIndex(text, behind); i >= 0 {
		return text[i+len(behind):]
	}
	return "it cannot be read"
}

func dialPostgres(config *pgx.ConnConfig, conns int) (*sql.DB, *pgdriver.Connector) {
	return pool(pgdriver.NewConnector(config), conns)
}

func pool(connector *pgdriver.Connector, conns int) (*sql.DB, *pgdriver.Connector) {
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, connector
}

// timeouts bounds how long a frozen or lost client can hold locks.
func timeouts(statement, lock time.Duration) map[string]string {
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	return map[string]string{
		"statement_timeout":                   ms(statement),
		"lock_timeout":                        ms(lock),
		"idle_in_transaction_session_timeout": ms(lock),
	}
}

func openPostgres(ctx context.Context, dsn string, opts Options) (*postgresDB, error) {
	config, err := parsePostgres(dsn)
	if err != nil {
		return nil, err
	}
	return newPostgres(ctx, config, opts)
}

func newPostgres(ctx context.Context, config *pgx.ConnConfig, opts Options) (*postgresDB, error) {
	pooled, err := lookAtPostgres(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", explainPostgres(err))
	}
	hot := timeouts(opts.Lease/4, opts.Lease/4)
	// A plan made while a table was small must not stay a scan of it: five times slower, and more
	// the more it grows.
	for _, plan := range []string{"enable_hashjoin", "enable_mergejoin", "enable_seqscan", "jit"} {
		hot[plan] = "off"
	}
	// Planning a group commit takes longer than running it, and there is only one good plan.
	hot["plan_cache_mode"] = "force_generic_plan"
	keyed := maps.Clone(hot)
	// A list follows its index and stops after a page; a bitmap is made of the whole of it.
	keyed["enable_bitmapscan"] = "off"
	cold := timeouts(3*opts.Lease, opts.Lease/4)
	cold["jit"] = "off"
	// What people look for is rare or frequent: one plan cannot serve both.
	cold["plan_cache_mode"] = "force_custom_plan"

	dial := func(settings map[string]string, conns int) (*sql.DB, *pgdriver.Connector) {
		if pooled {
			delete(settings, "plan_cache_mode") // no plan is kept
			return pool(pgdriver.NewPooledConnector(config, settings), conns)
		}
		session := config.Copy()
		maps.Copy(session.RuntimeParams, settings)
		session.RuntimeParams["tcp_user_timeout"] = settings["lock_timeout"]
		session.RuntimeParams["default_transaction_isolation"] = "read committed"
		return dialPostgres(session, conns)
	}
	p := &postgresDB{lease: opts.Lease}
	p.hot, p.connector = dial(hot, 4)
	p.keyed, _ = dial(keyed, opts.MaxConns)
	p.cold, _ = dial(cold, opts.MaxConns)
	if !pooled {
		p.direct = config
	}
	if err := p.hot.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store: %w", explainPostgres(err)), p.close())
	}
	if opts.Direct == "" {
		return p, nil
	}
	if p.direct, err = directPostgres(ctx, opts.Direct, config); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *postgresDB) close() error {
	return errors.Join(p.hot.Close(), p.keyed.Close(), p.cold.Close())
}

func (p *postgresDB) text(query string) string { return query }

func (p *postgresDB) lateral() bool { return true }

func (p *postgresDB) list(ids []flow.ID) any {
	out := make([]int64, len(ids))
	for i, id := range ids {
		out[i] = int64(id)
	}
	return out
}

func (p *postgresDB) records(arg, columns string) string {
	return "json_to_recordset(CAST(" + arg + " AS json)) AS u (" + columns + ")"
}

func (p *postgresDB) names(texts []string) any {
	if texts == nil {
		return []string{}
	}
	return texts
}

func (p *postgresDB) pool(c class) *sql.DB {
	if c == forEngine {
		return p.hot
	}
	return p.cold
}

func (p *postgresDB) read(c class) querier {
	if c == byKey {
		return p.keyed
	}
	return p.pool(c)
}

// write retries a deadlock or serialization failure once, at once.
func (p *postgresDB) write(ctx context.Context, c class, fn func(querier) error) error {
	err := p.transact(ctx, c, fn)
	if isRetry(err) {
		err = p.transact(ctx, c, fn)
	}
	return err
}

func (p *postgresDB) statement(_ context.Context, c class, fn func(querier) error) error {
	err := fn(p.pool(c))
	if isRetry(err) {
		err = fn(p.pool(c))
	}
	return err
}

func (p *postgresDB) transact(ctx context.Context, c class, fn func(querier) error) error {
	tx, err := p.pool(c).BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback() // err is the reason, and a lost connection rolls back by itself
		return err
	}
	return tx.Commit()
}

func (p *postgresDB) identify(incarnation int64) {
	p.connector.SetApplicationName(applicationName(incarnation))
}

func applicationName(incarnation int64) string {
	return "baton/" + strconv.FormatInt(incarnation, 10)
}

func (p *postgresDB) nextTokens(ctx context.Context, q querier, n int) (out []int64, err error) {
	rows, err := q.QueryContext(ctx, `
		SELECT nextval('baton_token') + ((SELECT value::bigint FROM setting WHERE key = 'generation') << 40)
		FROM generate_series(1, $1)`, n)
	if err != nil {
		return nil, fmt.Errorf("take %d tokens: %w", n, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var t int64
		if err := rows.Scan(&t); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// native runs fn on a native connection of the engine's pool.
func (p *postgresDB) native(ctx context.Context, fn func(*pgdriver.Conn) error) (err error) {
	c, err := p.hot.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return c.Raw(func(dc any) error { return fn(dc.(*pgdriver.Conn)) })
}

// raise waits for commits of the dead incarnation, which hold its fence row while they run. They
// take milliseconds, unless their client is frozen in the middle: then the server side of it is
// ended, which undoes what it had not committed. Names repeat in other databases of the same
// server, which have incarnations of their own, so only who holds a lock on this fence is ended.
func (p *postgresDB) raise(ctx context.Context, dead int64) (won bool, err error) {
	for try := 0; ; try++ {
		err = p.transact(ctx, forEngine, func(q querier) error {
			if _, err := q.ExecContext(ctx, "SET LOCAL lock_timeout = '200ms'"); err != nil {
				return err
			}
			res, err := q.ExecContext(ctx, raiseSQL, dead)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			won = n == 1
			return err
		})
		if sqlState(err) != "55P03" || try == 10 {
			return won, err
		}
		if _, err := p.cold.ExecContext(ctx, `
			SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
			JOIN pg_locks l ON l.pid = a.pid AND l.database = a.datid AND l.relation = 'fence'::regclass
			WHERE a.datname = current_database() AND a.application_name = $1 AND a.pid <> pg_backend_pid()`, applicationName(dead)); err != nil {
			return false, err
		}
	}
}

func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// isRetry tells whether the server ended a transaction in favour of another.
func isRetry(err error) bool {
	s := sqlState(err)
	return s == "40001" || s == "40P01"
}

// damaged: classes of SQLSTATE that come from the rows themselves, and our own refusal.
func (p *postgresDB) damaged(err error) bool {
	if errors.Is(err, errRefused) {
		return true
	}
	s := sqlState(err)
	return strings.HasPrefix(s, "22") || strings.HasPrefix(s, "23") || strings.HasPrefix(s, "54") || strings.HasPrefix(s, "BT")
}
