// The inbox: orders and news for runs that exist.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"baton/internal/flow"
)

// Order inserts an inbox item. One statement decides: the unique key refuses a second one for as
// long as the run exists, also when the first was consumed long ago.
func (db *DB) Order(ctx context.Context, item flow.InboxItem) (flow.ID, error) {
	dedup := item.Dedup
	if dedup == "" {
		dedup = "item:" + item.ID.String()
	}
	var n int64
	err := db.statement(ctx, forAPI, func(q querier) (err error) {
		n, err = exec(ctx, db, q, `
			INSERT INTO inbox (id, instance_id, kind, dedup, payload, created_at)
			SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), $3, $4, $5, CAST($6 AS BIGINT)
			WHERE EXISTS (SELECT 1 FROM instance WHERE id = $2) OR EXISTS (SELECT 1 FROM command WHERE id = $2)
			ON CONFLICT (dedup) DO NOTHING`,
			item.ID, item.Instance, string(item.Kind), dedup, string(item.Payload), item.At)
		return err
	})
	if err != nil {
		return 0, db.wrap("order", err)
	}
	if n == 1 {
		return item.ID, nil
	}
	id, err := one(ctx, db, db.read(byKey), scanID, "SELECT id FROM inbox WHERE dedup = $1", dedup)
	return id, db.wrap("order", notFound(err, "there is no run %s", item.Instance))
}

// Inbox returns items of instances that owner holds, oldest first.
func (m *Master) Inbox(ctx context.Context, owner int64, n int, except []flow.ID) ([]flow.InboxItem, error) {
	out, err := all(ctx, m.DB, m.read(forEngine), scanItem, `
		SELECT b.id, b.instance_id, b.kind, b.dedup, b.payload, b.created_at
		FROM inbox b
		WHERE b.state = 0 AND (SELECT i.owner FROM instance i WHERE i.id = b.instance_id) = $1 AND NOT (b.id = ANY($3))
		ORDER BY b.id LIMIT $2`, owner, n, m.list(except))
	return out, m.wrap("read the inbox", err)
}

func scanItem(s scanner) (flow.InboxItem, error) {
	var b flow.InboxItem
	err := s.Scan(&b.ID, &b.Instance, &b.Kind, &b.Dedup, doc{&b.Payload}, &b.At)
	return b, err
}

const outcomeColumns = "id, instance_id, verb, state = 2, reason, given_by, settled_at"

func scanOutcome(s scanner) (flow.Outcome, error) {
	var o flow.Outcome
	err := s.Scan(&o.Inbox, &o.Instance, &o.Verb, &o.Applied, &o.Reason, &o.By, &o.At)
	return o, err
}

// Outcome returns what became of an item, nil while it is not known.
func (db *DB) Outcome(ctx context.Context, inbox flow.ID) (*flow.Outcome, error) {
	o, err := one(ctx, db, db.read(byKey), scanOutcome, "SELECT "+outcomeColumns+" FROM inbox WHERE id = $1 AND state IN (2, 3)", inbox)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // not known yet is an answer
	}
	if err != nil {
		return nil, db.wrap("read outcome", err)
	}
	return &o, nil
}

// Given lists the verbs given to a run that are not carried out yet, oldest first.
func (db *DB) Given(ctx context.Context, instance flow.ID) ([]flow.Given, error) {
	items, err := all(ctx, db, db.read(forAPI), scanItem, `
		SELECT id, instance_id, kind, dedup, payload, created_at
		FROM inbox WHERE instance_id = $1 AND state = 0 AND kind = $2 ORDER BY id`, instance, string(flow.InboxVerb))
	if err != nil {
		return nil, db.wrap("read given verbs", err)
	}
	out := make([]flow.Given, len(items))
	for i, item := range items {
		out[i] = flow.Given{Inbox: item.ID, At: item.At}
		if err := json.Unmarshal(item.Payload, &out[i].Verb); err != nil {
			return nil, fmt.Errorf("read verb %s: %w", item.ID, err)
		}
	}
	return out, nil
}

// Outcomes lists the verbs given to a run, oldest first.
func (db *DB) Outcomes(ctx context.Context, instance flow.ID) ([]flow.Outcome, error) {
	out, err := all(ctx, db, db.read(forAPI), scanOutcome, "SELECT "+outcomeColumns+" FROM inbox WHERE instance_id = $1 AND state IN (2, 3) ORDER BY id", instance)
	return out, db.wrap("read outcomes", err)
}
