// Check: the ledger joined with the rows.

package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
	"baton/internal/master"
)

func pokedEvent() master.Event { return master.Poked{Commands: true, Inbox: true} }

// done tells whether every accepted run is at rest and every verb has its outcome. What only a
// person can move on (paused, held, unknown) is moved on.
func (w *World) done(runs []*accepted) bool {
	all := true
	for _, a := range runs {
		if a.id == 0 {
			return false
		}
		for _, v := range a.verbs {
			if _, known := w.store.outcomes[v]; !known {
				return false
			}
		}
		in := w.store.instances[a.id]
		if in == nil {
			return false
		}
		if in.Instance.State.Ended() || a.poison && in.Instance.State == flow.InstanceQuarantined || w.store.behindPoison(in.Instance) {
			continue
		}
		all = false
		w.help(a, in)
	}
	return all && w.store.settled() && w.whole()
}

// whole tells whether every master that nothing keeps from it has joined, as an incarnation that is
// nobody's prey: one that was declared dead while it was silent comes back by itself.
func (w *World) whole() bool {
	return !slices.ContainsFunc(w.masters, func(m *masterHost) bool {
		return !m.up || m.frozen || w.store.fenced[m.lease.Incarnation]
	})
}

// help gives the verb a person would give to a run that waits for one.
func (w *World) help(a *accepted, in *flow.Loaded) {
	switch in.Instance.State {
	case flow.InstancePaused:
		w.order(a, flow.Verb{Name: flow.VerbResume})
		return
	case flow.InstanceQuarantined:
		// Its owners were killed by the fault that this world makes, flow.MaxTakes times in a row
		// and each time before a commit: from outside it looks as if the run did it.
		w.order(a, flow.Verb{Name: flow.VerbRelease})
		return
	default:
	}
	if in.Instance.Owner != 0 {
		return
	}
	for _, row := range in.Tasks {
		switch {
		case !row.Valid:
		case row.State == flow.TaskUnknown:
			w.order(a, flow.Verb{Name: flow.VerbTaskSucceed, Task: row.Name})
			return
		case row.Held:
			w.order(a, flow.Verb{Name: flow.VerbTaskRelease, Task: row.Name})
			return
		case awaitsEvent(row):
			w.store.sendEvents(row.ID)
			return
		}
	}
}

// check returns every broken invariant.
func (w *World) check(runs []*accepted) []string {
	bad := slices.Clone(w.store.history)
	say := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	begins := map[int64][]Entry{}  // by row
	byToken := map[int64][]Entry{} // by token
	for _, e := range w.ledger.entries {
		byToken[e.Token] = append(byToken[e.Token], e)
		if e.What == "begin" {
			begins[e.Row] = append(begins[e.Row], e)
		}
	}
	for _, token := range slices.Sorted(maps.Keys(byToken)) {
		n := 0
		for _, e := range byToken[token] {
			if e.What == "begin" {
				n++
			}
		}
		if n > 1 {
			say("token %d began %d times", token, n)
		}
	}
	for _, a := range runs {
		if a.id == 0 {
			continue
		}
		in := w.store.instances[a.id]
		if in == nil {
			say("run %d was accepted and is lost", a.id)
			continue
		}
		w.checkRun(in, begins, say)
	}
	w.checkFires(say)
	w.checkChildren(say)
	w.checkBackfills(say)
	w.checkTriggers(say)
	w.checkSlots(say)
	judged := 0
	for _, a := range w.attempts() {
		if len(byToken[a.Token]) > 0 && a.State != 0 {
			judged += w.checkSecond(a, say)
		}
	}
	w.judged = judged
	return bad
}

// attempts are all attempts there were.
func (w *World) attempts() []flow.AttemptRow {
	all := slices.Clone(w.store.past)
	for _, id := range sorted(w.store.instances) {
		for _, row := range w.store.instances[id].Tasks {
			all = append(all, row.Attempt)
		}
	}
	return all
}

// harmFor is how long after something happened to a host, or to all masters that could serve it, it may
// tell: a lease may have been the longest.
const harmFor = 25 * time.Second

