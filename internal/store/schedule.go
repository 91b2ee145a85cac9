// Schedules and calendars as files say them.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"baton/internal/flow"
)

// applyCalendar keeps every version of a calendar: what was decided by one can be explained by it. Schedules
// that use the calendar go on by the new one.
func (db *DB) applyCalendar(ctx context.Context, q querier, c *flow.Calendar, now flow.Time) (flow.Applied, error) {
	out := flow.Applied{Kind: "Calendar", Project: c.Project, Name: c.Name, Change: "updated"}
	body, err := json.Marshal(c)
	if err != nil {
		return out, err
	}
	project, _, err := db.ensureProject(ctx, q, c.Project)
	if err != nil {
		return out, err
	}
	have, err := one(ctx, db, q, func(s scanner) (c calendarVersion, err error) { return c, s.Scan(&c.id, &c.version, &c.body) }, `
		SELECT c.id, c.version, v.body FROM calendar c
		JOIN calendar_version v ON v.calendar_id = c.id AND v.version = c.version
		WHERE c.project_id = $1 AND c.name = $2`, project, c.Name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		out.Change = "created"
		have.id, err = one(ctx, db, q, scanID, "INSERT INTO calendar (project_id, name, version) VALUES ($1, $2, 1) RETURNING id", project, c.Name)
	case err == nil && sameJSON([]byte(have.body), body):
		out.Change, out.Version = "unchanged", have.version
		return out, nil
	case err == nil:
		var n int64
		n, err = exec(ctx, db, q, "UPDATE calendar SET version = version + 1 WHERE id = $1 AND version = $2", have.id, have.version)
		if err == nil && n == 0 {
			err = errRaced
		}
	}
	if err != nil {
		return out, err
	}
	out.Version = have.version + 1
	if _, err = exec(ctx, db, q, "INSERT INTO calendar_version (calendar_id, version, body, created_at) VALUES ($1, $2, $3, $4)",
		have.id, out.Version, string(body), now); err != nil {
		return out, err
	}
	users, err := all(ctx, db, q, scanKept, "SELECT "+keptColumns+" FROM schedule WHERE project_id = $1 AND NOT removed AND enabled ORDER BY id FOR UPDATE", project)
	if err != nil {
		return out, err
	}
	users = slices.DeleteFunc(users, func(s kept) bool { return s.Schedule.Calendar != c.Name })
	r, err := db.newRevision(ctx, q, users)
	if err != nil {
		return out, err
	}
	return out, r.revise(ctx, users)
}

// calendarVersion is the newest version of a calendar.
type calendarVersion struct {
	id      flow.ID
	version int32
	body    string
}

// newestCalendar holds the row until the end of the transaction, so that of a schedule that begins to use a calendar
// and a change of that calendar one sees the other.
func (db *DB) newestCalendar(ctx context.Context, q querier, project flow.ID, name string) (calendarVersion, error) {
	return one(ctx, db, q, func(s scanner) (c calendarVersion, err error) { return c, s.Scan(&c.id, &c.version) }, `
		SELECT id, version FROM calendar WHERE project_id = $1 AND name = $2 FOR SHARE`, project, name)
}

// kept is a schedule as the store has it.
type kept struct {
	ID         flow.ID
	Project    flow.ID
	Workflow   flow.ID
	Schedule   flow.Schedule
	Position   int
	Revision   int64
	Enabled    bool
	Overridden bool
	Removed    bool
}

const keptColumns = "id, project_id, workflow_id, body, position, revision, enabled, overridden, removed"

func scanKept(s scanner) (kept, error) {
	var k kept
	err := s.Scan(&k.ID, &k.Project, &k.Workflow, jsonOf(&k.Schedule), &k.Position, &k.Revision, &k.Enabled, &k.Overridden, &k.Removed)
	return k, err
}

