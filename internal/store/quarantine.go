// Quarantine: what would fail for ever is set aside with its reason, and people are told.

package store

import (
	"context"
	"database/sql"
	"errors"

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
		project, err := one(ctx, m.DB, q, scanID, `
			UPDATE instance SET
				prior = CASE WHEN state = $4 THEN prior ELSE state END,
				state = $4, reason = $3, owner = 0, wake_at = 0, takes = 0, seq = seq + 1
			WHERE id = $1 AND owner = $2
			RETURNING project_id`, id, owner, reason, flow.InstanceQuarantined)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return m.alertQuarantined(ctx, q, id, project, reason, now)
	})
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
		i.Prior, i.State, i.Reason, i.Seq, i.Engine = i.State, flow.InstanceQuarantined, reason, 1, flow.EngineVersion
		args, err := instanceArgs(&i)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, m.DB, q, insertInstance, args...); err != nil {
			return err
		}
		return m.alertQuarantined(ctx, q, i.ID, i.Project, reason, now)
	})
}
