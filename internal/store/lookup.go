// What runs ask of the store, and whom they follow.

package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"baton/internal/flow"
)

// Lookup answers the question of a run.
func (m *Master) Lookup(ctx context.Context, q flow.Lookup) (found flow.Found, err error) {
	if len(q.Upstreams) > 0 {
		for _, u := range q.Upstreams {
			f, err := m.upstream(ctx, u, q.Instance)
			if err != nil {
				return flow.Found{}, m.wrap("look at an upstream", err)
			}
			found.Upstreams = append(found.Upstreams, f)
		}
		return found, nil
	}
	if q.Child != 0 {
		found.Child, err = one(ctx, m.DB, m.read(forEngine), scalar[bool], `
			SELECT EXISTS (SELECT 1 FROM instance WHERE id = $1) OR EXISTS (SELECT 1 FROM command WHERE id = $1)`, q.Child)
		if err != nil {
			return found, m.wrap("look up a run", err)
		}
	}
	found.Definition, err = m.Workflow(ctx, q.Project, q.Workflow, 0)
	if known, ok := errors.AsType[*flow.Error](err); ok && known.Code == flow.CodeNotFound {
		found.Missing, err = known.Message, nil
	}
	return found, err
}

// upstream looks at what stands in each window. One run does not wait for itself.
func (m *Master) upstream(ctx context.Context, u flow.Upstream, self flow.ID) (f flow.FoundUpstream, err error) {
	ids, err := all(ctx, m.DB, m.read(forEngine), scanID, `
		SELECT id FROM workflow WHERE name = $2 AND project_id = (SELECT id FROM project WHERE name = $1)`, u.Project, u.Workflow)
	if err != nil || len(ids) == 0 {
		return f, err
	}
	f.Workflow = ids[0]
	if u.Own && len(u.Windows) > 0 {
		if f.Earlier, err = m.ranBefore(ctx, f.Workflow, u.Windows[len(u.Windows)-1].To, self); err != nil {
			return f, err
		}
	}
	for _, w := range u.Windows {
		run, err := m.counts(ctx, f.Workflow, u, w, self)
		if err != nil {
			return f, err
		}
		f.Runs = append(f.Runs, run)
	}
	return f, nil
}

// ranBefore tells whether a workflow has had another run for a time before.
func (m *Master) ranBefore(ctx context.Context, workflow flow.ID, before flow.Time, self flow.ID) (bool, error) {
	ids, err := all(ctx, m.DB, m.read(forEngine), scanID, `
		SELECT i.id FROM instance i
		WHERE i.workflow_id = $1 AND i.data_time / 86400000000 <= $2 AND i.data_time < $3 AND i.id <> $4 AND NOT i.dry_run LIMIT 1`,
		workflow, dayOf(before), before, self)
	return len(ids) > 0, err
}

func dayOf(t flow.Time) int64 { return int64(t) / (24 * time.Hour).Microseconds() }

// candidate is a run that may be the one of a window.
type candidate struct {
	flow.FoundRun
	order flow.Time
}

func scanCandidate(s scanner) (candidate, error) {
	var c candidate
	err := s.Scan(&c.ID, &c.State, &c.EndedAt, doc{&c.Outputs}, &c.order, &c.Rerun)
	return c, err
}

// rerunWaits tells of a run whether it is ordered to be rerun together with others. It is asked for by the statement that
// reads the state of the run: the order is consumed by the commit that begins it anew, so no moment lies between.
const rerunWaits = `(SELECT b.id FROM inbox b WHERE b.instance_id = i.id AND b.state = 0 AND substr(b.dedup, 1, 6) = '` + flow.DownstreamKey + `' LIMIT 1) IS NOT NULL`

const (
	// candidatesRead bounds the runs of one window that are looked at for one which ran the wanted task.
	candidatesRead = 50
	// longestRun is how long before its end a run may have been submitted to be found by when it ended.
	longestRun = 30 * 24 * time.Hour
)

// latestEndsSQL reads the runs that ended in a span of time, or began there and have not ended, the last one first. Every
// state and trigger is named, so that the range of ids is one of instance_workflow: a stream for each, and not all runs ever.
var latestEndsSQL = func() string {
	var states, triggered []string
	for st := flow.InstanceSubmitted; st <= flow.InstanceSucceeded; st++ {
		states = append(states, strconv.Itoa(int(st)))
	}
	for code := 1; code < len(triggers); code++ {
		triggered = append(triggered, strconv.Itoa(code))
	}
	return `
		SELECT i.id, i.state, i.ended_at, i.outputs, CASE WHEN i.ended_at > 0 THEN i.ended_at ELSE i.started_at END AS last, ` + rerunWaits + `
		FROM instance i
		WHERE i.workflow_id = $1 AND i.state IN (` + strings.Join(states, ", ") + `) AND i.trigger + 0 IN (` + strings.Join(triggered, ", ") + `)
			AND i.id + 0 >= $4 AND i.id + 0 < $5 AND i.id <> $6 AND NOT i.dry_run
			AND CASE WHEN i.ended_at > 0 THEN i.ended_at ELSE i.started_at END >= $2
			AND CASE WHEN i.ended_at > 0 THEN i.ended_at ELSE i.started_at END < $3
		ORDER BY last DESC, i.id DESC LIMIT $7`
}()

