// Fires: what is due of schedules, and the one decision about each time of them.

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"baton/internal/flow"
)

const timingColumns = `
	t.schedule_id, t.revision, s.project_id, s.workflow_id, (SELECT w.priority FROM workflow w WHERE w.id = s.workflow_id), t.body,
	COALESCE((SELECT v.body FROM calendar_version v WHERE v.calendar_id = t.calendar_id AND v.version = t.calendar_version), ''),
	t.after_time, t.until_time, t.halted, t.next_at`

// duePatience is how long a due timing is left to the master whose slot it is.
const duePatience = 500 * time.Millisecond

// Due returns up to n timings that are to be looked at, the most urgent first: those of one slot, and those that
// nobody has looked at in time. What is due the store's clock says: nodes
// whose clocks are wrong fire nothing early.
func (m *Master) Due(ctx context.Context, n, slot, slots int) (flow.DueTimings, error) {
	var out flow.DueTimings
	q := m.read(forEngine)
	var err error
	if out.Now, err = one(ctx, m.DB, q, scalar[flow.Time], "SELECT baton_now()"); err != nil {
		return out, m.wrap("read what is due", err)
	}
	// The clock is a parameter: a call of it would not bound the index.
	mine, args := "", arguments{n, out.Now}
	if slots > 1 {
		mine = fmt.Sprintf(" AND (t.schedule_id %% %d = %s OR t.next_at < %s)", slots, args.add(slot), args.add(out.Now.Add(-duePatience)))
	}
	out.Timings, err = all(ctx, m.DB, q, scanTiming, `
		SELECT`+timingColumns+`
		FROM timing t JOIN schedule s ON s.id = t.schedule_id
		WHERE t.next_at > 0 AND t.next_at <= $2`+mine+`
		ORDER BY t.next_at, t.schedule_id LIMIT $1`, args...)
	if err != nil {
		return out, m.wrap("read what is due", err)
	}
	if out.Next, err = m.nextFire(ctx, out.Now); err != nil {
		return out, m.wrap("read what is due next", err)
	}
	if slots > 1 { // what is another's is looked at when it was not in time
		others, err := all(ctx, m.DB, q, scalar[flow.Time], `
			SELECT next_at FROM timing WHERE next_at > 0 AND next_at <= $1 ORDER BY next_at LIMIT 1`, out.Now)
		if err != nil {
			return out, m.wrap("read what is due next", err)
		}
		for _, at := range others {
			out.Next = flow.Earliest(out.Next, max(at.Add(duePatience), out.Now.Add(duePatience/5)))
		}
	}
	return out, nil
}

// nextFire is when a timing is to be looked at that is not due yet.
func (m *Master) nextFire(ctx context.Context, now flow.Time) (flow.Time, error) {
	ts, err := all(ctx, m.DB, m.read(forEngine), scalar[flow.Time], `
		SELECT next_at FROM timing WHERE next_at > 0 AND next_at > $1 ORDER BY next_at LIMIT 1`, now)
	if err != nil || len(ts) == 0 {
		return 0, err
	}
	return ts[0], nil
}

func scanTiming(s scanner) (flow.Timing, error) {
	var t flow.Timing
	err := s.Scan(&t.Schedule, &t.Revision, &t.Project, &t.Workflow, &t.Priority, jsonOf(&t.Body), calendarOf(&t.Calendar), &t.After, &t.Until, &t.Halted, &t.Next)
	return t, err
}

// The rows of a Fire, as JSON: numbers, for a text is no number to SQLite.
type (
	movedRow struct {
		Schedule int64 `json:"schedule"`
		Revision int64 `json:"revision"`
		After    int64 `json:"after"`
		Until    int64 `json:"until"`
		NewAfter int64 `json:"new_after"`
		Nominal  int64 `json:"nominal"`
		Next     int64 `json:"next"`
	}
	fireRow struct {
		ID       int64  `json:"id"`
		Schedule int64  `json:"schedule"`
		Revision int64  `json:"revision"`
		Project  int64  `json:"project"`
		Workflow int64  `json:"workflow"`
		Nominal  int64  `json:"nominal"`
		Last     int64  `json:"last"`
		Times    int    `json:"times"`
		State    uint8  `json:"state"`
		Reason   string `json:"reason"`
		Instance int64  `json:"instance"`
		At       int64  `json:"at"`
	}
	orderedRow struct {
		ID       int64  `json:"id"`
		Project  int64  `json:"project"`
		Workflow int64  `json:"workflow"`
		Priority int    `json:"priority"`
		Start    string `json:"start"`
		Zone     string `json:"zone"`
		Data     int64  `json:"data"`
		At       int64  `json:"at"`
	}
)

