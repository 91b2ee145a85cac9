// Commands: orders to start something new.

package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
)

const insertCommand = `
	INSERT INTO command (id, project_id, workflow_id, version, priority, key, start, zone, trigger, data_time, dry_run, submitted_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`

// Submit records a command. The key's row is what makes it once: it outlives the command.
func (db *DB) Submit(ctx context.Context, cmd flow.Command, digest string) (id flow.ID, existing bool, err error) {
	args, err := commandArgs(cmd)
	if err != nil {
		return 0, false, fmt.Errorf("submit: %w", err)
	}
	if cmd.Key == "" {
		err = db.statement(ctx, forAPI, func(q querier) error {
			_, err := exec(ctx, db, q, insertCommand, args...)
			return err
		})
		return cmd.ID, false, db.wrap("submit", err)
	}
	err = db.write(ctx, forAPI, func(q querier) error {
		id, existing, err = db.keepKey(ctx, q, keyed{cmd.Project, cmd.Workflow, cmd.Key, digest, cmd.ID, cmd.At})
		if err != nil || existing {
			return err
		}
		_, err = exec(ctx, db, q, insertCommand, args...)
		return err
	})
	if err != nil {
		return 0, false, db.wrap("submit", err)
	}
	return id, existing, nil
}

// keyed is something that an idempotency key stands for.
type keyed struct {
	project, workflow flow.ID
	key, digest       string
	id                flow.ID
	at                flow.Time
}

// keepKey has a key stand for something, and tells what it stands for if it is known already.
func (db *DB) keepKey(ctx context.Context, q querier, k keyed) (id flow.ID, existing bool, err error) {
	n, err := exec(ctx, db, q, `
		INSERT INTO idempotency (project_id, workflow_id, key, digest, instance_id, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (project_id, workflow_id, key) DO UPDATE
		SET digest = excluded.digest, instance_id = excluded.instance_id, expires_at = excluded.expires_at
		WHERE idempotency.expires_at <= $7`,
		k.project, k.workflow, k.key, k.digest, k.id, k.at.Add(db.opts.KeyTTL), k.at)
	if err != nil || n == 1 {
		return k.id, false, err
	}
	var known string
	err = q.QueryRowContext(ctx, db.text(`
		SELECT instance_id, digest FROM idempotency WHERE project_id = $1 AND workflow_id = $2 AND key = $3`),
		k.project, k.workflow, k.key).Scan(&id, &known)
	if err == nil && known != k.digest {
		noun := "run"
		if strings.HasPrefix(known, flow.BackfillDigest) {
			noun = "backfill"
		}
		err = flow.Errorf(flow.CodeConflict, "key", "the key %q was used for %s %s with other parameters; use another key", k.key, noun, id)
	}
	return id, true, err
}

func commandArgs(c flow.Command) ([]any, error) {
	start, err := readStart(&c)
	if err != nil {
		return nil, err
	}
	code, err := triggerCode(start.Trigger)
	if err != nil {
		return nil, err
	}
	return []any{
		c.ID, c.Project, c.Workflow, c.Version, c.Priority.Or(flow.PriorityMedium), c.Key, string(c.Start), c.Zone,
		code, start.DataTime, start.DryRun, c.At,
	}, nil
}

// readStart is how a command begins its run. The time that a run without one is for is that of its order.
func readStart(c *flow.Command) (flow.Start, error) {
	var start flow.Start
	if len(c.Start) > 0 {
		if err := json.Unmarshal(c.Start, &start); err != nil {
			return start, flow.Errorf(flow.CodeBadRequest, "start", "the order to start is not valid: %v", err)
		}
	}
	if start.DataTime == 0 {
		start.DataTime = c.At
	}
	return start, nil
}

// startOf is readStart of a command that was checked.
func startOf(c *flow.Command) flow.Start {
	start, _ := readStart(c)
	return start
}

// waitingCommand is a command that nobody has taken; told: something was ordered of it.
type waitingCommand struct {
	flow.Command
	told bool
}

// commandTold tells whether something was ordered of a command.
const commandTold = "EXISTS (SELECT 1 FROM inbox b WHERE b.instance_id = command.id AND b.state = 0)"

func scanCommand(s scanner) (waitingCommand, error) {
	var c waitingCommand
	err := s.Scan(&c.ID, &c.Project, &c.Workflow, &c.Version, &c.Priority, &c.Key, &c.Takes, doc{&c.Start}, &c.Zone, &c.At, &c.told)
	return c, err
}

