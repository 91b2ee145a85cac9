// Ownership.

package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"baton/internal/flow"
)

// parked runs an instance and leaves it to nobody.
func (w *world) parked(state flow.InstanceState, wake flow.Time) flow.Change {
	w.Helper()
	up := next(w.run(1).Instance)
	up.Instance.Owner, up.Instance.State, up.Instance.WakeAt = 0, state, wake
	w.committed(up)
	return up
}

func (w *world) claim(owner int64, n int) []flow.ID {
	w.Helper()
	return must(w.m.Claim(w.ctx, owner, now, n))(w)
}

func testClaimDue(w *world) {
	if at := must(w.m.NextWake(w.ctx))(w); at != 0 {
		w.Errorf("next wake of nothing: %d", at)
	}
	due := w.parked(flow.InstanceRunning, now)
	w.parked(flow.InstanceRunning, now+1)
	w.parked(flow.InstanceSucceeded, 0)
	w.run(1) // owned
	w.same(now, must(w.m.NextWake(w.ctx))(w))
	w.same([]flow.ID{due.Instance.ID}, w.claim(w.me, 10))
	w.same([]flow.ID{}, w.claim(w.me, 10))
	w.same(now+1, must(w.m.NextWake(w.ctx))(w))
	got := w.load(due.Instance.ID).Instance
	want := due.Instance
	want.Owner, want.Seq = w.me, due.Instance.Seq+1
	w.same(want, got)
	w.committed(next(got)) // and it is mine to write
}

func testClaimNews(w *world) {
	var want []flow.ID
	for _, state := range []flow.InstanceState{flow.InstanceRunning, flow.InstancePaused, flow.InstanceFailed, flow.InstanceSucceeded, flow.InstanceQuarantined} {
		id := w.parked(state, 0).Instance.ID
		w.order(id, fmt.Sprint("a", id), flow.VerbRerun)
		w.order(id, fmt.Sprint("b", id), flow.VerbRerun)
		want = append(want, id)
	}
	w.parked(flow.InstancePaused, 0)
	owned := w.run(1).Instance.ID
	w.order(owned, "c", flow.VerbPause)
	w.same(want[:2], w.claim(w.me, 2), "no more than asked for")
	w.same(want[2:], w.claim(w.me, 10))
	w.same([]flow.ID{}, w.claim(w.me, 10))
}

