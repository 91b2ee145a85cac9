// PostgreSQL connections for the standard library's pool. Only Raw reaches them: statements go
// through the native protocol.

package sql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// postgresConnector opens connections of one data source.
type postgresConnector struct {
	config *pgconn.Config
}

// postgresConn is one of them.
type postgresConn struct {
	pg  *pgconn.PgConn
	log io.Writer // of the attempt it works for, nil none; takes the server's notices
}

func (c postgresConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn := &postgresConn{}
	config := c.config.Copy()
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if conn.log != nil {
			fmt.Fprintf(conn.log, "%s: %s\n", strings.ToLower(n.Severity), n.Message) //nolint:errcheck // a log that cannot be written fails nothing
		}
	}
	// A cancelled attempt asks the server to stop; if that is not heard the connection is cut.
	config.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: 3 * time.Second}
	}
	var err error
	conn.pg, err = pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func (c postgresConnector) Driver() driver.Driver { return postgresDriver{} }

type postgresDriver struct{}

var errNative = errors.New("sql: PostgreSQL is spoken to natively")

func (postgresDriver) Open(string) (driver.Conn, error) { return nil, errNative }

func (c *postgresConn) Prepare(string) (driver.Stmt, error) { return nil, errNative }

func (c *postgresConn) Begin() (driver.Tx, error) { return nil, errNative }

// Close says farewell to the server, which a broken line must not delay.
func (c *postgresConn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return c.pg.Close(ctx)
}

// ResetSession is asked before a connection is used again: is the server still there? It asks the
// server, since the library's CheckConn waits for a cancelled read, which here takes seconds.
func (c *postgresConn) ResetSession(ctx context.Context) error {
	if c.pg.IsClosed() || c.pg.Ping(ctx) != nil {
		return driver.ErrBadConn
	}
	return nil
}

// IsValid is asked before a connection goes back to the pool.
func (c *postgresConn) IsValid() bool { return !c.pg.IsClosed() }
