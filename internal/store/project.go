// Projects and data sources.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"baton/internal/flow"
)

func scanProject(s scanner) (flow.Project, error) {
	var p flow.Project
	err := s.Scan(&p.ID, &p.Name, &p.Description, jsonOf(&p.Params), &p.Weight)
	return p, err
}

// jsonOf scans JSON text into v; the empty text leaves it alone.
func jsonOf(v any) sql.Scanner { return jsonScanner{v} }

type jsonScanner struct{ v any }

// Scan implements sql.Scanner.
func (j jsonScanner) Scan(src any) error {
	var b []byte
	if err := (doc{&b}).Scan(src); err != nil || b == nil {
		return err
	}
	return json.Unmarshal(b, j.v)
}

const projectColumns = "id, name, description, params, weight"

// Project reads a project by name.
func (db *DB) Project(ctx context.Context, name string) (flow.Project, error) {
	p, err := one(ctx, db, db.read(forAPI), scanProject, "SELECT "+projectColumns+" FROM project WHERE name = $1", name)
	return p, db.wrap("read project", notFound(err, "there is no project %q", name))
}

// Projects lists projects by name.
func (db *DB) Projects(ctx context.Context) ([]flow.Project, error) {
	out, err := all(ctx, db, db.read(forAPI), scanProject, "SELECT "+projectColumns+" FROM project ORDER BY name")
	return out, db.wrap("read projects", err)
}

// ensureProject returns the id of a project and makes it if it is new.
func (db *DB) ensureProject(ctx context.Context, q querier, name string) (id flow.ID, created bool, err error) {
	const find = "SELECT id FROM project WHERE name = $1"
	id, err = one(ctx, db, q, scanID, find, name)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, false, err
	}
	n, err := exec(ctx, db, q, "INSERT INTO project (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", name)
	if err != nil {
		return 0, false, err
	}
	id, err = one(ctx, db, q, scanID, find, name)
	return id, n == 1, err
}

func (db *DB) applyProject(ctx context.Context, q querier, p *flow.Project) (flow.Applied, error) {
	out := flow.Applied{Kind: "Project", Project: p.Name, Name: p.Name, Change: "updated"}
	id, created, err := db.ensureProject(ctx, q, p.Name)
	if err != nil {
		return out, err
	}
	params := ""
	if len(p.Params) > 0 {
		b, err := json.Marshal(p.Params)
		if err != nil {
			return out, err
		}
		params = string(b)
	}
	n, err := exec(ctx, db, q, `
		UPDATE project SET description = $2, params = $3, weight = $4
		WHERE id = $1 AND (description <> $2 OR params <> $3 OR weight <> $4)`, id, p.Description, params, p.Weight)
	switch {
	case created:
		out.Change = "created"
	case n == 0:
		out.Change = "unchanged"
	}
	return out, err
}

// DataSources lists the data sources of a project by name; "" lists all.
func (db *DB) DataSources(ctx context.Context, project string) ([]flow.DataSource, error) {
	out, err := all(ctx, db, db.read(forAPI), scanDataSource, `
		SELECT d.id, p.name, d.name, d.body FROM datasource d JOIN project p ON p.id = d.project_id
		WHERE $1 = '' OR p.name = $1 ORDER BY p.name, d.name`, project)
	return out, db.wrap("read data sources", err)
}

func scanDataSource(s scanner) (flow.DataSource, error) {
	var d flow.DataSource
	var id flow.ID
	var project, name string
	err := s.Scan(&id, &project, &name, jsonOf(&d))
	d.ID, d.Project, d.Name = id, project, name
	return d, err
}

func (db *DB) applyDataSource(ctx context.Context, q querier, d *flow.DataSource) (flow.Applied, error) {
	out := flow.Applied{Kind: "DataSource", Project: d.Project, Name: d.Name, Change: "updated"}
	project, _, err := db.ensureProject(ctx, q, d.Project)
	if err != nil {
		return out, err
	}
	body, err := json.Marshal(d)
	if err != nil {
		return out, err
	}
	old, err := one(ctx, db, q, scalar[string], "SELECT body FROM datasource WHERE project_id = $1 AND name = $2", project, d.Name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		out.Change = "created"
		_, err = exec(ctx, db, q, "INSERT INTO datasource (project_id, name, body) VALUES ($1, $2, $3)", project, d.Name, string(body))
	case err == nil && old == string(body):
		out.Change = "unchanged"
	case err == nil:
		_, err = exec(ctx, db, q, "UPDATE datasource SET body = $3 WHERE project_id = $1 AND name = $2", project, d.Name, string(body))
	}
	return out, err
}
