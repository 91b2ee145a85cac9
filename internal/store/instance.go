// Instances: their columns and how masters load them.

package store

import (
	"context"
	"errors"

	"baton/internal/flow"
)

// instanceColumns is what an Instance is read from, of a table or subquery named i.
const instanceColumns = `
	i.id, i.project_id, i.workflow_id, i.version, i.state, i.prior, i.seq, i.owner, i.engine,
	i.wake_at, i.run_times, i.dry_run, i.fail_fast, i.undo, i.warned, i.due, i.priority,
	i.data_time, i.zone, i.trigger, i.key, i.reason, i.spec, i.params, i.outputs, i.holds, i.parent_id,
	i.parent_row, i.submitted_at, i.started_at, i.ended_at, i.paused_at, i.paused_for, i.told_until, i.turn_key`

func instanceFields(i *flow.Instance) []any {
	return []any{
		&i.ID, &i.Project, &i.Workflow, &i.Version, &i.State, &i.Prior, &i.Seq, &i.Owner, &i.Engine,
		&i.WakeAt, &i.RunTimes, &i.DryRun, &i.FailFast, &i.Undo, &i.Warned, &i.Due, &i.Priority,
		&i.DataTime, &i.Zone,
		trigger{&i.Trigger},
		&i.Key, &i.Reason,
		doc{&i.Spec},
		doc{&i.Params},
		doc{&i.Outputs},
		doc{&i.Holds},
		&i.Parent,
		&i.ParentRow, &i.SubmittedAt, &i.StartedAt, &i.EndedAt, &i.PausedAt, &i.PausedFor, &i.ToldUntil, &i.TurnKey,
	}
}

func scanInstance(s scanner) (flow.Instance, error) {
	var i flow.Instance
	err := s.Scan(instanceFields(&i)...)
	return i, err
}

// doc scans JSON text, the empty one as nil.
type doc struct{ b *[]byte }

// Scan implements sql.Scanner.
func (d doc) Scan(v any) error {
	switch x := v.(type) {
	case string:
		if x != "" {
			*d.b = []byte(x)
		}
	case []byte:
		if len(x) > 0 {
			*d.b = append([]byte(nil), x...)
		}
	}
	return nil
}

// Load reads the instances that owner holds with their task rows. Two statements see the same
// rows, because only the owner, who is waiting here, changes them; if it has lost them meanwhile,
// its next commit finds out. One with a row that cannot be read comes alone, with the error.
func (m *Master) Load(ctx context.Context, owner int64, ids []flow.ID) ([]flow.Loaded, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := m.load(ctx, owner, ids)
	if !errors.Is(err, errUnreadable) {
		return out, err
	}
	if len(ids) == 1 {
		return []flow.Loaded{{Instance: flow.Instance{ID: ids[0]}, Err: err}}, nil
	}
	half := len(ids) / 2
	left, err := m.Load(ctx, owner, ids[:half])
	if err != nil {
		return nil, err
	}
	right, err := m.Load(ctx, owner, ids[half:])
	return append(left, right...), err
}

func (m *Master) load(ctx context.Context, owner int64, ids []flow.ID) ([]flow.Loaded, error) {
	q := m.read(forEngine)
	instances, err := all(ctx, m.DB, q, scanInstance, `
		SELECT `+instanceColumns+`
		FROM instance i WHERE i.id = ANY($1) AND i.owner = $2 ORDER BY i.id`, m.list(ids), owner)
	if err != nil {
		return nil, m.wrap("load instances", err)
	}
	out := make([]flow.Loaded, len(instances))
	at := make(map[flow.ID]int, len(instances))
	held := make([]flow.ID, len(instances))
	for n, i := range instances {
		out[n].Instance, at[i.ID], held[n] = i, n, i.ID
	}
	tasks, err := all(ctx, m.DB, q, scanTask, `
		SELECT `+taskColumns+`
		FROM task t WHERE t.instance_id = ANY($1) ORDER BY t.instance_id, t.id`, m.list(held))
	if err != nil {
		return nil, m.wrap("load tasks", err)
	}
	for _, t := range tasks {
		n := at[t.Instance]
		out[n].Tasks = append(out[n].Tasks, t)
	}
	return out, nil
}

// insertInstance takes instanceArgs.
const insertInstance = `
	INSERT INTO instance (
		id, project_id, workflow_id, version, state, prior, seq, owner, engine,
		wake_at, run_times, dry_run, fail_fast, undo, warned, due, priority,
		data_time, zone, trigger, key, reason, spec, params, outputs, holds, parent_id,
		parent_row, submitted_at, started_at, ended_at, paused_at, paused_for, told_until, turn_key)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
		$18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35)`

func instanceArgs(i *flow.Instance) ([]any, error) {
	code, err := triggerCode(i.Trigger)
	return []any{
		int64(i.ID), int64(i.Project), int64(i.Workflow), i.Version, i.State, i.Prior, i.Seq, i.Owner, i.Engine,
		int64(i.WakeAt), i.RunTimes, i.DryRun, i.FailFast, i.Undo, i.Warned, i.Due, i.Priority,
		int64(i.DataTime), i.Zone, code, i.Key, i.Reason, string(i.Spec), string(i.Params), string(i.Outputs), string(i.Holds), int64(i.Parent),
		int64(i.ParentRow), int64(i.SubmittedAt), int64(i.StartedAt), int64(i.EndedAt), int64(i.PausedAt), i.PausedFor, int64(i.ToldUntil), i.TurnKey,
	}, err
}
