// Pools: claims ride in commits, one transaction at a time gives slots.

package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"baton/internal/flow"
)

// pool applies a pool of the world's project.
func (w *world) pool(name string, slots int) {
	w.Helper()
	w.apply(flow.Document{Pool: &flow.Pool{Project: "p", Name: name, Slots: slots}})
}

// claimSlots makes a run whose only task waits for slots.
func (w *world) claimSlots(pool, key string, slots int) flow.Change {
	w.Helper()
	return w.claimAs(flow.Claim{PoolKey: flow.PoolKey{Pool: pool, Key: key}, Slots: slots, Priority: flow.PriorityMedium, At: now})
}

func (w *world) claimAs(c flow.Claim) flow.Change {
	w.Helper()
	ch := w.begin(w.submit(), 1)
	c.ID, c.Instance, c.Project, c.Task = w.id(), ch.Instance.ID, w.wf.ProjectID, ch.NewTasks[0].ID
	row := &ch.NewTasks[0]
	row.State, row.Reason, row.Claim, row.Attempt = flow.TaskQueued, flow.ReasonPool, c.ID, flow.AttemptRow{Task: row.ID, ExitCode: flow.NoExit}
	ch.Grants, ch.Claims = nil, []flow.Claim{c}
	w.committed(ch)
	return ch
}

// unclaim ends the task of a run that has a claim, and gives back what it has.
func (w *world) unclaim(ch flow.Change) {
	w.Helper()
	up := w.ending(ch)
	w.committed(up)
}

func (w *world) ending(ch flow.Change) flow.Change {
	w.Helper()
	up := next(w.load(ch.Instance.ID).Instance)
	row := ch.NewTasks[0]
	u := end(row, 0)
	u.Row.Claim, u.Row.Given = 0, false
	up.Tasks, up.Unclaims = []flow.TaskUpdate{u}, ch.Claims
	return up
}

// give gives slots of one key and returns the runs that got some.
func (w *world) give(pool, key string) []flow.ID {
	w.Helper()
	return must(w.m.GiveSlots(w.ctx, []flow.PoolKey{{Project: w.wf.ProjectID, Pool: pool, Key: key}}, flow.PoolKey{}))(w).Runs
}

// giveAll looks at all that something waits for.
func (w *world) giveAll() []flow.ID {
	w.Helper()
	return must(w.m.GiveSlots(w.ctx, nil, flow.PoolKey{}))(w).Runs
}

// toldSlots are the claims that were told that they have their slots, by run.
func (w *world) toldSlots() map[flow.ID]flow.ID {
	w.Helper()
	out := map[flow.ID]flow.ID{}
	for _, item := range must(w.m.Inbox(w.ctx, w.me, 1000, nil))(w) {
		if item.Kind != flow.InboxSlots {
			continue
		}
		var g flow.GivenSlots
		w.ok(json.Unmarshal(item.Payload, &g))
		if out[item.Instance] != 0 {
			w.Errorf("run %s is told twice", item.Instance)
		}
		out[item.Instance] = g.Claim
	}
	return out
}

func (w *world) used(pool string) [2]int {
	w.Helper()
	p := must(w.db.Pool(w.ctx, "p", pool, 500))(w)
	return [2]int{p.Used, p.Waiting}
}

func runs(chs ...flow.Change) []flow.ID {
	var out []flow.ID
	for _, ch := range chs {
		out = append(out, ch.Instance.ID)
	}
	return out
}

// testClaims: claims are written and deleted with their change or not at all, one or many.
func testClaims(w *world) {
	w.pool("dw", 5)
	for n := 1; n <= 3; n++ {
		a, b := w.claimSlots("dw", "", 1), w.claimSlots("dw", "", 1)
		before := w.used("dw")[1]
		up, gone := next(w.load(a.Instance.ID).Instance), w.ending(b)
		gone.Instance.Seq += 7
		for range n {
			c := a.Claims[0]
			c.ID = w.id()
			up.Claims = append(up.Claims, c)
			c.Instance, c.ID = b.Instance.ID, w.id()
			gone.Claims = append(gone.Claims, c)
		}
		w.same([]flow.Fate{flow.Committed, flow.Gone}, fates(w.commit(up, gone)))
		w.same(before+n, w.used("dw")[1])
		less := next(w.load(a.Instance.ID).Instance)
		less.Unclaims = up.Claims
		w.committed(less, w.ending(b))
		w.same(before-1, w.used("dw")[1])
		bad := next(w.load(a.Instance.ID).Instance)
		bad.Claims = b.Claims
		w.same([]flow.Fate{flow.Poison}, fates(w.commit(bad)), "a claim of another run")
		w.unclaim(a)
	}
	w.same([2]int{0, 0}, w.used("dw"))
	w.same(0, must(w.db.Stray(w.ctx))(w))
}