func testClaimOnce(w *world) {
	const n, owners = 120, 4
	for range n {
		w.parked(flow.InstanceRunning, now)
	}
	var mu sync.Mutex
	by := map[flow.ID]int64{}
	var group sync.WaitGroup
	for k := range owners {
		me, _ := w.register(fmt.Sprint("claimer", k))
		group.Go(func() {
			for {
				ids, err := w.m.Claim(w.ctx, me, now, 7)
				if err != nil {
					w.Error(err)
					return
				}
				if len(ids) == 0 {
					return
				}
				mu.Lock()
				for _, id := range ids {
					if other, ok := by[id]; ok {
						w.Errorf("%s claimed by %d and %d", id, other, me)
					}
					by[id] = me
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	w.same(n, len(by))
}

func testNewerEngine(w *world) {
	up := next(w.run(1).Instance)
	up.Instance.Owner, up.Instance.WakeAt, up.Instance.Engine = 0, now, flow.EngineVersion+1
	w.committed(up)
	w.order(up.Instance.ID, "x", flow.VerbPause)
	w.same([]flow.ID{}, w.claim(w.me, 10))
	w.same(flow.Time(0), must(w.m.NextWake(w.ctx))(w))

	newer := next(w.run(1).Instance)
	newer.Instance.Engine++
	w.committed(newer)
	heir, _ := w.register("heir")
	must(w.m.Fence(w.ctx, w.me))(w)
	w.same([]flow.ID{}, w.takeOver(heir, w.me, 0, 10))
	w.same([]flow.Peer{}, must(w.m.Peers(w.ctx, heir))(w), "what only a newer version can drive is no work for this one")
}

func testTakeOver(w *world) {
	var want []flow.ID
	for range 5 {
		want = append(want, w.run(1).Instance.ID)
	}
	dead := w.me
	heir, epoch := w.register("heir")
	must(w.m.Fence(w.ctx, dead))(w)
	w.same(want[:3], w.takeOver(heir, dead, 0, 3))
	w.same(want[3:], w.takeOver(heir, dead, 0, 3))
	w.same([]flow.ID{}, w.takeOver(heir, dead, 0, 3))
	w.me, w.epoch = heir, epoch
	for _, id := range want {
		w.committed(next(w.load(id).Instance))
	}
}

func (w *world) takeOver(owner, dead int64, takes, n int) []flow.ID {
	w.Helper()
	ids, _, err := w.m.TakeOver(w.ctx, owner, dead, now, takes, n)
	w.ok(err)
	return ids
}

// inherit registers a new master after the death of the last one.
func (w *world) inherit(name string) (dead int64) {
	w.Helper()
	dead = w.me
	w.me, w.epoch = w.register(name)
	must(w.m.Fence(w.ctx, dead))(w)
	return dead
}

// testDeadly: a run that was handed on too often without a commit is held, and what was handed on
// beside it is not.
func testDeadly(w *world) {
	deadly := w.run(1).Instance.ID
	var beside []flow.ID
	for k := range flow.MaxTakes {
		beside = append(beside, w.run(1).Instance.ID)
		dead := w.inherit(fmt.Sprint("heir", k))
		ids, left, err := w.m.TakeOver(w.ctx, w.me, dead, now, 0, 10)
		w.ok(err)
		if k == 0 {
			w.same([]flow.ID{deadly, beside[0]}, ids)
			w.same(-1, left)
		} else {
			w.same(beside, ids, "take", k)
			w.same(k, left, "what is left")
			ids, left, err = w.m.TakeOver(w.ctx, w.me, dead, now, k, 1)
			w.ok(err)
			w.same([]flow.ID{deadly}, ids, "take", k)
			w.same(k, left, "a full page tells nothing")
			w.same([]flow.ID{}, w.takeOver(w.me, dead, k, 1))
		}
		for _, id := range beside {
			w.committed(next(w.load(id).Instance)) // survived
		}
	}
	good := w.run(1).Instance.ID
	dead := w.inherit("last")
	ids, left, err := w.m.TakeOver(w.ctx, w.me, dead, now, 0, 10)
	w.ok(err)
	w.same(-1, left)
	w.same(true, slices.Contains(ids, good) && !slices.Contains(ids, deadly), "hands on", ids)
	w.same(flow.MaxTakes+1, len(ids))
	r := must(w.db.Instance(w.ctx, deadly))(w)
	if r.State != flow.InstanceQuarantined || r.Prior != flow.InstanceRunning || r.Owner != 0 || r.Reason == "" {
		w.Errorf("%+v", r.Instance)
	}
	alerts := must(w.db.Alerts(w.ctx, flow.AlertFilter{Instance: deadly}))(w).Items
	if len(alerts) != 1 || alerts[0].Kind != flow.AlertQuarantined || alerts[0].Workflow != "w" || alerts[0].ID == 0 {
		w.Errorf("alerts: %+v", alerts)
	}
	// A person releases it: it is held guilty of nothing.
	w.order(deadly, "release", flow.VerbRelease)
	w.same([]flow.ID{deadly}, w.claim(w.me, 5))
}

// testTrials: commands are counted as tried before they are returned, and only those that were
// there.
func testTrials(w *world) {
	a, b, c := w.submit(), w.submit(), w.submit()
	ids := func(cmds []flow.Command) (out []flow.ID) {
		for i := range cmds {
			out = append(out, cmds[i].ID)
		}
		return out
	}
	try := func(takes int, upTo flow.ID, n int, except ...flow.ID) []flow.Command {
		w.Helper()
		// Each trial is that of another master, and it died of it.
		l := w.master("tries", "")
		out := must(w.m.TryCommands(w.ctx, l.Incarnation, takes, upTo, n, except))(w)
		must(w.m.Fence(w.ctx, l.Incarnation))(w)
		return out
	}
	got := try(0, b.ID, 10, a.ID)
	w.same([]flow.Command{b}, got)
	w.same([]flow.ID{a.ID}, ids(try(0, b.ID, 10)))
	w.same([]flow.ID{}, ids(try(0, b.ID, 10)))
	w.same([]flow.ID{a.ID}, ids(try(1, b.ID, 1)))
	w.same([]flow.ID{b.ID}, ids(try(1, b.ID, 1)))
	w.same([]flow.ID{a.ID, b.ID}, ids(try(2, c.ID, 10)))
	all := must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)
	w.same([]flow.ID{a.ID, b.ID, c.ID}, ids(all))
	w.same([]int32{3, 3, 0}, []int32{all[0].Takes, all[1].Takes, all[2].Takes})
	w.committed(w.begin(a, 0)) // and they can be carried out as ever
}

// testTrialsOfTheLiving: what one master tries is left to it, and counts for nothing while it lives.
func testTrialsOfTheLiving(w *world) {
	a := w.submit()
	other := w.master("other", "").Incarnation
	tries := func(by int64, takes int) []flow.Command {
		w.Helper()
		return must(w.m.TryCommands(w.ctx, by, takes, a.ID, 10, nil))(w)
	}
	read := func(by int64) []flow.Command {
		w.Helper()
		return must(w.m.Commands(w.ctx, 10, nil, flow.Turn{Me: by}))(w)
	}
	w.same([]flow.Command{a}, tries(other, 0))
	for takes := range 4 {
		w.same(0, len(tries(w.me, takes)), "it is tried by another")
	}
	w.same(0, len(read(w.me)))
	w.same([]flow.Command{a}, read(other), "who tries it may take it, and holds it for no cause of a death")
	w.same([]flow.Command{a}, tries(other, 1), "and may try it again, which counts once")
	must(w.m.Fence(w.ctx, other))(w)
	got := tries(w.me, 1)
	if len(got) != 1 || got[0].Takes != 1 {
		w.Fatalf("one died of it: %+v", got)
	}
	w.same(int32(1), read(w.me)[0].Takes)
	w.same(int32(1), must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)[0].Takes)
}

// testCrashed: a master that begins learns whether one ended without leaving.
func testCrashed(w *world) {
	begin := func(home string) flow.Lease {
		w.Helper()
		return must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleMaster, Home: home}))(w)
	}
	w.same(false, begin("other").Crashed, "another one lives")
	again := begin("home-1")
	w.same(true, again.Crashed, "this home's did not leave")
	w.ok(w.m.Leave(w.ctx, again.Incarnation))
	w.same(false, begin("home-1").Crashed, "it left")
}

