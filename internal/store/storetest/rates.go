// Rates, and keys that runs share.

package storetest

import (
	"fmt"
	"slices"
	"time"

	"baton/internal/flow"
)

const month = flow.MaxRatePer

// rule sets what the world's workflow says of the turns of its runs.
func (w *world) rule(limit int, over flow.Over, starts int, per flow.Duration, key string) {
	w.Helper()
	must(w.db.Apply(w.ctx, []flow.Document{{Workflow: &flow.Workflow{
		Project: "p", Name: "w", Execution: flow.Execution{Limit: limit, Over: over, Key: key}, Rate: flow.Rate{Starts: starts, Per: per, Key: key},
		Tasks: []flow.Task{{Name: "t0", Type: "noop"}},
	}}}, now))(w)
}

// queuedBy makes a run that waits for its turn by a key.
func (w *world) queuedBy(key string) flow.ID {
	w.Helper()
	ch := w.begin(w.submit(), 0)
	ch.Instance.State, ch.Instance.Owner, ch.Instance.Reason, ch.Instance.TurnKey = flow.InstanceQueued, 0, flow.ReasonTurn, key
	w.committed(ch)
	return ch.Instance.ID
}

// ended has a run that waits, or goes on, end.
func (w *world) ended(id flow.ID) {
	w.Helper()
	up := next(w.load(id).Instance)
	up.Instance.State = flow.InstanceSucceeded
	for _, item := range must(w.m.Inbox(w.ctx, w.me, 500, nil))(w) {
		if item.Instance == id {
			up.Inbox = append(up.Inbox, item.ID)
		}
	}
	w.committed(up)
}

func (w *world) admitBy(keys ...string) flow.Admitted {
	w.Helper()
	named := make([]flow.TurnKey, len(keys))
	for i, k := range keys {
		named[i] = flow.TurnKey{Workflow: w.wf.ID, Key: k}
	}
	return must(w.m.Admit(w.ctx, named, flow.TurnKey{}))(w)
}

// later is what was said of one key.
func (w *world) later(a flow.Admitted, key string) time.Duration {
	w.Helper()
	i := slices.IndexFunc(a.Later, func(t flow.TurnWait) bool { return t.TurnKey == flow.TurnKey{Workflow: w.wf.ID, Key: key} })
	if i < 0 {
		w.Fatalf("nothing is said of %q: %+v", key, a)
	}
	return a.Later[i].In
}

func testRate(w *world) {
	w.rule(0, "", 2, month, "")
	var runs []flow.ID
	for range 4 {
		runs = append(runs, w.queuedBy(""))
	}
	a := w.admitBy()
	w.same(2, a.Given)
	if in := w.later(a, ""); in > month.Std() || in < month.Std()-time.Hour {
		w.Errorf("the third may begin in %s", in)
	}
	w.same([]string{fmt.Sprintf("begin %d", runs[0]), fmt.Sprintf("begin %d", runs[1])}, w.told())
	w.ended(runs[0])
	w.ended(runs[1])
	a = w.admitBy("")
	w.same(0, a.Given, "that others have ended lets nobody begin")
	w.later(a, "")

	// What is changed holds for those that wait.
	w.rule(0, "", 3, month, "")
	w.same(1, w.admitBy("").Given)
	w.rule(0, "", 1, flow.Duration(time.Millisecond), "")
	given := 0
	for given == 0 { // as soon as a millisecond is over
		given = w.admitBy("").Given
	}
	w.same(1, given)
	w.same(0, must(w.db.Stray(w.ctx))(w))
}

// A run that runs again is one more start.
func testRateOfRerun(w *world) {
	w.rule(0, "", 1, month, "")
	first := w.queuedBy("")
	w.same(1, w.admitBy("").Given)
	w.claim(w.me, 10)
	w.ended(first)
	up := next(w.load(first).Instance)
	up.Instance.State, up.Instance.RunTimes = flow.InstanceQueued, 2
	up.Outcomes = []flow.Outcome{{Inbox: w.order(first, "again", flow.VerbRerun), Instance: first, Verb: flow.VerbRerun, Applied: true, At: now}}
	up.Inbox = []flow.ID{up.Outcomes[0].Inbox}
	w.committed(up)
	w.same(0, w.admitBy("").Given)
	w.rule(0, "", 2, month, "")
	w.same(1, w.admitBy("").Given)
}

// One key that waits holds up no other, and each keeps its order.
func testTurnsOfKeys(w *world) {
	w.rule(1, "", 0, 0, "${k}")
	eu1, eu2, us1 := w.queuedBy("eu"), w.queuedBy("eu"), w.queuedBy("us")
	plain := w.queuedBy("") // of a version without a key
	w.same(3, w.admitBy().Given)
	w.same([]string{fmt.Sprintf("begin %d", plain), fmt.Sprintf("begin %d", eu1), fmt.Sprintf("begin %d", us1)}, w.told())
	w.same(0, w.admitBy("eu", "us", "").Given)
	w.ended(us1)
	w.same(0, w.admitBy("us").Given)
	w.ended(eu1)
	w.same(1, w.admitBy("eu").Given)
	w.same([]string{fmt.Sprintf("begin %d", plain), fmt.Sprintf("begin %d", eu2)}, w.told())

	// Without a key all are one line again, whatever they were keyed by.
	w.rule(2, "", 0, 0, "")
	w.queuedBy("fr")
	w.same(0, w.admitBy("fr").Given, "two go on")
	w.ended(plain)
	w.same(1, w.admitBy("fr").Given)
}