type alertRow struct {
	ID       int64  `json:"id"`
	Kind     string `json:"kind"`
	Project  int64  `json:"project"`
	Schedule int64  `json:"schedule"`
	Revision int64  `json:"revision"`
	Workflow int64  `json:"workflow"`
	Message  string `json:"message"`
	At       int64  `json:"at"`
}

const (
	alertFields = "id bigint, kind text, project bigint, schedule bigint, revision bigint, workflow bigint, message text, at bigint"
	moveFields  = "schedule bigint, revision bigint, after bigint, until bigint, new_after bigint, nominal bigint, next bigint"
	fireFields  = "id bigint, schedule bigint, revision bigint, project bigint, workflow bigint, nominal bigint, last bigint, times int, state int, reason text, instance bigint, at bigint"
	orderFields = "id bigint, project bigint, workflow bigint, priority int, start text, zone text, data bigint, at bigint"
)

// Fire writes decisions about timings, each only if nobody else has decided about it: one statement moves the
// timing, records the fires and orders the runs. It returns which were written, by their place. owner must be
// alive: its ids are nobody else's only for so long.
func (m *Master) Fire(ctx context.Context, owner int64, firings []flow.Firing) ([]bool, error) {
	moved, fires, ordered, alerts, err := fireRows(firings)
	if err != nil {
		return nil, m.wrap("fire", err)
	}
	type done struct {
		schedule flow.ID
		revision int64
	}
	var written []done
	scan := func(s scanner) (d done, err error) { return d, s.Scan(&d.schedule, &d.revision) }
	// What another transaction holds is left for the next look: an apply of a large file holds up nobody else's
	// schedules.
	free := `
		SELECT t.schedule_id, t.revision FROM ` + m.records("$1", moveFields) + `
		JOIN timing t ON t.schedule_id = u.schedule AND t.revision = u.revision
		WHERE t.after_time = u.after AND t.until_time = u.until AND t.next_at > 0
		ORDER BY t.schedule_id, t.revision FOR UPDATE OF t SKIP LOCKED`
	move := `
		UPDATE timing SET after_time = u.new_after, nominal_time = u.nominal, next_at = u.next
		FROM ` + m.records("$1", moveFields) + `
		WHERE timing.schedule_id = u.schedule AND timing.revision = u.revision AND timing.after_time = u.after AND timing.until_time = u.until AND timing.next_at > 0
			AND (SELECT epoch FROM fence WHERE incarnation = $2) = 1%s
		RETURNING timing.schedule_id, timing.revision`
	record := `
		INSERT INTO fire (id, schedule_id, project_id, workflow_id, nominal_time, last_time, times, state, reason, instance_id, created_at)
		SELECT u.id, u.schedule, u.project, u.workflow, u.nominal, u.last, u.times, u.state, u.reason, u.instance, u.at
		FROM %s WHERE %s
		ON CONFLICT DO NOTHING
		RETURNING instance_id`
	order := `
		INSERT INTO command (id, project_id, workflow_id, version, priority, key, start, zone, trigger, data_time, dry_run, submitted_at)
		SELECT u.id, u.project, u.workflow, (SELECT w.version FROM workflow w WHERE w.id = u.workflow), u.priority, '', u.start, u.zone, 2, u.data, FALSE, u.at
		FROM %s WHERE %s`
	alert := `
		INSERT INTO alert (id, kind, project_id, instance_id, task, workflow, message, created_at)
		SELECT u.id, u.kind, u.project, 0, '', COALESCE((SELECT w.name FROM workflow w WHERE w.id = u.workflow), ''), u.message, u.at FROM %s WHERE %s`
	if m.lateral() { // one statement, so that no lock waits for this process; IS TRUE keeps IN from becoming a join
		err = m.statement(ctx, forEngine, func(q querier) (err error) {
			written, err = all(ctx, m.DB, q, scan, `
				WITH free AS MATERIALIZED (`+free+`), moved AS (`+
				fmt.Sprintf(move, " AND ((u.schedule, u.revision) IN (SELECT schedule_id, revision FROM free)) IS TRUE")+`), fired AS (`+
				fmt.Sprintf(record, m.records("$3", fireFields), "((u.schedule, u.revision) IN (SELECT schedule_id, revision FROM moved)) IS TRUE")+
				`), ordered AS (`+
				fmt.Sprintf(order, m.records("$4", orderFields), "(u.id IN (SELECT instance_id FROM fired)) IS TRUE")+
				`), alerted AS (`+
				fmt.Sprintf(alert, m.records("$5", alertFields), "((u.schedule, u.revision) IN (SELECT schedule_id, revision FROM moved)) IS TRUE")+
				`) SELECT schedule_id, revision FROM moved`, moved, owner, fires, ordered, alerts)
			return err
		})
	} else {
		err = m.write(ctx, forEngine, func(q querier) error {
			if written, err = all(ctx, m.DB, q, scan, fmt.Sprintf(move, ""), moved, owner); err != nil || len(written) == 0 {
				return err
			}
			won := make([]string, len(written))
			for i, d := range written {
				won[i] = fmt.Sprintf("%d/%d", d.schedule, d.revision)
			}
			ids, err := all(ctx, m.DB, q, scanID, fmt.Sprintf(record, m.records("$1", fireFields), "(u.schedule || '/' || u.revision) = ANY($2)"), fires, m.names(won))
			if err != nil {
				return err
			}
			if _, err = exec(ctx, m.DB, q, fmt.Sprintf(order, m.records("$1", orderFields), "u.id = ANY($2)"), ordered, m.list(ids)); err != nil {
				return err
			}
			_, err = exec(ctx, m.DB, q, fmt.Sprintf(alert, m.records("$1", alertFields), "(u.schedule || '/' || u.revision) = ANY($2)"), alerts, m.names(won))
			return err
		})
	}
	out := make([]bool, len(firings))
	for i, f := range firings {
		for _, d := range written {
			out[i] = out[i] || d.schedule == f.Schedule && d.revision == f.Revision
		}
	}
	return out, m.wrap("fire", err)
}

