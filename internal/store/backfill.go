// Backfills: a plan of dates, written as a whole, and steered.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"baton/internal/flow"
)

// backfillsAtOnce bounds the backfills that are looked at when none is named.
const backfillsAtOnce = 50

// CreateBackfill writes a backfill with all its dates, in the order in which they begin, and has the first begin, in one
// transaction. parts are its own workflow and its dependents; none without cascade. With a key that is known it returns
// what that made, and existing.
func (db *DB) CreateBackfill(ctx context.Context, b flow.Backfill, parts []flow.BackfillPart, items []flow.BackfillItem, key, digest string, next func() flow.ID) (id flow.ID, existing bool, err error) {
	b.State, b.Dates, b.Cascaded = flow.BackfillRunning, len(items), 0
	rows := make([]dateRow, len(items))
	for i, item := range items {
		rows[i] = dateRow{Position: i + 1, Part: item.Part, Level: item.Level, Data: int64(item.DataTime)}
		if item.Part > 0 {
			b.Cascaded++
		}
	}
	err = db.write(ctx, forAPI, func(q querier) error {
		id, existing = b.ID, false
		if key != "" {
			if id, existing, err = db.keepKey(ctx, q, keyed{b.Project, b.Workflow, key, digest, b.ID, b.CreatedAt}); err != nil || existing {
				return err
			}
		}
		if err := db.insertBackfill(ctx, q, b, parts, rows); err != nil {
			return err
		}
		fresh := b
		_, err := db.advance(ctx, q, &fresh, next, b.CreatedAt)
		return err
	})
	return id, existing, db.wrap("create a backfill", err)
}

// insertBackfill writes a new backfill, its dependents and its dates.
func (db *DB) insertBackfill(ctx context.Context, q querier, b flow.Backfill, parts []flow.BackfillPart, dates []dateRow) error {
	start, err := json.Marshal(b.Start)
	if err != nil {
		return err
	}
	if _, err := exec(ctx, db, q, `
		INSERT INTO backfill (id, project_id, workflow_id, state, start, zone, descending, parallel, halt, dates, cascaded, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		b.ID, b.Project, b.Workflow, b.State, string(start), b.Zone, b.Descending, b.Parallel, b.Halt, b.Dates, b.Cascaded, b.CreatedAt); err != nil {
		return err
	}
	for i, p := range parts {
		if i == 0 {
			continue // that is the backfill
		}
		if start, err = json.Marshal(p.Start); err != nil {
			return err
		}
		if _, err := exec(ctx, db, q, `
			INSERT INTO backfill_part (backfill_id, part, level, workflow_id, start, zone, dates, reason)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			b.ID, i, p.Level, p.Workflow, string(start), p.Zone, p.Dates, flow.Text(p.Reason, flow.MaxReason)); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(dates)
	if err != nil {
		return err
	}
	_, err = exec(ctx, db, q, `
		INSERT INTO backfill_item (backfill_id, position, part, level, data_time)
		SELECT CAST($2 AS BIGINT), u.position, u.part, u.level, u.data
		FROM `+db.records("$1", "position int, part int, level int, data bigint"), string(raw), b.ID)
	return err
}

// OrderBackfill pauses, resumes or stops a backfill, and has happen at once what follows from it.
func (db *DB) OrderBackfill(ctx context.Context, id flow.ID, o flow.BackfillOrder, next func() flow.ID, now flow.Time) error {
	return db.wrap("order a backfill", db.write(ctx, forAPI, func(q querier) error {
		b, err := db.lockBackfill(ctx, q, id)
		if err != nil {
			return notFound(err, "there is no backfill %s; `baton get backfills` lists them", id)
		}
		if err := db.reopen(ctx, q, &b, nil); err != nil {
			return err
		}
		x := advancing{DB: db, q: q, b: &b, now: now}
		if err := x.look(ctx, true); err != nil {
			return err
		}
		if err := b.Obey(o, x.stand); err != nil {
			return err
		}
		if b.State == flow.BackfillStopping {
			if err := x.stop(ctx, o.By, next); err != nil {
				return err
			}
		}
		if _, err := exec(ctx, db, q, "UPDATE backfill SET state = $2, reason = $3, halt = $4, ended_at = $5 WHERE id = $1", b.ID, b.State, b.Reason, b.Halt, b.EndedAt); err != nil {
			return err
		}
		_, err = db.advance(ctx, q, &b, next, now)
		return err
	}))
}

