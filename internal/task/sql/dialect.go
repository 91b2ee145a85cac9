// What differs from database to database.

package sql

import (
	"context"
	"database/sql"
	"io"

	"baton/internal/flow"
	"baton/internal/task"
)

// dialect is a kind of database.
type dialect interface {
	lexis() lexis
	placeholder(n int) string
	// open prepares connections; it need not connect.
	open(source *flow.DataSource, password string) (*sql.DB, error)
	// begin is the statement that opens the transaction of a script.
	begin(s *script) string
	// attach ties a connection to an attempt: ctx is the one statements must run under, detach ends
	// the tie. When the attempt is cancelled the server must stop working on it.
	attach(ctx context.Context, db *sql.DB, conn *sql.Conn, log io.Writer) (inner context.Context, detach func(), err error)
	// run carries out one statement and hands its rows to sink. changed counts rows it changed.
	run(ctx context.Context, conn *sql.Conn, text string, args []any, sink rowSink) (changed int64, err error)
	// reset makes a connection fit for another attempt; false: it is not.
	reset(ctx context.Context, conn *sql.Conn, stateful bool) bool
	// explain takes a database's error apart.
	explain(err error) (dbError, bool)
}

// dbError is an error as the database told it.
type dbError struct {
	code    string // its own, such as 23505 or 1062
	message string
	char    int // where in the statement it is, from 1, 0 unknown
	line    int // the same as a line of the statement
}

// rowSink takes the rows of a statement. A second begin means a further result of the same
// statement.
type rowSink interface {
	begin(columns []string) error
	row(values []value) error
}

func dialectOf(kind string) (dialect, error) {
	switch kind {
	case "postgres":
		return postgres{}, nil
	case "mysql":
		return mysqlDialect{}, nil
	case "sqlite":
		return sqliteDialect{}, nil
	default:
		return nil, &task.Failure{Cause: task.CauseOptions, Message: "the data source has the unknown type " + kind + "; types are postgres, mysql and sqlite"}
	}
}
