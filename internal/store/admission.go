// Turns: of a workflow that limits how many of its runs go on at a time, one transaction at a time decides whose
// turn it is.

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

const (
	// admitAtOnce bounds the runs that one decision tells something.
	admitAtOnce = 200
	// admitWorkflows bounds the workflows that are looked at when none is named.
	admitWorkflows = 100
)

// executionRow is what a workflow's newest version says of its runs, as columns.
func executionRow(e flow.Execution) (limit int, over string) {
	if e.Limit > 0 && e.Over == "" {
		e.Over = flow.OverWait
	}
	return e.Limit, string(e.Over)
}

// Admit gives the turns of workflows that are free to those that wait for them: an item in the inbox of each run
// whose turn has come, or never will. Who is told is told once. With no workflow named, those are looked at of
// which a run waits, some at a time, after the one with that id. The holders are counted anew each time; the lock on
// the workflow makes one writer of all. One that cannot be decided about now holds up no other.
func (m *Master) Admit(ctx context.Context, workflows []flow.ID, after flow.ID) (out flow.Admitted, err error) {
	if len(workflows) == 0 {
		workflows, err = all(ctx, m.DB, m.read(forEngine), scanID, `
			SELECT w.id FROM workflow w WHERE w.turns AND w.id > $2
				AND (SELECT i.id FROM instance i WHERE i.workflow_id = w.id AND i.state = 2 ORDER BY i.trigger + 0, i.id + 0 LIMIT 1) IS NOT NULL
			ORDER BY w.id LIMIT $1`, admitWorkflows, after)
		if err != nil {
			return out, m.wrap("look for turns", err)
		}
		if len(workflows) == admitWorkflows {
			out.Next = workflows[len(workflows)-1]
		}
	}
	var faults []error
	for _, w := range workflows {
		given := 0
		err := m.write(ctx, forEngine, func(q querier) (err error) {
			given, err = m.admit(ctx, q, w)
			return err
		})
		if err != nil {
			faults = append(faults, fmt.Errorf("workflow %s: %w", w, err))
			out.Again = append(out.Again, w)
			continue
		}
		out.Given += given
		if given >= admitAtOnce {
			out.Again = append(out.Again, w)
		}
	}
	if len(faults) == len(workflows) {
		return out, m.wrap("give turns", errors.Join(faults...))
	}
	return out, nil
}

func scanSeat(s scanner) (flow.Seat, error) {
	var x flow.Seat
	err := s.Scan(&x.ID, &x.Times, &x.State)
	return x, err
}

// toldNow are the runs that were told something which they have not taken in. What was taken in has changed their
// state: a queued run that is not among them was told nothing.
const toldNow = "ARRAY(SELECT b.instance_id FROM inbox b WHERE b.state = 0 AND b.kind = 'admission'"

// admit decides about one workflow. The lock on its row is taken first: what is counted then nobody else changes
// for the worse, since runs begin by this alone and all that ends meanwhile makes room.
func (m *Master) admit(ctx context.Context, q querier, workflow flow.ID) (int, error) {
	var e flow.Execution
	if err := q.QueryRowContext(ctx, m.text("SELECT run_limit, run_over FROM workflow WHERE id = $1 FOR UPDATE"), workflow).Scan(&e.Limit, &e.Over); err != nil {
		return 0, notFound(err, "there is no workflow %s", workflow)
	}
	active, err := all(ctx, m.DB, q, scanSeat, `
		SELECT id, run_times, state FROM (
			SELECT * FROM (
				SELECT i.id, i.run_times, i.state FROM instance i WHERE i.workflow_id = $1 AND i.state IN (3, 4, 5, 6, 7, 8) ORDER BY i.id + 0 LIMIT $2) AS going
			UNION ALL SELECT * FROM (
				SELECT i.id, i.run_times, i.state FROM instance i WHERE i.id = ANY(`+toldNow+` AND b.dedup LIKE '`+string(flow.OrderAdmit)+`:%')) AND i.workflow_id = $1 AND i.state = 2) AS told) AS a
		ORDER BY id LIMIT $2`, workflow, e.Limit+admitAtOnce)
	if err != nil {
		return 0, err
	}
	newest := e.Over == flow.OverStopOldest && e.Limit > 0
	waiting, err := all(ctx, m.DB, q, scanSeat, waitingSQL(newest), workflow, admitAtOnce)
	if err != nil || len(waiting) == 0 {
		return 0, err
	}
	if newest {
		slices.Reverse(waiting)
	}
	// What was submitted before and no master has taken yet goes first.
	first, err := all(ctx, m.DB, q, scanID, "SELECT id FROM command WHERE workflow_id = $1 ORDER BY id + 0 LIMIT 1", workflow)
	if err != nil {
		return 0, err
	}
	var before flow.ID
	if len(first) > 0 {
		before = first[0]
	}
	return m.orderAll(ctx, q, e.Turns(active, waiting, before))
}

// waitingSQL reads the queued runs of a workflow that were told nothing, in order of submission: a stream of the
// index for each trigger, merged, so that what waits behind is not read.
func waitingSQL(newest bool) string {
	way := ""
	if newest {
		way = " DESC"
	}
	var parts []string
	for code := 1; code < len(triggers); code++ {
		parts = append(parts, fmt.Sprintf(`SELECT * FROM (
			SELECT i.id, i.run_times, i.state FROM instance i
			WHERE i.workflow_id = $1 AND i.state = 2 AND i.trigger + 0 = %d AND NOT (i.id = ANY(`+toldNow+`)))
			ORDER BY i.id + 0%s LIMIT $2) AS t%d`, code, way, code))
	}
	return "SELECT id, run_times, state FROM (" + strings.Join(parts, " UNION ALL ") + ") AS w ORDER BY id" + way + " LIMIT $2"
}

// orderAll puts orders into inboxes, each once, and returns how many were not there yet.
func (m *Master) orderAll(ctx context.Context, q querier, orders []flow.Order) (given int, err error) {
	if len(orders) == 0 {
		return 0, nil
	}
	tokens, err := m.nextTokens(ctx, q, len(orders))
	if err != nil {
		return 0, err
	}
	now, err := one(ctx, m.DB, q, scalar[flow.Time], "SELECT baton_now()")
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
