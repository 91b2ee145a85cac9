// Triggers that wait for what happens outside: who looks out for them, what is known of it, and what came of it.

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"baton/internal/flow"
)

// lookOutFor has a trigger looked out for, from now on if it waits for something else than before; one that is disabled
// is forgotten, with all that was known for it.
func (db *DB) lookOutFor(ctx context.Context, q querier, k keptTrigger) error {
	source, datasource := "", ""
	if k.Enabled {
		source = k.Trigger.Outside()
	}
	if k.Trigger.Notify != nil {
		datasource = k.Trigger.Notify.DataSource
	}
	gone, err := exec(ctx, db, q, "DELETE FROM trigger_outside WHERE trigger_id = $1 AND source <> $2", k.ID, source)
	if err != nil {
		return err
	}
	if gone > 0 {
		if _, err := exec(ctx, db, q, "DELETE FROM trigger_file WHERE trigger_id = $1", k.ID); err != nil {
			return err
		}
	}
	if source == "" {
		return nil
	}
	_, err = exec(ctx, db, q, `
		INSERT INTO trigger_outside (trigger_id, source, datasource, since) VALUES ($1, $2, $3, baton_now()) ON CONFLICT DO NOTHING`,
		k.ID, source, datasource)
	return err
}

// LookOut makes owner the one who looks out if no other that lives is, and tells which triggers are to be looked out for,
// in order of their ids, unless they are as they were seen. With another who looks out, or when owner is fenced, it is
// not Mine.
func (m *Master) LookOut(ctx context.Context, owner int64, seen string) (out flow.Outlook, err error) {
	q := m.read(forEngine)
	if out.Mine, err = m.takeLookout(ctx, q, owner); err != nil || !out.Mine {
		return out, m.wrap("look out", err)
	}
	if out.Version, err = m.outlook(ctx, q); err != nil || out.Version == seen {
		return out, m.wrap("look out", err)
	}
	out.Triggers, err = all(ctx, m.DB, q, scanOutside, `
		SELECT `+standingColumns+`, o.since, o.looked_at, o.problem, `+itsDataSource+`
		FROM trigger t JOIN trigger_outside o ON o.trigger_id = t.id WHERE t.enabled AND NOT t.removed ORDER BY t.id`)
	return out, m.wrap("look out", err)
}

// takeLookout tells whether owner looks out, from now on if nobody does who lives.
func (m *Master) takeLookout(ctx context.Context, q querier, owner int64) (bool, error) {
	type watch struct {
		owner      int64
		lives, may bool // who looks out, and who would
	}
	w, err := one(ctx, m.DB, q, func(s scanner) (w watch, err error) { return w, s.Scan(&w.owner, &w.lives, &w.may) }, `
		SELECT l.owner, EXISTS (SELECT 1 FROM fence f WHERE f.incarnation = l.owner AND f.epoch = 1),
			EXISTS (SELECT 1 FROM fence f WHERE f.incarnation = $1 AND f.epoch = 1)
		FROM lookout l`, owner)
	if err != nil || !w.may || w.lives {
		return w.may && w.owner == owner, err
	}
	var took int64
	err = m.statement(ctx, forEngine, func(q querier) (err error) {
		took, err = exec(ctx, m.DB, q, "UPDATE lookout SET owner = $1 WHERE owner = $2", owner, w.owner)
		return err
	})
	return took > 0, err
}

// itsDataSource is what a trigger needs to listen.
const itsDataSource = "COALESCE((SELECT d.body FROM datasource d WHERE d.project_id = t.project_id AND d.name = o.datasource), '')"

// outlook is another text whenever there is something else to look out for, or in another way.
func (m *Master) outlook(ctx context.Context, q querier) (string, error) {
	rows, err := all(ctx, m.DB, q, func(s scanner) (string, error) {
		var id, revision, since, version int64
		var source string
		err := s.Scan(&id, &revision, &since, &version, &source)
		return fmt.Sprintf("%d.%d.%d.%d %s", id, revision, since, version, source), err
	}, `
		SELECT t.id, t.revision, o.since, (SELECT w.version FROM workflow w WHERE w.id = t.workflow_id), `+itsDataSource+`
		FROM trigger t JOIN trigger_outside o ON o.trigger_id = t.id WHERE t.enabled AND NOT t.removed ORDER BY t.id`)
	return strings.Join(rows, "\n"), err
}

