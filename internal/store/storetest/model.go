// Random batches against a model of a few lines: what the store says and holds is what the model
// says and holds.

package storetest

import (
	"testing"

	"pgregory.net/rapid"

	"baton/internal/flow"
)

// model is the store in memory.
type model struct {
	commands  map[flow.ID]flow.Command
	instances map[flow.ID]flow.Instance
	tasks     map[flow.ID][]flow.TaskRow
}

// fate decides about a change and, if it is committed, carries it out but for tokens.
func (m *model) fate(owner int64, c flow.Change) flow.Fate {
	id := c.Instance.ID
	if c.Command != 0 {
		if _, ok := m.commands[id]; !ok {
			return flow.Gone
		}
	} else if old, ok := m.instances[id]; !ok || old.Owner != owner || old.Seq != c.Instance.Seq-1 {
		return flow.Gone
	}
	rows := append([]flow.TaskRow(nil), m.tasks[id]...)
	for _, u := range c.Tasks {
		found := false
		for k := range rows {
			if rows[k].ID == u.Row.ID && u.Sources>>rows[k].State&1 == 1 {
				rows[k], found = u.Row, true
			}
		}
		if !found {
			return flow.Poison
		}
	}
	if c.Instance.State > flow.InstanceSucceeded {
		return flow.Poison
	}
	delete(m.commands, id)
	m.instances[id] = c.Instance
	m.tasks[id] = append(rows, c.NewTasks...)
	return flow.Committed
}

func testModel(w *world) {
	m := &model{map[flow.ID]flow.Command{}, map[flow.ID]flow.Instance{}, map[flow.ID][]flow.TaskRow{}}
	var ids []flow.ID
	rivals := []struct{ owner, epoch int64 }{{w.me, w.epoch}, {}}
	rivals[1].owner, rivals[1].epoch = w.register("rival")
	run := func(t *rapid.T) {
		chance := func(percent int, what string) bool { return rapid.IntRange(0, 99).Draw(t, what) < percent }
		for range rapid.IntRange(0, 3).Draw(t, "submits") {
			c := w.submit()
			m.commands[c.ID] = c
			ids = append(ids, c.ID)
		}
		rival := rivals[rapid.IntRange(0, 1).Draw(t, "rival")]
		var batch []flow.Change
		for _, id := range ids {
			if !chance(40, "in the batch") {
				continue
			}
			var c flow.Change
			if i, ok := m.instances[id]; ok && !chance(5, "as if new") {
				c = next(i)
				if chance(10, "stale") {
					c.Instance.Seq--
				}
			} else {
				c = w.begin(flow.Command{ID: id, Project: w.wf.ProjectID, Workflow: w.wf.ID, Version: 1, Priority: 3, Zone: "UTC", Start: []byte("{}"), At: now}, 0)
			}
			c.Instance.Owner = rivals[rapid.IntRange(0, 1).Draw(t, "next owner")].owner
			if chance(8, "poison") {
				c.Instance.State = 77
			}
			for range rapid.IntRange(0, 3).Draw(t, "new tasks") {
				row := w.task(id, "n")
				c.NewTasks = append(c.NewTasks, row)
				if chance(60, "grant") {
					c.Grants = append(c.Grants, row.ID)
				}
			}
			for _, row := range m.tasks[id] {
				if chance(30, "update") {
					u := end(row, row.Attempt.Token)
					if chance(50, "from anywhere") {
						u.Sources = 1<<12 - 1
					}
					c.Tasks = append(c.Tasks, u)
				}
			}
			batch = append(batch, c)
		}
		batch = rapid.Permutation(batch).Draw(t, "order")
		got := must(w.m.Commit(w.ctx, flow.Batch{Owner: rival.owner, Epoch: rival.epoch, Changes: batch}))(w)
		for n, c := range batch {
			r := got.Changes[n]
			if want := m.fate(rival.owner, c); r.Fate != want {
				t.Fatalf("fate %d, want %d: %+v (%v)", r.Fate, want, c, r.Err)
			}
			for k, id := range c.Grants {
				if r.Fate != flow.Committed {
					break
				}
				for j, row := range m.tasks[c.Instance.ID] {
					if row.ID == id {
						m.tasks[c.Instance.ID][j].Attempt.Token = r.Tokens[k]
					}
				}
			}
		}
		for _, c := range batch {
			id := c.Instance.ID
			i, ok := m.instances[id]
			if !ok {
				continue
			}
			ls := must(w.m.Load(w.ctx, i.Owner, []flow.ID{id}))(w)
			w.same([]flow.Loaded{{Instance: i, Tasks: m.tasks[id]}}, ls)
		}
		if w.Failed() {
			t.FailNow()
		}
		if len(ids) > 12 {
			ids = ids[len(ids)-12:]
		}
	}
	rapid.Check(w.TB.(*testing.T), run)
}
