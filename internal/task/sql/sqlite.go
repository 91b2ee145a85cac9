// SQLite.

package sql

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"

	"baton/internal/flow"
)

type sqliteDialect struct{}

func (sqliteDialect) lexis() lexis { return sqliteLexis }

func (sqliteDialect) placeholder(int) string { return "?" }

// begin takes the write lock at once when something may write: a read lock that is to become one
// later fails when another writer came first, without waiting.
func (sqliteDialect) begin(s *script) string {
	if s.reads() {
		return "begin"
	}
	return "begin immediate"
}

// busyTimeout is how long a statement waits for another writer.
const busyTimeout = 30 * time.Second

func (sqliteDialect) open(source *flow.DataSource, _ string) (*sql.DB, error) {
	return sql.Open("sqlite", sqliteDSN(source))
}

// sqliteDSN names a file as a URI, in which SQLite and the driver find their options.
func sqliteDSN(source *flow.DataSource) string {
	name, query, _ := strings.Cut(source.DSN, "?")
	if name == "" {
		name = source.Database
	}
	if !strings.HasPrefix(name, "file:") {
		name = "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(name)
	}
	options := url.Values{}
	for key, value := range source.Options {
		options.Set(key, value)
	}
	if !strings.Contains(query, "busy_timeout") && !strings.Contains(options.Encode(), "busy_timeout") {
		options.Add("_pragma", "busy_timeout("+strconv.FormatInt(busyTimeout.Milliseconds(), 10)+")")
	}
	if query != "" {
		query += "&"
	}
	return name + "?" + query + options.Encode()
}

func (sqliteDialect) attach(ctx context.Context, _ *sql.DB, _ *sql.Conn, _ io.Writer) (context.Context, func(), error) {
	return ctx, func() {}, nil
}

func (d sqliteDialect) run(ctx context.Context, conn *sql.Conn, text string, args []any, sink rowSink) (int64, error) {
	before, err := sqliteChanges(ctx, conn, sink)
	if err != nil {
		return 0, err
	}
	rows, err := conn.QueryContext(ctx, text, driverValues(args)...)
	if err != nil {
		return 0, err
	}
	if returned, err := passRows(rows, sink, sqliteValue); err != nil || returned {
		return 0, err
	}
	after, err := sqliteChanges(ctx, conn, sink)
	return after - before, err
}

// sqliteChanges counts all changes of the connection so far, those of triggers included.
func sqliteChanges(ctx context.Context, conn *sql.Conn, sink rowSink) (n int64, err error) {
	if sink == nil {
		return 0, nil
	}
	err = conn.QueryRowContext(ctx, "select total_changes()").Scan(&n)
	return n, err
}

// sqliteValue writes times as SQLite's own functions do: the driver has parsed the text of columns
// declared DATE, DATETIME or TIMESTAMP and keeps it no more.
func sqliteValue(v any, kind string) value {
	t, ok := v.(time.Time)
	if !ok {
		return driverValue(v)
	}
	layout := "2006-01-02 15:04:05.999999999"
	if _, offset := t.Zone(); offset != 0 {
		layout += "-07:00"
	}
	if kind == "DATE" && t.Equal(t.Truncate(24*time.Hour)) {
		layout = time.DateOnly
	}
	return textOf(t.Format(layout))
}

func (sqliteDialect) reset(_ context.Context, _ *sql.Conn, stateful bool) bool { return !stateful }

func (sqliteDialect) explain(err error) (dbError, bool) {
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return dbError{}, false
	}
	return dbError{code: strconv.Itoa(lite.Code()), message: lite.Error()}, true
}
