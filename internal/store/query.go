// Reading rows: one function each for many rows, one row and a change.

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"baton/internal/flow"
)

// scanner is a row to read.
type scanner interface{ Scan(dest ...any) error }

// errUnreadable is a row that holds what its column never may.
var errUnreadable = errors.New("a row cannot be read")

// all reads every row of a query.
func all[T any](ctx context.Context, db *DB, q querier, scan func(scanner) (T, error), query string, args ...any) (out []T, err error) {
	rows, err := q.QueryContext(ctx, db.text(query), args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnreadable, err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// one reads a single row; sql.ErrNoRows if there is none.
func one[T any](ctx context.Context, db *DB, q querier, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	return scan(q.QueryRowContext(ctx, db.text(query), args...))
}

// exec runs a change and returns how many rows it touched.
func exec(ctx context.Context, db *DB, q querier, query string, args ...any) (int64, error) {
	res, err := q.ExecContext(ctx, db.text(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// scalar reads a row of one column.
func scalar[T any](s scanner) (T, error) {
	var v T
	err := s.Scan(&v)
	return v, err
}

func scanID(s scanner) (flow.ID, error) { return scalar[flow.ID](s) }

// notFound turns sql.ErrNoRows into an error for people.
func notFound(err error, format string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return flow.Errorf(flow.CodeNotFound, "", format, args...)
	}
	return err
}
