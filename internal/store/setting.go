// Settings of the cluster and tokens of callers.

package store

import (
	"context"
	"database/sql"
	"errors"

	"baton/internal/flow"
)

// Setting reads a setting of the cluster, "" when it is not set.
func (db *DB) Setting(ctx context.Context, key string) (string, error) {
	v, err := one(ctx, db, db.read(forAPI), scalar[string], "SELECT value FROM setting WHERE key = $1", key)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, db.wrap("read setting", err)
}

// Settings reads all settings of the cluster.
func (db *DB) Settings(ctx context.Context) (map[string]string, error) {
	type pair struct{ key, value string }
	pairs, err := all(ctx, db, db.read(forAPI), func(s scanner) (p pair, err error) { return p, s.Scan(&p.key, &p.value) },
		"SELECT key, value FROM setting ORDER BY key")
	out := make(map[string]string, len(pairs))
	for _, p := range pairs {
		out[p.key] = p.value
	}
	return out, db.wrap("read settings", err)
}

// SetSetting writes a setting of the cluster. A lease that nobody could keep is refused.
func (db *DB) SetSetting(ctx context.Context, key, value string) error {
	if key == "lease" {
		if _, err := flow.ParseLease(value); err != nil {
			return flow.Errorf(flow.CodeBadRequest, "lease", "lease: %s", err)
		}
	}
	if key == "balance" {
		if _, err := flow.ParseBalance(value); err != nil {
			return flow.Errorf(flow.CodeBadRequest, "balance", "%s", err)
		}
	}
	return db.wrap("write setting", db.statement(ctx, forAPI, func(q querier) error {
		_, err := exec(ctx, db, q, `
			INSERT INTO setting (key, value) VALUES ($1, $2)
			ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
		return err
	}))
}

// CreateToken keeps the SHA-256 of a token.
func (db *DB) CreateToken(ctx context.Context, name, sum string, now flow.Time) error {
	return db.wrap("create token", db.statement(ctx, forAPI, func(q querier) error {
		_, err := exec(ctx, db, q, "INSERT INTO api_token (sum, name, created_at) VALUES ($1, $2, $3)", sum, name, now)
		return err
	}))
}

// TokenNames lists whose tokens there are.
func (db *DB) TokenNames(ctx context.Context) ([]string, error) {
	names, err := all(ctx, db, db.read(byKey), scalar[string], "SELECT DISTINCT name FROM api_token ORDER BY name")
	return names, db.wrap("list tokens", err)
}

// TokenName returns the name of the token with this sum.
func (db *DB) TokenName(ctx context.Context, sum string) (string, error) {
	name, err := one(ctx, db, db.read(byKey), scalar[string], "SELECT name FROM api_token WHERE sum = $1", sum)
	return name, db.wrap("read token", notFound(err, "there is no such token"))
}
