// Turns, read for people.

package store

import (
	"context"
	"slices"

	"baton/internal/flow"
)

// Turn is how a queued run stands. The parts are read one after another: it is to be looked at, not to decide by.
func (db *DB) Turn(ctx context.Context, id flow.ID) (flow.TurnStanding, error) {
	out, err := db.turn(ctx, id)
	return out, db.wrap("read turn", notFound(err, "there is no run %s", id))
}

func (db *DB) turn(ctx context.Context, id flow.ID) (out flow.TurnStanding, err error) {
	of := lineOf{db: db, q: db.read(byKey)}
	if of.TurnKey, err = one(ctx, db, of.q, scanTurnKey, "SELECT workflow_id, turn_key FROM instance WHERE id = $1", id); err != nil {
		return out, err
	}
	if of.rule, err = one(ctx, db, of.q, scanRule, "SELECT "+ruleColumns+" FROM workflow WHERE id = $1", of.Workflow); err != nil {
		return out, err
	}
	out.Rule, out.Key = of.rule, of.Key
	if out.Going, err = of.going(ctx); err != nil {
		return out, err
	}
	out.More = len(out.Going) >= of.rule.Execution.Limit+admitAtOnce
	waiting, err := of.waiting(ctx)
	if err != nil {
		return out, err
	}
	place := slices.IndexFunc(waiting, func(s flow.Seat) bool { return s.ID == id })
	if place < 0 {
		if len(waiting) < admitAtOnce {
			return out, nil // it was told, and has not heard it
		}
		out.More, place = true, 0
	}
	out.Before = slices.DeleteFunc(waiting, func(s flow.Seat) bool { return s.ID >= id })
	starts, err := of.starts(ctx)
	if err != nil || of.rule.Rate.Starts == 0 {
		return out, err
	}
	now, err := one(ctx, db, of.q, scalar[flow.Time], "SELECT baton_now()")
	if at := of.rule.Rate.When(starts, now, place); at > now {
		out.At = at
	}
	return out, err
}
