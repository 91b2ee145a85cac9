// What verbs said of schedules and triggers.

package store

import (
	"context"

	"baton/internal/flow"
)

// Overrides reads what verbs said of the schedules and triggers of a workflow.
func (db *DB) Overrides(ctx context.Context, project, workflow string) (flow.Overrides, error) {
	out := flow.Overrides{Schedules: map[string]bool{}, Triggers: map[string]bool{}}
	type row struct {
		name             string
		trigger, enabled bool
	}
	rows, err := all(ctx, db, db.read(forAPI), func(s scanner) (r row, err error) { return r, s.Scan(&r.trigger, &r.name, &r.enabled) }, `
		WITH its AS (SELECT w.id FROM workflow w JOIN project p ON p.id = w.project_id WHERE p.name = $1 AND w.name = $2)
		SELECT FALSE, name, enabled FROM schedule WHERE workflow_id = (SELECT id FROM its) AND overridden AND NOT removed
		UNION ALL
		SELECT TRUE, name, enabled FROM trigger WHERE workflow_id = (SELECT id FROM its) AND overridden AND NOT removed`, project, workflow)
	for _, r := range rows {
		if r.trigger {
			out.Triggers[r.name] = r.enabled
		} else {
			out.Schedules[r.name] = r.enabled
		}
	}
	return out, db.wrap("read what verbs said of schedules and triggers", err)
}
