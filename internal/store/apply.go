// Apply: checked documents become rows, all of them or none.

package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"baton/internal/flow"
)

// errRaced: another apply was faster with the same name or version.
var errRaced = errors.New("another apply changed the same rows")

// applyTries bounds how often an apply begins again behind faster ones.
const applyTries = 5

// Apply writes all documents in one transaction. It takes no locks beforehand: whoever meets the
// unique key of a name or version that another has just written begins again.
// Everything that is refused of the documents is told at once, as flow.RefusedErrors.
func (db *DB) Apply(ctx context.Context, docs []flow.Document, now flow.Time) ([]flow.Applied, error) {
	return db.applyAll(ctx, docs, now, nil)
}

// errChecked undoes what was written to see whether it could be.
var errChecked = errors.New("checked")

// Check returns what Apply would refuse of the documents, and changes nothing.
func (db *DB) Check(ctx context.Context, docs []flow.Document, now flow.Time) error {
	_, err := db.applyAll(ctx, docs, now, errChecked)
	if errors.Is(err, errChecked) {
		return nil
	}
	return err
}

// applyAll writes all documents, and keeps them when last is nil.
func (db *DB) applyAll(ctx context.Context, docs []flow.Document, now flow.Time, last error) ([]flow.Applied, error) {
	var out []flow.Applied
	var err error
	for range applyTries {
		err = db.write(ctx, forAPI, func(q querier) error {
			var refused flow.RefusedErrors
			out = make([]flow.Applied, len(docs))
			watches := false
			for _, first := range []bool{true, false} { // workflows of the same files may use them
				for i, d := range docs {
					if (d.Calendar != nil || d.Pool != nil) != first {
						continue
					}
					a, err := db.applyOne(ctx, q, d, now, &watches)
					var more flow.RefusedErrors
					switch {
					case errors.As(err, &more):
						for _, r := range more {
							r.Document = i
							refused = append(refused, r)
						}
					case err != nil:
						return inFile(d, err)
					}
					out[i] = a
				}
			}
			if len(refused) > 0 {
				return refused
			}
			if watches && last == nil { // at the end: commits wait from here on
				return db.sayWatched(ctx, q)
			}
			return last
		})
		if err == nil {
			return out, nil
		}
		if !errors.Is(err, errRaced) && !db.damaged(err) {
			break
		}
	}
	if errors.Is(err, errRaced) {
		err = flow.Errorf(flow.CodeConflict, "", "others change the same workflows at this moment; apply again")
	}
	return nil, db.wrap("apply", err)
}

// applyOne writes one document; watches tells whether it changes who waits for ends.
func (db *DB) applyOne(ctx context.Context, q querier, d flow.Document, now flow.Time, watches *bool) (flow.Applied, error) {
	switch {
	case d.Workflow != nil:
		return db.applyWorkflow(ctx, q, d, now, watches)
	case d.Project != nil:
		return db.applyProject(ctx, q, d.Project)
	case d.DataSource != nil:
		return db.applyDataSource(ctx, q, d.DataSource)
	case d.Calendar != nil:
		return db.applyCalendar(ctx, q, d.Calendar, now)
	case d.Environment != nil:
		return db.applyEnvironment(ctx, q, d.Environment, now)
	case d.WorkerGroup != nil:
		return db.applyWorkerGroup(ctx, q, d.WorkerGroup)
	case d.Pool != nil:
		return db.applyPool(ctx, q, d.Pool, d.Reset)
	}
	return flow.Applied{}, flow.Errorf(flow.CodeBadRequest, "", "the document is empty")
}