func testQuarantine(w *world) {
	ch := w.run(1)
	other, _ := w.register("other")
	w.ok(w.m.Quarantine(w.ctx, other, ch.Instance.ID, "not mine", now))
	w.same(ch.Instance, w.load(ch.Instance.ID).Instance, "without the gate")
	w.ok(w.m.Quarantine(w.ctx, w.me, ch.Instance.ID, "bad\x00row", now))
	w.ok(w.m.Quarantine(w.ctx, w.me, ch.Instance.ID, "again", now))
	r := must(w.db.Instance(w.ctx, ch.Instance.ID))(w)
	want := ch.Instance
	want.State, want.Prior, want.Owner, want.Seq, want.Reason = flow.InstanceQuarantined, flow.InstanceRunning, 0, 2, "bad\uFFFDrow"
	w.same(want, r.Instance)
	w.same(1, len(must(w.db.Alerts(w.ctx, flow.AlertFilter{Instance: ch.Instance.ID}))(w).Items))
	w.same([]flow.Fate{flow.Gone}, fates(w.commit(next(ch.Instance))))
}

func testQuarantineCommand(w *world) {
	c := w.submit()
	w.ok(w.m.QuarantineCommand(w.ctx, c.ID, "no such version", now))
	w.ok(w.m.QuarantineCommand(w.ctx, c.ID, "again", now))
	r := must(w.db.Instance(w.ctx, c.ID))(w)
	if r.State != flow.InstanceQuarantined || r.Prior != flow.InstanceSubmitted || r.Reason != "no such version" || r.Seq != 1 || string(r.Spec) != string(c.Start) {
		w.Errorf("%+v", r.Instance)
	}
	w.same([]flow.Command{}, must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w))
	w.same(1, len(must(w.db.Alerts(w.ctx, flow.AlertFilter{Project: "p", Workflow: "w"}))(w).Items))
}

func testNumbers(w *world) {
	numbers := func(homes ...string) (out []int) {
		for _, h := range homes {
			out = append(out, must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleAPI, Home: h}))(w).Number)
		}
		return out
	}
	w.same([]int{1, 2, 3}, numbers("a", "b", "c")) // 0 is the world's own
	b := must(w.db.Nodes(w.ctx, flow.RoleAPI))(w)
	i := slices.IndexFunc(b, func(n flow.Node) bool { return n.Home == "b" })
	w.ok(w.m.Leave(w.ctx, b[i].Incarnation))
	w.same([]int{2, 4}, numbers("d", "e"))
	w.same(0, must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Home: "w"}))(w).Number, "a worker makes no ids and needs none")
	// Many at once get numbers of their own.
	var mu sync.Mutex
	seen := map[int]bool{}
	var group sync.WaitGroup
	for k := range 8 {
		group.Go(func() {
			l, err := w.m.Register(w.ctx, flow.Node{Role: flow.RoleAPI, Home: fmt.Sprint("x", k)})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[l.Number] {
				w.Errorf("number %d: %v", l.Number, err)
			}
			seen[l.Number] = true
		})
	}
	group.Wait()
}