func fireRows(firings []flow.Firing) (moved, fires, ordered, alerts string, err error) {
	m := make([]movedRow, 0, len(firings))
	f := []fireRow{}
	o := []orderedRow{}
	a := []alertRow{}
	for _, x := range firings {
		m = append(m, movedRow{int64(x.Schedule), x.Revision, int64(x.After), int64(x.Until), int64(x.NewAfter), int64(x.Nominal), int64(x.Next)})
		for _, y := range x.Fires {
			f = append(f, fireRow{int64(y.ID), int64(x.Schedule), x.Revision, int64(y.Project), int64(y.Workflow), int64(y.Nominal), int64(y.Last), y.Times, uint8(y.State), flow.Text(y.Reason, flow.MaxReason), int64(y.Instance), int64(y.At)})
		}
		if x.Alert != nil {
			a = append(a, alertRow{int64(x.Alert.ID), x.Alert.Kind, int64(x.Alert.Project), int64(x.Schedule), x.Revision, int64(x.Workflow), flow.Text(x.Alert.Message, flow.MaxReason), int64(x.Alert.At)})
		}
		for _, c := range x.Commands {
			var start flow.Start
			if err := json.Unmarshal(c.Start, &start); err != nil {
				return "", "", "", "", err
			}
			o = append(o, orderedRow{int64(c.ID), int64(c.Project), int64(c.Workflow), int(c.Priority.Or(flow.PriorityMedium)), string(c.Start), c.Zone, int64(start.DataTime), int64(c.At)})
		}
	}
	texts := make([]string, 4)
	for i, v := range []any{m, f, o, a} {
		b, err := json.Marshal(v)
		if err != nil {
			return "", "", "", "", err
		}
		texts[i] = string(b)
	}
	return texts[0], texts[1], texts[2], texts[3], nil
}

// Fires lists what became of times of schedules, newest decision first.
func (db *DB) Fires(ctx context.Context, f flow.FireFilter) (flow.Page[flow.NamedFire], error) {
	var args arguments
	where := "f.id < " + args.add(below(f.Cursor))
	if f.Instance != 0 {
		where += " AND f.instance_id = " + args.add(f.Instance)
	}
	where += ofWorkflow(&args, "f", f.Project, f.Workflow)
	if f.Schedule != "" {
		where += " AND s.name = " + args.add(f.Schedule)
	}
	where += in("f.state", f.States)
	limit := pageLimit(f.Limit)
	rows, err := all(ctx, db, db.read(forAPI), func(s scanner) (n flow.NamedFire, err error) {
		err = s.Scan(&n.ID, &n.Schedule, &n.Project, &n.Workflow, &n.Nominal, &n.Last, &n.Times, &n.State, &n.Reason, &n.Instance, &n.At,
			&n.ScheduleName, &n.ProjectName, &n.WorkflowName)
		return n, err
	}, `
		SELECT f.id, f.schedule_id, f.project_id, f.workflow_id, f.nominal_time, f.last_time, f.times, f.state, f.reason, f.instance_id, f.created_at,
			s.name, p.name, w.name
		FROM fire f JOIN schedule s ON s.id = f.schedule_id JOIN project p ON p.id = f.project_id JOIN workflow w ON w.id = f.workflow_id
		WHERE `+where+` ORDER BY f.id DESC LIMIT `+args.add(limit+1), args...)
	if err != nil {
		return flow.Page[flow.NamedFire]{}, db.wrap("list fires", err)
	}
	return page(rows, limit, func(n flow.NamedFire) flow.ID { return n.ID }), nil
}
