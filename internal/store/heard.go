// What triggers have heard, and the one decision about it.

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"baton/internal/flow"
)

// triggersAtOnce bounds the triggers that are looked at when none is named.
const triggersAtOnce = 50

// Marks reads triggers with the ends that they have heard of, of each source the oldest. With none named, those are read that
// heard something which nobody has looked at, some at a time, after the one with that id.
func (m *Master) Marks(ctx context.Context, triggers []flow.ID, after flow.ID) (out []flow.TriggerStanding, next flow.ID, err error) {
	q := m.read(forEngine)
	if len(triggers) == 0 {
		if err := m.dropUnheard(ctx); err != nil {
			return nil, 0, m.wrap("look for triggers", err)
		}
		triggers, err = all(ctx, m.DB, q, scanID, `
			SELECT DISTINCT k.trigger_id FROM trigger_mark k WHERE k.fresh AND k.trigger_id > $2 ORDER BY k.trigger_id LIMIT $1`, triggersAtOnce, after)
		if err != nil {
			return nil, 0, m.wrap("look for triggers", err)
		}
		if len(triggers) == triggersAtOnce {
			next = triggers[len(triggers)-1]
		}
	}
	for _, id := range triggers {
		standing, err := m.standing(ctx, q, id)
		if err != nil {
			return nil, 0, m.wrap("read what a trigger has heard", fmt.Errorf("trigger %s: %w", id, err))
		}
		if standing != nil {
			out = append(out, *standing)
		}
	}
	return out, next, nil
}

// dropUnheard deletes marks of triggers that do not wait for them any more: the commit that wrote one was under way when
// that was said.
func (m *Master) dropUnheard(ctx context.Context) error {
	return m.statement(ctx, forEngine, func(q querier) error {
		_, err := exec(ctx, m.DB, q, `
			DELETE FROM trigger_mark WHERE fresh AND (
				SELECT w.states FROM trigger_watch w WHERE w.trigger_id = trigger_mark.trigger_id AND w.source = trigger_mark.source LIMIT 1) IS NULL`)
		return err
	})
}

// standing reads one trigger, nil when it hears nothing any more.
func (m *Master) standing(ctx context.Context, q querier, id flow.ID) (*flow.TriggerStanding, error) {
	found, err := all(ctx, m.DB, q, scanStanding, standingSQL+" WHERE t.id = $1 AND t.enabled AND NOT t.removed", id)
	if err != nil || len(found) == 0 || found[0].Body.After == nil {
		return nil, err
	}
	t := &found[0]
	outputs := "''"
	if len(t.Body.Params) > 0 {
		outputs = "COALESCE((SELECT i.outputs FROM instance i WHERE i.id = k.instance_id), '')"
	}
	for _, s := range t.Body.After.Sources() {
		marks, err := all(ctx, m.DB, q, scanMark, `
			SELECT k.source, k.instance_id, k.seq, k.state, k.data_time, k.ended_at, `+outputs+`
			FROM trigger_mark k WHERE k.trigger_id = $1 AND k.source = $2
			ORDER BY k.ended_at, k.instance_id, k.seq LIMIT $3`, id, s.Key(), flow.MarksOfSource)
		if err != nil {
			return nil, err
		}
		t.Marks = append(t.Marks, marks...)
	}
	return t, nil
}

const standingColumns = `
	t.id, t.revision, t.project_id, t.workflow_id,
		(SELECT p.name FROM project p WHERE p.id = t.project_id),
		(SELECT v.body FROM workflow w JOIN workflow_version v ON v.workflow_id = w.id AND v.version = w.version WHERE w.id = t.workflow_id),
		(SELECT w.priority FROM workflow w WHERE w.id = t.workflow_id), t.body, t.enabled,
		COALESCE((SELECT max(k.ended_at) FROM trigger_mark k WHERE k.trigger_id = t.id), 0)`

const standingSQL = "SELECT " + standingColumns + " FROM trigger t"