func testSlots(w *world) {
	w.pool("dw", 3)
	w.same(false, must(w.m.Waiting(w.ctx, w.me))(w).Pooled)
	a, b, c := w.claimSlots("dw", "", 1), w.claimSlots("dw", "", 2), w.claimSlots("dw", "", 1)
	w.same(true, must(w.m.Waiting(w.ctx, w.me))(w).Pooled)
	w.same(runs(a, b), w.give("dw", ""))
	w.same([]flow.ID{}, w.give("dw", ""), "who was told has its slots, though it has not begun")
	w.same([]flow.ID{}, w.giveAll())
	w.same(map[flow.ID]flow.ID{a.Instance.ID: a.Claims[0].ID, b.Instance.ID: b.Claims[0].ID}, w.toldSlots())
	w.same([2]int{3, 1}, w.used("dw"))
	w.unclaim(a) // the end of its attempt frees its slot
	w.same(runs(c), w.give("dw", ""))
	w.same(false, must(w.m.Waiting(w.ctx, w.me))(w).Pooled)
	w.unclaim(b)
	w.unclaim(c)
	w.same([2]int{0, 0}, w.used("dw"))
	// Of a pool that does not exist nothing is given, and it is no error for the others.
	w.claimSlots("nirgends", "", 1)
	w.same([]flow.ID{}, w.giveAll())
	// A run that waits for its pool is not forgotten, though nobody owns it and no time is set.
	d := w.claimSlots("nirgends", "", 1)
	up := next(d.Instance)
	up.Instance.Owner = 0
	w.committed(up)
	w.same(0, must(w.db.Stray(w.ctx))(w))
}

// Each key has the slots to itself.
func testSlotsOfKeys(w *world) {
	w.pool("mutex", 1)
	a1, b1, a2 := w.claimSlots("mutex", "a", 1), w.claimSlots("mutex", "b", 1), w.claimSlots("mutex", "a", 1)
	w.same(runs(a1, b1), w.giveAll())
	w.unclaim(b1)
	w.same([]flow.ID{}, w.giveAll())
	w.unclaim(a1)
	w.same(runs(a2), w.give("mutex", "a"))
}

// However many masters give slots at once, no more are held than there are.
func testSlotsRace(w *world) {
	const many = 40
	w.pool("dw", 5)
	for range many {
		w.claimSlots("dw", "", 1)
	}
	var g errgroup.Group
	var mu sync.Mutex
	given := map[flow.ID]bool{}
	for n := range 8 {
		g.Go(func() error {
			keys := []flow.PoolKey{{Project: w.wf.ProjectID, Pool: "dw"}}
			if n%2 == 0 {
				keys = nil
			}
			got, err := w.m.GiveSlots(w.ctx, keys, flow.PoolKey{})
			mu.Lock()
			defer mu.Unlock()
			for _, id := range got.Runs {
				given[id] = true
			}
			return err
		})
	}
	w.ok(g.Wait())
	w.same(5, len(given))
	w.same(5, len(w.toldSlots()))
	w.same([2]int{5, many - 5}, w.used("dw"))
}

// Priority, then age; what waits long counts for more; who needs many is not gone past.
func testSlotsInOrder(w *world) {
	w.pool("dw", 2)
	at := must(w.m.Waiting(w.ctx, w.me))(w).Now // by the clock of the store
	ask := func(p flow.Priority, slots int, waited flow.Duration) flow.Change {
		return w.claimAs(flow.Claim{PoolKey: flow.PoolKey{Pool: "dw"}, Slots: slots, Priority: p, At: at.Add(-waited.Std())})
	}
	const minute = 60e9
	low, big := ask(flow.PriorityLowest, 1, 45*minute), ask(flow.PriorityHigh, 2, 2*minute)
	young, old := ask(flow.PriorityMedium, 1, minute), ask(flow.PriorityMedium, 1, 3*minute)
	never := ask(flow.PriorityHighest, 3, minute)
	w.same(runs(low), w.give("dw", ""), "and big does not fit")
	w.unclaim(low)
	w.same(runs(big), w.give("dw", ""))
	w.unclaim(big)
	w.same(runs(old, young), w.give("dw", ""))
	w.unclaim(never)
}