// withInbox adds to commands what was ordered of them.
func (m *Master) withInbox(ctx context.Context, waiting []waitingCommand) ([]flow.Command, error) {
	out := make([]flow.Command, len(waiting))
	var told []flow.ID
	for i, w := range waiting {
		if out[i] = w.Command; w.told {
			told = append(told, w.ID)
		}
	}
	if len(told) == 0 {
		return out, nil
	}
	items, err := all(ctx, m.DB, m.read(forEngine), scanItem, `
		SELECT id, instance_id, kind, dedup, payload, created_at FROM inbox
		WHERE instance_id = ANY($1) AND state = 0 ORDER BY id`, m.list(told))
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		i := slices.IndexFunc(out, func(c flow.Command) bool { return c.ID == item.Instance })
		out[i].Inbox = append(out[i].Inbox, item)
	}
	return out, nil
}

// Commands returns waiting commands by priority, then age.
func (m *Master) Commands(ctx context.Context, n int, except []flow.ID, turn flow.Turn) ([]flow.Command, error) {
	mine, args := "", arguments{n, m.list(except)}
	if turn.Slots > 1 {
		// A submitter's clock may be ahead: what seems to come from the future is anybody's, too.
		slot, before := args.add(turn.Slot), args.add(turn.Before)
		mine = fmt.Sprintf(" AND ("+flow.SlotSQL+" = "+slot+" OR submitted_at < "+before+" OR submitted_at > "+before+" + 60000000)", turn.Slots)
	}
	if turn.Me != 0 {
		mine += " AND NOT (" + othersTrial(args.add(turn.Me)) + ")"
	}
	waiting, err := all(ctx, m.DB, m.read(forEngine), scanCommand, `
		SELECT id, project_id, workflow_id, version, priority, key,
			takes - CASE WHEN tried_by <> 0 AND `+trierLives+` THEN 1 ELSE 0 END, start, zone, submitted_at, `+commandTold+`
		FROM command WHERE NOT (id = ANY($2))`+mine+`
		ORDER BY priority, id + 0 LIMIT $1`, args...)
	if err != nil {
		return nil, m.wrap("read commands", err)
	}
	out, err := m.withInbox(ctx, waiting)
	return out, m.wrap("read what was ordered of commands", err)
}

// trialKept is how long a command is left to the master that tries it: in that time it is taken, or its master is
// dead, or has something better to do.
const trialKept = 10 * time.Second

// othersTrial tells whether another master that lives tries a command just now.
func othersTrial(me string) string {
	return fmt.Sprintf("tried_by <> 0 AND tried_by <> %s AND tried_at > baton_now() - %d AND "+trierLives, me, trialKept.Microseconds())
}

const trierLives = "COALESCE((SELECT f.epoch FROM fence f WHERE f.incarnation = command.tried_by), 2) = 1"

// TryCommands counts a trial of waiting commands, so that one whose beginning ends the process is
// found out, and returns them. One that another living master tries is left to it: it counts once for each
// master that ended before it was consumed, and for the one that tries it now.
func (m *Master) TryCommands(ctx context.Context, owner int64, takes int, upTo flow.ID, n int, except []flow.ID) (out []flow.Command, err error) {
	var waiting []waitingCommand
	err = m.statement(ctx, forEngine, func(q querier) error {
		waiting, err = all(ctx, m.DB, q, scanCommand, `
			WITH trial AS (
				SELECT id FROM command
				WHERE takes = $1 AND id <= $2 AND NOT (id = ANY($4)) AND NOT (`+othersTrial("$5")+`)
				ORDER BY priority, id + 0 LIMIT $3 FOR UPDATE SKIP LOCKED)
			UPDATE command SET tried_by = $5, tried_at = baton_now(),
				takes = takes + CASE WHEN tried_by <> 0 AND (tried_by = $5 OR `+trierLives+`) THEN 0 ELSE 1 END
			WHERE id = ANY(ARRAY(SELECT id FROM trial))
			RETURNING id, project_id, workflow_id, version, priority, key, takes - 1, start, zone, submitted_at, `+commandTold,
			takes, int64(upTo), n, m.list(except), owner)
		return err
	})
	if err != nil {
		return nil, m.wrap("try commands", err)
	}
	slices.SortFunc(waiting, func(a, b waitingCommand) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID, b.ID))
	})
	out, err = m.withInbox(ctx, waiting)
	return out, m.wrap("read what was ordered of commands", err)
}