func scanOutside(s scanner) (o flow.Outside, err error) {
	o.TriggerStanding, err = scanStandingAnd(s, &o.Since, &o.LookedAt, &o.Problem, jsonOf(&o.DataSource))
	return o, err
}

// KnownFiles reads the files that are no event any more for a trigger.
func (m *Master) KnownFiles(ctx context.Context, trigger flow.ID) ([]flow.KnownFile, error) {
	files, err := all(ctx, m.DB, m.read(forEngine), func(s scanner) (k flow.KnownFile, err error) {
		return k, s.Scan(&k.Path, &k.Modified, &k.Size, &k.GoneAt)
	}, "SELECT path, modified, size, gone_at FROM trigger_file WHERE trigger_id = $1", trigger)
	return files, m.wrap("read the files of a trigger", err)
}

// StartOutside writes a decision about events of a trigger, in one transaction, and gives the ids of its starts and runs.
// It is false, and nothing is written, when the trigger is not as it was, or one of the fresh files is known.
// flow.ErrFenced: owner does not look out any more.
func (m *Master) StartOutside(ctx context.Context, owner int64, d flow.OutsideDecision, now flow.Time) (bool, error) {
	err := m.write(ctx, forEngine, func(q querier) error {
		if err := m.mustLookOut(ctx, q, owner); err != nil {
			return err
		}
		same, err := all(ctx, m.DB, q, scanID, `
			SELECT t.id FROM trigger t WHERE t.id = $1 AND t.revision = $2 AND t.enabled AND NOT t.removed FOR UPDATE`, d.Trigger, d.Revision)
		if err != nil {
			return err
		}
		if len(same) == 0 {
			return errRaced
		}
		if err := m.writeFiles(ctx, q, d); err != nil {
			return err
		}
		if d.LookedAt != 0 {
			if _, err := exec(ctx, m.DB, q, "UPDATE trigger_outside SET looked_at = $2 WHERE trigger_id = $1 AND looked_at < $2", d.Trigger, d.LookedAt); err != nil {
				return err
			}
		}
		starts, commands, err := m.numbered(ctx, q, d, now)
		if err != nil {
			return err
		}
		return m.recordStarts(ctx, q, starts, commands)
	})
	if errors.Is(err, errRaced) {
		return false, nil
	}
	return err == nil, m.wrap("start what happened outside", err)
}

// mustLookOut holds the right to look out until the end of a transaction.
func (m *Master) mustLookOut(ctx context.Context, q querier, owner int64) error {
	epoch, err := all(ctx, m.DB, q, scalar[int64], `
		SELECT f.epoch FROM lookout l JOIN fence f ON f.incarnation = l.owner WHERE l.owner = $1 FOR SHARE`, owner)
	if err == nil && (len(epoch) == 0 || epoch[0] != 1) {
		err = fmt.Errorf("look out: %w", flow.ErrFenced)
	}
	return err
}

// writeFiles writes what is decided about files; errRaced when one of the fresh ones is known.
func (m *Master) writeFiles(ctx context.Context, q querier, d flow.OutsideDecision) error {
	const columns = "path text, modified bigint, size bigint, gone_at bigint"
	if len(d.Fresh) > 0 {
		raw, err := json.Marshal(d.Fresh)
		if err != nil {
			return err
		}
		n, err := exec(ctx, m.DB, q, `
			INSERT INTO trigger_file (trigger_id, path, modified, size)
			SELECT CAST($2 AS BIGINT), u.path, u.modified, u.size FROM `+m.records("$1", columns)+` WHERE true ON CONFLICT DO NOTHING`, string(raw), d.Trigger)
		if err == nil && n != int64(len(d.Fresh)) {
			err = errRaced
		}
		if err != nil {
			return err
		}
	}
	if len(d.Changed) > 0 {
		type fileRow struct {
			flow.FileVersion
			GoneAt int64 `json:"gone_at"`
		}
		rows := make([]fileRow, len(d.Changed))
		for i, k := range d.Changed {
			rows[i] = fileRow{k.FileVersion, int64(k.GoneAt)}
		}
		raw, err := json.Marshal(rows)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, m.DB, q, `
			INSERT INTO trigger_file (trigger_id, path, modified, size, gone_at)
			SELECT CAST($2 AS BIGINT), u.path, u.modified, u.size, u.gone_at FROM `+m.records("$1", columns)+` WHERE true
			ON CONFLICT (trigger_id, path, modified, size) DO UPDATE SET gone_at = excluded.gone_at`, string(raw), d.Trigger); err != nil {
			return err
		}
	}
	if len(d.Forgot) == 0 {
		return nil
	}
	raw, err := json.Marshal(d.Forgot)
	if err != nil {
		return err
	}
	_, err = exec(ctx, m.DB, q, `
		DELETE FROM trigger_file WHERE trigger_id = $2 AND (path, modified, size) IN (
			SELECT u.path, u.modified, u.size FROM `+m.records("$1", columns)+`)`, string(raw), d.Trigger)
	return err
}