func (db *DB) lockBackfill(ctx context.Context, q querier, id flow.ID) (flow.Backfill, error) {
	return one(ctx, db, q, scanBackfill, "SELECT "+backfillColumns+" FROM backfill b WHERE b.id = $1 FOR UPDATE", id)
}

// AdvanceBackfills has dates of backfills begin for which there is room, and ends those that are through. With none
// named, those are looked at that go on, some at a time, after the one with that id. Of runs is known that they ended
// or went on again. ids are for the runs that begin; owner must be alive, for they are nobody else's only for so long.
func (m *Master) AdvanceBackfills(ctx context.Context, owner int64, backfills, runs []flow.ID, after flow.ID, ids []flow.ID, now flow.Time) (out flow.Advanced, err error) {
	if len(backfills) == 0 {
		backfills, err = all(ctx, m.DB, m.read(forEngine), scanID, "SELECT f.id FROM backfill f WHERE f.state <= 3 AND f.id > $2 ORDER BY f.id LIMIT $1", backfillsAtOnce, after)
		if err != nil {
			return out, m.wrap("look for backfills", err)
		}
		if len(backfills) == backfillsAtOnce {
			out.Next = backfills[len(backfills)-1]
		}
	}
	var left []flow.ID
	out.Again, err = apart(ctx, m, backfills, backfillNamed, func(q querier, id flow.ID) (advanced, error) {
		left = ids
		return m.advanceOne(ctx, q, owner, id, runs, func() (id flow.ID) {
			if len(left) > 0 {
				id, left = left[0], left[1:]
			}
			return id
		}, now)
	}, func(_ flow.ID, did advanced) (more bool) {
		ids = left
		out.Started += did.started
		return did.more
	})
	return out, m.wrap("advance backfills", err)
}

func backfillNamed(id flow.ID) string { return "backfill " + id.String() }

// advanceOne has one backfill go on, while owner lives.
func (m *Master) advanceOne(ctx context.Context, q querier, owner int64, id flow.ID, runs []flow.ID, next func() flow.ID, now flow.Time) (advanced, error) {
	b, err := m.lockBackfill(ctx, q, id)
	if errors.Is(err, sql.ErrNoRows) {
		return advanced{}, nil // pruned: its runs are all that is left of it
	}
	if err != nil {
		return advanced{}, err
	}
	epoch, err := one(ctx, m.DB, q, scalar[int64], "SELECT epoch FROM fence WHERE incarnation = $1 FOR SHARE", owner)
	if err != nil || epoch != 1 {
		return advanced{}, errors.Join(err, fmt.Errorf("advance: %w", flow.ErrFenced))
	}
	if err := m.reopen(ctx, q, &b, runs); err != nil {
		return advanced{}, err
	}
	return m.advance(ctx, q, &b, next, now)
}

// pruneBackfill deletes the oldest backfill that ended before a time, one at a time: it may have thousands of dates.
func (db *DB) pruneBackfill(ctx context.Context, q querier, before flow.Time) error {
	old, err := all(ctx, db, q, scanID, `
		SELECT b.id FROM backfill b WHERE b.id < $2 AND b.state > 3 AND b.ended_at < $1 ORDER BY b.id LIMIT 1 FOR UPDATE OF b SKIP LOCKED`, before, firstID(before.Add(idSkew)))
	if err != nil || len(old) == 0 {
		return err
	}
	for _, query := range []string{"DELETE FROM backfill_item WHERE backfill_id = ANY($1)", "DELETE FROM backfill_part WHERE backfill_id = ANY($1)", "DELETE FROM backfill WHERE id = ANY($1)"} {
		if _, err := exec(ctx, db, q, query, db.list(old)); err != nil {
			return err
		}
	}
	return nil
}