func scanStanding(s scanner) (flow.TriggerStanding, error) { return scanStandingAnd(s) }

// scanStandingAnd scans what stands after the columns of a standing, too.
func scanStandingAnd(s scanner, more ...any) (t flow.TriggerStanding, err error) {
	var starts struct{ Timezone string }
	err = s.Scan(append([]any{&t.ID, &t.Revision, &t.Project, &t.Workflow, &t.ProjectName, jsonOf(&starts), &t.Priority, jsonOf(&t.Body), &t.Enabled, &t.Newest}, more...)...)
	t.Zone = starts.Timezone
	return t, err
}

func scanMark(s scanner) (k flow.Mark, err error) {
	return k, s.Scan(&k.Source, &k.Instance, &k.Seq, &k.State, &k.DataTime, &k.EndedAt, doc{&k.Outputs})
}

// StartTriggered writes decisions about what triggers have heard, each in a transaction of its own, and tells which were
// written: those about which nobody else has decided meanwhile. owner must be alive.
func (m *Master) StartTriggered(ctx context.Context, owner int64, decisions []flow.TriggerDecision) ([]bool, error) {
	written := make([]bool, len(decisions))
	var faults []error
	for i := range decisions {
		d := &decisions[i]
		err := m.write(ctx, forEngine, func(q querier) error {
			epoch, err := one(ctx, m.DB, q, scalar[int64], "SELECT epoch FROM fence WHERE incarnation = $1 FOR SHARE", owner)
			if err != nil || epoch != 1 {
				return errors.Join(err, fmt.Errorf("start: %w", flow.ErrFenced))
			}
			return m.decideTrigger(ctx, q, d)
		})
		switch {
		case errors.Is(err, errRaced):
		case err != nil:
			faults = append(faults, fmt.Errorf("trigger %s: %w", d.Trigger, err))
		default:
			written[i] = true
		}
	}
	return written, m.wrap("start what triggers say", errors.Join(faults...))
}

// decideTrigger writes one decision; errRaced if somebody else has decided, or the trigger was changed.
func (m *Master) decideTrigger(ctx context.Context, q querier, d *flow.TriggerDecision) error {
	same, err := all(ctx, m.DB, q, scanID, "SELECT id FROM trigger WHERE id = $1 AND revision = $2 AND enabled AND NOT removed FOR UPDATE", d.Trigger, d.Revision)
	if err != nil {
		return err
	}
	if len(same) == 0 {
		return errRaced
	}
	gone, err := m.eachMark(ctx, q, d.Trigger, d.Gone, "DELETE FROM trigger_mark")
	if err != nil {
		return err
	}
	if gone != len(d.Gone) {
		return errRaced
	}
	if _, err := m.eachMark(ctx, q, d.Trigger, d.Waiting, "UPDATE trigger_mark SET fresh = FALSE"); err != nil {
		return err
	}
	return m.recordStarts(ctx, q, d.Starts, d.Commands)
}

// markRow names a mark of a trigger, as JSON.
type markRow struct {
	Source   string `json:"source"`
	EndedAt  int64  `json:"ended_at"`
	Instance int64  `json:"instance"`
	Seq      int64  `json:"seq"`
}

// eachMark does something with marks of a trigger, and returns how many were there.
func (m *Master) eachMark(ctx context.Context, q querier, trigger flow.ID, marks []flow.Mark, what string) (int, error) {
	if len(marks) == 0 {
		return 0, nil
	}
	rows := make([]markRow, len(marks))
	for i, k := range marks {
		rows[i] = markRow{k.Source, int64(k.EndedAt), int64(k.Instance), k.Seq}
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return 0, err
	}
	n, err := exec(ctx, m.DB, q, what+`
		WHERE trigger_id = $2 AND (source, ended_at, instance_id, seq) IN (
			SELECT u.source, u.ended_at, u.instance, u.seq FROM `+m.records("$1", "source text, ended_at bigint, instance bigint, seq bigint")+`)`, string(raw), trigger)
	return int(n), err
}

