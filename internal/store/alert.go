// Alerts: what a person should know.

package store

import (
	"context"
	"fmt"
	"strings"

	"baton/internal/flow"
)

const insertAlert = `
	INSERT INTO alert (id, kind, project_id, instance_id, task, workflow, message, created_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

func scanAlert(s scanner) (flow.Alert, error) {
	var a flow.Alert
	err := s.Scan(&a.ID, &a.Kind, &a.Project, &a.Instance, &a.Task, &a.Workflow, &a.Message, &a.At)
	return a, err
}

// Alerts lists alerts, newest first.
func (db *DB) Alerts(ctx context.Context, f flow.AlertFilter) (flow.Page[flow.Alert], error) {
	args := []any{pageLimit(f.Limit) + 1}
	var where []string
	add := func(format string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(format, len(args)))
	}
	if f.Cursor > 0 {
		add("id < $%d", f.Cursor)
	}
	if f.Instance != 0 {
		add("instance_id = $%d", f.Instance)
	}
	if f.Project != "" {
		add("project_id = (SELECT p.id FROM project p WHERE p.name = $%d)", f.Project)
	}
	if f.Workflow != "" {
		add("workflow = $%d", f.Workflow)
	}
	query := "SELECT id, kind, project_id, instance_id, task, workflow, message, created_at FROM alert"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	items, err := all(ctx, db, db.read(forAPI), scanAlert, query+" ORDER BY id DESC LIMIT $1", args...)
	return page(items, f.Limit, func(a flow.Alert) flow.ID { return a.ID }), db.wrap("read alerts", err)
}
