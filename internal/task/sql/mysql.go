// MySQL and MariaDB.

package sql

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"baton/internal/flow"
)

type mysqlDialect struct{}

func (mysqlDialect) lexis() lexis { return mysqlLexis }

func (mysqlDialect) placeholder(int) string { return "?" }

func (mysqlDialect) begin(*script) string { return "start transaction" }

func (mysqlDialect) open(source *flow.DataSource, password string) (*sql.DB, error) {
	dsn, err := mysqlDSN(source)
	if err != nil {
		return nil, err
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("the connection settings cannot be read: %w", err)
	}
	if password != "" {
		config.Passwd = password
	}
	if config.Timeout == 0 {
		config.Timeout = connectTimeout
	}
	// What the rest of this package builds on, whatever the DSN says.
	config.ParseTime, config.MultiStatements, config.InterpolateParams, config.ColumnsWithAlias = false, false, false, false
	config.AllowAllFiles = false // LOAD DATA LOCAL would read any file of the worker
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("the connection settings are wrong: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// mysqlDSN returns what the driver reads: its own form as it is, a URL or parts put into it.
func mysqlDSN(source *flow.DataSource) (string, error) {
	dsn := source.DSN
	if strings.HasPrefix(dsn, "mysql://") || strings.HasPrefix(dsn, "mariadb://") {
		u, err := url.Parse(dsn)
		if err != nil {
			return "", errors.New("the dsn is not a URL that can be read")
		}
		parts := flow.DataSource{Host: u.Hostname(), Database: strings.TrimPrefix(u.Path, "/"), User: u.User.Username(), Options: map[string]string{}}
		parts.Port, _ = strconv.Atoi(u.Port())
		for key, values := range u.Query() {
			parts.Options[key] = values[0]
		}
		config, err := mysqlConfig(&parts)
		if err != nil {
			return "", err
		}
		config.Passwd, _ = u.User.Password()
		return config.FormatDSN(), nil
	}
	if dsn != "" {
		return dsn, nil
	}
	config, err := mysqlConfig(source)
	if err != nil {
		return "", err
	}
	return config.FormatDSN(), nil
}

func mysqlConfig(source *flow.DataSource) (*mysql.Config, error) {
	query := url.Values{}
	for key, value := range source.Options {
		query.Set(key, value)
	}
	config, err := mysql.ParseDSN("/?" + query.Encode())
	if err != nil {
		return nil, fmt.Errorf("the options of the data source cannot be read: %w", err)
	}
	config.User, config.DBName = source.User, source.Database
	if strings.HasPrefix(source.Host, "/") {
		config.Net, config.Addr = "unix", source.Host
		return config, nil
	}
	host, port := source.Host, source.Port
	if host == "" {
		host = "127.0.0.1"
	}
	if port == 0 {
		port = 3306
	}
	config.Net, config.Addr = "tcp", net.JoinHostPort(host, strconv.Itoa(port))
	return config, nil
}

// attach shields statements from the attempt's cancellation, upon which the driver would only hang
// up while the server works on, and kills the query by the number of its connection instead.
func (mysqlDialect) attach(ctx context.Context, db *sql.DB, conn *sql.Conn, _ io.Writer) (context.Context, func(), error) {
	var id int64
	if err := conn.QueryRowContext(ctx, "select connection_id()").Scan(&id); err != nil {
		return nil, nil, err
	}
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-done:
		case <-ctx.Done():
			killQuery(context.WithoutCancel(ctx), db, id, done)
			select {
			case <-done:
			case <-time.After(killPatience):
				cancel()
			}
		}
	}()
	return inner, func() {
		close(done)
		<-watched // a late KILL would hit the next attempt on this connection
		cancel()
	}, nil
}

const killPatience = 3 * time.Second

func killQuery(ctx context.Context, db *sql.DB, id int64, done <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, killPatience)
	defer cancel()
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	db.ExecContext(ctx, "kill query "+strconv.FormatInt(id, 10)) //nolint:errcheck // when it fails the connection is cut
}

func (mysqlDialect) run(ctx context.Context, conn *sql.Conn, text string, args []any, sink rowSink) (int64, error) {
	rows, err := conn.QueryContext(ctx, text, driverValues(args)...)
	if err != nil {
		return 0, err
	}
	returned, err := passRows(rows, sink, mysqlValue)
	if err != nil || returned || sink == nil {
		return 0, err
	}
	var changed int64
	err = conn.QueryRowContext(ctx, "select row_count()").Scan(&changed)
	return max(changed, 0), err
}

func mysqlValue(v any, kind string) value {
	b, ok := v.([]byte)
	if !ok {
		return driverValue(v)
	}
	switch kind {
	case "BINARY", "VARBINARY", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "GEOMETRY", "VECTOR":
		return bytesOf(b)
	case "BIT":
		var wide [8]byte
		copy(wide[max(0, 8-len(b)):], b)
		return value{number, strconv.FormatUint(binary.BigEndian.Uint64(wide[:]), 10)}
	case "JSON":
		return jsonOf(string(b))
	case "DECIMAL":
		return value{number, string(b)}
	default:
		return textOf(string(b))
	}
}

// reset: the driver has no way to clear a session, so only one that was not touched is kept.
func (mysqlDialect) reset(_ context.Context, _ *sql.Conn, stateful bool) bool { return !stateful }

var atLine = regexp.MustCompile(` at line (\d+)$`)

func (mysqlDialect) explain(err error) (dbError, bool) {
	var my *mysql.MySQLError
	if !errors.As(err, &my) {
		return dbError{}, false
	}
	told := dbError{code: strconv.Itoa(int(my.Number)), message: my.Message}
	if m := atLine.FindStringSubmatchIndex(my.Message); m != nil {
		told.line, _ = strconv.Atoi(my.Message[m[2]:m[3]])
		told.message = my.Message[:m[0]] // the line of the script is said instead
	}
	return told, true
}
