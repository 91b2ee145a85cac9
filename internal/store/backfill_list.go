// Backfills as people read them.

package store

import (
	"context"

	"baton/internal/flow"
)

const backfillColumns = "b.id, b.project_id, b.workflow_id, b.state, b.start, b.zone, b.descending, b.parallel, b.halt, b.dates, b.cascaded, b.reason, b.created_at, b.ended_at"

// namedBackfillColumns are those of a backfill with its names, and the first and last date of its own workflow, which are
// those that begin first.
const namedBackfillColumns = backfillColumns + `, p.name, w.name,
	COALESCE((SELECT t.data_time FROM backfill_item t WHERE t.backfill_id = b.id AND t.position = CASE WHEN b.descending THEN b.dates - b.cascaded ELSE 1 END), 0),
	COALESCE((SELECT t.data_time FROM backfill_item t WHERE t.backfill_id = b.id AND t.position = CASE WHEN b.descending THEN 1 ELSE b.dates - b.cascaded END), 0)`

func backfillFields(b *flow.Backfill) []any {
	return []any{&b.ID, &b.Project, &b.Workflow, &b.State, jsonOf(&b.Start), &b.Zone, &b.Descending, &b.Parallel, &b.Halt, &b.Dates, &b.Cascaded, &b.Reason, &b.CreatedAt, &b.EndedAt}
}

func scanBackfill(s scanner) (flow.Backfill, error) {
	var b flow.Backfill
	return b, s.Scan(backfillFields(&b)...)
}

// Backfill reads a backfill with its dates, each as its run stands now.
func (db *DB) Backfill(ctx context.Context, id flow.ID) (flow.NamedBackfill, error) {
	out, err := one(ctx, db, db.read(byKey), scanNamedBackfill, `
		SELECT `+namedBackfillColumns+`
		FROM backfill b JOIN project p ON p.id = b.project_id JOIN workflow w ON w.id = b.workflow_id WHERE b.id = $1`, id)
	if err != nil {
		return out, db.wrap("read a backfill", notFound(err, "there is no backfill %s; `baton get backfills` lists them", id))
	}
	out.Items, err = all(ctx, db, db.read(byKey), func(s scanner) (i flow.BackfillItem, err error) {
		return i, s.Scan(&i.Part, &i.Level, &i.DataTime, &i.Instance, &i.State, &i.Reason)
	}, `
		SELECT t.part, t.level, t.data_time, t.instance_id,
			COALESCE((SELECT i.state FROM instance i WHERE i.id = t.instance_id), t.state),
			COALESCE((SELECT i.reason FROM instance i WHERE i.id = t.instance_id), t.reason)
		FROM backfill_item t WHERE t.backfill_id = $1 ORDER BY t.position`, id)
	if err == nil {
		out.Parts, err = db.parts(ctx, db.read(byKey), id)
	}
	out.Count()
	return out, db.wrap("read a backfill", err)
}

// parts reads the dependents of a backfill.
func (db *DB) parts(ctx context.Context, q querier, id flow.ID) ([]flow.BackfillPart, error) {
	return all(ctx, db, q, func(s scanner) (p flow.BackfillPart, err error) {
		return p, s.Scan(&p.Level, &p.Workflow, jsonOf(&p.Start), &p.Zone, &p.Dates, &p.Reason, &p.ProjectName, &p.WorkflowName)
	}, `
		SELECT d.level, d.workflow_id, d.start, d.zone, d.dates, d.reason, p.name, w.name
		FROM backfill_part d JOIN workflow w ON w.id = d.workflow_id JOIN project p ON p.id = w.project_id
		WHERE d.backfill_id = $1 ORDER BY d.part`, id)
}

func scanNamedBackfill(s scanner) (flow.NamedBackfill, error) {
	var b flow.NamedBackfill
	return b, s.Scan(append(backfillFields(&b.Backfill), &b.ProjectName, &b.WorkflowName, &b.From, &b.To)...)
}

// Backfills lists backfills without their dates, newest first.
func (db *DB) Backfills(ctx context.Context, f flow.BackfillFilter) (flow.Page[flow.NamedBackfill], error) {
	var args arguments
	where := "b.id < " + args.add(below(f.Cursor))
	if f.Instance != 0 {
		where += " AND b.id = (SELECT t.backfill_id FROM backfill_item t WHERE t.instance_id > 0 AND t.instance_id = " + args.add(f.Instance) + ")"
	}
	where += ofWorkflow(&args, "b", f.Project, f.Workflow)
	where += in("b.state", f.States)
	limit := pageLimit(f.Limit)
	rows, err := all(ctx, db, db.read(forAPI), scanNamedBackfill, `
		SELECT `+namedBackfillColumns+`
		FROM backfill b JOIN project p ON p.id = b.project_id JOIN workflow w ON w.id = b.workflow_id
		WHERE `+where+` ORDER BY b.id DESC LIMIT `+args.add(limit+1), args...)
	if err != nil {
		return flow.Page[flow.NamedBackfill]{}, db.wrap("list backfills", err)
	}
	out := page(rows, limit, func(b flow.NamedBackfill) flow.ID { return b.ID })
	return out, db.wrap("list backfills", db.countDates(ctx, out.Items))
}

// countDates counts the dates of backfills by how they were when they were looked at last.
func (db *DB) countDates(ctx context.Context, list []flow.NamedBackfill) error {
	places := map[flow.ID]int{}
	ids := make([]flow.ID, len(list))
	for i, b := range list {
		ids[i], places[b.ID] = b.ID, i
	}
	type group struct {
		backfill flow.ID
		state    flow.InstanceState
		n        int
	}
	groups, err := all(ctx, db, db.read(forAPI), func(s scanner) (g group, err error) { return g, s.Scan(&g.backfill, &g.state, &g.n) }, `
		SELECT backfill_id, state, count(*) FROM backfill_item WHERE backfill_id = ANY($1) GROUP BY backfill_id, state`, db.list(ids))
	for _, g := range groups {
		list[places[g.backfill]].Counts.Add(g.state, g.n)
	}
	return err
}