// checkSecond: what runs on a worker that nothing happened to, and that some master could serve all the
// time, is not given up. It returns 1 if that could be judged.
func (w *World) checkSecond(a flow.AttemptRow, say func(string, ...any)) int {
	i := slices.IndexFunc(w.workers, func(h *workerHost) bool { return h.name == a.Worker })
	if i < 0 || a.EndedAt == 0 {
		return 0
	}
	within := func(before time.Duration) func(flow.Time) bool {
		return func(t flow.Time) bool { return t > a.GrantedAt.Add(-before) && t <= a.EndedAt }
	}
	h := w.workers[i]
	if slices.ContainsFunc(h.crashes, within(time.Second)) || slices.ContainsFunc(h.harms, within(harmFor)) || slices.ContainsFunc(h.lonely, within(harmFor)) {
		return 0
	}
	if a.State == flow.AttemptLost || a.State == flow.AttemptUnknown {
		say("task row %d: attempt %d (token %d) on %s is %s (%s) at %s, and nothing had happened to that worker", a.Task, a.Number, a.Token, a.Worker, a.State, a.Cause, a.EndedAt)
	}
	return 1
}

func (w *World) checkRun(in *flow.Loaded, begins map[int64][]Entry, say func(string, ...any)) {
	id := in.Instance.ID
	def := w.store.defs[in.Instance.Workflow]
	if !in.Instance.State.Ended() && in.Instance.Reason == "" {
		say("run %d is %s without a reason", id, in.Instance.State)
	}
	valid := map[string]int{}
	rows := map[string][]flow.TaskRow{}
	items := map[string][]flow.TaskRow{} // by the name of their map or loop
	for _, row := range in.Tasks {
		if row.Item != 0 {
			task, _, _ := flow.CutItem(row.Name)
			items[task] = append(items[task], row)
		} else {
			rows[row.Name] = append(rows[row.Name], row)
		}
		if row.Valid {
			valid[row.Name]++
		}
		// Failed goes before paused: a run that was pausing when a task failed ends with paused rows.
		rests := row.State == flow.TaskPaused && in.Instance.State == flow.InstanceFailed
		if row.Valid && in.Instance.State.Ended() && !row.State.Ended() && !rests {
			say("run %d has ended, its task %s is %s", id, row.Name, row.State)
		}
		w.checkRow(in, row, def, begins[int64(row.ID)], say)
	}
	for name, n := range valid {
		if n > 1 {
			say("run %d has %d valid rows of task %s", id, n, name)
		}
	}
	// Downstream begins after upstream ended.
	for _, t := range def.Workflow.Tasks {
		for _, u := range t.Needs {
			w.checkEdge(id, rows[u], slices.Concat(rows[t.Name], items[t.Name]), begins, say)
		}
	}
	for _, t := range def.Workflow.Finally {
		for _, u := range t.Needs { // what ran before is checkEnd's
			w.checkEdge(id, rows[u], slices.Concat(rows[t.Name], items[t.Name]), begins, say)
		}
	}
}

// checkItems is asked of every change: a map has no more items under way than it allows, and when it ends all that its
// list has are over.
func checkItems(in *flow.Loaded, def flow.Definition, say func(string, ...any)) {
	for _, t := range def.Workflow.AllTasks() {
		if t.Type != flow.TypeMap || in.Instance.DryRun {
			continue
		}
		var o struct{ Parallel int }
		_ = json.Unmarshal(t.With, &o) // fan wrote it
		live, ended := 0, 0
		for _, row := range in.Tasks {
			if task, _, _ := flow.CutItem(row.Name); row.Item == 0 || !row.Valid || task != t.Name {
				continue
			}
			if row.State.Ended() {
				ended++
			} else {
				live++
			}
		}
		if live > o.Parallel {
			say("run %d: %d items of %s are under way, %d may be", in.Instance.ID, live, t.Name, o.Parallel)
		}
		for _, row := range in.Tasks {
			if row.Name == t.Name && row.Valid {
				checkMap(in.Instance.ID, row, live, ended, say)
			}
		}
	}
}