// counts finds the run of a window that counts: the last one, of those that ran the wanted task. What waits to begin
// is one that has not ended.
func (m *Master) counts(ctx context.Context, workflow flow.ID, u flow.Upstream, w flow.Span, self flow.ID) (flow.FoundRun, error) {
	var runs []candidate
	var err error
	if u.Match == flow.MatchLatestEnd {
		runs, err = all(ctx, m.DB, m.read(forEngine), scanCandidate, latestEndsSQL,
			workflow, w.From, w.To, firstID(w.From.Add(-longestRun)), firstID(w.To.Add(idSkew)), self, candidatesRead)
	} else {
		runs, err = m.candidates(ctx, m.read(forEngine), workflow, w, self)
	}
	if err != nil {
		return flow.FoundRun{}, err
	}
	for _, c := range runs {
		if u.Task == "" || c.State == flow.InstanceSubmitted || c.Rerun {
			return c.FoundRun, nil
		}
		ran, err := m.ofTask(ctx, &c.FoundRun, u.Task)
		if err != nil || ran {
			return c.FoundRun, err
		}
	}
	return flow.FoundRun{}, nil
}

// candidates are runs for a time in a window, the last one first.
func (db *DB) candidates(ctx context.Context, q querier, workflow flow.ID, w flow.Span, self flow.ID) ([]candidate, error) {
	runs, err := all(ctx, db, q, scanCandidate, `
		SELECT i.id, i.state, i.ended_at, i.outputs, i.data_time, `+rerunWaits+` FROM instance i
		WHERE i.workflow_id = $1 AND i.data_time / 86400000000 BETWEEN $2 AND $3 AND i.data_time >= $4 AND i.data_time < $5 AND i.id <> $6 AND NOT i.dry_run
		ORDER BY i.data_time DESC, i.id DESC LIMIT $7`, workflow, dayOf(w.From), dayOf(w.To), w.From, w.To, self, candidatesRead)
	if err != nil {
		return nil, err
	}
	waiting, err := all(ctx, db, q, scanCandidate, `
		SELECT c.id, 1, 0, '', c.data_time, FALSE FROM command c
		WHERE c.workflow_id = $1 AND c.data_time >= $2 AND c.data_time < $3 AND NOT c.dry_run
		ORDER BY c.data_time DESC, c.id DESC LIMIT 1`, workflow, w.From, w.To)
	if err != nil || len(waiting) == 0 {
		return runs, err
	}
	c := waiting[0]
	i := slices.IndexFunc(runs, func(r candidate) bool { return r.order < c.order || r.order == c.order && r.ID < c.ID })
	if i < 0 {
		return append(runs, c), nil
	}
	return slices.Insert(runs, i, c), nil
}

// ofTask puts how a task stands in the place of the run, and tells whether the run ran it or may still.
func (m *Master) ofTask(ctx context.Context, run *flow.FoundRun, name string) (bool, error) {
	type taskState struct {
		state   flow.TaskState
		reason  string
		ended   flow.Time
		outputs []byte
	}
	rows, err := all(ctx, m.DB, m.read(forEngine), func(s scanner) (t taskState, err error) {
		return t, s.Scan(&t.state, &t.reason, &t.ended, doc{&t.outputs})
	}, `SELECT t.state, t.reason, t.ended_at, t.outputs FROM task t WHERE t.instance_id = $1 AND t.name = $2 AND t.valid AND t.item = 0 ORDER BY t.id DESC LIMIT 1`, run.ID, name)
	if err != nil {
		return false, err
	}
	if len(rows) == 0 {
		return !run.State.Ended(), nil
	}
	t := rows[0]
	run.Task, run.Reason, run.EndedAt, run.Outputs = t.state, t.reason, t.ended, t.outputs
	return t.state != flow.TaskSkipped || t.reason != flow.ReasonNotTaken, nil
}

// ending is an end that somebody may follow.
type ending struct {
	changed, workflow flow.ID
	task              string // "": the run's
	dataTime          flow.Time
}

// endings are what ends with a change. A dry run ends nothing.
func endings(c *flow.Change) []ending {
	i := &c.Instance
	if i.DryRun {
		return nil
	}
	var out []ending
	if i.State.Ended() {
		out = append(out, ending{i.ID, i.Workflow, "", i.DataTime})
	}
	add := func(t *flow.TaskRow) {
		if t.Valid && t.State.Ended() && t.Compensates == 0 && t.Item == 0 {
			out = append(out, ending{i.ID, i.Workflow, t.Name, i.DataTime})
		}
	}
	for n := range c.NewTasks {
		add(&c.NewTasks[n])
	}
	for n := range c.Tasks {
		add(&c.Tasks[n].Row)
	}
	return out
}

// SendEvent tells every row that waits for an event of a project that it has come, and returns how many there were.
func (db *DB) SendEvent(ctx context.Context, project, name string, params map[string]string, next func() flow.ID, now flow.Time) (heard int, err error) {
	err = db.write(ctx, forAPI, func(q querier) error {
		type waiter struct{ row, instance flow.ID }
		rows, err := all(ctx, db, q, func(s scanner) (w waiter, err error) { return w, s.Scan(&w.row, &w.instance) }, `
			SELECT f.row_id, f.instance_id FROM follow f WHERE f.workflow_id = 0 AND f.task = $1 ORDER BY f.row_id`, flow.EventKey(project, name))
		if err != nil {
			return err
		}
		items := make([]flow.InboxItem, len(rows))
		for i, w := range rows {
			payload, err := json.Marshal(flow.EventNews{Row: w.row, Params: params})
			if err != nil {
				return err
			}
			id := next()
			items[i] = flow.InboxItem{ID: id, Instance: w.instance, Kind: flow.InboxEvent, Dedup: "news:" + id.String(), Payload: payload, At: now}
		}
		heard, err = db.putAll(ctx, q, items)
		return err
	})
	return heard, db.wrap("send an event", err)
}
