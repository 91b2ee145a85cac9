// Triggers as files say them, and whom they watch.

package store

import (
	"context"
	"encoding/json"

	"baton/internal/flow"
)

// keptTrigger is a trigger as the store has it.
type keptTrigger struct {
	ID         flow.ID
	Trigger    flow.Trigger
	Position   int
	Revision   int64
	Enabled    bool
	Overridden bool
	Removed    bool
}

const keptTriggerColumns = "id, body, position, revision, enabled, overridden, removed"

func scanKeptTrigger(s scanner) (keptTrigger, error) {
	var k keptTrigger
	err := s.Scan(&k.ID, jsonOf(&k.Trigger), &k.Position, &k.Revision, &k.Enabled, &k.Overridden, &k.Removed)
	return k, err
}

// applyTriggers makes a workflow's triggers those of its file and tells whether anything changed. What a verb said of
// one stays, unless it is to be reset. watches is set when others are watched than before.
func (db *DB) applyTriggers(ctx context.Context, q querier, project, workflow flow.ID, want []flow.Trigger, reset bool, watches *bool) (changed bool, err error) {
	have, err := all(ctx, db, q, scanKeptTrigger, "SELECT "+keptTriggerColumns+" FROM trigger WHERE workflow_id = $1 ORDER BY id FOR UPDATE", workflow)
	if err != nil {
		return false, err
	}
	byName := map[string]keptTrigger{}
	for _, k := range have {
		byName[k.Trigger.Name] = k
	}
	for i, t := range want {
		old, known := byName[t.Name]
		delete(byName, t.Name)
		now := keptTrigger{ID: old.ID, Trigger: t, Position: i, Revision: old.Revision, Enabled: !t.Disabled}
		if known && !old.Removed && old.Overridden && !reset {
			now.Enabled, now.Overridden = old.Enabled, true
		}
		did, err := db.applyTrigger(ctx, q, project, workflow, now, old, known, watches)
		if err != nil {
			return false, err
		}
		changed = changed || did
	}
	for _, k := range have {
		if _, left := byName[k.Trigger.Name]; !left || k.Removed {
			continue
		}
		changed = true
		k.Enabled, k.Overridden, k.Removed = false, false, true
		if err := db.reviseTrigger(ctx, q, k, watches); err != nil {
			return false, err
		}
	}
	return changed, nil
}

// applyTrigger writes one trigger if it is not so already.
func (db *DB) applyTrigger(ctx context.Context, q querier, project, workflow flow.ID, now, old keptTrigger, known bool, watches *bool) (changed bool, err error) {
	body, err := json.Marshal(now.Trigger)
	if err != nil {
		return false, err
	}
	if !known {
		now.ID, err = one(ctx, db, q, scanID, `
			INSERT INTO trigger (project_id, workflow_id, name, position, body, revision, enabled)
			VALUES ($1, $2, $3, $4, $5, 1, $6) RETURNING id`, project, workflow, now.Trigger.Name, now.Position, string(body), now.Enabled)
		if err != nil {
			return false, err
		}
		return true, db.watch(ctx, q, now, watches)
	}
	before, err := json.Marshal(old.Trigger)
	if err != nil {
		return false, err
	}
	if !old.Removed && string(body) == string(before) && old.Enabled == now.Enabled && old.Overridden == now.Overridden {
		if old.Position == now.Position {
			return false, nil
		}
		_, err = exec(ctx, db, q, "UPDATE trigger SET position = $2 WHERE id = $1", now.ID, now.Position)
		return true, err
	}
	return true, db.reviseTrigger(ctx, q, now, watches)
}

// reviseTrigger begins a new revision of a trigger whose row is locked. What it has heard of those that it goes on to
// watch stays.
func (db *DB) reviseTrigger(ctx context.Context, q querier, k keptTrigger, watches *bool) error {
	body, err := json.Marshal(k.Trigger)
	if err != nil {
		return err
	}
	if _, err := exec(ctx, db, q, `
		UPDATE trigger SET position = $2, body = $3, revision = revision + 1, enabled = $4, overridden = $5, removed = $6 WHERE id = $1`,
		k.ID, k.Position, string(body), k.Enabled, k.Overridden, k.Removed); err != nil {
		return err
	}
	return db.watch(ctx, q, k, watches)
}

