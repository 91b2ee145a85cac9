// Turns of workflows that limit how many of their runs go on.

package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"baton/internal/flow"
)

// limit sets how many runs of the world's workflow go on at a time.
func (w *world) limit(e flow.Execution) {
	w.Helper()
	must(w.db.Apply(w.ctx, []flow.Document{{Workflow: &flow.Workflow{Project: "p", Name: "w", Execution: e, Tasks: []flow.Task{{Name: "t0", Type: "noop"}}}}}, now))(w)
}

// queued makes a run that waits for its turn.
func (w *world) queued() flow.ID {
	w.Helper()
	ch := w.begin(w.submit(), 0)
	ch.Instance.State, ch.Instance.Owner, ch.Instance.Reason = flow.InstanceQueued, 0, flow.ReasonTurn
	w.committed(ch)
	return ch.Instance.ID
}

// told claims the runs that have news and returns what each was told.
func (w *world) told() []string {
	w.Helper()
	w.claim(w.me, 100)
	var out []string
	for _, item := range must(w.m.Inbox(w.ctx, w.me, 100, nil))(w) {
		switch item.Kind {
		case flow.InboxAdmission:
			var a flow.Admission
			w.ok(json.Unmarshal(item.Payload, &a))
			word := "begin"
			if a.Discard {
				word = "discard"
			}
			out = append(out, fmt.Sprintf("%s %d", word, item.Instance))
		case flow.InboxVerb:
			var v flow.Verb
			w.ok(json.Unmarshal(item.Payload, &v))
			out = append(out, fmt.Sprintf("%s %d", v.Name, item.Instance))
		default:
			w.Errorf("%+v", item)
		}
	}
	return out
}

func (w *world) admit() int {
	w.Helper()
	return must(w.m.Admit(w.ctx, nil, flow.TurnKey{}))(w).Given
}

func testTurns(w *world) {
	w.limit(flow.Execution{Limit: 2})
	if must(w.m.Waiting(w.ctx, w.me))(w).Queued {
		w.Error("nobody waits")
	}
	first, second, third := w.queued(), w.queued(), w.queued()
	if !must(w.m.Waiting(w.ctx, w.me))(w).Queued {
		w.Error("three wait")
	}
	w.same(2, w.admit())
	w.same(0, w.admit(), "who was told, though it has not begun, takes a place")
	w.same([]string{fmt.Sprintf("begin %d", first), fmt.Sprintf("begin %d", second)}, w.told())
	for i, state := range []flow.InstanceState{flow.InstanceRunning, flow.InstancePaused, flow.InstanceSucceeded} {
		up := next(w.load(first).Instance)
		up.Instance.State = state
		if i == 0 {
			up.Inbox = []flow.ID{must(w.m.Inbox(w.ctx, w.me, 100, nil))(w)[0].ID}
		}
		w.committed(up)
		given := 0
		if state.Ended() {
			given = 1
		}
		w.same(given, w.admit(), state.String())
	}
	got := w.told()
	w.same(fmt.Sprintf("begin %d", third), got[len(got)-1])
	w.same(0, must(w.db.Stray(w.ctx))(w))
	// A run that is rerun waits again.
	up := next(w.load(first).Instance)
	up.Instance.State, up.Instance.RunTimes = flow.InstanceQueued, 2
	up.Outcomes = []flow.Outcome{{Inbox: w.order(first, "again", flow.VerbRerun), Instance: first, Verb: flow.VerbRerun, Applied: true, At: now}}
	up.Inbox = []flow.ID{up.Outcomes[0].Inbox}
	w.committed(up)
	w.same(0, w.admit(), "second and third go on")
	w.limit(flow.Execution{})
	w.same(1, w.admit(), "nothing is limited any more")
}

func testTurnsDiscard(w *world) {
	w.limit(flow.Execution{Limit: 1, Over: flow.OverDiscard})
	first, second := w.queued(), w.queued()
	w.same(2, w.admit())
	w.same([]string{fmt.Sprintf("begin %d", first), fmt.Sprintf("discard %d", second)}, w.told())
}

func testTurnsOfTheNewest(w *world) {
	w.limit(flow.Execution{Limit: 1, Over: flow.OverStopOldest})
	first := w.queued()
	w.same(1, w.admit())
	second, third := w.queued(), w.queued()
	w.same(2, w.admit())
	w.same(0, w.admit(), "told once")
	got := strings.Join(w.told(), ", ")
	for _, want := range []string{fmt.Sprintf("begin %d", first), fmt.Sprintf("discard %d", second), fmt.Sprintf("stop %d", first)} {
		if !strings.Contains(got, want) {
			w.Errorf("%s is not in %s", want, got)
		}
	}
	up := next(w.load(first).Instance)
	up.Instance.State = flow.InstanceStopped
	w.committed(up)
	w.same(1, w.admit())
	got = strings.Join(w.told(), ", ")
	if !strings.Contains(got, fmt.Sprintf("begin %d", third)) {
		w.Errorf("the newest does not begin: %s", got)
	}
}

// However many masters give turns at once, no more runs go on than may.
func testTurnsRace(w *world) {
	w.limit(flow.Execution{Limit: 3})
	for range 10 {
		w.queued()
	}
	w.same(3, admitAtOnce(w))
	w.same(3, len(w.told()))
}

// admitAtOnce has many masters give turns at the same time, and counts what they gave.
func admitAtOnce(w *world) int {
	var g errgroup.Group
	var given atomic.Int64
	for range 8 {
		g.Go(func() error {
			a, err := w.m.Admit(w.ctx, nil, flow.TurnKey{})
			given.Add(int64(a.Given))
			return err
		})
	}
	w.ok(g.Wait())
	return int(given.Load())
}

// A start that no master has taken yet goes before what was submitted after it.
func testTurnsInOrder(w *world) {
	w.limit(flow.Execution{Limit: 1})
	early := w.submit()
	w.queued()
	w.same(0, w.admit(), "an earlier one is still a command")
	ch := w.begin(early, 0)
	ch.Instance.State, ch.Instance.Owner = flow.InstanceQueued, 0
	w.committed(ch)
	w.same(1, w.admit())
	w.same([]string{fmt.Sprintf("begin %d", early.ID)}, w.told())
}

// Nobody is behind the end of the list when all turns are looked for.
func testTurnsOfMany(w *world) {
	const many = 130
	w.limit(flow.Execution{Limit: 1})
	docs := make([]flow.Document, many)
	for i := range docs {
		docs[i] = workflow("p", fmt.Sprintf("many-%03d", i), "t")
		docs[i].Workflow.Execution.Limit = 1
	}
	must(w.db.Apply(w.ctx, docs, now))(w)
	for i := range many {
		d := must(w.db.Workflow(w.ctx, "p", fmt.Sprintf("many-%03d", i), 0))(w)
		c := w.command()
		c.Workflow, c.Version = d.ID, d.Version
		_, _, err := w.db.Submit(w.ctx, c, "digest")
		w.ok(err)
		ch := w.begin(c, 0)
		ch.Instance.State, ch.Instance.Owner = flow.InstanceQueued, 0
		w.committed(ch)
	}
	given, looks := 0, 0
	for after := (flow.TurnKey{}); ; looks++ {
		a := must(w.m.Admit(w.ctx, nil, after))(w)
		given += a.Given
		if after = a.Next; after == (flow.TurnKey{}) {
			break
		}
	}
	w.same(many, given)
	w.same(1, looks)
}
