// Triggers that wait for what happens outside: who looks out for them, what is known of it, and what came of it.

package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	q := m.read(forAPI)
	if out.Now, out.Mine, err = m.takeLookout(ctx, q, owner); err != nil || !out.Mine {
		return out, m.wrap("look out", err)
	}
	if out.Version, err = m.outlook(ctx, q); err != nil || out.Version == seen {
		return out, m.wrap("look out", err)
	}
	out.Triggers, err = all(ctx, m.DB, q, scanOutside, `
		SELECT `+standingColumns+`, o.since, o.looked_at, o.problem, `+itsDataSource+lookedOutFor)
	return out, m.wrap("look out", err)
}

// takeLookout tells whether owner looks out, from now on if nobody does who lives, and what time it is.
func (m *Master) takeLookout(ctx context.Context, q querier, owner int64) (now flow.Time, mine bool, err error) {
	type watch struct {
		now        flow.Time
		owner      int64
		lives, may bool // who looks out, and who would
	}
	w, err := one(ctx, m.DB, q, func(s scanner) (w watch, err error) { return w, s.Scan(&w.now, &w.owner, &w.lives, &w.may) }, `
		SELECT baton_now(), l.owner, EXISTS (SELECT 1 FROM fence f WHERE f.incarnation = l.owner AND f.epoch = 1),
			EXISTS (SELECT 1 FROM fence f WHERE f.incarnation = $1 AND f.epoch = 1)
		FROM lookout l`, owner)
	if err != nil || !w.may || w.lives {
		return w.now, w.may && w.owner == owner, err
	}
	var took int64
	err = m.statement(ctx, forAPI, func(q querier) (err error) {
		took, err = exec(ctx, m.DB, q, "UPDATE lookout SET owner = $1 WHERE owner = $2", owner, w.owner)
		return err
	})
	return w.now, took > 0, err
}

// itsDataSource is what a trigger needs to listen.
const itsDataSource = "COALESCE((SELECT d.body FROM datasource d WHERE d.project_id = t.project_id AND d.name = o.datasource), '')"

const lookedOutFor = " FROM trigger t JOIN trigger_outside o ON o.trigger_id = t.id WHERE t.enabled AND NOT t.removed ORDER BY t.id"

// outlook is another text whenever there is something else to look out for, or in another way.
func (m *Master) outlook(ctx context.Context, q querier) (string, error) {
	rows, err := all(ctx, m.DB, q, func(s scanner) (string, error) {
		var id, revision, since, version int64
		var source string
		err := s.Scan(&id, &revision, &since, &version, &source)
		return fmt.Sprintf("%d.%d.%d.%d %s", id, revision, since, version, source), err
	}, `
		SELECT t.id, t.revision, o.since, (SELECT w.version FROM workflow w WHERE w.id = t.workflow_id), `+itsDataSource+lookedOutFor)
	return strings.Join(rows, "\n"), err
}

func scanOutside(s scanner) (o flow.Outside, err error) {
	o.TriggerStanding, err = scanStandingAnd(s, &o.Since, &o.LookedAt, &o.Problem, jsonOf(&o.DataSource))
	return o, err
}

// knownAtOnce bounds the files of one answer.
const knownAtOnce = 10_000

// KnownFiles reads files that are no event any more for a trigger, some at a time, from where the part before ended.
func (m *Master) KnownFiles(ctx context.Context, trigger flow.ID, from string) (out flow.KnownFiles, err error) {
	q := m.read(forAPI)
	at, err := all(ctx, m.DB, q, scalar[flow.Time], "SELECT looked_at FROM trigger_outside WHERE trigger_id = $1", trigger)
	if err != nil {
		return out, m.wrap("read the files of a trigger", err)
	}
	if len(at) > 0 {
		out.LookedAt = at[0]
	}
	out.Files, err = all(ctx, m.DB, q, func(s scanner) (k flow.KnownFile, err error) {
		return k, s.Scan(&out.Next, &k.Path, &k.Modified, &k.Size, &k.Tag, &k.GoneAt)
	}, "SELECT digest, path, modified, size, tag, gone_at FROM trigger_file WHERE trigger_id = $1 AND digest > $2 ORDER BY digest LIMIT $3", trigger, from, knownAtOnce)
	if len(out.Files) < knownAtOnce {
		out.Next = ""
	}
	return out, m.wrap("read the files of a trigger", err)
}