func (db *DB) applyWorkflow(ctx context.Context, q querier, d flow.Document, now flow.Time, watches *bool) (flow.Applied, error) {
	w := d.Workflow
	out := flow.Applied{Kind: "Workflow", Project: w.Project, Name: w.Name, Change: "updated"}
	body, err := json.Marshal(w)
	if err != nil {
		return out, err
	}
	project, _, err := db.ensureProject(ctx, q, w.Project)
	if err != nil {
		return out, err
	}
	id, version, old, err := db.newest(ctx, q, project, w.Name)
	if errors.Is(err, sql.ErrNoRows) && w.RenamedFrom != "" {
		if id, version, old, err = db.newest(ctx, q, project, w.RenamedFrom); err == nil {
			_, err = exec(ctx, db, q, "UPDATE workflow SET name = $2 WHERE id = $1", id, w.Name)
		}
	}
	rule := ruleArgs(w.Turns())
	switch {
	case errors.Is(err, sql.ErrNoRows):
		out.Change = "created"
		id, err = one(ctx, db, q, scanID, `
			INSERT INTO workflow (project_id, name, version, priority, `+ruleColumns+`)
			VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8) RETURNING id`, append([]any{project, w.Name, w.Priority}, rule...)...)
	case err == nil && sameJSON([]byte(old), body):
		out.Change, out.Version = "unchanged", version
		changed, err := db.applyStarters(ctx, q, project, id, d, watches)
		if changed {
			out.Change = "updated"
		}
		return out, err
	case err == nil:
		var n int64
		n, err = exec(ctx, db, q, `
			UPDATE workflow SET version = version + 1, priority = $3, (`+ruleColumns+`) = ($4, $5, $6, $7, $8)
			WHERE id = $1 AND version = $2`, append([]any{id, version, w.Priority}, rule...)...)
		if err == nil && n == 0 {
			err = errRaced
		}
	}
	if err != nil {
		return out, err
	}
	refused, err := db.checkPools(ctx, q, project, w)
	if err != nil {
		return out, err
	}
	out.Version = version + 1
	if _, err = exec(ctx, db, q, `
		INSERT INTO workflow_version (workflow_id, version, body, created_at) VALUES ($1, $2, $3, $4)`,
		id, out.Version, string(body), now); err != nil {
		return out, err
	}
	_, err = db.applyStarters(ctx, q, project, id, d, watches)
	if more, ok := errors.AsType[flow.RefusedErrors](err); ok {
		refused, err = append(refused, more...), nil
	}
	if err == nil && len(refused) > 0 {
		err = refused
	}
	return out, err
}

// applyStarters makes what starts a workflow by itself that of its file, and tells whether anything changed.
func (db *DB) applyStarters(ctx context.Context, q querier, project, workflow flow.ID, d flow.Document, watches *bool) (bool, error) {
	timed, err := db.applySchedules(ctx, q, project, workflow, d.Workflow.Schedules, d.Reset)
	if err != nil {
		return false, err
	}
	triggered, err := db.applyTriggers(ctx, q, project, workflow, d.Workflow.Triggers, d.Reset, watches)
	return timed || triggered, err
}

// inFile adds the file to an error about what a document refers to.
func inFile(d flow.Document, err error) error {
	if e, ok := errors.AsType[*flow.Error](err); ok && e.File == "" {
		e.File = d.File
	}
	return err
}

// newest reads the newest version of a workflow; sql.ErrNoRows if there is no such workflow.
func (db *DB) newest(ctx context.Context, q querier, project flow.ID, name string) (id flow.ID, version int32, body string, err error) {
	err = q.QueryRowContext(ctx, db.text(`
		SELECT w.id, w.version, v.body FROM workflow w
		JOIN workflow_version v ON v.workflow_id = w.id AND v.version = w.version
		WHERE w.project_id = $1 AND w.name = $2`), project, name).Scan(&id, &version, &body)
	return id, version, body, err
}

// sameJSON compares two texts by meaning: the order of keys inside a task's options says nothing.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, err := canonicalJSON(a)
	if err != nil {
		return false
	}
	y, err := canonicalJSON(b)
	return err == nil && bytes.Equal(x, y)
}

func canonicalJSON(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // 1 and 1.0 differ, large numbers stay whole
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}
