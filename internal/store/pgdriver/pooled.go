// Statements behind a transaction pooler: each goes with its settings.

package pgdriver

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/jackc/pgx/v5"
)

// apart tells whether a statement is a transaction of its own that needs its settings first.
func (c *Conn) apart() bool {
	return c.connector.settings != nil && c.conn.PgConn().TxStatus() == 'I'
}

// send sends settings and statement together: until the server has answered both they are one
// transaction, and no lock waits for this process between them.
func (c *Conn) send(ctx context.Context, query string, args []any) (pgx.BatchResults, error) {
	var b pgx.Batch
	b.Queue(*c.connector.local.Load())
	b.Queue(query, args...)
	results := c.conn.SendBatch(ctx, &b)
	if _, err := results.Exec(); err != nil {
		_ = results.Close() // it has the same to say
		return nil, err
	}
	return results, nil
}

func (c *Conn) execApart(ctx context.Context, query string, args []any) (driver.Result, error) {
	results, err := c.send(ctx, query, args)
	if err != nil {
		return nil, err
	}
	tag, err := results.Exec()
	if err = errors.Join(err, closing(results, err)); err != nil {
		return nil, err
	}
	return driver.RowsAffected(tag.RowsAffected()), nil
}

// closing ends a batch; an error that was said before is not said again.
func closing(results pgx.BatchResults, said error) error {
	if err := results.Close(); said == nil {
		return err
	}
	return nil
}

// Query runs a query on the native connection, with its settings where they are needed.
func (c *Conn) Query(ctx context.Context, query string, args ...any) (pgx.Rows, error) {
	if !c.apart() {
		return c.conn.Query(ctx, query, args...)
	}
	results, err := c.send(ctx, query, args)
	if err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		_ = results.Close() // it has the same to say
		return nil, err
	}
	return &batchRows{Rows: rows, results: results}, nil
}

// batchRows are the rows of the last statement of a batch; with them the batch ends.
type batchRows struct {
	pgx.Rows
	results pgx.BatchResults
	ended   bool
	err     error
}

func (r *batchRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *batchRows) Close() {
	r.Rows.Close()
	if !r.ended {
		r.ended = true
		r.err = closing(r.results, r.Rows.Err())
	}
}

func (r *batchRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.err
}