// digest is a key of a file of any length.
func digest(v flow.FileVersion) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %q %s", v.Modified, v.Size, v.Tag, v.Path))
	return hex.EncodeToString(sum[:16])
}

// fileRow is a file as JSON.
type fileRow struct {
	flow.FileVersion
	Digest string `json:"digest"`
	GoneAt int64  `json:"gone_at"`
}

// StartOutside writes a decision about events of a trigger, in one transaction, and gives the ids of its starts and runs.
// It is false, and nothing is written, when the trigger is not as it was, or one of the fresh files is known.
// flow.ErrFenced: owner does not look out any more.
func (m *Master) StartOutside(ctx context.Context, owner int64, d flow.OutsideDecision, now flow.Time) (bool, error) {
	err := m.write(ctx, forAPI, func(q querier) error {
		// The trigger first, as who applies it does.
		same, err := all(ctx, m.DB, q, scanID, `
			SELECT t.id FROM trigger t WHERE t.id = $1 AND t.revision = $2 AND t.enabled AND NOT t.removed FOR UPDATE`, d.Trigger, d.Revision)
		if err != nil {
			return err
		}
		if err := m.mustLookOut(ctx, q, owner); err != nil {
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
	const columns = "digest text, path text, modified bigint, size bigint, tag text, gone_at bigint"
	fresh := make([]fileRow, len(d.Fresh))
	for i, v := range d.Fresh {
		fresh[i] = fileRow{v, digest(v), 0}
	}
	changed := make([]fileRow, len(d.Changed))
	for i, k := range d.Changed {
		changed[i] = fileRow{k.FileVersion, digest(k.FileVersion), int64(k.GoneAt)}
	}
	forgot := make([]string, len(d.Forgot))
	for i, v := range d.Forgot {
		forgot[i] = digest(v)
	}
	insert := func(rows []fileRow, conflict string) (int64, error) {
		if len(rows) == 0 {
			return 0, nil
		}
		raw, err := json.Marshal(rows)
		if err != nil {
			return 0, err
		}
		return exec(ctx, m.DB, q, `
			INSERT INTO trigger_file (trigger_id, digest, path, modified, size, tag, gone_at)
			SELECT CAST($2 AS BIGINT), u.digest, u.path, u.modified, u.size, COALESCE(u.tag, ''), u.gone_at FROM `+m.records("$1", columns)+`
			WHERE true ON CONFLICT `+conflict, string(raw), d.Trigger)
	}
	n, err := insert(fresh, "DO NOTHING")
	if err == nil && n != int64(len(d.Fresh)) {
		err = errRaced
	}
	if err == nil {
		_, err = insert(changed, "(trigger_id, digest) DO UPDATE SET gone_at = excluded.gone_at")
	}
	if err == nil && len(forgot) > 0 {
		_, err = exec(ctx, m.DB, q, "DELETE FROM trigger_file WHERE trigger_id = $1 AND digest = ANY($2)", d.Trigger, m.names(forgot))
	}
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
		Since   int64  `json:"since"`
		At      int64  `json:"at"`
		Problem string `json:"problem"`
	}
	rows := make([]lookRow, len(looks))
	for i, l := range looks {
		rows[i] = lookRow{int64(l.Trigger), int64(l.Since), int64(l.At), flow.Text(l.Problem, flow.MaxReason)}
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return m.wrap("write how it stands with the outside", m.write(ctx, forAPI, func(q querier) error {
		if err := m.mustLookOut(ctx, q, owner); err != nil {
			return err
		}
		if _, err := exec(ctx, m.DB, q, `
			UPDATE trigger_outside SET problem = u.problem, looked_at = CASE WHEN u.at > looked_at THEN u.at ELSE looked_at END
			FROM `+m.records("$1", "trigger bigint, since bigint, at bigint, problem text")+`
			WHERE trigger_outside.trigger_id = u.trigger AND trigger_outside.since = u.since`, string(raw)); err != nil {
			return err
		}
		for _, l := range looks {
			if l.Alert == "" {
				continue
			}
			if err := m.alertOfTrigger(ctx, q, l.Trigger, l.Alert, now); err != nil {
				return err
			}
		}
		return nil
	}))
}
