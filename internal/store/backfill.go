// Backfills: a plan of dates, written as a whole, and one transaction at a time that decides which of them begin.

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

const backfillColumns = "b.id, b.project_id, b.workflow_id, b.state, b.start, b.zone, b.descending, b.parallel, b.halt, b.dates, b.reason, b.created_at, b.ended_at"

// namedBackfillColumns are those of a backfill with its names, and its first and last date.
const namedBackfillColumns = backfillColumns + `, p.name, w.name,
	COALESCE((SELECT t.data_time FROM backfill_item t WHERE t.backfill_id = b.id AND t.position = CASE WHEN b.descending THEN b.dates ELSE 1 END), 0),
	COALESCE((SELECT t.data_time FROM backfill_item t WHERE t.backfill_id = b.id AND t.position = CASE WHEN b.descending THEN 1 ELSE b.dates END), 0)`

func backfillFields(b *flow.Backfill) []any {
	return []any{&b.ID, &b.Project, &b.Workflow, &b.State, jsonOf(&b.Start), &b.Zone, &b.Descending, &b.Parallel, &b.Halt, &b.Dates, &b.Reason, &b.CreatedAt, &b.EndedAt}
}

func scanBackfill(s scanner) (flow.Backfill, error) {
	var b flow.Backfill
	return b, s.Scan(backfillFields(&b)...)
}

// dateRow is a date of a backfill, as JSON.
type dateRow struct {
	Position int    `json:"position"`
	Data     int64  `json:"data"`
	Instance int64  `json:"instance"`
	State    uint8  `json:"state"`
	Reason   string `json:"reason"`
	Start    string `json:"start"`
}