func testSameHome(w *world) {
	ch := w.run(1)
	old := w.me
	l := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleMaster, Home: "home-1"}))(w)
	w.same([]int64{old}, l.Dead)
	w.same(0, l.Number, "the number of the dead is free")
	if l.Incarnation <= old || l.MaxID < ch.NewTasks[0].ID {
		w.Errorf("%+v", l)
	}
	w.same([]flow.ID{ch.Instance.ID}, w.takeOver(l.Incarnation, old, 0, 10))
	// Without a home nobody's place is taken.
	a := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleMaster}))(w)
	b := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleMaster}))(w)
	w.same([]int64{}, b.Dead)
	w.same([]int64{}, w.beat(flow.Node{Incarnation: a.Incarnation}), "fenced")
}

// testHeartbeats: many leases in one statement, but not those of the dead.
func testHeartbeats(w *world) {
	nodes := make([]flow.Node, 5)
	for i := range nodes {
		l := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Name: fmt.Sprint("w", i), Home: fmt.Sprint("h", i)}))(w)
		nodes[i] = flow.Node{Incarnation: l.Incarnation, Name: fmt.Sprint("w", i), Version: "2", Slots: 8, Running: i, State: "busy", Groups: []string{"a", "b"}, Labels: map[string]string{"x": "\"y'"}}
	}
	must(w.m.Fence(w.ctx, nodes[3].Incarnation))(w)
	slices.Reverse(nodes)
	w.same([]int64{nodes[1].Incarnation}, w.beat(nodes...))
	for _, n := range must(w.db.Nodes(w.ctx, flow.RoleWorker))(w) {
		i := int(n.Name[1] - '0')
		if want := nodes[4-i]; i != 3 && (n.Running != i || n.Slots != 8 || n.Version != "2" || n.State != "busy" || len(n.Groups) != 2 || n.Labels["x"] != want.Labels["x"]) {
			w.Errorf("%+v", n)
		}
	}
	// The next beat is as long as the setting says now.
	w.ok(w.db.SetSetting(w.ctx, "lease", "60s"))
	w.same([]int64{}, w.beat(nodes[:1]...))
	left := func() float64 {
		got := must(w.db.Nodes(w.ctx, flow.RoleWorker))(w)
		last := got[len(got)-1]
		return last.LeaseUntil.Sub(last.StartedAt).Seconds()
	}
	if s := left(); s < 59 {
		w.Errorf("the lease is over after %v s", s)
	}
	// What is told is written already, and nobody's lease ends before the node itself says so.
	w.ok(w.db.SetSetting(w.ctx, "lease", "90s"))
	length := must(w.m.Heartbeat(w.ctx, nodes[:1]))(w).Settings.Lease
	if s := left(); length != 90*time.Second || s < 89 {
		w.Errorf("told %v, written %v s", length, s)
	}
	w.ok(w.db.SetSetting(w.ctx, "lease", "2s"))
	nodes[0].Lease = 80 * time.Second
	for range 2 {
		length = must(w.m.Heartbeat(w.ctx, nodes[:1]))(w).Settings.Lease
		if s := left(); length != 2*time.Second || s < 79 {
			w.Errorf("told %v, written %v s for a node that counts by 80 s", length, s)
		}
	}
	// It runs from when it was asked for, unless it was renewed since; and is cut when leases are shorter.
	for _, c := range []struct{ lease, waited, min, max time.Duration }{
		{80 * time.Second, 30 * time.Second, 79 * time.Second, 85 * time.Second},
		{2 * time.Second, time.Second, 0, 10 * time.Second},
		{60 * time.Second, 20 * time.Second, 39 * time.Second, 50 * time.Second},
	} {
		nodes[0].Lease, nodes[0].Waited = c.lease, c.waited
		w.same([]int64{}, w.beat(nodes[:1]...))
		if s := left(); s < c.min.Seconds() || s > c.max.Seconds() {
			w.Errorf("asked for %s, %s ago: it is over after %v s", c.lease, c.waited, s)
		}
	}
	// The other settings come along.
	w.ok(w.db.SetSetting(w.ctx, "balance", "random,spark=weighted"))
	w.same(flow.Balance{Strategy: flow.Random, Groups: map[string]flow.Strategy{"spark": flow.Weighted}},
		must(w.m.Heartbeat(w.ctx, nodes[:1]))(w).Settings.Balance)
}

