// Resources: files beside workflows, by the sum of their content.

package store

import (
	"context"
	"slices"
)

// MissingBlobs returns which of the resources the store does not have.
func (db *DB) MissingBlobs(ctx context.Context, sums []string) ([]string, error) {
	have, err := all(ctx, db, db.read(forAPI), scalar[string], "SELECT sum FROM blob WHERE sum = ANY($1)", db.names(sums))
	if err != nil {
		return nil, db.wrap("read resources", err)
	}
	missing := slices.DeleteFunc(slices.Clone(sums), func(s string) bool { return slices.Contains(have, s) })
	slices.Sort(missing)
	return slices.Compact(missing), nil
}

// PutBlob stores a resource under its sum.
func (db *DB) PutBlob(ctx context.Context, sum string, content []byte) error {
	if content == nil {
		content = []byte{} // an empty file is not NULL
	}
	return db.wrap("store resource", db.statement(ctx, forAPI, func(q querier) error {
		_, err := exec(ctx, db, q, "INSERT INTO blob (sum, content) VALUES ($1, $2) ON CONFLICT (sum) DO NOTHING", sum, content)
		return err
	}))
}

// Blob reads a resource.
func (db *DB) Blob(ctx context.Context, sum string) ([]byte, error) {
	b, err := one(ctx, db, db.read(forAPI), scalar[[]byte], "SELECT content FROM blob WHERE sum = $1", sum)
	return b, db.wrap("read resource", notFound(err, "there is no resource %s", sum))
}
