// The group commit on SQLite: prepared statements in one transaction of the writer.

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"baton/internal/flow"
)

func (s *sqliteDB) commit(ctx context.Context, b *sortedBatch) error {
	return s.write(ctx, forEngine, func(q querier) error {
		var epoch int64
		var watched bool
		err := q.QueryRowContext(ctx, "SELECT epoch, watched FROM fence WHERE incarnation = $1", b.owner).Scan(&epoch, &watched)
		if errors.Is(err, sql.ErrNoRows) || err == nil && epoch != b.epoch {
			return flow.ErrFenced
		}
		if err != nil {
			return err
		}
		tokens, err := s.grantTokens(ctx, q, b)
		if err != nil {
			return err
		}
		for i, c := range b.changes {
			//nolint:contextcheck // the writer has no context, see sqliteWriter.group
			if b.results[i], err = s.change(b.owner, c, tokens[:len(c.Grants)]); err != nil {
				return err
			}
			tokens = tokens[len(c.Grants):]
			if b.followed && b.results[i].Fate == flow.Committed {
				if err := s.tellFollowers(ctx, q, c, b.told); err != nil {
					return err
				}
			}
			if watched && marksEnd(c) && b.results[i].Fate == flow.Committed {
				if err := s.markTriggers(ctx, q, b, &c.Instance); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// markTriggers marks the triggers that wait for the end of a run.
func (s *sqliteDB) markTriggers(ctx context.Context, q querier, b *sortedBatch, i *flow.Instance) (err error) {
	rows, err := q.QueryContext(ctx, sqliteMark, int64(i.ID), i.Seq, int64(i.Workflow), i.State, int64(i.DataTime), int64(i.EndedAt))
	if err != nil {
		return fmt.Errorf("mark the end of run %s: %w", i.ID, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id flow.ID
		if err := rows.Scan(&id); err != nil {
			return err
		}
		b.mark(id)
	}
	return rows.Err()
}

// grantTokens takes the tokens of all grants at once; those of a change that is gone are lost,
// as numbers of a sequence may be.
func (s *sqliteDB) grantTokens(ctx context.Context, q querier, b *sortedBatch) ([]int64, error) {
	n := 0
	for _, c := range b.changes {
		n += len(c.Grants)
	}
	if n == 0 {
		return nil, nil
	}
	return s.nextTokens(ctx, q, n)
}

// change writes one change if its gate holds.
func (s *sqliteDB) change(owner int64, c *flow.Change, tokens []int64) (flow.ChangeResult, error) {
	ok, err := s.gate(owner, c)
	if err != nil {
		return flow.ChangeResult{}, fmt.Errorf("instance %s: %w", c.Instance.ID, err)
	}
	if !ok {
		return flow.ChangeResult{Fate: flow.Gone}, nil
	}
	granted := make(map[flow.ID]int64, len(tokens))
	for i, id := range c.Grants {
		granted[id] = tokens[i]
	}
	if err := s.children(c, granted); err != nil {
		return flow.ChangeResult{}, fmt.Errorf("instance %s: %w", c.Instance.ID, err)
	}
	return flow.ChangeResult{Fate: flow.Committed, Tokens: tokens}, nil
}

// gate writes the instance row, if it is still what the change was made from.
func (s *sqliteDB) gate(owner int64, c *flow.Change) (bool, error) {
	i := &c.Instance
	if c.Command != 0 {
		if ok, err := s.touched("DELETE FROM command WHERE id = $1", int64(c.Command)); !ok {
			return false, err
		}
		args, err := instanceArgs(i)
		if err != nil {
			return false, err
		}
		return s.touched(insertInstance, args...)
	}
	return s.touched(sqliteUpdateInstance,
		int64(i.ID), owner, i.Seq-1,
		i.State, i.Prior, i.Seq, i.Owner, i.Engine, int64(i.WakeAt), i.RunTimes,
		i.FailFast, i.Undo, i.Warned, i.Due, i.Priority, i.Reason, string(i.Params), string(i.Outputs), string(i.Holds),
		int64(i.StartedAt), int64(i.EndedAt), int64(i.PausedAt), i.PausedFor, int64(i.ToldUntil), int64(i.ParentRow))
}

// children writes what belongs to an instance whose gate held.
func (s *sqliteDB) children(c *flow.Change, granted map[flow.ID]int64) error {
	for n := range c.NewTasks {
		t := &c.NewTasks[n]
		a := &t.Attempt
		if _, err := s.touched(sqliteInsertTask,
			int64(t.Instance), int64(t.ID), t.Name, t.Type, t.State, t.Valid, t.RunTimes, t.Reason, int64(t.NextCheck),
			t.Held, t.Kill, t.Warned, t.Regards(), t.Item, int64(t.EligibleAt), int64(t.StartedAt), int64(t.EndedAt), string(t.Outputs),
			a.Number, a.Infra, tokenOf(t, granted), a.Session, a.Worker, a.State, a.Confirmed, a.Ref, a.Cause, string(a.Class),
			a.ExitCode, a.Refused, int64(a.GrantedAt), int64(a.StartedAt), int64(a.BeatAt), int64(a.EndedAt), a.CPU, a.Memory,
			int64(t.Claim), t.Given); err != nil {
			return fmt.Errorf("new task %s: %w", t.ID, err)
		}
	}
	for n := range c.Tasks {
		t := &c.Tasks[n].Row
		a := &t.Attempt
		ok, err := s.touched(sqliteUpdateTask,
			int64(t.Instance), int64(t.ID), c.Tasks[n].Sources,
			t.State, t.Valid, t.Reason, int64(t.NextCheck),
			t.Held, t.Kill, t.Warned, int64(t.EligibleAt), int64(t.StartedAt), int64(t.EndedAt), string(t.Outputs),
			a.Number, a.Infra, tokenOf(t, granted), a.Session, a.Worker, a.State, a.Confirmed, a.Ref, a.Cause, string(a.Class),
			a.ExitCode, a.Refused, int64(a.GrantedAt), int64(a.StartedAt), int64(a.BeatAt), int64(a.EndedAt), a.CPU, a.Memory,
			int64(t.Claim), t.Given)
		if err == nil && !ok {
			err = fmt.Errorf("%w: it is not in a state from which %s may be reached", errRefused, t.State)
		}
		if err != nil {
			return fmt.Errorf("task %s: %w", t.ID, err)
		}
	}
	for n := range c.Past {
		a := &c.Past[n]
		if _, err := s.touched(sqliteInsertAttempt, int64(c.Instance.ID),
			int64(a.Task), a.Number, a.Infra, a.Token, a.Session, a.Worker, a.State, a.Confirmed, a.Ref, a.Cause, string(a.Class),
			a.ExitCode, a.Refused, int64(a.GrantedAt), int64(a.StartedAt), int64(a.BeatAt), int64(a.EndedAt), a.CPU, a.Memory); err != nil {
			return fmt.Errorf("attempt %d of task %s: %w", a.Number, a.Task, err)
		}
	}
	for _, v := range consumptions(c) {
		if _, err := s.touched(sqliteConsume, int64(v.id), int64(v.instance), v.state, v.Verb, v.Reason, v.By, int64(v.At)); err != nil {
			return fmt.Errorf("inbox item %s: %w", v.id, err)
		}
	}
	for n := range c.Alerts {
		a := &c.Alerts[n]
		if _, err := s.touched(insertAlert, int64(a.ID), a.Kind, int64(a.Project), int64(a.Instance), a.Task, a.Workflow, a.Message, int64(a.At)); err != nil {
			return fmt.Errorf("alert %s: %w", a.ID, err)
		}
	}
	return s.others(c)
}

// others writes what a change does to other runs, and what it asks of pools.
func (s *sqliteDB) others(c *flow.Change) error {
	for n := range c.Commands {
		args, err := commandArgs(c.Commands[n])
		if err != nil {
			return err
		}
		if _, err := s.touched(insertCommand, args...); err != nil {
			return fmt.Errorf("command %s: %w", c.Commands[n].ID, err)
		}
	}
	for n := range c.News {
		b := &c.News[n]
		if _, err := s.touched(sqliteTell, int64(b.ID), int64(b.Instance), string(b.Kind), b.Dedup, string(b.Payload), int64(b.At)); err != nil {
			return fmt.Errorf("news for run %s: %w", b.Instance, err)
		}
	}
	for _, f := range c.Follows {
		if _, err := s.touched(sqliteFollow, int64(f.Workflow), int64(f.Row), f.Task, int64(f.Span.From), int64(f.Span.To), int64(f.Instance)); err != nil {
			return fmt.Errorf("follow workflow %s: %w", f.Workflow, err)
		}
	}
	for _, row := range c.Unfollow {
		if _, err := s.touched("DELETE FROM follow WHERE row_id = $1 AND instance_id = $2", int64(row), int64(c.Instance.ID)); err != nil {
			return fmt.Errorf("unfollow: %w", err)
		}
	}
	for n := range c.Claims {
		k := &c.Claims[n]
		if _, err := s.touched(sqliteClaim, int64(k.ID), int64(k.Instance), int64(k.Task), int64(k.Project), k.Pool, k.Key, k.Slots, k.Priority, int64(k.At)); err != nil {
			return fmt.Errorf("claim %s on pool %s: %w", k.ID, k.Pool, err)
		}
	}
	for n := range c.Unclaims {
		k := &c.Unclaims[n]
		if _, err := s.touched("DELETE FROM pool_claim WHERE id = $1 AND instance_id = $2", int64(k.ID), int64(k.Instance)); err != nil {
			return fmt.Errorf("claim %s: %w", k.ID, err)
		}
	}
	return nil
}

// follower is a row that follows something.
type follower struct{ row, instance flow.ID }

// tellFollowers tells those who follow what ended with a change.
func (s *sqliteDB) tellFollowers(ctx context.Context, q querier, c *flow.Change, any *bool) error {
	for _, e := range endings(c) {
		told, err := s.followers(ctx, q, e)
		if err != nil {
			return err
		}
		if len(told) == 0 {
			continue
		}
		*any = true
		tokens, err := s.nextTokens(ctx, q, len(told))
		if err != nil {
			return err
		}
		now := flow.At(time.Now())
		for i, f := range told {
			id := storeID(now, tokens[i])
			//nolint:contextcheck // the writer has no context, see sqliteWriter.group
			if _, err := s.touched(sqliteTellUpstream, int64(id), int64(f.instance), string(flow.InboxUpstream), "news:"+id.String(), `{"row":"`+f.row.String()+`"}`, int64(now)); err != nil {
				return fmt.Errorf("tell run %s: %w", f.instance, err)
			}
		}
	}
	return nil
}

// followers are the rows that follow an end.
func (s *sqliteDB) followers(ctx context.Context, q querier, e ending) (out []follower, err error) {
	text, args := sqliteFollowersOfTask, []any{int64(e.workflow), int64(e.dataTime), e.task}
	if e.task == "" {
		text, args = sqliteFollowersOfRun, args[:2]
	}
	rows, err := q.QueryContext(ctx, s.text(text), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f follower
		if err := rows.Scan(&f.row, &f.instance); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

func tokenOf(t *flow.TaskRow, granted map[flow.ID]int64) int64 {
	if token, ok := granted[t.ID]; ok {
		return token
	}
	return t.Attempt.Token
}

// touched runs a prepared statement and tells whether it changed a row.
func (s *sqliteDB) touched(text string, args ...any) (bool, error) {
	res, err := s.writer.static(text, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// What a run never changes (its spec, data time, …) is not written again.
const sqliteUpdateInstance = `
	UPDATE instance SET takes = 0,
		state = $4, prior = $5, seq = $6, owner = $7, engine = $8, wake_at = $9, run_times = $10,
		fail_fast = $11, undo = $12, warned = $13, due = $14, priority = $15, reason = $16, params = $17, outputs = $18, holds = $19,
		started_at = $20, ended_at = $21, paused_at = $22, paused_for = $23, told_until = $24, parent_row = $25
	WHERE id = $1 AND owner = $2 AND seq = $3`

const sqliteInsertTask = `
	INSERT INTO task (
		instance_id, id, name, type, state, valid, run_times, reason, next_check,
		held, kill, warned, compensates, item, eligible_at, started_at, ended_at, outputs,
		number, infra, token, session, worker, attempt_state, confirmed, ref, cause, class,
		exit_code, refused, granted_at, attempt_started_at, beat_at, attempt_ended_at, cpu_used, memory_peak,
		claim, given)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
		$18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38)`

const sqliteUpdateTask = `
	UPDATE task SET
		state = $4, valid = $5, reason = $6, next_check = $7,
		held = $8, kill = $9, warned = $10, eligible_at = $11, started_at = $12, ended_at = $13, outputs = $14,
		number = $15, infra = $16, token = $17, session = $18, worker = $19, attempt_state = $20, confirmed = $21,
		ref = $22, cause = $23, class = $24,
		exit_code = $25, refused = $26, granted_at = $27, attempt_started_at = $28, beat_at = $29, attempt_ended_at = $30,
		cpu_used = $31, memory_peak = $32, claim = $33, given = $34
	WHERE instance_id = $1 AND id = $2 AND ($3 >> state) & 1 = 1`

const sqliteInsertAttempt = `
	INSERT INTO attempt (
		instance_id, task_id, number, infra, token, session, worker, state, confirmed, ref, cause, class,
		exit_code, refused, granted_at, started_at, beat_at, ended_at, cpu_used, memory_peak)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`

const sqliteTell = `
	INSERT INTO inbox (id, instance_id, kind, dedup, payload, created_at)
	SELECT $1, $2, $3, $4, $5, $6
	WHERE EXISTS (SELECT 1 FROM instance WHERE id = $2) OR EXISTS (SELECT 1 FROM command WHERE id = $2)
	ON CONFLICT (dedup) DO NOTHING`

// No conflict is passed over: the ids do not repeat.
const sqliteTellUpstream = `INSERT INTO inbox (id, instance_id, kind, dedup, payload, created_at) VALUES ($1, $2, $3, $4, $5, $6)`

// Of the end of a task those are told who follow it, of the end of a run all who follow a task of it too.
const (
	sqliteFollowersOfTask = `SELECT row_id, instance_id FROM follow WHERE workflow_id = $1 AND from_time <= $2 AND to_time > $2 AND task = $3 ORDER BY row_id`
	sqliteFollowersOfRun  = `SELECT row_id, instance_id FROM follow WHERE workflow_id = $1 AND from_time <= $2 AND to_time > $2 ORDER BY row_id`
)

const sqliteMark = `
	INSERT INTO trigger_mark (trigger_id, source, instance_id, seq, state, data_time, ended_at)
	SELECT x.trigger_id, x.source, $1, $2, $4, $5, $6 FROM trigger_watch x
	WHERE x.project = (SELECT p.name FROM project p WHERE p.id = (SELECT f.project_id FROM workflow f WHERE f.id = $3))
		AND x.workflow = (SELECT f.name FROM workflow f WHERE f.id = $3) AND (x.states >> $4) & 1 = 1
	ON CONFLICT DO NOTHING
	RETURNING trigger_id`

const sqliteFollow = `
	INSERT INTO follow (workflow_id, row_id, task, from_time, to_time, instance_id) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`

const sqliteClaim = `
	INSERT INTO pool_claim (id, instance_id, task_id, project_id, pool, key, slots, priority, created_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

const sqliteConsume = `
	UPDATE inbox SET state = $3, payload = '', verb = $4, reason = $5, given_by = $6, settled_at = $7
	WHERE id = $1 AND instance_id = $2 AND state = 0`
