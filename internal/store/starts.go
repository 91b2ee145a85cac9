// Triggers and what became of their events, read for people.

package store

import (
	"context"

	"baton/internal/flow"
)

// Triggers lists the triggers of a project, a workflow or all, in order of their ids, after the one with that id, each with
// the ends that it has heard of, the oldest of each source, and what became of its last event.
func (db *DB) Triggers(ctx context.Context, project, workflow string, limit int, after flow.ID) (flow.Page[flow.TriggerRow], error) {
	limit = pageLimit(limit)
	q := db.read(forAPI)
	rows, err := all(ctx, db, q, func(s scanner) (r flow.TriggerRow, err error) {
		return r, s.Scan(&r.ID, &r.Project, &r.Workflow, jsonOf(&r.Trigger), &r.Revision, &r.Enabled, &r.Overridden, &r.LookedAt, &r.Problem)
	}, `
		SELECT t.id, p.name, w.name, t.body, t.revision, t.enabled, t.overridden, COALESCE(o.looked_at, 0), COALESCE(o.problem, '')
		FROM trigger t JOIN project p ON p.id = t.project_id JOIN workflow w ON w.id = t.workflow_id
			LEFT JOIN trigger_outside o ON o.trigger_id = t.id
		WHERE NOT t.removed AND t.id > $1 AND ($2 = '' OR p.name = $2) AND ($3 = '' OR w.name = $3)
		ORDER BY t.id LIMIT $4`, after, project, workflow, limit+1)
	if err != nil {
		return flow.Page[flow.TriggerRow]{}, db.wrap("list triggers", err)
	}
	p := page(rows, limit, func(r flow.TriggerRow) flow.ID { return r.ID })
	for i := range p.Items {
		if err := db.hearing(ctx, q, &p.Items[i]); err != nil {
			return p, db.wrap("list triggers", err)
		}
	}
	return p, nil
}

// hearing adds to a trigger what it has heard, and what came of it last.
func (db *DB) hearing(ctx context.Context, q querier, r *flow.TriggerRow) error {
	last, err := all(ctx, db, q, scanStart, "SELECT "+startColumns+" FROM trigger_start f WHERE f.trigger_id = $1 ORDER BY f.id DESC LIMIT 1", r.ID)
	if err != nil {
		return err
	}
	if len(last) > 0 {
		r.Last = &last[0]
	}
	if r.Trigger.After == nil {
		return nil
	}
	for _, s := range r.Trigger.After.Sources() {
		marks, err := all(ctx, db, q, scanMark, `
			SELECT k.source, k.instance_id, k.seq, k.state, k.data_time, k.ended_at, '' FROM trigger_mark k
			WHERE k.trigger_id = $1 AND k.source = $2 ORDER BY k.ended_at, k.instance_id, k.seq LIMIT 1`, r.ID, s.Key())
		if err != nil {
			return err
		}
		r.Waiting = append(r.Waiting, marks...)
	}
	return nil
}

const startColumns = "f.id, f.trigger_id, f.project_id, f.workflow_id, f.state, f.reason, f.cause, f.key, f.instance_id, f.created_at"

func startFields(s *flow.TriggerStart) []any {
	return []any{&s.ID, &s.Trigger, &s.Project, &s.Workflow, &s.State, &s.Reason, &s.Cause, &s.Key, &s.Instance, &s.At}
}

func scanStart(s scanner) (t flow.TriggerStart, err error) { return t, s.Scan(startFields(&t)...) }

// Starts lists what became of events of triggers, newest first.
func (db *DB) Starts(ctx context.Context, f flow.StartFilter) (flow.Page[flow.NamedStart], error) {
	var args arguments
	where := "f.id < " + args.add(below(f.Cursor))
	if f.Instance != 0 {
		where += " AND f.instance_id = " + args.add(f.Instance)
	}
	where += ofWorkflow(&args, "f", f.Project, f.Workflow)
	if f.Trigger != "" {
		where += " AND t.name = " + args.add(f.Trigger)
	}
	limit := pageLimit(f.Limit)
	rows, err := all(ctx, db, db.read(forAPI), func(s scanner) (n flow.NamedStart, err error) {
		return n, s.Scan(append(startFields(&n.TriggerStart), &n.TriggerName, &n.ProjectName, &n.WorkflowName)...)
	}, `
		SELECT `+startColumns+`, t.name, p.name, w.name
		FROM trigger_start f JOIN trigger t ON t.id = f.trigger_id JOIN project p ON p.id = f.project_id JOIN workflow w ON w.id = f.workflow_id
		WHERE `+where+` ORDER BY f.id DESC LIMIT `+args.add(limit+1), args...)
	if err != nil {
		return flow.Page[flow.NamedStart]{}, db.wrap("list starts", err)
	}
	return page(rows, limit, func(n flow.NamedStart) flow.ID { return n.ID }), nil
}

// TriggerNamed reads a trigger by its names, without what it has heard.
func (db *DB) TriggerNamed(ctx context.Context, project, workflow, name string) (flow.TriggerStanding, error) {
	t, err := one(ctx, db, db.read(forAPI), scanStanding, standingSQL+`
		WHERE t.workflow_id = (SELECT w.id FROM workflow w JOIN project p ON p.id = w.project_id WHERE p.name = $1 AND w.name = $2)
			AND t.name = $3 AND NOT t.removed`, project, workflow, name)
	return t, db.wrap("read a trigger", notFound(err, "workflow %s has no trigger %q", workflow, name))
}

// StartByEvent records an event of a trigger and orders its run, once for each key that is not empty: with one that is known it
// returns the run of the first, and existing. A conflict: it was disabled or removed meanwhile.
func (db *DB) StartByEvent(ctx context.Context, start flow.TriggerStart, cmd flow.Command) (id flow.ID, existing bool, err error) {
	err = db.write(ctx, forAPI, func(q querier) error {
		id, existing = start.Instance, false
		on, err := all(ctx, db, q, scanID, "SELECT id FROM trigger WHERE id = $1 AND enabled AND NOT removed FOR UPDATE", start.Trigger)
		if err != nil {
			return err
		}
		if len(on) == 0 {
			return flow.Errorf(flow.CodeConflict, "trigger", "the trigger is disabled; `baton trigger enable` has it wait again")
		}
		if start.Key != "" { // the lock makes one of two at once the first
			known, err := all(ctx, db, q, scanID, "SELECT instance_id FROM trigger_start WHERE trigger_id = $1 AND key = $2", start.Trigger, start.Key)
			if err != nil {
				return err
			}
			if len(known) > 0 {
				id, existing = known[0], true
				return nil
			}
		}
		return db.recordStarts(ctx, q, []flow.TriggerStart{start}, []flow.Command{cmd})
	})
	return id, existing, db.wrap("start by an event", err)
}
