// Children: runs that others began.

package sim

import (
	"encoding/json"
	"strings"

	"baton/internal/flow"
)

// children are the runs that others began, as accepted as those: who began them waits for them.
func (w *World) children() []*accepted {
	for _, id := range sorted(w.store.instances) {
		w.adopt(id, w.store.instances[id].Instance.Parent)
	}
	for _, id := range sorted(w.store.commands) {
		w.adopt(id, startOf(w.store.commands[id]).Parent)
	}
	return w.born
}

func startOf(c flow.Command) (start flow.Start) {
	if err := json.Unmarshal(c.Start, &start); err != nil {
		panic(err) // the engine, or this world, wrote it
	}
	return start
}

func (w *World) adopt(id, parent flow.ID) {
	if parent == 0 || w.known[id] {
		return
	}
	if w.known == nil {
		w.known = map[flow.ID]bool{}
	}
	w.known[id] = true
	w.born = append(w.born, &accepted{id: id})
}

// checkBelow: a run that is stopped leaves nothing behind of what its tasks began, but what people took up again.
func (s *Store) checkBelow(in *flow.Loaded, outcomes []flow.Outcome) {
	for _, o := range outcomes {
		if o.Applied && (o.Verb == flow.VerbRecover || o.Verb == flow.VerbRerun) && !strings.HasPrefix(o.By, "run ") {
			if s.takenUp == nil {
				s.takenUp = map[flow.ID]bool{}
			}
			s.takenUp[in.Instance.ID] = true
		}
	}
	if in.Instance.State != flow.InstanceStopped {
		return
	}
	for _, row := range in.Tasks {
		child := row.Child()
		if child == 0 || !row.Valid || s.takenUp[child] {
			continue
		}
		if below := s.instances[child]; below == nil || !below.Instance.State.Ended() && below.Instance.State != flow.InstanceQuarantined {
			s.violation("run %d is stopped, and run %d, which its task %s began, is not", in.Instance.ID, child, row.Name)
		}
	}
}

// checkChildren: each task began one run and no more, and came to what that run came to.
func (w *World) checkChildren(say func(string, ...any)) {
	type place struct {
		parent flow.ID
		task   string
	}
	first := map[place]flow.ID{}
	for _, id := range sorted(w.store.instances) {
		in := w.store.instances[id]
		for _, row := range in.Tasks {
			child := row.Child()
			if child == 0 {
				continue
			}
			at := place{id, row.Name}
			if other := first[at]; other != 0 && other != child {
				say("task %s of run %d began runs %d and %d", row.Name, id, other, child)
			}
			first[at] = child
			below := w.store.instances[child]
			if below == nil {
				say("task %s of run %d waits for run %d, which is lost", row.Name, id, child)
				continue
			}
			if below.Instance.Parent != id {
				say("run %d was begun by %d and says %d", child, id, below.Instance.Parent)
			}
			if row.Valid && row.State == flow.TaskSucceeded && below.Instance.State != flow.InstanceSucceeded {
				say("task %s of run %d succeeded, and its run %d is %s", row.Name, id, child, below.Instance.State)
			}
			if row.Valid && row.State == flow.TaskFailed && row.Reason == flow.ReasonChildFailed && below.Instance.State != flow.InstanceFailed {
				say("task %s of run %d failed, and its run %d is %s", row.Name, id, child, below.Instance.State)
			}
		}
		for _, f := range w.store.follows {
			if f.Instance == id && in.Instance.State.Ended() {
				say("run %d has ended and its row %d still follows workflow %d", id, f.Row, f.Workflow)
			}
		}
		if p := in.Instance.Parent; p != 0 && w.store.instances[p] == nil {
			say("run %d was begun by %d, which is not there", id, p)
		}
	}
}