// numbered gives ids to starts that are not known, and to their runs; each start that fired has the next of the commands.
func (m *Master) numbered(ctx context.Context, q querier, d flow.OutsideDecision, now flow.Time) (starts []flow.TriggerStart, commands []flow.Command, err error) {
	if len(d.Starts) == 0 {
		return nil, nil, nil
	}
	known, err := m.knownStarts(ctx, q, d)
	if err != nil {
		return nil, nil, err
	}
	tokens, err := m.nextTokens(ctx, q, len(d.Starts)+len(d.Commands))
	if err != nil {
		return nil, nil, err
	}
	next := func() flow.ID {
		id := storeID(now, tokens[0])
		tokens = tokens[1:]
		return id
	}
	left := d.Commands
	for _, s := range d.Starts {
		var c flow.Command
		if s.State == flow.StartFired {
			c, left = left[0], left[1:]
		}
		if known[s.Key] {
			continue
		}
		s.ID = next()
		if s.State == flow.StartFired {
			c.ID = next()
			s.Instance = c.ID
			commands = append(commands, c)
		}
		starts = append(starts, s)
	}
	return starts, commands, nil
}

// knownStarts are the keys of a decision that were written before, by one whose outcome nobody learned.
func (m *Master) knownStarts(ctx context.Context, q querier, d flow.OutsideDecision) (map[string]bool, error) {
	var keys []string
	for _, s := range d.Starts {
		if s.Key != "" {
			keys = append(keys, s.Key)
		}
	}
	known := map[string]bool{}
	if len(keys) == 0 {
		return known, nil
	}
	found, err := all(ctx, m.DB, q, scalar[string], "SELECT key FROM trigger_start WHERE trigger_id = $1 AND key <> '' AND key = ANY($2)", d.Trigger, m.names(keys))
	for _, key := range found {
		known[key] = true
	}
	return known, err
}

// Looked writes how it stands with looks at the outside, with alerts of what a person should know.
// flow.ErrFenced: owner does not look out any more.
func (m *Master) Looked(ctx context.Context, owner int64, looks []flow.Looked, now flow.Time) error {
	if len(looks) == 0 {
		return nil
	}
	type lookRow struct {
		Trigger int64  `json:"trigger"`
		At      int64  `json:"at"`
		Problem string `json:"problem"`
	}
	rows := make([]lookRow, len(looks))
	for i, l := range looks {
		rows[i] = lookRow{int64(l.Trigger), int64(l.At), flow.Text(l.Problem, flow.MaxReason)}
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return m.wrap("write how it stands with the outside", m.write(ctx, forEngine, func(q querier) error {
		if err := m.mustLookOut(ctx, q, owner); err != nil {
			return err
		}
		if _, err := exec(ctx, m.DB, q, `
			UPDATE trigger_outside SET problem = u.problem, looked_at = CASE WHEN u.at > looked_at THEN u.at ELSE looked_at END
			FROM `+m.records("$1", "trigger bigint, at bigint, problem text")+` WHERE trigger_outside.trigger_id = u.trigger`, string(raw)); err != nil {
			return err
		}
		for _, l := range looks {
			if l.Alert == "" {
				continue
			}
			tokens, err := m.nextTokens(ctx, q, 1)
			if err != nil {
				return err
			}
			if _, err := exec(ctx, m.DB, q, `
				INSERT INTO alert (id, kind, project_id, instance_id, task, workflow, message, created_at)
				SELECT CAST($1 AS BIGINT), $2, t.project_id, 0, '', w.name, $4, CAST($5 AS BIGINT)
				FROM trigger t JOIN workflow w ON w.id = t.workflow_id WHERE t.id = $3`,
				storeID(now, tokens[0]), flow.AlertTrigger, l.Trigger, flow.Text(l.Alert, flow.MaxReason), now); err != nil {
				return err
			}
		}
		return nil
	}))
}
