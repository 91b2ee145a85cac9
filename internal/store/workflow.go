// Workflows and their versions, as they are read.

package store

import (
	"context"
	"errors"

	"baton/internal/flow"
)

const definitionColumns = "w.id, p.id, p.name, w.name, v.version, v.created_at, v.body, p.params"

const definitionJoins = `
	FROM workflow w
	JOIN project p ON p.id = w.project_id
	JOIN workflow_version v ON v.workflow_id = w.id`

func scanDefinition(s scanner) (flow.Definition, error) {
	var d flow.Definition
	err := s.Scan(&d.ID, &d.ProjectID, &d.Project, &d.Name, &d.Version, &d.CreatedAt, jsonOf(&d.Workflow), jsonOf(&d.ProjectParams))
	return d, err
}

// Definition reads one version of a workflow with what a run needs of its project.
func (m *Master) Definition(ctx context.Context, workflow flow.ID, version int32) (flow.Definition, error) {
	found, err := all(ctx, m.DB, m.read(forEngine), scanDefinition, `
		SELECT `+definitionColumns+definitionJoins+`
		WHERE w.id = $1 AND v.version = $2`, workflow, version)
	switch {
	case errors.Is(err, errUnreadable): // for ever, unlike a store that is away
		err = flow.Errorf(flow.CodeConflict, "", "version %d of workflow %s cannot be read: %v", version, workflow, err)
	case err == nil && len(found) == 0:
		err = flow.Errorf(flow.CodeNotFound, "", "there is no version %d of workflow %s", version, workflow)
	}
	if err != nil {
		return flow.Definition{}, m.wrap("read definition", err)
	}
	return found[0], nil
}

// Workflow reads a workflow by name; version 0 is the newest.
func (db *DB) Workflow(ctx context.Context, project, name string, version int32) (flow.Definition, error) {
	d, err := one(ctx, db, db.read(byKey), scanDefinition, `
		SELECT `+definitionColumns+definitionJoins+`
		WHERE p.name = $1 AND w.name = $2 AND v.version = CASE WHEN $3 = 0 THEN w.version ELSE CAST($3 AS INTEGER) END`, project, name, version)
	if version == 0 {
		err = notFound(err, "there is no workflow %q in project %q", name, project)
	}
	return d, db.wrap("read workflow", notFound(err, "there is no version %d of workflow %q in project %q", version, name, project))
}

// Workflows lists the newest versions by (project, name), after the given pair.
func (db *DB) Workflows(ctx context.Context, project string, limit int, afterProject, afterName string) ([]flow.Definition, error) {
	out, err := all(ctx, db, db.read(forAPI), scanDefinition, `
		SELECT `+definitionColumns+definitionJoins+` AND v.version = w.version
		WHERE ($1 = '' OR p.name = $1) AND (p.name, w.name) > ($2, $3)
		ORDER BY p.name, w.name LIMIT $4`, project, afterProject, afterName, pageLimit(limit))
	return out, db.wrap("read workflows", err)
}

// Versions lists a workflow's versions, newest first.
func (db *DB) Versions(ctx context.Context, project, name string) ([]flow.Definition, error) {
	out, err := all(ctx, db, db.read(forAPI), scanDefinition, `
		SELECT `+definitionColumns+definitionJoins+`
		WHERE p.name = $1 AND w.name = $2 ORDER BY v.version DESC`, project, name)
	if err == nil && len(out) == 0 {
		err = flow.Errorf(flow.CodeNotFound, "", "there is no workflow %q in project %q", name, project)
	}
	return out, db.wrap("read versions", err)
}
