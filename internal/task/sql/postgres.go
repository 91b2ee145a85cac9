// PostgreSQL, spoken to below database/sql: every value travels as the server's own text, both
// ways, so nothing is lost in between and the server chooses the types of parameters.

package sql

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"baton/internal/datasource"
	"baton/internal/flow"
)

type postgres struct{}

func (postgres) lexis() lexis { return postgresLexis }

func (postgres) placeholder(n int) string { return "$" + strconv.Itoa(n) }

func (postgres) begin(*script) string { return "begin" }

func (postgres) open(source *flow.DataSource, password string) (*sql.DB, error) {
	config, err := datasource.Postgres(source, password)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(postgresConnector{config: config}), nil
}

func (postgres) attach(ctx context.Context, _ *sql.DB, conn *sql.Conn, log io.Writer) (context.Context, func(), error) {
	err := withPostgres(conn, func(c *postgresConn) error {
		c.log = log
		return nil
	})
	return ctx, func() {}, err
}

func withPostgres(conn *sql.Conn, f func(*postgresConn) error) error {
	return conn.Raw(func(c any) error {
		return f(c.(*postgresConn)) //nolint:forcetypeassert // open made it so
	})
}

func (postgres) run(ctx context.Context, conn *sql.Conn, text string, args []any, sink rowSink) (changed int64, err error) {
	err = withPostgres(conn, func(c *postgresConn) error {
		reader := c.pg.ExecParams(ctx, text, postgresArgs(args), nil, nil, nil)
		sinkErr := postgresRows(reader, sink)
		tag, err := reader.Close()
		if tag.Insert() || tag.Update() || tag.Delete() || strings.HasPrefix(tag.String(), "MERGE") || strings.HasPrefix(tag.String(), "COPY") {
			changed = tag.RowsAffected()
		}
		if sinkErr != nil {
			return sinkErr
		}
		return err
	})
	return changed, err
}

func postgresRows(reader *pgconn.ResultReader, sink rowSink) error {
	if sink == nil {
		return nil
	}
	fields := reader.FieldDescriptions()
	if len(fields) == 0 {
		return nil
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	if err := sink.begin(names); err != nil {
		return err
	}
	values := make([]value, len(fields))
	for reader.NextRow() {
		for i, b := range reader.Values() {
			values[i] = postgresValue(b, fields[i].DataTypeOID)
		}
		if err := sink.row(values); err != nil {
			return err
		}
	}
	return nil
}

func postgresValue(b []byte, oid uint32) value {
	if b == nil {
		return value{}
	}
	s := string(b)
	switch oid {
	case pgtype.BoolOID:
		return boolOf(s == "t")
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		return value{number, s}
	case pgtype.JSONOID, pgtype.JSONBOID:
		return jsonOf(s)
	case pgtype.ByteaOID:
		if data, err := hex.DecodeString(strings.TrimPrefix(s, `\x`)); err == nil {
			return bytesOf(data)
		}
	}
	return textOf(s)
}

func postgresArgs(args []any) [][]byte {
	out := make([][]byte, len(args))
	for i, v := range args {
		switch v := v.(type) {
		case nil:
		case json.Number:
			out[i] = []byte(v)
		case string:
			out[i] = []byte(v)
		case bool:
			out[i] = strconv.AppendBool(nil, v)
		case []byte:
			out[i] = hex.AppendEncode([]byte(`\x`), v)
		}
	}
	return out
}

// reset drops settings, locks, temporary tables and prepared statements.
func (p postgres) reset(ctx context.Context, conn *sql.Conn, _ bool) bool {
	if _, err := p.run(ctx, conn, "discard all", nil, nil); err != nil {
		return false
	}
	return withPostgres(conn, func(c *postgresConn) error {
		c.log = nil
		return nil
	}) == nil
}

func (postgres) explain(err error) (dbError, bool) {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return dbError{}, false
	}
	message := pg.Message
	if pg.Detail != "" {
		message += " (" + pg.Detail + ")"
	}
	if pg.Hint != "" {
		message += "; " + pg.Hint
	}
	if pg.Code == "25001" {
		message += "; `transaction: false` runs it outside"
	}
	return dbError{code: pg.Code, message: message, char: int(pg.Position)}, true
}
