// What tests of one particular database use of the suite.

package storetest

import (
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/store"
)

// Now is the time of everything in these tests.
const Now = now

// World is a store with a registered master.
type World struct {
	w        *world
	Me       int64
	backfill flow.ID
	run      flow.ID // of its date that goes on
}

// NewWorld registers a master in a store and applies a workflow.
func NewWorld(t testing.TB, db *store.DB) *World {
	t.Helper()
	w := newWorld(t, func(testing.TB) *store.DB { return db })
	return &World{w: w, Me: w.me}
}

// Join registers another master in a store that has a world.
func Join(t testing.TB, db *store.DB, home string) *World {
	t.Helper()
	w := &world{TB: t, ctx: t.Context(), db: db, m: db.Master(), ids: flow.NewIDSource(8, 0)}
	w.me, w.epoch = w.register(home)
	w.wf = must(db.Workflow(w.ctx, "p", "w", 0))(t)
	return &World{w: w, Me: w.me}
}

// Run begins a run with n granted tasks.
func (w *World) Run(n int) flow.Change { w.w.Helper(); return w.w.run(n) }

// Next is the following change of an instance.
func Next(i flow.Instance) flow.Change { return next(i) }

// Rated has two runs wait for a key of which one a month may begin.
func (w *World) Rated() flow.TurnKey {
	w.w.Helper()
	w.w.rule(0, "", 1, month, "${k}")
	w.w.queuedBy("eu")
	w.w.queuedBy("eu")
	return flow.TurnKey{Workflow: w.w.wf.ID, Key: "eu"}
}

// Load reads an instance that this master holds.
func (w *World) Load(id flow.ID) flow.Loaded { w.w.Helper(); return w.w.load(id) }

// Commit commits changes.
func (w *World) Commit(changes ...flow.Change) ([]flow.ChangeResult, error) {
	r, err := w.w.m.Commit(w.w.ctx, flow.Batch{Owner: w.w.me, Epoch: w.w.epoch, Changes: changes})
	return r.Changes, err
}

// Submit records a command.
func (w *World) Submit() (flow.Command, error) {
	c := w.w.command()
	_, _, err := w.w.db.Submit(w.w.ctx, c, "")
	return c, err
}

// Begin is the change that makes a command a run with n granted tasks.
func (w *World) Begin(c flow.Command, n int) flow.Change { return w.w.begin(c, n) }

// Steps makes a commit of n steps for runs that stand as in chs: each ends its task and grants
// the next, and chs stand as they will afterwards.
func (w *World) Steps(chs []flow.Change, n int) []flow.Change {
	out := make([]flow.Change, len(chs))
	for k := range chs {
		c := &chs[k]
		up := next(c.Instance)
		for range n / len(chs) {
			row := c.NewTasks[len(c.NewTasks)-1]
			up.Tasks = append(up.Tasks, end(row, row.Attempt.Token))
			more := w.w.task(c.Instance.ID, "t")
			up.NewTasks, up.Grants = append(up.NewTasks, more), append(up.Grants, more.ID)
			c.NewTasks = c.NewTasks[:len(c.NewTasks)-1]
		}
		c.Instance, c.NewTasks = up.Instance, append(c.NewTasks, up.NewTasks...)
		out[k] = up
	}
	return out
}