// applySchedules makes a workflow's schedules those of its file and tells whether anything changed. What a verb
// said of one stays, unless it is to be reset.
func (db *DB) applySchedules(ctx context.Context, q querier, project, workflow flow.ID, want []flow.Schedule, reset bool) (changed bool, err error) {
	have, err := all(ctx, db, q, scanKept, "SELECT "+keptColumns+" FROM schedule WHERE workflow_id = $1 ORDER BY id FOR UPDATE", workflow)
	if err != nil || len(have)+len(want) == 0 {
		return false, err
	}
	r, err := db.newRevision(ctx, q, have)
	if err != nil {
		return false, err
	}
	var fresh, said, again []kept
	byName := map[string]kept{}
	for _, k := range have {
		byName[k.Schedule.Name] = k
	}
	for i, s := range want {
		old, known := byName[s.Name]
		delete(byName, s.Name)
		now := kept{ID: old.ID, Project: project, Workflow: workflow, Schedule: s, Position: i, Revision: old.Revision, Enabled: !s.Disabled}
		if known && !old.Removed && old.Overridden && !reset {
			now.Enabled, now.Overridden = old.Enabled, true
		}
		if !known {
			fresh = append(fresh, now)
			continue
		}
		what, err := compare(now, old)
		if err != nil {
			return false, err
		}
		if what != unchanged {
			said = append(said, now)
		}
		if what == retimed {
			again = append(again, now)
		}
	}
	var gone []flow.ID
	for _, k := range have {
		if _, left := byName[k.Schedule.Name]; !left || k.Removed {
			continue
		}
		gone = append(gone, k.ID)
		k.Enabled = false
		again = append(again, k)
	}
	if err := r.say(ctx, said); err != nil {
		return false, err
	}
	if _, err := exec(ctx, db, q, "UPDATE schedule SET removed = TRUE, enabled = FALSE, overridden = FALSE WHERE id = ANY($1)", db.list(gone)); err != nil {
		return false, err
	}
	if err := r.revise(ctx, again); err != nil {
		return false, err
	}
	return len(fresh)+len(said)+len(gone) > 0, r.add(ctx, project, workflow, fresh)
}

// change is what a file changes of a schedule.
type change uint8

const (
	unchanged change = iota
	moved            // its place in the file, or who says that it is enabled
	retimed          // when it fires, or with what: another revision begins
)

// revision begins revisions of schedules, all from one moment on.
type revision struct {
	*DB
	q         querier
	now       flow.Time
	calendars map[calendarKey]calendarVersion // looked up once
}

type calendarKey struct {
	project flow.ID
	name    string
}

// newRevision takes hold of what is to be looked at of schedules before it reads the moment: what was fired until then
// is seen, and what is decided from then on finds another revision.
func (db *DB) newRevision(ctx context.Context, q querier, of []kept) (*revision, error) {
	ids := make([]flow.ID, len(of))
	for i, k := range of {
		ids[i] = k.ID
	}
	if _, err := all(ctx, db, q, scanID, `
		SELECT schedule_id FROM timing WHERE schedule_id = ANY($1) ORDER BY schedule_id, revision FOR UPDATE`, db.list(ids)); err != nil {
		return nil, err
	}
	now, err := one(ctx, db, q, scalar[flow.Time], "SELECT baton_now()")
	return &revision{db, q, now, map[calendarKey]calendarVersion{}}, err
}

// compare tells what a file changes of a schedule.
func compare(now, old kept) (change, error) {
	body, err := json.Marshal(now.Schedule)
	if err != nil {
		return unchanged, err
	}
	before, err := json.Marshal(old.Schedule)
	if err != nil {
		return unchanged, err
	}
	same := !old.Removed && string(before) == string(body) && old.Enabled == now.Enabled
	if same && old.Position == now.Position && old.Overridden == now.Overridden {
		return unchanged, nil
	}
	if same {
		return moved, nil
	}
	return retimed, nil
}

