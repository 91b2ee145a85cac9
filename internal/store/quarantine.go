// Quarantine: what would fail for ever is set aside with its reason, and people are told.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"baton/internal/flow"
)

// Quarantine parks an instance with a reason. If owner does not hold it any more, somebody else
// decides about it and nothing happens; so a call of unknown outcome may be repeated.
func (m *Master) Quarantine(ctx context.Context, owner int64, id flow.ID, reason string, now flow.Time) error {
	return m.wrap("quarantine", m.quarantine(ctx, owner, id, reason, now))
}

func (m *Master) quarantine(ctx context.Context, owner int64, id flow.ID, reason string, now flow.Time) error {
	reason = flow.Text(reason, flow.MaxReason)
	return m.write(ctx, forEngine, func(q querier) error {
		before, err := one(ctx, m.DB, q, scalar[int64], "SELECT state FROM instance WHERE id = $1 AND owner = $2 FOR UPDATE", id, owner)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		again := before == int64(flow.InstanceQuarantined)
		stopped, err := m.settleVerbs(ctx, q, id, again, reason, now)
		if err != nil {
			return err
		}
		ended := before >= int64(flow.InstanceStopped) && before <= int64(flow.InstanceSucceeded)
		if stopped || ended {
			return m.leaveEnded(ctx, q, id, stopped, flow.InstanceState(before), reason, now)
		}
		// A state that no table of states knows is what may have brought it here.
		project, err := one(ctx, m.DB, q, scanID, `
			UPDATE instance SET
				prior = CASE WHEN state = $3 THEN prior WHEN state BETWEEN 1 AND 11 THEN state ELSE $4 END,
				state = $3, reason = $2, owner = 0, wake_at = 0, takes = 0, seq = seq + 1
			WHERE id = $1
			RETURNING project_id`, id, reason, flow.InstanceQuarantined, flow.InstanceRunning)
		if err != nil {
			return err
		}
		if err := m.tellOfUnread(ctx, q, id, flow.InstanceQuarantined, reason, now); err != nil || again {
			return err // people were told the first time
		}
		return m.alertQuarantined(ctx, q, id, project, reason, now)
	})
}

// settleVerbs answers the verbs that wait for an instance nobody can drive: they are refused with
// the reason, for one of them may be the cause. A stop is carried out when the instance was
// quarantined before; stopped tells that.
func (m *Master) settleVerbs(ctx context.Context, q querier, id flow.ID, again bool, reason string, now flow.Time) (stopped bool, err error) {
	items, err := all(ctx, m.DB, q, scanItem, `
		SELECT id, instance_id, kind, dedup, payload, created_at FROM inbox
		WHERE instance_id = $1 AND state = 0 AND kind = $2 ORDER BY id`, id, string(flow.InboxVerb))
	if err != nil {
		return false, err
	}
	for _, item := range items {
		var verb flow.Verb
		_ = json.Unmarshal(item.Payload, &verb) // what cannot be read is refused
		if verb.Parent != 0 {                   // that row waits for it from now on
			if _, err := exec(ctx, m.DB, q, "UPDATE instance SET parent_row = $2 WHERE id = $1", id, verb.Parent); err != nil {
				return false, err
			}
		}
		state, why := inboxRefused, "the run cannot be driven: "+strings.TrimPrefix(reason, flow.ReasonQuarantine+": ")
		switch {
		case stopped:
			why = "the run was stopped"
		case again && verb.Name == flow.VerbStop:
			stopped, state, why = true, inboxApplied, ""
		}
		if _, err := exec(ctx, m.DB, q, `
			UPDATE inbox SET state = $2, payload = '', verb = $3, reason = $4, given_by = $5, settled_at = $6
			WHERE id = $1`, item.ID, state, verb.Name, flow.Text(why, flow.MaxReason), verb.By, now); err != nil {
			return false, err
		}
	}
	return stopped, nil
}