func testPoolChanged(w *world) {
	w.pool("dw", 1)
	set := func(slots int) { w.ok(w.db.SetPool(w.ctx, "p", "dw", &slots, nil)) }
	shut := func(closed bool) { w.ok(w.db.SetPool(w.ctx, "p", "dw", nil, &closed)) }
	a, b, c := w.claimSlots("dw", "", 1), w.claimSlots("dw", "", 1), w.claimSlots("dw", "", 2)
	w.same(runs(a), w.giveAll())
	set(2)
	w.same(runs(b), w.giveAll())
	set(1)
	w.unclaim(a)
	w.same([]flow.ID{}, w.giveAll(), "b holds one")
	w.unclaim(b)
	w.same([]flow.ID{}, w.giveAll(), "c needs more than there is")
	shut(true)
	set(2)
	w.same([]flow.ID{}, w.giveAll(), "closed")
	set(0)
	shut(false)
	w.same([]flow.ID{}, w.giveAll(), "without slots")
	set(2)
	w.same(runs(c), w.giveAll())
	err := w.db.SetPool(w.ctx, "p", "dv", nil, nil)
	w.same(flow.CodeNotFound, flow.CodeOf(err))
	if !strings.Contains(err.Error(), `did you mean "dw"`) {
		w.Error(err)
	}
}

// What no row knows of gets nothing and keeps nothing, whoever left it behind.
func testSlotsSwept(w *world) {
	w.pool("dw", 1)
	left := func() flow.Change {
		ch := w.claimSlots("dw", "", 1)
		return ch
	}
	forget := func(ch flow.Change) { // ends its task as no master does
		up := w.ending(ch)
		up.Unclaims = nil
		w.committed(up)
	}
	waits := left()
	forget(waits)
	w.same([]flow.ID{}, w.give("dw", ""))
	w.same([2]int{0, 0}, w.used("dw"), "it was deleted")
	holds := left()
	w.same(runs(holds), w.give("dw", ""))
	forget(holds)
	after := w.claimSlots("dw", "", 1)
	w.same([]flow.ID{}, w.give("dw", ""), "only the look at all looks for that")
	w.same(runs(after), w.giveAll())
	w.same([2]int{1, 0}, w.used("dw"))
}

// A quarantined run gets nothing; what it was given and has not used others get; what a worker holds stays.
func testSlotsQuarantined(w *world) {
	w.pool("dw", 1)
	a, b := w.claimSlots("dw", "", 1), w.claimSlots("dw", "", 1)
	w.ok(w.m.Quarantine(w.ctx, w.me, a.Instance.ID, "bad", now))
	w.same(runs(b), w.giveAll())
	up := next(w.load(b.Instance.ID).Instance)
	row := b.NewTasks[0]
	row.State, row.Given = flow.TaskDispatched, true
	row.Attempt.Number, row.Attempt.State = 1, flow.AttemptGranted
	up.Tasks, up.Grants = []flow.TaskUpdate{{Row: row, Sources: 1 << flow.TaskQueued}}, []flow.ID{row.ID}
	w.committed(up)
	w.ok(w.m.Quarantine(w.ctx, w.me, b.Instance.ID, "bad", now))
	c := w.claimSlots("dw", "", 1)
	w.same([]flow.ID{}, w.giveAll(), "its attempt lives")
	stop := w.order(b.Instance.ID, "stop", flow.VerbStop)
	w.claim(w.me, 5)
	w.ok(w.m.Quarantine(w.ctx, w.me, b.Instance.ID, "cannot be read", now))
	if o := must(w.db.Outcome(w.ctx, stop))(w); o == nil || !o.Applied {
		w.Errorf("stop: %+v", o)
	}
	w.same(runs(c), w.give("dw", ""), "it was stopped where it stood")
	w.ok(w.m.Quarantine(w.ctx, w.me, c.Instance.ID, "bad", now))
	d := w.claimSlots("dw", "", 1)
	w.same([]flow.ID{}, w.give("dw", ""))
	w.same(runs(d), w.giveAll(), "it was given slots and has not used them")
}

// Nobody is behind the end of the list when all are looked for.
func testSlotsOfMany(w *world) {
	const many = 120
	w.pool("mutex", 1)
	for i := range many {
		w.claimSlots("mutex", fmt.Sprintf("%03d", i), 1)
	}
	given, looks := 0, 0
	for after := (flow.PoolKey{}); ; looks++ {
		got := must(w.m.GiveSlots(w.ctx, nil, after))(w)
		given += len(got.Runs)
		if after = got.Next; after == (flow.PoolKey{}) {
			break
		}
	}
	w.same([]int{many, 2}, []int{given, looks})
	// Of one key more than one decision gives.
	w.pool("wide", 1000)
	for range 130 {
		w.claimSlots("wide", "", 1)
	}
	got := must(w.m.GiveSlots(w.ctx, []flow.PoolKey{{Project: w.wf.ProjectID, Pool: "wide"}}, flow.PoolKey{}))(w)
	w.same([]int{100, 1}, []int{len(got.Runs), len(got.Again)})
	w.same(30, len(w.give("wide", "")))
}

