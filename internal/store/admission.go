// Turns: of a workflow that limits how many of its runs go on at a time, or begin in a time, one transaction at a time
// decides whose turn it is.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"baton/internal/flow"
)

const (
	// admitAtOnce bounds the runs that one decision tells something.
	admitAtOnce = 200
	// admitKeys bounds the keys that are looked at when none is named.
	admitKeys = 100
)

// ruleColumns are what a workflow's newest version says of the turns of its runs, as scanRule reads it.
const ruleColumns = "run_limit, run_over, run_key, rate_starts, rate_per"

// ruleArgs are its values.
func ruleArgs(r flow.TurnRule) []any {
	if r.Execution.Limit > 0 && r.Execution.Over == "" {
		r.Execution.Over = flow.OverWait
	}
	return []any{r.Execution.Limit, string(r.Execution.Over), r.Key(), r.Rate.Starts, r.Rate.Per.Std().Microseconds()}
}

func scanRule(s scanner) (r flow.TurnRule, err error) {
	var micros int64
	err = s.Scan(&r.Execution.Limit, &r.Execution.Over, &r.Execution.Key, &r.Rate.Starts, &micros)
	r.Rate.Per, r.Rate.Key = flow.Duration(time.Duration(micros)*time.Microsecond), r.Execution.Key
	return r, err
}

// Admit gives turns to those that wait for them: an item in the inbox of each run whose turn has come, or never will.
// Who is told is told once. With no key named, those are looked at by which a run waits, some at a time, after one. The
// holders are counted anew each time; the lock on the workflow makes one writer of all. One that cannot be decided
// about now holds up no other.
func (m *Master) Admit(ctx context.Context, keys []flow.TurnKey, after flow.TurnKey) (out flow.Admitted, err error) {
	if len(keys) == 0 {
		if keys, err = m.waitedTurns(ctx, after); err != nil {
			return out, m.wrap("look for turns", err)
		}
		if len(keys) == admitKeys {
			out.Next = keys[len(keys)-1]
		}
	}
	out.Again, err = apart(ctx, m, keys, turnNamed, func(q querier, k flow.TurnKey) (turnsGiven, error) {
		return m.admit(ctx, q, k)
	}, func(k flow.TurnKey, came turnsGiven) (more bool) {
		out.Given += came.given
		if came.in > 0 {
			out.Later = append(out.Later, flow.TurnWait{TurnKey: k, In: came.in})
		}
		return came.given >= admitAtOnce
	})
	return out, m.wrap("give turns", err)
}

func turnNamed(k flow.TurnKey) string { return "workflow " + k.Workflow.String() }

// turnsGiven is what a decision about one key came to.
type turnsGiven struct {
	given int
	in    time.Duration // until turns are to be given again though nobody asks; 0: until somebody does
}

// waitedTurns finds the keys after one by which runs wait: one step along the index for each.
func (m *Master) waitedTurns(ctx context.Context, after flow.TurnKey) ([]flow.TurnKey, error) {
	var out []flow.TurnKey
	for len(out) < admitKeys {
		next, err := one(ctx, m.DB, m.read(forEngine), scanTurnKey, `
			SELECT workflow_id, turn_key FROM instance
			WHERE state = 2 AND (workflow_id, turn_key) > ($1, $2) ORDER BY workflow_id, turn_key, id + 0 LIMIT 1`, after.Workflow, after.Key)
		if errors.Is(err, sql.ErrNoRows) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, next)
		after = next
	}
	return out, nil
}

func scanTurnKey(s scanner) (k flow.TurnKey, err error) { return k, s.Scan(&k.Workflow, &k.Key) }

func scanSeat(s scanner) (flow.Seat, error) {
	var x flow.Seat
	err := s.Scan(&x.ID, &x.Times, &x.State)
	return x, err
}

// admit decides about one key. The lock on its workflow is taken first: what is counted then nobody else changes
// for the worse, since runs begin by this alone and all that ends meanwhile makes room.
func (m *Master) admit(ctx context.Context, q querier, k flow.TurnKey) (came turnsGiven, err error) {
	rule, err := one(ctx, m.DB, q, scanRule, "SELECT "+ruleColumns+" FROM workflow WHERE id = $1 FOR UPDATE", k.Workflow)
	if errors.Is(err, sql.ErrNoRows) {
		return came, nil // nor are there runs of it
	}
	if err != nil {
		return came, err
	}
	of := lineOf{m.DB, q, rule, k}
	var line flow.Line
	if line.Waiting, err = of.waiting(ctx); err != nil || len(line.Waiting) == 0 {
		return came, err
	}
	if line.Going, err = of.going(ctx); err != nil {
		return came, err
	}
	if line.Starts, err = of.starts(ctx); err != nil {
		return came, err
	}
	// What was submitted before and no master has taken yet goes first.
	first, err := all(ctx, m.DB, q, scanID, "SELECT id FROM command WHERE workflow_id = $1 ORDER BY id + 0 LIMIT 1", k.Workflow)
	if err != nil {
		return came, err
	}
	if len(first) > 0 {
		line.Before = first[0]
	}
	if line.Now, err = one(ctx, m.DB, q, scalar[flow.Time], "SELECT baton_now()"); err != nil {
		return came, err
	}
	orders, later := rule.Give(line)
	if later != 0 {
		came.in = later.Sub(line.Now)
	}
	if err := of.began(ctx, orders, line.Now); err != nil {
		return came, err
	}
	came.given, err = m.orderAll(ctx, q, orders, line.Now)
	return came, err
}

// orderAll puts orders into inboxes, each once, and returns how many were not there yet.
func (m *Master) orderAll(ctx context.Context, q querier, orders []flow.Order, now flow.Time) (given int, err error) {
	if len(orders) == 0 {
		return 0, nil
	}
	tokens, err := m.nextTokens(ctx, q, len(orders))
	if err != nil {
		return 0, err
	}
	items := make([]flow.InboxItem, len(orders))
	for i, o := range orders {
		items[i] = o.Item(storeID(now, tokens[i]), now)
	}
	return m.putAll(ctx, q, items)
}

// putAll puts items into inboxes, each once, and returns how many were not there yet.
func (db *DB) putAll(ctx context.Context, q querier, items []flow.InboxItem) (int, error) {
	if len(items) == 0 {
		return 0, nil
	}
	rows := make([]orderRow, len(items))
	for i, item := range items {
		rows[i] = orderRow{int64(item.ID), int64(item.Instance), item.Kind, item.Dedup, string(item.Payload), int64(item.At)}
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return 0, err
	}
	n, err := exec(ctx, db, q, `
		INSERT INTO inbox (id, instance_id, kind, dedup, payload, created_at)
		SELECT u.id, u.instance, u.kind, u.dedup, u.payload, u.at
		FROM `+db.records("$1", "id bigint, instance bigint, kind text, dedup text, payload text, at bigint")+` WHERE true ON CONFLICT (dedup) DO NOTHING`, string(raw))
	return int(n), err
}

// orderRow is an item of an inbox as JSON.
type orderRow struct {
	ID       int64          `json:"id"`
	Instance int64          `json:"instance"`
	Kind     flow.InboxKind `json:"kind"`
	Dedup    string         `json:"dedup"`
	Payload  string         `json:"payload"`
	At       int64          `json:"at"`
}