// CreateBackfill writes a backfill with all its dates, in the order in which they begin, and has the first begin, in one
// transaction. With a key that is known it returns what that made, and existing.
func (db *DB) CreateBackfill(ctx context.Context, b flow.Backfill, dates []flow.Time, key, digest string, next func() flow.ID) (id flow.ID, existing bool, err error) {
	b.State, b.Dates = flow.BackfillRunning, len(dates)
	start, err := json.Marshal(b.Start)
	if err != nil {
		return 0, false, db.wrap("create a backfill", err)
	}
	rows := make([]dateRow, len(dates))
	for i, at := range dates {
		rows[i] = dateRow{Position: i + 1, Data: int64(at)}
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return 0, false, db.wrap("create a backfill", err)
	}
	err = db.write(ctx, forAPI, func(q querier) error {
		id, existing = b.ID, false
		if key != "" {
			if id, existing, err = db.keepKey(ctx, q, keyed{b.Project, b.Workflow, key, digest, b.ID, b.CreatedAt}); err != nil || existing {
				return err
			}
		}
		if _, err := exec(ctx, db, q, `
			INSERT INTO backfill (id, project_id, workflow_id, state, start, zone, descending, parallel, halt, dates, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			b.ID, b.Project, b.Workflow, b.State, string(start), b.Zone, b.Descending, b.Parallel, b.Halt, b.Dates, b.CreatedAt); err != nil {
			return err
		}
		if _, err := exec(ctx, db, q, `
			INSERT INTO backfill_item (backfill_id, position, data_time)
			SELECT CAST($2 AS BIGINT), u.position, u.data FROM `+db.records("$1", "position int, data bigint"), string(raw), b.ID); err != nil {
			return err
		}
		fresh := b
		_, err := db.advance(ctx, q, &fresh, next, b.CreatedAt)
		return err
	})
	return id, existing, db.wrap("create a backfill", err)
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

// reopen has dates looked at again that had ended: those whose run goes on, for a person has recovered it, and those
// of the runs that are named. Of runs that go on only those are read that a backfill of the workflow began.
func (db *DB) reopen(ctx context.Context, q querier, b *flow.Backfill, runs []flow.ID) error {
	code, err := triggerCode(flow.TriggerBackfill)
	if err != nil {
		return err
	}
	_, err = exec(ctx, db, q, `
		WITH looked AS (
			SELECT i.id FROM instance i WHERE i.workflow_id = $2 AND i.state IN (1, 2, 3, 4, 5, 6, 7, 8) AND i.trigger + 0 = $3
			UNION ALL SELECT i.id FROM instance i WHERE i.id = ANY($4))
		UPDATE backfill_item SET state = 1, reason = ''
		WHERE instance_id > 0 AND instance_id = ANY(ARRAY(SELECT id FROM looked)) AND backfill_id + 0 = $1 AND state + 0 > 1`, b.ID, b.Workflow, code, db.list(runs))
	return err
}

// advanced tells what advancing one backfill came to.
type advanced struct {
	started int
	more    bool // there is more to decide at once
}

// advance decides about a backfill whose row is locked: what is read then nobody else changes for the worse, since its
// runs begin by this alone and all that ends meanwhile makes room. next gives ids, 0 when there are none left.
func (db *DB) advance(ctx context.Context, q querier, b *flow.Backfill, next func() flow.ID, now flow.Time) (advanced, error) {
	x := advancing{DB: db, q: q, b: b, now: now}
	if err := x.look(ctx, false); err != nil {
		return advanced{}, err
	}
	step := b.Next(x.stand)
	did, err := x.begin(ctx, x.waiting[:min(step.Start, len(x.waiting))], next)
	if err != nil || step.State == b.State && step.Reason == b.Reason {
		return did, err
	}
	if step.State.Ended() && step.State != b.State {
		b.EndedAt = now
	}
	b.State, b.Reason = step.State, step.Reason
	_, err = exec(ctx, db, q, "UPDATE backfill SET state = $2, reason = $3, ended_at = $4 WHERE id = $1", b.ID, b.State, flow.Text(b.Reason, flow.MaxReason), b.EndedAt)
	return did, err
}

// advancing is one decision about a backfill.
type advancing struct {
	*DB
	q       querier
	b       *flow.Backfill
	now     flow.Time
	stand   flow.BackfillStand
	waiting []dateRow // that may begin, in order
	going   []flow.Seat
}

// look finds out how the dates stand, those that have not begun and those that failed only as far as it matters
// unless all is asked for, and keeps how runs ended.
func (x *advancing) look(ctx context.Context, exact bool) error {
	if err := x.lookAtRuns(ctx); err != nil {
		return err
	}
	var err error
	x.waiting, err = all(ctx, x.DB, x.q, func(s scanner) (d dateRow, err error) { return d, s.Scan(&d.Position, &d.Data) }, `
		SELECT position, data_time FROM backfill_item WHERE backfill_id = $1 AND state = 0 ORDER BY position LIMIT $2`, x.b.ID, x.b.Parallel)
	if err != nil {
		return err
	}
	x.stand.Left = len(x.waiting)
	exact = exact || len(x.going) == 0
	if !exact && !x.b.Halt {
		return nil
	}
	if err := x.lookAtFailed(ctx); err != nil {
		return err
	}
	if exact && x.stand.Left == x.b.Parallel {
		x.stand.Left, err = one(ctx, x.DB, x.q, scalar[int], "SELECT count(*) FROM backfill_item WHERE backfill_id = $1 AND state = 0", x.b.ID)
	}
	return err
}

// begun is a date whose run was going on when it was looked at last.
type begun struct {
	dateRow
	times int32
	now   flow.InstanceState // 0: there is no such run
}

// lookAtRuns counts the runs that go on, and writes down how others ended.
func (x *advancing) lookAtRuns(ctx context.Context) error {
	open, err := all(ctx, x.DB, x.q, func(s scanner) (r begun, err error) {
		return r, s.Scan(&r.Position, &r.Instance, &r.now, &r.times, &r.Reason)
	}, `
		SELECT t.position, t.instance_id,
			COALESCE((SELECT i.state FROM instance i WHERE i.id = t.instance_id), (SELECT 1 FROM command c WHERE c.id = t.instance_id), 0),
			COALESCE((SELECT i.run_times FROM instance i WHERE i.id = t.instance_id), 1),
			COALESCE((SELECT i.reason FROM instance i WHERE i.id = t.instance_id), '')
		FROM backfill_item t WHERE t.backfill_id = $1 AND t.state = 1 ORDER BY t.position`, x.b.ID)
	if err != nil {
		return err
	}
	var ended []dateRow
	for _, r := range open {
		switch {
		case r.now == 0:
			r.State, r.Reason = uint8(flow.InstanceFailed), "gone: its run is not kept any more"
			ended = append(ended, r.dateRow)
		case r.now.Ended():
			r.State = uint8(r.now)
			ended = append(ended, r.dateRow)
		default:
			x.going = append(x.going, flow.Seat{ID: flow.ID(r.Instance), Times: r.times, State: r.now})
		}
	}
	x.stand.Going = len(x.going)
	return x.set(ctx, ended)
}

// lookAtFailed counts the dates that did not succeed, by how their runs stand now.
func (x *advancing) lookAtFailed(ctx context.Context) error {
	type group struct {
		state flow.InstanceState
		n     int
	}
	groups, err := all(ctx, x.DB, x.q, func(s scanner) (g group, err error) { return g, s.Scan(&g.state, &g.n) }, `
		SELECT f.state, count(*) FROM (
			SELECT COALESCE((SELECT i.state FROM instance i WHERE i.id = t.instance_id), t.state) AS state
			FROM backfill_item t WHERE t.backfill_id = $1 AND t.state IN (9, 10)) AS f
		GROUP BY f.state`, x.b.ID)
	for _, g := range groups {
		switch {
		case !g.state.Ended():
			x.stand.Going += g.n
		case g.state != flow.InstanceSucceeded:
			x.stand.Failed += g.n
		}
	}
	return err
}

// set writes what became of dates.
func (x *advancing) set(ctx context.Context, rows []dateRow) error {
	if len(rows) == 0 {
		return nil
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = exec(ctx, x.DB, x.q, `
		UPDATE backfill_item SET state = u.state, instance_id = u.instance, reason = u.reason
		FROM `+x.records("$1", "position int, instance bigint, state int, reason text")+`
		WHERE backfill_item.backfill_id = $2 AND backfill_item.position = u.position`, string(raw), x.b.ID)
	return err
}

// begin orders the runs of dates. One that cannot be ordered says why, and is not tried again.
func (x *advancing) begin(ctx context.Context, dates []dateRow, next func() flow.ID) (advanced, error) {
	var did advanced
	for i := range dates {
		id := next()
		if id == 0 {
			dates, did.more = dates[:i], true
			break
		}
		start := x.b.Start
		start.DataTime, start.Trigger, start.Backfill = flow.Time(dates[i].Data), flow.TriggerBackfill, x.b.ID
		body, err := json.Marshal(start)
		if err != nil {
			return did, err
		}
		dates[i].Instance, dates[i].Start, dates[i].State = int64(id), string(body), 1
	}
	if len(dates) == 0 {
		return did, nil
	}
	code, err := triggerCode(flow.TriggerBackfill)
	if err != nil {
		return did, err
	}
	raw, err := json.Marshal(dates)
	if err != nil {
		return did, err
	}
	ordered, err := all(ctx, x.DB, x.q, scanID, `
		INSERT INTO command (id, project_id, workflow_id, version, priority, key, start, zone, trigger, data_time, dry_run, submitted_at)
		SELECT u.instance, w.project_id, w.id, w.version,
			CASE WHEN CAST($3 AS BIGINT) > 0 THEN CAST($3 AS BIGINT) WHEN w.priority > 0 THEN w.priority ELSE 3 END,
			'', u.start, $4, CAST($5 AS BIGINT), u.data, FALSE, CAST($6 AS BIGINT)
		FROM `+x.records("$1", "instance bigint, start text, data bigint")+` JOIN workflow w ON w.id = $2
		RETURNING id`, string(raw), x.b.Workflow, x.b.Start.Priority, x.b.Zone, code, x.now)
	if err != nil {
		return did, err
	}
	did.started = len(ordered)
	if len(ordered) == 0 {
		did.more = true
		for i := range dates {
			dates[i].Instance, dates[i].State, dates[i].Reason = 0, uint8(flow.InstanceFailed), "refused: the workflow does not exist any more"
		}
	}
	return did, x.set(ctx, dates)
}

// stop orders the runs that go on to end.
func (x *advancing) stop(ctx context.Context, by string, next func() flow.ID) error {
	var items []flow.InboxItem
	for _, o := range x.b.Stops(x.going, by) {
		items = append(items, o.Item(next(), x.now))
	}
	_, err := x.putAll(ctx, x.q, items)
	return err
}

// Backfill reads a backfill with its dates, each as its run stands now.
func (db *DB) Backfill(ctx context.Context, id flow.ID) (flow.NamedBackfill, error) {
	out, err := one(ctx, db, db.read(byKey), scanNamedBackfill, `
		SELECT `+namedBackfillColumns+`
		FROM backfill b JOIN project p ON p.id = b.project_id JOIN workflow w ON w.id = b.workflow_id WHERE b.id = $1`, id)
	if err != nil {
		return out, db.wrap("read a backfill", notFound(err, "there is no backfill %s; `baton get backfills` lists them", id))
	}
	out.Items, err = all(ctx, db, db.read(byKey), func(s scanner) (i flow.BackfillItem, err error) {
		return i, s.Scan(&i.DataTime, &i.Instance, &i.State, &i.Reason)
	}, `
		SELECT t.data_time, t.instance_id,
			COALESCE((SELECT i.state FROM instance i WHERE i.id = t.instance_id), t.state),
			COALESCE((SELECT i.reason FROM instance i WHERE i.id = t.instance_id), t.reason)
		FROM backfill_item t WHERE t.backfill_id = $1 ORDER BY t.position`, id)
	for _, i := range out.Items {
		out.Counts.Add(i.State, 1)
	}
	return out, db.wrap("read a backfill", err)
}

func scanNamedBackfill(s scanner) (flow.NamedBackfill, error) {
	var b flow.NamedBackfill
	return b, s.Scan(append(backfillFields(&b.Backfill), &b.ProjectName, &b.WorkflowName, &b.From, &b.To)...)
}

// Backfills lists backfills without their dates, newest first.
func (db *DB) Backfills(ctx context.Context, f flow.BackfillFilter) (flow.Page[flow.NamedBackfill], error) {
	var args arguments
	where := "b.id < " + args.add(below(f.Cursor))
	if f.Instance != 0 {
		where += " AND b.id = (SELECT t.backfill_id FROM backfill_item t WHERE t.instance_id > 0 AND t.instance_id = " + args.add(f.Instance) + ")"
	}
	if f.Workflow != "" {
		where += " AND b.workflow_id = ANY(ARRAY(SELECT w.id FROM workflow w JOIN project p ON p.id = w.project_id WHERE w.name = " + args.add(f.Workflow) + " AND p.name = " + args.add(f.Project) + "))"
	} else if f.Project != "" {
		where += " AND b.project_id = ANY(ARRAY(SELECT id FROM project WHERE name = " + args.add(f.Project) + "))"
	}
	where += in("b.state", f.States)
	limit := pageLimit(f.Limit)
	rows, err := all(ctx, db, db.read(forAPI), scanNamedBackfill, `
		SELECT `+namedBackfillColumns+`
		FROM backfill b JOIN project p ON p.id = b.project_id JOIN workflow w ON w.id = b.workflow_id
		WHERE `+where+` ORDER BY b.id DESC LIMIT `+args.add(limit+1), args...)
	if err != nil {
		return flow.Page[flow.NamedBackfill]{}, db.wrap("list backfills", err)
	}
	out := page(rows, limit, func(b flow.NamedBackfill) flow.ID { return b.ID })
	return out, db.wrap("list backfills", db.countDates(ctx, out.Items))
}

// countDates counts the dates of backfills by how they were when they were looked at last.
func (db *DB) countDates(ctx context.Context, list []flow.NamedBackfill) error {
	places := map[flow.ID]int{}
	ids := make([]flow.ID, len(list))
	for i, b := range list {
		ids[i], places[b.ID] = b.ID, i
	}
	type group struct {
		backfill flow.ID
		state    flow.InstanceState
		n        int
	}
	groups, err := all(ctx, db, db.read(forAPI), func(s scanner) (g group, err error) { return g, s.Scan(&g.backfill, &g.state, &g.n) }, `
		SELECT backfill_id, state, count(*) FROM backfill_item WHERE backfill_id = ANY($1) GROUP BY backfill_id, state`, db.list(ids))
	for _, g := range groups {
		list[places[g.backfill]].Counts.Add(g.state, g.n)
	}
	return err
}

// pruneBackfill deletes the oldest backfill that ended before a time, one at a time: it may have thousands of dates.
func (db *DB) pruneBackfill(ctx context.Context, q querier, before flow.Time) error {
	old, err := all(ctx, db, q, scanID, `
		SELECT b.id FROM backfill b WHERE b.id < $2 AND b.state > 3 AND b.ended_at < $1 ORDER BY b.id LIMIT 1 FOR UPDATE OF b SKIP LOCKED`, before, firstID(before.Add(idSkew)))
	if err != nil || len(old) == 0 {
		return err
	}
	for _, query := range []string{"DELETE FROM backfill_item WHERE backfill_id = ANY($1)", "DELETE FROM backfill WHERE id = ANY($1)"} {
		if _, err := exec(ctx, db, q, query, db.list(old)); err != nil {
			return err
		}
	}
	return nil
}