func checkMap(run flow.ID, row flow.TaskRow, live, ended int, say func(string, ...any)) {
	if row.State.Ended() && live > 0 {
		say("run %d: %s is %s and has %d items under way", run, row.Name, row.State, live)
	}
	if (row.State == flow.TaskSucceeded || row.State == flow.TaskFailed && row.Reason == flow.ReasonItems) && ended != mapped {
		say("run %d: %s is %s with %d of %d items", run, row.Name, row.State, ended, mapped)
	}
	var out struct{ Results []json.RawMessage }
	if row.State == flow.TaskSucceeded && (json.Unmarshal(row.Outputs, &out) != nil || len(out.Results) != mapped) {
		say("run %d: %s gave %s", run, row.Name, row.Outputs)
	}
}

func (w *World) checkRow(in *flow.Loaded, row flow.TaskRow, def flow.Definition, begun []Entry, say func(string, ...any)) {
	id := in.Instance.ID
	last := int64(0)
	for _, e := range begun {
		if e.Token <= last && !w.ledger.zombies[e.Token] {
			say("task %s of %d: token %d began after %d", row.Name, id, e.Token, last)
		}
		last = max(last, e.Token)
	}
	owner, _, _ := flow.CutItem(row.Name)
	once := slices.ContainsFunc(slices.Concat(def.Workflow.Tasks, def.Workflow.Finally), func(t flow.Task) bool {
		return t.Name == row.Name && t.Delivery == flow.AtMostOnce || t.Name == owner && t.Inner != nil && t.Inner.Delivery == flow.AtMostOnce
	})
	if once && len(begun) > 1 {
		say("task %s of %d runs at most once and began %d times", row.Name, id, len(begun))
	}
	// Two attempts of one row never run at the same time.
	type span struct{ from, to flow.Time }
	var spans []span
	for _, b := range begun {
		to := flow.Time(0)
		for _, e := range w.ledger.entries {
			if e.Token == b.Token && e.What != "begin" {
				to = e.At
			}
		}
		if w.ledger.zombies[b.Token] {
			continue
		}
		spans = append(spans, span{b.At, to})
	}
	for i := 1; i < len(spans); i++ {
		if spans[i-1].to == 0 || spans[i].from < spans[i-1].to {
			say("task %s of %d: two attempts ran at the same time", row.Name, id)
		}
	}
	if row.State == flow.TaskSucceeded && (row.Type == "sim" || row.Type == "call") {
		ok := slices.ContainsFunc(w.ledger.entries, func(e Entry) bool {
			return e.Row == int64(row.ID) && e.Token == row.Attempt.Token && e.What == "succeed"
		})
		if !ok {
			say("task %s of %d is recorded as succeeded with token %d; the ledger does not know it", row.Name, id, row.Attempt.Token)
		}
		if !strings.Contains(string(row.Outputs), fmt.Sprint(row.Attempt.Token)) {
			say("task %s of %d has the outputs of another attempt: %s", row.Name, id, row.Outputs)
		}
	}
	if row.State == flow.TaskKilled && row.Attempt.Confirmed && row.Attempt.Token != 0 {
		for _, wk := range w.workers {
			if p := wk.procs[row.Attempt.Token]; p != nil && !p.dead {
				say("task %s of %d is killed and confirmed, and still runs", row.Name, id)
			}
		}
	}
}

// checkEdge: a row of the task begins only after some row of its upstream of the same run_times had
// ended, unless people moved things by hand.
func (w *World) checkEdge(id flow.ID, up, down []flow.TaskRow, begins map[int64][]Entry, say func(string, ...any)) {
	for _, d := range down {
		// An upstream that had no row yet was unreached; it may get one by a later recover.
		before := slices.DeleteFunc(slices.Clone(up), func(u flow.TaskRow) bool { return u.ID > d.ID })
		for _, b := range begins[int64(d.ID)] {
			ended := slices.ContainsFunc(before, func(u flow.TaskRow) bool { return u.EndedAt != 0 && u.EndedAt <= b.At || !u.Valid })
			if !ended && len(before) > 0 {
				say("run %d: %s began at %s, before its upstream %s had ended", id, d.Name, b.At, before[0].Name)
			}
		}
	}
}
