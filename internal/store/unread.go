// What others are told of a run that cannot be driven. A run that can says it itself, in the commit that makes it so.

package store

import (
	"context"
	"encoding/json"

	"baton/internal/flow"
)

// unread is what the store knows of a run that nobody reads.
type unread struct {
	parent, row, workflow flow.ID
	dataTime              flow.Time
}

// tellOfUnread tells who waits for a run, or for what it began, how it stands now: the run that began it; when it has
// ended, also who follows it. What it began itself is stopped then, and it follows nothing any more.
func (m *Master) tellOfUnread(ctx context.Context, q querier, id flow.ID, state flow.InstanceState, reason string, now flow.Time) error {
	u, err := one(ctx, m.DB, q, func(s scanner) (u unread, err error) {
		return u, s.Scan(&u.parent, &u.row, &u.workflow, &u.dataTime)
	}, "SELECT parent_id, parent_row, workflow_id, data_time FROM instance WHERE id = $1", id)
	if err != nil {
		return err
	}
	var items []flow.InboxItem
	tell := func(to flow.ID, kind flow.InboxKind, news any) {
		raw, _ := json.Marshal(news) // names and texts: it cannot fail
		items = append(items, flow.InboxItem{Instance: to, Kind: kind, Payload: raw, At: now})
	}
	if u.parent != 0 {
		tell(u.parent, flow.InboxChild, flow.ChildNews{Child: id, Row: u.row, State: state, Reason: reason})
	}
	if state.Ended() {
		children, err := all(ctx, m.DB, q, scanChild, `
			SELECT id, ref FROM task WHERE instance_id = $1 AND type = $2 AND ref <> '' AND state NOT IN (7, 8, 9, 10, 11) ORDER BY id`, id, flow.TypeSubWorkflow)
		if err != nil {
			return err
		}
		for _, c := range children {
			tell(c.child, flow.InboxVerb, flow.Verb{Name: flow.VerbStop, By: "run " + id.String(), Parent: c.row})
		}
		followers, err := all(ctx, m.DB, q, func(s scanner) (f follower, err error) { return f, s.Scan(&f.row, &f.instance) }, `
			SELECT DISTINCT row_id, instance_id FROM follow
			WHERE workflow_id = $1 AND from_time <= $2 AND to_time > $2 ORDER BY row_id`, u.workflow, u.dataTime)
		if err != nil {
			return err
		}
		for _, f := range followers {
			tell(f.instance, flow.InboxUpstream, flow.UpstreamNews{Row: f.row})
		}
		if _, err := exec(ctx, m.DB, q, "DELETE FROM follow WHERE instance_id = $1", id); err != nil {
			return err
		}
	}
	if len(items) == 0 {
		return nil
	}
	tokens, err := m.nextTokens(ctx, q, len(items))
	if err != nil {
		return err
	}
	for i := range items {
		items[i].ID = storeID(now, tokens[i])
		items[i].Dedup = "news:" + items[i].ID.String()
	}
	_, err = m.putAll(ctx, q, items)
	return err
}

// markUnread marks the triggers that wait for the end of a run which has ended unread.
func (m *Master) markUnread(ctx context.Context, q querier, id flow.ID) error {
	_, err := exec(ctx, m.DB, q, `
		INSERT INTO trigger_mark (trigger_id, source, instance_id, seq, state, data_time, ended_at)
		SELECT x.trigger_id, x.source, i.id, i.seq + 1, i.state, i.data_time, i.ended_at
		FROM instance i JOIN workflow f ON f.id = i.workflow_id JOIN project p ON p.id = f.project_id
			JOIN trigger_watch x ON x.project = p.name AND x.workflow = f.name
		WHERE i.id = $1 AND NOT i.dry_run AND (x.states >> i.state) & 1 = 1
		ON CONFLICT DO NOTHING`, id)
	return err
}

// begunRun is a run that a row began.
type begunRun struct{ row, child flow.ID }

func scanChild(s scanner) (c begunRun, err error) {
	var ref string
	if err = s.Scan(&c.row, &ref); err == nil {
		c.child, err = flow.ParseID(ref)
	}
	return c, err
}