// startRow is a start as JSON.
type startRow struct {
	ID       int64  `json:"id"`
	Trigger  int64  `json:"trigger"`
	Project  int64  `json:"project"`
	Workflow int64  `json:"workflow"`
	State    uint8  `json:"state"`
	Reason   string `json:"reason"`
	Cause    string `json:"cause"`
	Key      string `json:"key"`
	Instance int64  `json:"instance"`
	At       int64  `json:"at"`
}

// recordStarts writes what became of events, and orders their runs.
func (db *DB) recordStarts(ctx context.Context, q querier, starts []flow.TriggerStart, commands []flow.Command) error {
	if len(starts) == 0 {
		return nil
	}
	rows := make([]startRow, len(starts))
	for i, s := range starts {
		rows[i] = startRow{
			int64(s.ID), int64(s.Trigger), int64(s.Project), int64(s.Workflow), uint8(s.State), flow.Text(s.Reason, flow.MaxReason), flow.Text(s.Cause, flow.MaxReason),
			s.Key, int64(s.Instance), int64(s.At),
		}
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	if _, err := exec(ctx, db, q, `
		INSERT INTO trigger_start (id, trigger_id, project_id, workflow_id, state, reason, cause, key, instance_id, created_at)
		SELECT u.id, u.trigger, u.project, u.workflow, u.state, u.reason, u.cause, u.key, u.instance, u.at
		FROM `+db.records("$1", "id bigint, trigger bigint, project bigint, workflow bigint, state int, reason text, cause text, key text, instance bigint, at bigint"), string(raw)); err != nil {
		return err
	}
	if err := db.alertOfFailed(ctx, q, starts); err != nil {
		return err
	}
	versions := map[flow.ID]int32{}
	for _, c := range commands {
		if versions[c.Workflow] == 0 {
			if versions[c.Workflow], err = one(ctx, db, q, scalar[int32], "SELECT w.version FROM workflow w WHERE w.id = $1", c.Workflow); err != nil {
				return err
			}
		}
		c.Version = versions[c.Workflow]
		args, err := commandArgs(c)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, db, q, insertCommand, args...); err != nil {
			return fmt.Errorf("command %s: %w", c.ID, err)
		}
	}
	return nil
}

// alertOfFailed tells people of the first start of each trigger whose expressions failed, and how many more there are.
func (db *DB) alertOfFailed(ctx context.Context, q querier, starts []flow.TriggerStart) error {
	failed := map[flow.ID]int{}
	for _, s := range starts {
		if s.Failed {
			failed[s.Trigger]++
		}
	}
	for _, s := range starts {
		n := failed[s.Trigger]
		if !s.Failed || n == 0 {
			continue
		}
		failed[s.Trigger] = 0
		message := fmt.Sprintf("started nothing for %s: %s", s.Cause, s.Reason)
		if n > 1 {
			message += fmt.Sprintf("; nor for %d more", n-1)
		}
		if err := db.alertOfTrigger(ctx, q, s.Trigger, message, s.At); err != nil {
			return err
		}
	}
	return nil
}

// alertOfTrigger tells people of a trigger, which the message begins with.
func (db *DB) alertOfTrigger(ctx context.Context, q querier, trigger flow.ID, message string, now flow.Time) error {
	tokens, err := db.nextTokens(ctx, q, 1)
	if err != nil {
		return err
	}
	_, err = exec(ctx, db, q, `
		INSERT INTO alert (id, kind, project_id, instance_id, task, workflow, message, created_at)
		SELECT CAST($1 AS BIGINT), $2, t.project_id, 0, '', w.name, 'trigger ' || t.name || ' ' || CAST($4 AS TEXT), CAST($5 AS BIGINT)
		FROM trigger t JOIN workflow w ON w.id = t.workflow_id WHERE t.id = $3`,
		storeID(now, tokens[0]), flow.AlertTrigger, trigger, flow.Text(message, flow.MaxReason), now)
	return err
}
