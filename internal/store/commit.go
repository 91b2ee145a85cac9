// The group commit: one batch of changes of many instances, each written whole or not at all.

package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"baton/internal/flow"
)

// errRefused is a broken invariant found by the store itself: the change would fail for ever.
var errRefused = errors.New("refused")

// sortedBatch is what a backend commits: all changes or none, except that those whose gate does
// not hold are left out. It fills results, by index of changes.
type sortedBatch struct {
	owner, epoch int64
	followed     bool // see flow.Batch
	told         *bool
	watched      *atomic.Bool   // some trigger waited for ends when this store heard of it last
	marked       *[]flow.ID     // see flow.CommitResult
	changes      []*flow.Change // by instance id: rows are locked in one order everywhere
	results      []flow.ChangeResult
}

// mark notes a trigger that waited for what ended, once.
func (b *sortedBatch) mark(trigger flow.ID) {
	if !slices.Contains(*b.marked, trigger) {
		*b.marked = append(*b.marked, trigger)
	}
}

// marksEnd tells whether a change is an end that a trigger may wait for. A dry run ends nothing.
func marksEnd(c *flow.Change) bool { return c.Ended && !c.Instance.DryRun }

// Commit implements the group commit. A batch that breaks on the rows of one change is halved
// until that change is alone: it is poison, the others are written.
func (m *Master) Commit(ctx context.Context, batch flow.Batch) (flow.CommitResult, error) {
	out := flow.CommitResult{Changes: make([]flow.ChangeResult, len(batch.Changes))}
	order := make([]int, 0, len(batch.Changes))
	for i := range batch.Changes {
		if err := checkChange(&batch.Changes[i]); err != nil {
			out.Changes[i] = flow.ChangeResult{Fate: flow.Poison, Err: err}
			continue
		}
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Compare(batch.Changes[a].Instance.ID, batch.Changes[b].Instance.ID)
	})
	b := &sortedBatch{owner: batch.Owner, epoch: batch.Epoch, followed: batch.Followed, told: &out.Told, watched: &m.watched, marked: &out.Marked}
	for i, at := range order {
		c := &batch.Changes[at]
		if i > 0 && c.Instance.ID == b.changes[i-1].Instance.ID {
			return out, fmt.Errorf("commit: instance %s is in the batch twice", c.Instance.ID)
		}
		b.changes = append(b.changes, c)
	}
	b.results = make([]flow.ChangeResult, len(b.changes))
	if err := m.giveKeys(ctx, b); err != nil {
		return flow.CommitResult{}, m.wrap("commit", err)
	}
	if err := m.bisect(ctx, b); err != nil {
		return flow.CommitResult{}, m.wrap("commit", err)
	}
	for i, at := range order {
		out.Changes[at] = b.results[i]
	}
	return out, nil
}

// giveKeys writes the keys of runs that got one after they were made: those that were quarantined before they began and
// are released now. It goes ahead of the commit, which need not have a column for what hardly ever happens: a run's key
// is the same whenever it is rendered, and says nothing of a run that does not wait.
func (m *Master) giveKeys(ctx context.Context, b *sortedBatch) error {
	for _, c := range b.changes {
		if !c.Keyed || c.Command != 0 {
			continue
		}
		err := m.statement(ctx, forEngine, func(q querier) error {
			_, err := exec(ctx, m.DB, q, "UPDATE instance SET turn_key = $4 WHERE id = $1 AND owner = $2 AND seq = $3 AND state = 8",
				c.Instance.ID, b.owner, c.Instance.Seq-1, c.Instance.TurnKey)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Master) bisect(ctx context.Context, b *sortedBatch) error {
	err := m.commit(ctx, b)
	if !m.damaged(err) {
		return err
	}
	n := len(b.changes)
	if n <= 1 {
		for i := range b.results {
			b.results[i] = flow.ChangeResult{Fate: flow.Poison, Err: err}
		}
		return nil
	}
	half := func(from, to int) *sortedBatch {
		return &sortedBatch{b.owner, b.epoch, b.followed, b.told, b.watched, b.marked, b.changes[from:to], b.results[from:to]}
	}
	if err := m.bisect(ctx, half(0, n/2)); err != nil {
		return err
	}
	return m.bisect(ctx, half(n/2, n))
}

// checkChange refuses what no database would see as wrong.
func checkChange(c *flow.Change) error {
	id := c.Instance.ID
	bad := func(format string, args ...any) error {
		return fmt.Errorf("instance %s: %w: %s", id, errRefused, fmt.Sprintf(format, args...))
	}
	if c.Command != 0 && c.Command != id {
		return bad("command %s starts another run", c.Command)
	}
	if _, err := triggerCode(c.Instance.Trigger); err != nil {
		return bad("%v", err)
	}
	for i := range c.NewTasks {
		if t := &c.NewTasks[i]; t.Instance != id {
			return bad("task %s is of instance %s", t.ID, t.Instance)
		}
	}
	for i := range c.Tasks {
		if t := &c.Tasks[i].Row; t.Instance != id {
			return bad("task %s is of instance %s", t.ID, t.Instance)
		}
	}
	for i := range c.Commands {
		if _, err := commandArgs(c.Commands[i]); err != nil {
			return bad("command %s: %v", c.Commands[i].ID, err)
		}
	}
	for _, list := range [][]flow.Claim{c.Claims, c.Unclaims} {
		for _, k := range list {
			if k.Instance != id {
				return bad("claim %s is of instance %s", k.ID, k.Instance)
			}
		}
	}
	for _, o := range c.Outcomes {
		if !slices.Contains(c.Inbox, o.Inbox) {
			return bad("outcome of inbox item %s, which it does not consume", o.Inbox)
		}
	}
	if len(c.Grants) == 0 {
		return nil
	}
	written := make(map[flow.ID]bool, len(c.NewTasks)+len(c.Tasks))
	for i := range c.NewTasks {
		written[c.NewTasks[i].ID] = true
	}
	for i := range c.Tasks {
		written[c.Tasks[i].Row.ID] = true
	}
	for _, g := range c.Grants {
		if !written[g] {
			return bad("grant of task %s, which it does not write", g)
		}
	}
	return nil
}

// Inbox items keep their dedup key after they are consumed; these are the states of the row.
const (
	inboxPending  = 0
	inboxConsumed = 1
	inboxApplied  = 2
	inboxRefused  = 3
)

// consumed is an inbox item with its verdict, if it has one.
type consumed struct {
	id, instance flow.ID
	state        int16
	flow.Outcome
}

// consumptions joins a change's inbox items with their outcomes.
func consumptions(c *flow.Change) []consumed {
	out := make([]consumed, len(c.Inbox))
	for i, id := range c.Inbox {
		out[i] = consumed{id: id, instance: c.Instance.ID, state: inboxConsumed}
		for _, o := range c.Outcomes {
			if o.Inbox != id {
				continue
			}
			out[i].Outcome, out[i].state = o, inboxRefused
			if o.Applied {
				out[i].state = inboxApplied
			}
		}
	}
	return out
}
