// Alerts: what a person should know.

package store

import (
	"context"
	"database/sql"
	"errors"
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

// AlertUntaken tells people once of the oldest command, if it was submitted before a time. That one stays
// the oldest for as long as nobody takes any, so an outage of all masters is told of once.
func (db *DB) AlertUntaken(ctx context.Context, before flow.Time, kind, message string, now flow.Time) error {
	return db.wrap("alert of a command", db.write(ctx, forAPI, func(q querier) error {
		a, err := one(ctx, db, q, func(s scanner) (a flow.Alert, err error) {
			return a, s.Scan(&a.Instance, &a.Project, &a.Workflow, &a.At)
		}, `
			SELECT c.id, c.project_id, COALESCE((SELECT w.name FROM workflow w WHERE w.id = c.workflow_id), ''), c.submitted_at
			FROM command c ORDER BY c.id LIMIT 1 FOR UPDATE OF c`) // several look at the same time
		if errors.Is(err, sql.ErrNoRows) || err == nil && a.At >= before {
			return nil
		}
		if err != nil {
			return err
		}
		told, err := one(ctx, db, q, scalar[int], "SELECT count(*) FROM alert WHERE instance_id = $1 AND kind = $2", a.Instance, kind)
		if err != nil || told > 0 {
			return err
		}
		tokens, err := db.nextTokens(ctx, q, 1)
		if err != nil {
			return err
		}
		_, err = exec(ctx, db, q, insertAlert, storeID(now, tokens[0]), kind, a.Project, a.Instance, "", a.Workflow, flow.Text(message, flow.MaxReason), now)
		return err
	}))
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