// leaveEnded parks an instance that has ended, or is stopped now, for good: no news for it matters
// any more. Who waits for it hears how it ended.
func (m *Master) leaveEnded(ctx context.Context, q querier, id flow.ID, stop bool, state flow.InstanceState, reason string, now flow.Time) error {
	var err error
	if stop {
		err = m.stopUnread(ctx, q, id, now)
	} else {
		err = m.tellOfUnread(ctx, q, id, state, reason, now)
	}
	if err != nil {
		return err
	}
	if _, err := exec(ctx, m.DB, q, "UPDATE inbox SET state = $2, payload = '', settled_at = $3 WHERE instance_id = $1 AND state = 0", id, inboxConsumed, now); err != nil {
		return err
	}
	_, err = exec(ctx, m.DB, q, "UPDATE instance SET owner = 0, wake_at = 0, takes = 0, seq = seq + 1 WHERE id = $1", id)
	return err
}

// stopUnread ends a quarantined instance as it stands in the store, since it cannot be read any
// more. Whether its processes are gone nobody can confirm.
func (m *Master) stopUnread(ctx context.Context, q querier, id flow.ID, now flow.Time) error {
	// First, while the rows still say which runs they began.
	if err := m.tellOfUnread(ctx, q, id, flow.InstanceStopped, flow.ReasonQuarantine, now); err != nil {
		return err
	}
	if _, err := exec(ctx, m.DB, q, `
		UPDATE task SET state = $2, reason = $3, next_check = 0, kill = 0, ended_at = $4, claim = 0, given = FALSE,
			attempt_state = CASE WHEN attempt_state IN (1, 2, 3) THEN $5 ELSE attempt_state END, confirmed = FALSE
		WHERE instance_id = $1 AND state NOT IN (7, 8, 9, 10, 11)`,
		id, flow.TaskKilled, flow.ReasonQuarantine, now, flow.AttemptKilled); err != nil {
		return err
	}
	if _, err := exec(ctx, m.DB, q, "DELETE FROM pool_claim WHERE instance_id = $1", id); err != nil {
		return err
	}
	if _, err := exec(ctx, m.DB, q, `
		UPDATE instance SET state = $2, prior = 0, reason = $3, ended_at = $4
		WHERE id = $1`, id, flow.InstanceStopped, flow.ReasonQuarantine, now); err != nil {
		return err
	}
	return m.markUnread(ctx, q, id)
}

// alertQuarantined records the alert of an instance that exists by now.
func (m *Master) alertQuarantined(ctx context.Context, q querier, id, project flow.ID, reason string, now flow.Time) error {
	name, err := one(ctx, m.DB, q, scalar[string], `
		SELECT COALESCE((SELECT w.name FROM workflow w WHERE w.id = (SELECT i.workflow_id FROM instance i WHERE i.id = $1)), '')`, id)
	if err != nil {
		return err
	}
	tokens, err := m.nextTokens(ctx, q, 1)
	if err != nil {
		return err
	}
	_, err = exec(ctx, m.DB, q, insertAlert, storeID(now, tokens[0]), flow.AlertQuarantined, project, id, "", name, reason, now)
	return err
}

// QuarantineCommand turns a command into a quarantined instance. A command that is gone was
// taken, or quarantined by the call before.
func (m *Master) QuarantineCommand(ctx context.Context, id flow.ID, reason string, now flow.Time) error {
	return m.wrap("quarantine command", m.quarantineCommand(ctx, id, reason, now))
}

func (m *Master) quarantineCommand(ctx context.Context, id flow.ID, reason string, now flow.Time) error {
	reason = flow.Text(reason, flow.MaxReason)
	return m.write(ctx, forEngine, func(q querier) error {
		i, err := one(ctx, m.DB, q, scanInstance, `
			SELECT `+instanceColumns+` FROM (`+waitingAsInstance+` WHERE c.id = $1 FOR UPDATE) i`, id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := exec(ctx, m.DB, q, "DELETE FROM command WHERE id = $1", id); err != nil {
			return err
		}
		var start flow.Start
		if json.Unmarshal(i.Spec, &start) == nil { // what cannot be read may be why
			i.Parent, i.ParentRow = start.Parent, start.ParentRow
		}
		i.Prior, i.State, i.Reason, i.Seq, i.Engine = i.State, flow.InstanceQuarantined, reason, 1, flow.EngineVersion
		args, err := instanceArgs(&i)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, m.DB, q, insertInstance, args...); err != nil {
			return err
		}
		if err := m.tellOfUnread(ctx, q, i.ID, i.State, reason, now); err != nil {
			return err
		}
		return m.alertQuarantined(ctx, q, i.ID, i.Project, reason, now)
	})
}