// say writes schedules as their file says them.
func (r *revision) say(ctx context.Context, list []kept) error {
	if len(list) == 0 {
		return nil
	}
	rows := make([]saidRow, len(list))
	for i, s := range list {
		body, err := json.Marshal(s.Schedule)
		if err != nil {
			return err
		}
		rows[i] = saidRow{int64(s.ID), s.Position, string(body), s.Enabled, s.Overridden}
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = exec(ctx, r.DB, r.q, `
		UPDATE schedule AS s SET position = u.position, body = u.body, enabled = u.enabled, overridden = u.overridden, removed = FALSE
		FROM `+r.records("$1", "id bigint, position int, body text, enabled boolean, overridden boolean")+` WHERE s.id = u.id`, string(raw))
	return err
}

// saidRow is a schedule as its file says it, as JSON.
type saidRow struct {
	ID         int64  `json:"id"`
	Position   int    `json:"position"`
	Body       string `json:"body"`
	Enabled    bool   `json:"enabled"`
	Overridden bool   `json:"overridden"`
}

// revise begins new revisions of schedules from now on, some statements for all. Times of the old ones that are due
// and not dealt with remain their own: a change loses no fire that had come. Of those that are disabled or removed
// they are recorded, and not fired.
func (r *revision) revise(ctx context.Context, list []kept) error {
	if len(list) == 0 {
		return nil
	}
	var ids, off []flow.ID
	var rows []freshRow
	for _, s := range list {
		ids = append(ids, s.ID)
		if !s.Enabled {
			off = append(off, s.ID)
			continue
		}
		row, err := r.row(ctx, s)
		if err != nil {
			return err
		}
		row.ID, row.Revision = int64(s.ID), s.Revision+1
		rows = append(rows, row)
	}
	if _, err := exec(ctx, r.DB, r.q, "UPDATE schedule SET revision = revision + 1 WHERE id = ANY($1)", r.list(ids)); err != nil {
		return err
	}
	// Of one that nobody has looked at yet the next time is not known: it may have come.
	if _, err := exec(ctx, r.DB, r.q, `
		UPDATE timing SET until_time = $2, halted = schedule_id = ANY($3)
		WHERE schedule_id = ANY($1) AND until_time = 0 AND next_at > 0 AND nominal_time <= $2`, r.list(ids), r.now, r.list(off)); err != nil {
		return err
	}
	if _, err := exec(ctx, r.DB, r.q, "DELETE FROM timing WHERE schedule_id = ANY($1) AND (until_time = 0 OR next_at = 0)", r.list(ids)); err != nil {
		return err
	}
	return r.begin(ctx, rows)
}

// begin has revisions looked at.
func (r *revision) begin(ctx context.Context, rows []freshRow) error {
	if len(rows) == 0 {
		return nil
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = exec(ctx, r.DB, r.q, `
		INSERT INTO timing (schedule_id, revision, body, calendar_id, calendar_version, after_time, next_at)
		SELECT u.id, u.revision, u.body, u.calendar, u.version, CAST($2 AS BIGINT), CAST($2 AS BIGINT)
		FROM `+r.records("$1", freshFields)+` WHERE u.enabled`, string(raw), r.now)
	return err
}

// calendarOf is the version of the calendar that a schedule names, the zero value if it names none.
func (r *revision) calendarOf(ctx context.Context, s kept) (calendarVersion, error) {
	if s.Schedule.Calendar == "" {
		return calendarVersion{}, nil
	}
	key := calendarKey{s.Project, s.Schedule.Calendar}
	if known, ok := r.calendars[key]; ok {
		return known, nil
	}
	days, err := r.newestCalendar(ctx, r.q, s.Project, s.Schedule.Calendar)
	if errors.Is(err, sql.ErrNoRows) {
		return days, r.noCalendar(ctx, r.q, s)
	}
	if err == nil {
		r.calendars[key] = days
	}
	return days, err
}

// freshRow is a revision of a schedule that begins, as JSON.
type freshRow struct {
	ID       int64  `json:"id"` // when it has one
	Revision int64  `json:"revision"`
	Name     string `json:"name"`
	Position int    `json:"position"`
	Body     string `json:"body"`
	Enabled  bool   `json:"enabled"`
	Calendar int64  `json:"calendar"`
	Version  int32  `json:"version"`
}

const freshFields = "id bigint, revision bigint, name text, position int, body text, enabled boolean, calendar bigint, version int"

// row is a schedule as a freshRow without its numbers.
func (r *revision) row(ctx context.Context, s kept) (freshRow, error) {
	body, err := json.Marshal(s.Schedule)
	if err != nil {
		return freshRow{}, err
	}
	days, err := r.calendarOf(ctx, s)
	return freshRow{0, 1, s.Schedule.Name, s.Position, string(body), s.Enabled, int64(days.id), days.version}, err
}

// add writes new schedules of a workflow in their first revision: two statements for all, for a thousand of them
// must not keep others from writing for long.
func (r *revision) add(ctx context.Context, project, workflow flow.ID, fresh []kept) error {
	if len(fresh) == 0 {
		return nil
	}
	rows := make([]freshRow, 0, len(fresh))
	places := make(map[string]int, len(fresh))
	for _, s := range fresh {
		row, err := r.row(ctx, s)
		if err != nil {
			return err
		}
		places[row.Name] = len(rows)
		rows = append(rows, row)
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	named, err := all(ctx, r.DB, r.q, func(s scanner) (f freshRow, err error) { return f, s.Scan(&f.ID, &f.Name) }, `
		INSERT INTO schedule (project_id, workflow_id, name, position, body, revision, enabled)
		SELECT CAST($2 AS BIGINT), CAST($3 AS BIGINT), u.name, u.position, u.body, 1, u.enabled FROM `+r.records("$1", freshFields)+`
		RETURNING id, name`, string(raw), project, workflow)
	if err != nil {
		return err
	}
	for _, f := range named {
		rows[places[f.Name]].ID = f.ID
	}
	return r.begin(ctx, rows)
}

// noCalendar is the error of a schedule whose calendar does not exist, with the name that was perhaps meant.
func (db *DB) noCalendar(ctx context.Context, q querier, s kept) error {
	names, err := all(ctx, db, q, scalar[string], "SELECT name FROM calendar WHERE project_id = $1 ORDER BY name", s.Project)
	if err != nil {
		return err
	}
	out := flow.Errorf(flow.CodeBadRequest, "calendar", "schedule %s: its project has no calendar %q; apply it first, or in the same file", s.Schedule.Name, s.Schedule.Calendar)
	if out.Suggestion = flow.Nearest(s.Schedule.Calendar, names); out.Suggestion != "" {
		out.Message += `; did you mean "` + out.Suggestion + `"?`
	}
	return flow.RefusedErrors{{Path: []string{"schedules", strconv.Itoa(s.Position), "calendar"}, Error: out}}
}

// lockStarters ends a statement that locks the schedules or triggers of a workflow: one by its name or, with "", all.
const lockStarters = `
			WHERE workflow_id = (SELECT w.id FROM workflow w JOIN project p ON p.id = w.project_id WHERE p.name = $1 AND w.name = $2)
				AND NOT removed AND ($3 = '' OR name = $3)
			ORDER BY id FOR UPDATE`

// EnableSchedules turns schedules of a workflow on or off, one by its name or, with "", all, and keeps that over
// changes of the file. It returns how many there are. Those that were so already are left alone.
func (db *DB) EnableSchedules(ctx context.Context, project, workflow, name string, on bool) (int, error) {
	var found int
	err := db.write(ctx, forAPI, func(q querier) error {
		have, err := all(ctx, db, q, scanKept, `
			SELECT `+keptColumns+` FROM schedule`+lockStarters, project, workflow, name)
		if err != nil {
			return err
		}
		found = len(have)
		r, err := db.newRevision(ctx, q, have)
		if err != nil {
			return err
		}
		var ids []flow.ID
		var turned []kept
		for _, s := range have {
			ids = append(ids, s.ID)
			if s.Enabled != on {
				s.Enabled = on
				turned = append(turned, s)
			}
		}
		if _, err := exec(ctx, db, q, "UPDATE schedule SET enabled = $2, overridden = TRUE WHERE id = ANY($1)", db.list(ids), on); err != nil {
			return err
		}
		return r.revise(ctx, turned)
	})
	return found, db.wrap("enable schedules", err)
}

// Schedules lists the schedules of a project, a workflow or all, in order of their ids, after the one with that id.
func (db *DB) Schedules(ctx context.Context, project, workflow string, limit int, after flow.ID) (flow.Page[flow.ScheduleRow], error) {
	limit = pageLimit(limit)
	rows, err := all(ctx, db, db.read(forAPI), func(s scanner) (r flow.ScheduleRow, err error) {
		err = s.Scan(&r.ID, &r.Project, &r.Workflow, jsonOf(&r.Schedule), &r.Revision, &r.Enabled, &r.Overridden, calendarOf(&r.Calendar), &r.Nominal, &r.Last)
		return r, err
	}, `
		SELECT s.id, p.name, w.name, s.body, s.revision, s.enabled, s.overridden,
			COALESCE((SELECT v.body FROM calendar_version v WHERE v.calendar_id = t.calendar_id AND v.version = t.calendar_version), ''),
			COALESCE(t.nominal_time, 0),
			COALESCE((SELECT max(f.nominal_time) FROM fire f WHERE f.schedule_id = s.id AND f.state = 1), 0)
		FROM schedule s
		JOIN project p ON p.id = s.project_id
		JOIN workflow w ON w.id = s.workflow_id
		LEFT JOIN timing t ON t.schedule_id = s.id AND t.revision = s.revision
		WHERE NOT s.removed AND s.id > $1 AND ($2 = '' OR p.name = $2) AND ($3 = '' OR w.name = $3)
		ORDER BY s.id LIMIT $4`, after, project, workflow, limit+1)
	if err != nil {
		return flow.Page[flow.ScheduleRow]{}, db.wrap("list schedules", err)
	}
	return page(rows, limit, func(r flow.ScheduleRow) flow.ID { return r.ID }), nil
}

// calendarOf scans a calendar's JSON; the empty text is none.
func calendarOf(into **flow.Calendar) sql.Scanner { return calendarScanner{into} }

type calendarScanner struct{ into **flow.Calendar }

// Scan implements sql.Scanner.
func (c calendarScanner) Scan(src any) error {
	var b []byte
	if err := (doc{&b}).Scan(src); err != nil || len(b) == 0 {
		return err
	}
	*c.into = &flow.Calendar{}
	return json.Unmarshal(b, *c.into)
}

// Calendars lists the newest versions of the calendars of a project, or of all, by name.
func (db *DB) Calendars(ctx context.Context, project string) ([]flow.Calendar, error) {
	out, err := all(ctx, db, db.read(forAPI), func(s scanner) (c flow.Calendar, err error) { return c, s.Scan(jsonOf(&c)) }, `
		SELECT v.body FROM calendar c
		JOIN project p ON p.id = c.project_id
		JOIN calendar_version v ON v.calendar_id = c.id AND v.version = c.version
		WHERE $1 = '' OR p.name = $1 ORDER BY p.name, c.name`, project)
	return out, db.wrap("read calendars", err)
}

// SchedulesOf reads the schedules of one workflow as its file says them.
func (db *DB) SchedulesOf(ctx context.Context, workflow flow.ID) ([]flow.Schedule, error) {
	rows, err := all(ctx, db, db.read(forAPI), scanKept, "SELECT "+keptColumns+" FROM schedule WHERE workflow_id = $1 AND NOT removed ORDER BY position, id", workflow)
	out := make([]flow.Schedule, len(rows))
	for i, r := range rows {
		out[i] = r.Schedule
	}
	if len(out) == 0 {
		out = nil
	}
	return out, db.wrap("read the schedules of a workflow", err)
}