// Everything runs each statement of a master once.
func (w *World) Everything() {
	x := w.w
	x.Helper()
	testBelongings(x)
	x.commit(x.begin(x.submit(), 1), next(x.run(1).Instance))
	x.parked(flow.InstanceRunning, now)
	x.claim(x.me, 10)
	must(x.m.NextWake(x.ctx))(x)
	must(x.m.Waiting(x.ctx, x.me))(x)
	x.beat(flow.Node{Incarnation: x.me})
	must(x.m.GiveAway(x.ctx, x.me, []flow.ID{1}, []int64{x.me}))(x)
	must(x.m.Owned(x.ctx, x.me, 1, 10))(x)
	must(x.m.Commands(x.ctx, 10, []flow.ID{1}, flow.Turn{}))(x)
	must(x.m.Inbox(x.ctx, x.me, 10, []flow.ID{1}))(x)
	held := x.run(1).Instance.ID
	x.load(held)
	x.ok(x.m.Quarantine(x.ctx, x.me, held, "r", now))
	x.ok(x.m.QuarantineCommand(x.ctx, x.submit().ID, "r", now))
	x.apply1(scheduled(every("a", time.Hour)))
	for _, t := range must(x.m.Due(x.ctx, 10, 0, 2))(x).Timings {
		must(x.m.Fire(x.ctx, x.me, []flow.Firing{x.fire(t, now+1)}))(x)
	}
	x.due()
	x.limit(flow.Execution{Limit: 1})
	x.queued()
	x.admit()
	for _, over := range []flow.Over{"", flow.OverStopOldest} {
		x.rule(1, over, 1, month, "${k}")
		x.queuedBy("")
		must(x.db.Turn(x.ctx, x.queuedBy("eu")))(x)
		x.admitBy("", "eu")
	}
	plan := x.plan(3, func(b *flow.Backfill) { b.Halt = true })
	x.ends(plan, 0, flow.InstanceFailed)
	x.ok(x.tell(plan, flow.BackfillOrder{Verb: flow.VerbResume, OnFailure: flow.OnFailureContinue}))
	x.stands(plan)
	must(x.m.AdvanceBackfills(x.ctx, x.me, nil, nil, 0, nil, now))(x)
	x.pool("everything", 1)
	x.unclaim(x.claimSlots("everything", "", 1))
	x.claimSlots("everything", "", 1)
	x.give("everything", "")
	x.claimSlots("everything", "", 1)
	must(x.m.GiveSlots(x.ctx, nil, flow.PoolKey{}))(x)
	heir, _ := x.register("heir")
	must(x.m.Peers(x.ctx, heir))(x)
	must(x.m.ServedGroups(x.ctx))(x)
	x.apply1(environment("special"))
	must(x.m.Environment(x.ctx, "special"))(x)
	must(x.m.Fence(x.ctx, x.me))(x)
	x.takeOver(heir, x.me, 0, 10)
	x.takeOver(heir, x.me, 1, 10)
	must(x.m.TryCommands(x.ctx, x.me, 0, 1, 10, []flow.ID{1}))(x)
}

// LongBackfill makes a backfill of n dates, of which the second goes on.
func (w *World) LongBackfill(n int) {
	x := w.w
	x.Helper()
	w.backfill = x.plan(n, nil)
	x.ends(w.backfill, 0, flow.InstanceSucceeded)
	w.run = x.item(w.backfill, 1).Instance
}

// Advance has a master look at that backfill because of the run that goes on.
func (w *World) Advance() {
	x := w.w
	x.Helper()
	x.same(flow.Advanced{}, x.advance(w.backfill, w.run))
}

// Claims makes runs of which each waits for a slot of the pool dw, which has one.
func (w *World) Claims(n int) []flow.Change {
	w.w.Helper()
	w.w.pool("dw", 1)
	out := make([]flow.Change, n)
	for i := range out {
		out[i] = w.w.claimSlots("dw", "", 1)
	}
	return out
}

// Upkeep runs each statement of housekeeping once.
func (w *World) Upkeep() {
	x := w.w
	x.Helper()
	must(x.db.Stray(x.ctx))(x)
	x.parked(flow.InstanceSucceeded, 0)
	x.plan(3, nil)
	must(x.db.Prune(x.ctx, now+1, 10))(x)
	must(x.db.Backfills(x.ctx, flow.BackfillFilter{Project: "p", Workflow: "w", Instance: 1}))(x)
	must(x.db.Backfills(x.ctx, flow.BackfillFilter{Project: "p"}))(x)
	x.ok(x.db.AlertUntaken(x.ctx, x.submit().At+1, flow.AlertNoMaster, "r", now))
}

// Filters tests lists with filters of every kind.
func Filters(t testing.TB, db *store.DB) {
	t.Helper()
	testFilters(newWorld(t, func(testing.TB) *store.DB { return db }))
}

// Ends commits the end of a run that stands as told, or of a task of it, by a master that knows that somebody follows,
// and tells whether somebody was told.
func (w *World) Ends(run flow.Instance, task string) bool {
	x := w.w
	x.Helper()
	up := next(run)
	if task == "" {
		up.Instance.State, up.Instance.EndedAt = flow.InstanceSucceeded, now
	} else {
		t := x.task(run.ID, task)
		t.State, t.Reason, t.EndedAt = flow.TaskSucceeded, "", now
		up.NewTasks = append(up.NewTasks, t)
	}
	res := must(x.m.Commit(x.ctx, flow.Batch{Owner: x.me, Epoch: x.epoch, Changes: []flow.Change{up}, Followed: true}))(x)
	x.same([]flow.Fate{flow.Committed}, fates(res.Changes))
	return res.Told
}
