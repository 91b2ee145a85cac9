// Runs as people read them: an instance, or a command not yet taken, with names.

package store

import (
	"context"

	"baton/internal/flow"
)

// waitingAsInstance shows commands as instances in state submitted.
const waitingAsInstance = `
	SELECT c.id, c.project_id, c.workflow_id, c.version, 1 AS state, 0 AS prior, 0 AS seq, 0 AS owner, 0 AS engine,
		0 AS wake_at, 1 AS run_times, c.dry_run, FALSE AS fail_fast, FALSE AS undo, FALSE AS warned, FALSE AS due, c.priority,
		c.data_time, c.zone, c.trigger, c.key, '` + flow.ReasonSubmitted + `' AS reason, c.start AS spec, '' AS params, '' AS outputs, '' AS holds, 0 AS parent_id,
		0 AS parent_row, c.submitted_at, 0 AS started_at, 0 AS ended_at, 0 AS paused_at, 0 AS paused_for, 0 AS told_until, '' AS turn_key
	FROM command c`

// runColumns adds the names to the columns of i.
const runColumns = instanceColumns + `,
	COALESCE(p.name, ''), COALESCE(w.name, ''), COALESCE(n.name, ''), COALESCE(t.name, '')`

const runJoins = `
	LEFT JOIN project p ON p.id = i.project_id
	LEFT JOIN workflow w ON w.id = i.workflow_id
	LEFT JOIN node n ON n.incarnation = i.owner
	LEFT JOIN task t ON t.instance_id = i.parent_id AND t.id = i.parent_row`

func scanRun(s scanner) (flow.Run, error) {
	var r flow.Run
	err := s.Scan(append(instanceFields(&r.Instance), &r.ProjectName, &r.WorkflowName, &r.OwnerName, &r.ParentTask)...)
	return r, err
}

// listColumns is what lists show of a run, about half of it.
const listColumns = `
	i.id, i.version, i.state, i.run_times, i.dry_run, i.priority, i.data_time, i.trigger, i.key, i.reason,
	i.params, i.outputs, i.parent_id, i.submitted_at, i.started_at, i.ended_at,
	COALESCE(p.name, ''), COALESCE(w.name, ''), COALESCE(n.name, ''), COALESCE(t.name, '')`

func scanListed(s scanner) (flow.Run, error) {
	var r flow.Run
	err := s.Scan(
		&r.ID, &r.Version, &r.State, &r.RunTimes, &r.DryRun, &r.Priority, &r.DataTime, trigger{&r.Trigger}, &r.Key, &r.Reason,
		doc{&r.Params}, doc{&r.Outputs}, &r.Parent, &r.SubmittedAt, &r.StartedAt, &r.EndedAt,
		&r.ProjectName, &r.WorkflowName, &r.OwnerName, &r.ParentTask)
	return r, err
}

// Instance reads one run. A single statement looks in both places, so that a command that is
// being taken is in exactly one of them.
func (db *DB) Instance(ctx context.Context, id flow.ID) (flow.Run, error) {
	r, err := one(ctx, db, db.read(byKey), scanRun, `
		SELECT `+runColumns+` FROM (
			SELECT `+instanceColumns+` FROM instance i WHERE i.id = $1
			UNION ALL `+waitingAsInstance+` WHERE c.id = $1) i`+runJoins, id)
	return r, db.wrap("read run", notFound(err, "there is no run %s", id))
}

// Commands lists waiting commands, newest first.
func (db *DB) Commands(ctx context.Context, limit int, cursor flow.ID) (flow.Page[flow.Run], error) {
	limit = pageLimit(limit)
	items, err := all(ctx, db, db.read(forAPI), scanRun, `
		SELECT `+runColumns+` FROM (`+waitingAsInstance+` WHERE c.id < $1 ORDER BY c.id DESC LIMIT $2) i`+runJoins+`
		ORDER BY i.id DESC`, below(cursor), limit+1)
	return page(items, limit, runID), db.wrap("read commands", err)
}

func runID(r flow.Run) flow.ID { return r.ID }

// pageLimit bounds the length of a page.
func pageLimit(n int) int {
	if n <= 0 {
		return 50
	}
	return min(n, 500)
}

// below is a cursor as a bound: 0 begins at the newest.
func below(cursor flow.ID) flow.ID {
	if cursor <= 0 {
		return 1<<63 - 1
	}
	return cursor
}

// page cuts a list that was read one longer than asked: the extra row tells that there is more.
func page[T any](items []T, limit int, id func(T) flow.ID) flow.Page[T] {
	limit = pageLimit(limit)
	if len(items) <= limit {
		return flow.Page[T]{Items: items}
	}
	items = items[:limit]
	return flow.Page[T]{Items: items, Next: id(items[limit-1])}
}