// testWaiting: one question finds everything that a master polls for.
func testWaiting(w *world) {
	ask := func(want flow.Waiting, what string) {
		w.Helper()
		got := must(w.m.Waiting(w.ctx, w.me))(w)
		got.Now = 0
		w.same(want, got, what)
	}
	ask(flow.Waiting{}, "nothing")
	mine := w.run(1).Instance.ID
	nobodys := w.parked(flow.InstanceRunning, 0).Instance.ID
	ask(flow.Waiting{}, "runs alone are no work")
	w.parked(flow.InstanceRunning, now+7)
	ask(flow.Waiting{NextWake: now + 7}, "a wake")
	w.order(mine, "a", flow.VerbPause)
	ask(flow.Waiting{NextWake: now + 7, Inbox: true}, "of mine")
	w.order(nobodys, "b", flow.VerbPause)
	ask(flow.Waiting{NextWake: now + 7, Inbox: true, Addressed: true}, "of nobody's")
	w.claim(w.me, 10)
	ask(flow.Waiting{NextWake: now + 7, Inbox: true}, "claimed")
	w.ok(w.db.Drain(w.ctx, "worker:b", "ops", now))
	w.ok(w.db.Drain(w.ctx, "worker:a", "ops", now))
	w.ok(w.db.Drain(w.ctx, "worker:a", "ops", now))
	ask(flow.Waiting{NextWake: now + 7, Inbox: true, Draining: []string{"worker:a", "worker:b"}}, "drains")
	w.ok(w.db.Undrain(w.ctx, "worker:a"))
	w.ok(w.db.Undrain(w.ctx, "worker:a"))
	w.ok(w.db.Undrain(w.ctx, "worker:b"))
	w.submit()
	ask(flow.Waiting{NextWake: now + 7, Inbox: true, Commands: true}, "a command")
	held := w.run(1).Instance.ID
	w.ok(w.m.Quarantine(w.ctx, w.me, held, "bad", now))
	must(w.db.Order(w.ctx, flow.InboxItem{ID: w.id(), Instance: held, Kind: flow.InboxResult, Dedup: "r", Payload: []byte(`{}`), At: now}))(w)
	ask(flow.Waiting{NextWake: now + 7, Inbox: true, Commands: true}, "news of what is quarantined waits for a person")
}

func testNodes(w *world) {
	n := flow.Node{Role: flow.RoleWorker, Name: "w1", Home: "h", PID: 7, Groups: []string{"default", "gpu"}, Slots: 4, Labels: map[string]string{"zone": "a"}, Version: "1.2", Engine: 1}
	l := must(w.m.Register(w.ctx, n))(w)
	n.Incarnation, n.Number = l.Incarnation, l.Number
	n.Running, n.State = 3, "busy"
	w.same([]int64{}, w.beat(n), "fenced")
	got := must(w.db.Nodes(w.ctx, flow.RoleWorker))(w)
	if len(got) != 1 || got[0].StartedAt == 0 || got[0].LeaseUntil <= got[0].StartedAt {
		w.Fatalf("%+v", got)
	}
	got[0].StartedAt, got[0].LeaseUntil = 0, 0
	w.same(n, got[0])
	w.same(2, len(must(w.db.Nodes(w.ctx, ""))(w)))
	must(w.m.Fence(w.ctx, l.Incarnation))(w)
	w.same("lost", must(w.db.Nodes(w.ctx, flow.RoleWorker))(w)[0].State)
	elsewhere := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Name: "w1", Home: "another host"}))(w)
	all := must(w.db.Nodes(w.ctx, flow.RoleWorker))(w)
	if len(all) != 1 || all[0].Incarnation != elsewhere.Incarnation {
		w.Errorf("a lost node is shown beside the one that took up its name: %+v", all)
	}
	w.ok(w.m.Leave(w.ctx, elsewhere.Incarnation))
	w.same("lost", must(w.db.Nodes(w.ctx, flow.RoleWorker))(w)[0].State, "it is nobody's name any more")
	w.ok(w.m.Leave(w.ctx, l.Incarnation))
	w.same(0, len(must(w.db.Nodes(w.ctx, flow.RoleWorker))(w)))
}

var _ testing.TB = (*world)(nil)
