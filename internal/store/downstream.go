// Runs that are rerun together.

package store

import (
	"context"

	"baton/internal/flow"
)

// RerunDownstream orders a run to be rerun, and with it of each of some workflows the last run for the same data time,
// those that go on aside, in one transaction: so none of them can begin anew and see what one before it came to the last
// time. The run itself must be at rest. It returns the order for it and what was found of the others.
func (db *DB) RerunDownstream(ctx context.Context, first flow.InboxItem, workflows []flow.ID, next func() flow.ID) (out []flow.Downstream, err error) {
	err = db.write(ctx, forAPI, func(q querier) error {
		out = nil
		run, at, err := db.dated(ctx, q, first.Instance)
		if err != nil {
			return err
		}
		if why := run.LeftAlone(); why != "" {
			return flow.Errorf(flow.CodeConflict, "", "%s", why)
		}
		runs := []flow.Downstream{run}
		for _, w := range workflows {
			found, err := db.candidates(ctx, q, w, flow.Span{From: at, To: at + 1}, run.ID)
			if err != nil {
				return err
			}
			if len(found) > 0 {
				runs = append(runs, flow.Downstream{ID: found[0].ID, Workflow: w, State: found[0].State})
			}
		}
		var items []flow.InboxItem
		for i := range runs {
			r := &runs[i]
			if r.LeftAlone() != "" {
				continue
			}
			item := first
			if i > 0 {
				item.ID, item.Instance = next(), r.ID
			}
			r.Order, item.Dedup = item.ID, flow.DownstreamKey+item.ID.String()
			items = append(items, item)
		}
		out = runs
		_, err = db.putAll(ctx, q, items)
		return err
	})
	return out, db.wrap("rerun with what depends on it", err)
}

// dated reads how a run stands, and what it is for.
func (db *DB) dated(ctx context.Context, q querier, id flow.ID) (d flow.Downstream, at flow.Time, err error) {
	d, err = one(ctx, db, q, func(s scanner) (d flow.Downstream, err error) { return d, s.Scan(&d.ID, &d.Workflow, &d.State, &at) }, `
		SELECT i.id, i.workflow_id, i.state, i.data_time FROM instance i WHERE i.id = $1
		UNION ALL
		SELECT c.id, c.workflow_id, 1, c.data_time FROM command c WHERE c.id = $1`, id)
	return d, at, notFound(err, "there is no run %s", id)
}
