// Environments and worker groups.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"baton/internal/flow"
)

// applyEnvironment keeps every version of an environment: what an attempt was prepared by can be told.
func (db *DB) applyEnvironment(ctx context.Context, q querier, e *flow.Environment, now flow.Time) (flow.Applied, error) {
	out := flow.Applied{Kind: "Environment", Name: e.Name, Change: "updated"}
	body, err := json.Marshal(e)
	if err != nil {
		return out, err
	}
	type newest struct {
		id      flow.ID
		version int32
		body    string
	}
	have, err := one(ctx, db, q, func(s scanner) (n newest, err error) { return n, s.Scan(&n.id, &n.version, &n.body) }, `
		SELECT e.id, e.version, v.body FROM environment e
		JOIN environment_version v ON v.environment_id = e.id AND v.version = e.version
		WHERE e.name = $1`, e.Name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		out.Change = "created"
		have.id, err = one(ctx, db, q, scanID, "INSERT INTO environment (name, version) VALUES ($1, 1) RETURNING id", e.Name)
	case err == nil && have.body == string(body):
		out.Change, out.Version = "unchanged", have.version
		return out, nil
	case err == nil:
		var n int64
		n, err = exec(ctx, db, q, "UPDATE environment SET version = version + 1 WHERE id = $1 AND version = $2", have.id, have.version)
		if err == nil && n == 0 {
			err = errRaced
		}
	}
	if err != nil {
		return out, err
	}
	out.Version = have.version + 1
	_, err = exec(ctx, db, q, "INSERT INTO environment_version (environment_id, version, body, created_at) VALUES ($1, $2, $3, $4)",
		have.id, out.Version, string(body), now)
	return out, err
}

func (db *DB) applyWorkerGroup(ctx context.Context, q querier, g *flow.WorkerGroup) (flow.Applied, error) {
	out := flow.Applied{Kind: "WorkerGroup", Name: g.Name, Change: "updated"}
	body, err := json.Marshal(g)
	if err != nil {
		return out, err
	}
	old, err := one(ctx, db, q, scalar[string], "SELECT body FROM worker_group WHERE name = $1", g.Name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		out.Change = "created"
		_, err = exec(ctx, db, q, "INSERT INTO worker_group (name, body) VALUES ($1, $2)", g.Name, string(body))
	case err == nil && old == string(body):
		out.Change = "unchanged"
	case err == nil:
		_, err = exec(ctx, db, q, "UPDATE worker_group SET body = $2 WHERE name = $1", g.Name, string(body))
	}
	return out, err
}

const environmentColumns = "v.body, v.version, v.created_at FROM environment e JOIN environment_version v ON v.environment_id = e.id"

func scanEnvironment(s scanner) (flow.Environment, error) {
	var e flow.Environment
	err := s.Scan(jsonOf(&e), &e.Version, &e.ChangedAt)
	return e, err
}

// Environments lists the newest versions of the environments by name.
func (db *DB) Environments(ctx context.Context) ([]flow.Environment, error) {
	out, err := all(ctx, db, db.read(forAPI), scanEnvironment, "SELECT "+environmentColumns+" AND v.version = e.version ORDER BY e.name")
	return out, db.wrap("read environments", err)
}

// EnvironmentAt reads the version of an environment that was the newest at a time.
func (db *DB) EnvironmentAt(ctx context.Context, name string, at flow.Time) (flow.Environment, error) {
	out, err := one(ctx, db, db.read(forAPI), scanEnvironment, "SELECT "+environmentColumns+`
		WHERE e.name = $1 AND v.created_at <= $2 ORDER BY v.version DESC LIMIT 1`, name, at)
	return out, db.wrap("read environment", notFound(err, "there was no environment %q at that time", name))
}

// Environment reads the newest version of an environment. Not found: the error has the name that was perhaps meant.
func (m *Master) Environment(ctx context.Context, name string) (flow.Environment, error) {
	out, err := one(ctx, m.DB, m.read(forEngine), scanEnvironment, "SELECT "+environmentColumns+" AND v.version = e.version WHERE e.name = $1", name)
	if errors.Is(err, sql.ErrNoRows) {
		names, listErr := all(ctx, m.DB, m.read(forEngine), scalar[string], "SELECT name FROM environment ORDER BY name")
		if listErr != nil {
			return out, m.wrap("read environments", listErr)
		}
		return out, flow.NoEnvironment(name, names)
	}
	return out, m.wrap("read environment", err)
}

// WorkerGroups lists the declared worker groups by name.
func (db *DB) WorkerGroups(ctx context.Context) ([]flow.WorkerGroup, error) {
	out, err := all(ctx, db, db.read(forAPI), func(s scanner) (g flow.WorkerGroup, err error) { return g, s.Scan(jsonOf(&g)) },
		"SELECT body FROM worker_group ORDER BY name")
	return out, db.wrap("read worker groups", err)
}