func testRateOfKeys(w *world) {
	w.rule(2, flow.OverDiscard, 1, month, "${k}")
	eu1 := w.queuedBy("eu")
	w.queuedBy("eu")
	us1 := w.queuedBy("us")
	a := w.admitBy()
	w.same(2, a.Given, "who waits for the rate is not one too many")
	w.later(a, "eu")
	w.same(1, len(a.Later))
	w.same([]string{fmt.Sprintf("begin %d", eu1), fmt.Sprintf("begin %d", us1)}, w.told())
}

// However many masters give turns at once, no more begin than may.
func testRateRace(w *world) {
	w.rule(0, "", 3, month, "${k}")
	for n := range 20 {
		w.queuedBy([]string{"a", "b"}[n%2])
	}
	w.same(6, admitAtOnce(w))
	w.same(6, len(w.told()))
}

// An earlier start that is no run yet may have the same key: who waits behind it is looked at again.
func testTurnsBehindAStart(w *world) {
	w.rule(1, "", 0, 0, "${k}")
	early := w.submit()
	w.queuedBy("eu")
	a := w.admitBy("eu")
	w.same(0, a.Given)
	if in := w.later(a, "eu"); in > time.Second {
		w.Errorf("it is looked at again in %s", in)
	}
	ch := w.begin(early, 0)
	ch.Instance.State, ch.Instance.Owner, ch.Instance.TurnKey = flow.InstanceQueued, 0, "us"
	w.committed(ch)
	w.same(1, w.admitBy("eu").Given)
}

// A run that was quarantined before it began gets its key when it is released.
func testKeyOfReleased(w *world) {
	w.rule(1, "", 0, 0, "${k}")
	c := w.submit()
	w.ok(w.m.QuarantineCommand(w.ctx, c.ID, "r", now))
	w.order(c.ID, "release", flow.VerbRelease)
	w.claim(w.me, 10)
	up := next(w.load(c.ID).Instance)
	up.Instance.State, up.Instance.Prior, up.Instance.TurnKey, up.Keyed = flow.InstanceQueued, 0, "eu", true
	up.Inbox = []flow.ID{must(w.m.Inbox(w.ctx, w.me, 10, nil))(w)[0].ID}
	up.Instance.Owner = 0
	w.committed(up)
	w.same("eu", must(w.db.Instance(w.ctx, c.ID))(w).TurnKey)
	w.same(1, w.admitBy("eu").Given)
}

// Starts that no rate sees any more are deleted, also of keys of which nothing begins any more.
func testRatePrune(w *world) {
	w.rule(0, "", 1, flow.Duration(time.Microsecond), "${k}")
	w.queuedBy("eu")
	w.same(1, w.admitBy("eu").Given)
	w.rule(0, "", 1, month, "${k}")
	w.queuedBy("eu")
	w.same(0, w.admitBy("eu").Given)
	must(w.db.Prune(w.ctx, now, 10))(w)
	w.same(1, w.admitBy("eu").Given)
}

func testTurnShown(w *world) {
	w.rule(2, "", 3, month, "${k}")
	first, next, third, fourth := w.queuedBy("eu"), w.queuedBy("eu"), w.queuedBy("eu"), w.queuedBy("eu")
	w.queuedBy("us")
	w.same(2, w.admitBy("eu").Given)
	w.claim(w.me, 10)
	w.ended(first)
	seat := func(id flow.ID) flow.Seat { return flow.Seat{ID: id, Times: 1, State: flow.InstanceQueued} }
	got := must(w.db.Turn(w.ctx, fourth))(w)
	w.same([]flow.Seat{seat(next)}, got.Going, "told, and not begun")
	w.same([]flow.Seat{seat(third)}, got.Before)
	w.same("eu", got.Key)
	w.same(`turn: at most 2 runs of this workflow with key "eu" go on at a time, and at most 3 of them begin in 31d`, got.Rule.Reason(got.Key))
	if got.At == 0 {
		w.Error("it is the fourth of three")
	}
	w.same(flow.Time(0), must(w.db.Turn(w.ctx, third))(w).At)
	w.same(flow.TurnStanding{Rule: got.Rule, Key: "eu", Going: []flow.Seat{seat(next)}}, must(w.db.Turn(w.ctx, next))(w), "it was told")
	w.same(flow.CodeNotFound, flow.CodeOf(second(w.db.Turn(w.ctx, 1))))
}