// watchRow is a source of a trigger, as JSON.
type watchRow struct {
	Project  string `json:"project"`
	Workflow string `json:"workflow"`
	Source   string `json:"source"`
	States   uint32 `json:"states"`
}

// watch has a trigger hear the ends that it waits for, and no others; one that is disabled hears none.
func (db *DB) watch(ctx context.Context, q querier, k keptTrigger, watches *bool) error {
	rows := []watchRow{}
	keys := []string{}
	if k.Enabled && k.Trigger.After != nil {
		for _, s := range k.Trigger.After.Sources() {
			rows = append(rows, watchRow{s.Project, s.Workflow, s.Key(), s.States()})
			keys = append(keys, s.Key())
		}
	}
	gone, err := exec(ctx, db, q, "DELETE FROM trigger_watch WHERE trigger_id = $1 AND NOT (source = ANY($2))", k.ID, db.names(keys))
	if err != nil {
		return err
	}
	if gone > 0 {
		if _, err := exec(ctx, db, q, "DELETE FROM trigger_mark WHERE trigger_id = $1 AND NOT (source = ANY($2))", k.ID, db.names(keys)); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	added, err := exec(ctx, db, q, `
		INSERT INTO trigger_watch (project, workflow, trigger_id, source, states)
		SELECT u.project, u.workflow, CAST($2 AS BIGINT), u.source, u.states
		FROM `+db.records("$1", "project text, workflow text, source text, states int")+` WHERE true ON CONFLICT DO NOTHING`, string(raw), k.ID)
	if err != nil {
		return err
	}
	*watches = *watches || added+gone > 0
	return db.lookOutFor(ctx, q, k)
}

// someoneWatches tells whether some trigger waits for ends.
const someoneWatches = "EXISTS (SELECT 1 FROM trigger_watch)"

// sayWatched tells all who commit ends whether some trigger waits for them. A commit that is under way is waited for, and
// has not heard of what is applied here; each later one has. The lock is that of registration: nobody begins unnoticed.
func (db *DB) sayWatched(ctx context.Context, q querier) error {
	if _, err := one(ctx, db, q, scalar[string], "SELECT value FROM setting WHERE key = 'lease' FOR UPDATE"); err != nil {
		return err
	}
	_, err := exec(ctx, db, q, "UPDATE fence SET watched = "+someoneWatches+" WHERE epoch = 1 AND watched <> "+someoneWatches)
	return err
}

// EnableTriggers turns triggers of a workflow on or off, one by its name or, with "", all, and keeps that over changes
// of the file. It returns how many there are. One that is turned off forgets what it has heard.
func (db *DB) EnableTriggers(ctx context.Context, project, workflow, name string, on bool) (int, error) {
	var found int
	err := db.write(ctx, forAPI, func(q querier) error {
		have, err := all(ctx, db, q, scanKeptTrigger, `
			SELECT `+keptTriggerColumns+` FROM trigger`+lockStarters, project, workflow, name)
		if err != nil {
			return err
		}
		found = len(have)
		watches := false
		for _, k := range have {
			if k.Enabled == on && k.Overridden {
				continue
			}
			k.Enabled, k.Overridden = on, true
			if err := db.reviseTrigger(ctx, q, k, &watches); err != nil {
				return err
			}
		}
		if watches {
			return db.sayWatched(ctx, q)
		}
		return nil
	})
	return found, db.wrap("enable triggers", err)
}

// TriggersOf reads the triggers of one workflow as its file says them.
func (db *DB) TriggersOf(ctx context.Context, workflow flow.ID) ([]flow.Trigger, error) {
	rows, err := all(ctx, db, db.read(forAPI), scanKeptTrigger, "SELECT "+keptTriggerColumns+" FROM trigger WHERE workflow_id = $1 AND NOT removed ORDER BY position, id", workflow)
	var out []flow.Trigger
	for _, r := range rows {
		out = append(out, r.Trigger)
	}
	return out, db.wrap("read the triggers of a workflow", err)
}
