// Drains: nodes that a person wants to take nothing new, and masters that give away what they own.

package store

import (
	"context"
	"slices"
	"strings"

	"baton/internal/flow"
)

// drainKey is flow.Node.DrainKey of node n.
const drainKey = "(n.role || ':' || CASE WHEN n.home <> '' THEN n.home ELSE n.name END)"

// drainOf is flow.DrainOf of node n.
const drainOf = "('#' || CAST(n.incarnation AS TEXT))"

// isDrained tells whether node n is to take nothing new.
const isDrained = "((SELECT d.given_by FROM drain d WHERE d.home = " + drainKey + ") IS NOT NULL" +
	" OR (SELECT d.given_by FROM drain d WHERE d.home = " + drainOf + ") IS NOT NULL)"

// drainedKeys are the drains as one text, a line each: masters read it with every poll. More than a
// cluster can have nodes are not read.
const drainedKeys = "COALESCE((SELECT string_agg(d.home, '\n') FROM (SELECT home FROM drain ORDER BY home LIMIT 10000) d), '')"

func drainedList(text string) []string {
	if text == "" {
		return nil
	}
	keys := strings.Split(text, "\n")
	slices.Sort(keys)
	return keys
}

// Drain makes a node take nothing new, until Undrain; twice is once.
func (db *DB) Drain(ctx context.Context, key, by string, now flow.Time) error {
	return db.wrap("drain", db.statement(ctx, forAPI, func(q querier) error {
		_, err := exec(ctx, db, q, `
			INSERT INTO drain (home, given_by, created_at) VALUES ($1, $2, $3)
			ON CONFLICT (home) DO NOTHING`, key, by, now)
		return err
	}))
}

// Undrain takes a drain back.
func (db *DB) Undrain(ctx context.Context, key string) error {
	return db.wrap("undrain", db.statement(ctx, forAPI, func(q querier) error {
		_, err := exec(ctx, db, q, "DELETE FROM drain WHERE home = $1", key)
		return err
	}))
}

// Holding counts what a node has in hand: runs of a master, attempts of a worker that have not ended
// for the masters.
func (db *DB) Holding(ctx context.Context, incarnation int64) (int, error) {
	n, err := one(ctx, db, db.read(forAPI), scalar[int], `
		SELECT (SELECT count(*) FROM instance WHERE owner = $1 AND owner > 0)
			+ (SELECT count(*) FROM task t
				WHERE t.instance_id = ANY(ARRAY(SELECT id FROM instance WHERE owner > 0)) AND t.session = $1 AND t.token > 0
					AND t.attempt_state IN (1, 2, 3))`, incarnation)
	return n, db.wrap("count what a node has in hand", err)
}

// Waits tells since when the oldest command and the oldest item of the inbox wait, 0 for none, and
// what time it is by the clock of the database.
func (db *DB) Waits(ctx context.Context) (command, inbox, now flow.Time, err error) {
	got, err := one(ctx, db, db.read(forAPI), func(s scanner) (t [3]flow.Time, err error) { return t, s.Scan(&t[0], &t[1], &t[2]) }, `
		SELECT COALESCE((SELECT submitted_at FROM command ORDER BY id LIMIT 1), 0),
			COALESCE((SELECT created_at FROM inbox WHERE state = 0 ORDER BY id LIMIT 1), 0), baton_now()`)
	return got[0], got[1], got[2], db.wrap("look how long things wait", err)
}

// GiveAway gives instances of me, which lives and takes part in nothing of theirs, to those of its heirs
// that may commit, each to the one whose slot it is. If none of them may, that is an error.
func (m *Master) GiveAway(ctx context.Context, me int64, ids []flow.ID, heirs []int64) (given int, err error) {
	if heirs, err = m.alive(ctx, heirs); err != nil {
		return 0, m.wrap("give away", err)
	}
	if len(heirs) == 0 {
		return 0, flow.Errorf(flow.CodeConflict, "", "give away: none of those that were to get it is alive")
	}
	var rows int64
	err = m.statement(ctx, forEngine, func(q querier) error {
		rows, err = exec(ctx, m.DB, q, `
			WITH given AS (
				SELECT id FROM instance WHERE id = ANY($2) AND owner = $1 AND owner > 0 ORDER BY id FOR UPDATE
			)
			UPDATE instance SET owner = `+heirOf(heirs)+`, seq = seq + 1, takes = takes + 1
			WHERE id = ANY(ARRAY(SELECT id FROM given))`, me, m.list(ids))
		return err
	})
	return int(rows), m.wrap("give away", err)
}
