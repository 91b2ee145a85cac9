// Task rows and attempts.

package store

import (
	"context"

	"baton/internal/flow"
)

// attemptColumns of an earlier attempt; the present one is inline in its task row, where some
// names have a prefix (see taskColumns). Both lists have one order.
const attemptColumns = `
	a.task_id, a.number, a.infra, a.token, a.session, a.worker, a.state, a.confirmed, a.ref,
	a.cause, a.class, a.exit_code, a.refused, a.granted_at, a.started_at, a.beat_at, a.ended_at,
	a.cpu_used, a.memory_peak`

const inlineColumns = `
	t.id, t.number, t.infra, t.token, t.session, t.worker, t.attempt_state, t.confirmed, t.ref,
	t.cause, t.class, t.exit_code, t.refused, t.granted_at, t.attempt_started_at, t.beat_at, t.attempt_ended_at,
	t.cpu_used, t.memory_peak`

const taskColumns = `
	t.instance_id, t.id, t.name, t.type, t.state, t.valid, t.run_times, t.reason, t.next_check,
	t.held, t.kill, t.warned, t.compensates, t.item, t.eligible_at, t.started_at, t.ended_at, t.outputs,
	t.claim, t.given,` + inlineColumns

func attemptFields(a *flow.AttemptRow) []any {
	return []any{
		&a.Task, &a.Number, &a.Infra, &a.Token, &a.Session, &a.Worker, &a.State, &a.Confirmed, &a.Ref,
		&a.Cause, &a.Class, &a.ExitCode, &a.Refused, &a.GrantedAt, &a.StartedAt, &a.BeatAt, &a.EndedAt,
		&a.CPU, &a.Memory,
	}
}

func scanTask(s scanner) (flow.TaskRow, error) {
	var t flow.TaskRow
	var regards int64 // column compensates
	err := s.Scan(append([]any{
		&t.Instance, &t.ID, &t.Name, &t.Type, &t.State, &t.Valid, &t.RunTimes, &t.Reason, &t.NextCheck,
		&t.Held, &t.Kill, &t.Warned, &regards, &t.Item, &t.EligibleAt, &t.StartedAt, &t.EndedAt,
		doc{&t.Outputs},
		&t.Claim, &t.Given,
	}, attemptFields(&t.Attempt)...)...)
	t.Regard(regards)
	if t.Attempt.Number == 0 {
		t.Attempt.Task = 0 // there was none yet
	}
	return t, err
}

func scanNamedAttempt(s scanner) (flow.NamedAttempt, error) {
	var a flow.NamedAttempt
	err := s.Scan(append(attemptFields(&a.AttemptRow), &a.TaskName, &a.SessionEnded)...)
	return a, err
}

// Tasks reads the task rows of a run in order of creation.
func (db *DB) Tasks(ctx context.Context, instance flow.ID) ([]flow.TaskRow, error) {
	out, err := all(ctx, db, db.read(byKey), scanTask, `
		SELECT `+taskColumns+` FROM task t WHERE t.instance_id = $1 ORDER BY t.id`, instance)
	return out, db.wrap("read tasks", err)
}

// sessionEnded is why the session of an attempt is over, as far as that is recorded.
func sessionEnded(row string) string {
	return "COALESCE((SELECT f.reason FROM failover f WHERE f.incarnation = " + row + ".session), '')"
}

// Attempts reads all attempts of a run, or of one task of it, in order of creation.
func (db *DB) Attempts(ctx context.Context, instance flow.ID, task string) ([]flow.NamedAttempt, error) {
	out, err := all(ctx, db, db.read(byKey), scanNamedAttempt, `
		SELECT`+attemptColumns+`, t.name, `+sessionEnded("a")+`
		FROM attempt a JOIN task t ON t.instance_id = a.instance_id AND t.id = a.task_id
		WHERE a.instance_id = $1 AND ($2 = '' OR t.name = $2)
		UNION ALL
		SELECT`+inlineColumns+`, t.name, `+sessionEnded("t")+`
		FROM task t WHERE t.instance_id = $1 AND t.number > 0 AND ($2 = '' OR t.name = $2)
		ORDER BY 1, 2`, instance, task)
	return out, db.wrap("read attempts", err)
}