func testPoolFiles(w *world) {
	file := func(slots int, closed bool) flow.Document {
		return flow.Document{Pool: &flow.Pool{Project: "p", Name: "dw", Description: "the warehouse", Slots: slots, Closed: closed}}
	}
	user := func(pool string, slots int) flow.Document {
		d := workflow("p", "user", "a")
		d.Workflow.Tasks[0].Pool = &flow.PoolUse{Name: pool, Slots: slots}
		return d
	}
	change := func(docs ...flow.Document) []string {
		var out []string
		for _, a := range w.apply(docs...) {
			out = append(out, a.Change)
		}
		return out
	}
	row := func() flow.PoolRow {
		all := must(w.db.Pools(w.ctx, "p", 10))(w)
		w.same(1, len(all))
		all[0].ID = 0
		return all[0].PoolRow
	}
	refused := func(why string, docs ...flow.Document) {
		w.Helper()
		_, err := w.db.Apply(w.ctx, docs, now)
		if flow.CodeOf(err) != flow.CodeBadRequest || !strings.Contains(err.Error(), why) {
			w.Errorf("%v, want %s", err, why)
		}
	}
	refused("has no pool", user("dw", 1))
	w.same([]string{"created", "created"}, change(user("dw", 2), file(3, false)), "in any order")
	w.same(flow.PoolRow{Pool: *file(3, false).Pool, File: *file(3, false).Pool}, row())
	refused(`did you mean "dw"`, user("dv", 1))
	refused("which has 3", user("dw", 4))
	items := user("dw", 4)
	inner := items.Workflow.Tasks[0]
	items.Workflow.Tasks[0] = flow.Task{Name: "a", Type: flow.TypeMap, Inner: &inner}
	refused("which has 3", items)
	last := workflow("p", "user", "a")
	last.Workflow.Finally = []flow.Task{{Name: "z", Type: "noop", Pool: &flow.PoolUse{Name: "dv"}}}
	refused("task z: project p has no pool", last)
	w.same([]string{"unchanged"}, change(file(3, false)))
	w.same([]string{"updated"}, change(file(2, true)))
	w.same(true, row().Closed)
	// What a verb says stays until it is reset; what it does not speak of is the file's.
	eight := 8
	w.ok(w.db.SetPool(w.ctx, "p", "dw", &eight, nil))
	w.same([]string{"updated"}, change(file(4, false)))
	got := row()
	w.same([]any{8, false, true, false, 4}, []any{got.Slots, got.Closed, got.SlotsSet, got.ClosedSet, got.File.Slots})
	w.same([]string{"updated"}, change(user("dw", 8)))
	reset := file(4, false)
	reset.Reset = true
	w.same([]string{"updated"}, change(reset))
	got = row()
	w.same([]any{4, false, false, false}, []any{got.Slots, got.Closed, got.SlotsSet, got.ClosedSet})
	w.same([]string{"unchanged"}, change(reset))
	w.same([]string{"unchanged"}, change(user("dw", 8)), "a pool that was made smaller is no fault of the file")
	w.same([]string{"updated", "updated"}, change(file(0, false), user("dw", 7)), "one without slots is as if it were closed")
}

func testPoolShown(w *world) {
	w.pool("dw", 2)
	a, b, c := w.claimSlots("dw", "", 2), w.claimSlots("dw", "", 1), w.claimSlots("dw", "eu", 3)
	w.same(runs(a), w.giveAll())
	p := must(w.db.Pool(w.ctx, "p", "dw", 500))(w)
	w.same([]any{2, 2, 1, 2}, []any{p.Used, p.Waiting, len(p.Holders), len(p.Waiters)})
	w.same([]any{a.Claims[0], "t0", 0}, []any{p.Holders[0].Claim, p.Holders[0].TaskName, p.Holders[0].Position})
	w.same([]any{b.Claims[0], "t0", 1, flow.Time(0)}, []any{p.Waiters[0].Claim, p.Waiters[0].TaskName, p.Waiters[0].Position, p.Waiters[0].GivenAt})
	w.same([]any{c.Claims[0], 1}, []any{p.Waiters[1].Claim, p.Waiters[1].Position}, "the first of its key")
	late := w.claimSlots("dw", "", 1)
	waits := must(w.db.PoolWaits(w.ctx, late.Instance.ID))(w)
	w.same(1, len(waits))
	w.same([]any{late.Claims[0], 2, 2, 1, a.Claims[0]}, []any{waits[0].Claim, waits[0].Pool.Slots, waits[0].Held, waits[0].Before, waits[0].Holders[0].Claim})
	w.same(0, len(must(w.db.PoolWaits(w.ctx, a.Instance.ID))(w)), "it has its slots")
	lost := w.claimSlots("nirgends", "", 1)
	waits = must(w.db.PoolWaits(w.ctx, lost.Instance.ID))(w)
	w.same([]any{true, 0}, []any{waits[0].Pool == nil, waits[0].Before})
}
