// Several masters.

package storetest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"baton/internal/flow"
)

func (w *world) master(home, address string) flow.Lease {
	w.Helper()
	return must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleMaster, Name: home, Home: home, Address: address, Engine: flow.EngineVersion}))(w)
}

func testPeers(w *world) {
	a := w.master("a", "host-a:1").Incarnation
	w.same([]flow.Peer{{Incarnation: w.me, Name: "home-1"}}, must(w.m.Peers(w.ctx, a))(w))
	run := w.run(1)
	w.same([]flow.Peer{{Incarnation: a, Name: "a", Address: "host-a:1"}}, must(w.m.Peers(w.ctx, w.me))(w))
	w.same([]flow.Peer{{Incarnation: w.me, Name: "home-1", Owns: true}}, must(w.m.Peers(w.ctx, a))(w))
	w.ok(w.m.Leave(w.ctx, w.me))
	w.same([]flow.Peer{{Incarnation: w.me, Name: "home-1", Owns: true, Fenced: true, Stale: true}}, must(w.m.Peers(w.ctx, a))(w))
	mine, others, err := w.m.HandOut(w.ctx, a, w.me, []int64{a}, 10)
	w.ok(err)
	w.same([]flow.ID{run.Instance.ID}, mine)
	w.same(0, others)
	w.same([]flow.Peer{}, must(w.m.Peers(w.ctx, a))(w), "nothing is left of the dead")
	must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Name: "w", Home: "w"}))(w)
	w.same([]flow.Peer{}, must(w.m.Peers(w.ctx, a))(w), "a worker is no master")
}

func testCondemn(w *world) {
	heir := w.master("heir", "").Incarnation
	rival := w.master("rival", "").Incarnation
	w.run(1)
	w.same(true, must(w.m.Condemn(w.ctx, w.me, heir, "its lease is over"))(w))
	w.same(false, must(w.m.Condemn(w.ctx, w.me, rival, "I came late"))(w), "who dies, dies once")
	got := must(w.db.Failovers(w.ctx, 10))(w)
	if len(got) != 1 || got[0].FencedAt == 0 {
		w.Fatalf("%+v", got)
	}
	got[0].FencedAt = 0
	w.same([]flow.Failover{{Incarnation: w.me, Role: flow.RoleMaster, Name: "home-1", Witness: heir, WitnessName: "heir", Reason: "its lease is over"}}, got)
	_, _, err := w.m.HandOut(w.ctx, heir, w.me, []int64{heir}, 10)
	w.ok(err)
	w.same(1, must(w.db.Failovers(w.ctx, 10))(w)[0].Instances)
	w.same(flow.Time(0), must(w.db.Failovers(w.ctx, 10))(w)[0].ReleasedAt, "nobody has looked whether something is left")
	_, left, err := w.m.TakeOver(w.ctx, heir, w.me, now, 0, 10)
	w.ok(err)
	w.same(-1, left)
	if f := must(w.db.Failovers(w.ctx, 10))(w)[0]; f.ReleasedAt < f.FencedAt || f.Instances != 1 {
		w.Errorf("everything is handed on: %+v", f)
	}
}

// Who did not leave in order and is there again was not declared dead by anybody: that is a failover too.
func testStartedAnew(w *world) {
	worker := flow.Node{Role: flow.RoleWorker, Name: "w", Home: "w"}
	first := must(w.m.Register(w.ctx, worker))(w).Incarnation
	ch := w.run(1)
	up := next(ch.Instance)
	lost := end(ch.NewTasks[0], ch.NewTasks[0].Attempt.Token)
	lost.Row.State, lost.Row.Attempt.State, lost.Row.Attempt.Session = flow.TaskFailed, flow.AttemptLost, first
	up.Tasks = []flow.TaskUpdate{lost}
	w.committed(up)
	w.same("", must(w.db.Attempts(w.ctx, ch.Instance.ID, ""))(w)[0].SessionEnded)
	second := must(w.m.Register(w.ctx, worker))(w).Incarnation
	got := must(w.db.Failovers(w.ctx, 10))(w)
	if len(got) != 1 || got[0].Incarnation != first || got[0].Witness != second || got[0].ReleasedAt == 0 || !strings.Contains(got[0].Reason, "started anew") {
		w.Fatalf("%+v", got)
	}
	w.same(got[0].Reason, must(w.db.Attempts(w.ctx, ch.Instance.ID, ""))(w)[0].SessionEnded)
	w.ok(w.m.Leave(w.ctx, second))
	must(w.m.Register(w.ctx, worker))(w)
	w.same(1, len(must(w.db.Failovers(w.ctx, 10))(w)), "who leaves in order did not die")
	w.master("m", "its own")
	w.run(1)
	must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleMaster, Name: "home-1", Home: "home-1"}))(w)
	if f := must(w.db.Failovers(w.ctx, 1))(w)[0]; f.Incarnation != w.me || f.ReleasedAt != 0 {
		w.Errorf("a master that owns runs has something left to hand on: %+v", f)
	}
}

// beat renews leases and returns those that are lost.
func (w *world) beat(nodes ...flow.Node) []int64 {
	w.Helper()
	r, err := w.m.Heartbeat(w.ctx, nodes)
	w.ok(err)
	return append([]int64{}, r.Fenced...)
}

// testDrain: a drain outlives its node, and is seen at once.
func testDrain(w *world) {
	states := func(want ...string) {
		w.Helper()
		var got []string
		for _, n := range must(w.db.Nodes(w.ctx, flow.RoleWorker))(w) {
			got = append(got, n.Name+" "+n.State)
		}
		w.same(want, got)
	}
	a := flow.Node{Role: flow.RoleWorker, Name: "a", Home: "h"}
	b := flow.Node{Role: flow.RoleWorker, Name: "b"}
	must(w.m.Register(w.ctx, a))(w)
	must(w.m.Register(w.ctx, b))(w)
	must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Name: "c", Home: "b"}))(w)
	states("a ready", "b ready", "c ready")
	w.ok(w.db.Drain(w.ctx, a.DrainKey(), "ops", now))
	states("a draining", "b ready", "c ready")
	must(w.m.Register(w.ctx, a))(w)
	states("a draining", "b ready", "c ready")
	w.ok(w.db.Undrain(w.ctx, a.DrainKey()))
	states("a ready", "b ready", "c ready")
	// One incarnation alone, of two that have one name.
	twin := must(w.m.Register(w.ctx, b))(w)
	w.ok(w.db.Drain(w.ctx, flow.DrainOf(twin.Incarnation), "ops", now))
	states("a ready", "b ready", "b draining", "c ready")
	w.ok(w.db.Undrain(w.ctx, flow.DrainOf(twin.Incarnation)))
	states("a ready", "b ready", "b ready", "c ready")
	// The drain of an incarnation is forgotten with it.
	w.ok(w.db.Drain(w.ctx, flow.DrainOf(1<<40), "ops", now))
	w.ok(w.db.Drain(w.ctx, "worker:gone", "ops", now))
	must(w.m.Register(w.ctx, a))(w)
	w.same([]string{"worker:gone"}, must(w.m.Register(w.ctx, a))(w).Draining)
	w.ok(w.db.Undrain(w.ctx, "worker:gone"))
}

// testGiveAway: a master that lives gives away what it names, and nothing else of it is touched.
func testGiveAway(w *world) {
	var ids []flow.ID
	for range 20 {
		ids = append(ids, w.run(1).Instance.ID)
	}
	kept := w.run(1).Instance.ID
	me := w.me
	heirs := []int64{w.master("a", "").Incarnation, w.master("b", "").Incarnation}
	foreign := w.parked(flow.InstanceRunning, 0).Instance.ID
	w.same(21, must(w.db.Holding(w.ctx, me))(w))
	w.same(20, must(w.m.GiveAway(w.ctx, me, append(ids, foreign), heirs))(w))
	w.same([]flow.ID{kept}, must(w.m.Owned(w.ctx, me, 0, 100))(w))
	w.same(1, must(w.db.Holding(w.ctx, me))(w))
	all := 0
	for _, heir := range heirs {
		own := must(w.m.Owned(w.ctx, heir, 0, 100))(w)
		all += len(own)
		w.me = heir
		for _, id := range own {
			w.committed(next(w.load(id).Instance))
		}
	}
	w.same(20, all)
	w.same(0, must(w.m.GiveAway(w.ctx, me, ids, heirs))(w), "they are others' by now")

	must(w.m.Fence(w.ctx, heirs[0]))(w)
	w.same(1, must(w.m.GiveAway(w.ctx, me, []flow.ID{kept}, heirs))(w))
	w.same(true, slices.Contains(must(w.m.Owned(w.ctx, heirs[1], 0, 100))(w), kept), "the dead get nothing")
	must(w.m.Fence(w.ctx, heirs[1]))(w)
	if _, err := w.m.GiveAway(w.ctx, heirs[1], []flow.ID{kept}, heirs); flow.CodeOf(err) != flow.CodeConflict {
		w.Errorf("nobody is left: %v", err)
	}
}

// testHolding: what a worker has in hand are attempts that have not ended.
func testHolding(w *world) {
	ch := w.run(2)
	session := ch.NewTasks[0].Attempt.Session
	w.same(2, must(w.db.Holding(w.ctx, session))(w))
	up := next(ch.Instance)
	row := ch.NewTasks[0]
	row.State, row.Attempt.State, row.Reason = flow.TaskSucceeded, flow.AttemptSucceeded, ""
	up.Tasks = []flow.TaskUpdate{{Row: row, Sources: flow.TaskMachine.Sources(row.State)}}
	w.committed(up)
	w.same(1, must(w.db.Holding(w.ctx, session))(w))
}

// testHandOut: what a dead master owned is shared out among its heirs, each row once, and whoever
// got it may write it.
func testHandOut(w *world) {
	const runs = 60
	for range runs {
		w.run(1)
	}
	dead := w.me
	heirs := []int64{w.master("a", "").Incarnation, w.master("b", "").Incarnation, w.master("c", "").Incarnation}
	mine, others, err := w.m.HandOut(w.ctx, heirs[0], dead, heirs, runs)
	w.ok(err)
	w.same(0, len(mine)+others, "it lives: what it takes meanwhile would be left behind")
	w.same([]flow.ID{}, w.takeOver(heirs[0], dead, 0, runs), "nor may one alone take from it")
	must(w.m.Condemn(w.ctx, dead, heirs[0], "dead"))(w)
	handed := 0
	for {
		mine, others, err := w.m.HandOut(w.ctx, heirs[0], dead, heirs, 7)
		w.ok(err)
		if len(mine)+others == 0 {
			break
		}
		handed += len(mine) + others
	}
	w.same(runs, handed)
	seen := map[flow.ID]bool{}
	for _, heir := range heirs {
		own := must(w.m.Owned(w.ctx, heir, 0, 100))(w)
		if len(own) < runs/10 {
			w.Errorf("heir %d of %v got %d of %d runs", heir, heirs, len(own), runs)
		}
		for _, id := range own {
			if seen[id] {
				w.Errorf("run %d has two owners", id)
			}
			seen[id] = true
		}
		w.me, w.epoch = heir, 1
		for _, id := range own {
			w.committed(next(w.load(id).Instance))
		}
	}
	w.same(runs, len(seen))
}

// testDeadHeirs: a registry may show a master that is dead.
func testDeadHeirs(w *world) {
	var runs []flow.ID
	for range 20 {
		runs = append(runs, w.run(1).Instance.ID)
	}
	dead, heir, dying := w.me, w.master("heir", "").Incarnation, w.master("dying", "").Incarnation
	must(w.m.Condemn(w.ctx, dying, heir, "dead"))(w)
	must(w.m.Condemn(w.ctx, dead, heir, "dead"))(w)
	mine, others, err := w.m.HandOut(w.ctx, heir, dead, []int64{heir, dying}, len(runs))
	w.ok(err)
	w.same(0, others, "runs were handed to a dead master")
	w.same(runs, mine)
	if _, _, err := w.m.HandOut(w.ctx, dying, heir, []int64{dying}, 1); !errors.Is(err, flow.ErrFenced) {
		w.Errorf("a dead master hands out: %v", err)
	}
	last := w.master("last", "").Incarnation
	must(w.m.Condemn(w.ctx, heir, last, "dead"))(w)
	if ids, _, err := w.m.TakeOver(w.ctx, dying, heir, now, 1, 100); !errors.Is(err, flow.ErrFenced) || len(ids) > 0 {
		w.Errorf("a dead master takes over %v: %v", ids, err)
	}
	w.same(runs, w.takeOver(last, heir, 1, 100))
}

// testLateHello: of two hellos of one home the later one counts, in whichever order they come to the store.
func testLateHello(w *world) {
	register := func(hello int64) (int64, error) {
		l, err := w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Name: "w", Home: "w", Hello: hello})
		return l.Incarnation, err
	}
	unnumbered := must(register(0))(w)
	first := must(register(5))(w)
	w.same([]int64{unnumbered}, w.beat(flow.Node{Incarnation: unnumbered}))
	_, err := register(4)
	if outrun, ok := errors.AsType[*flow.OutrunError](err); !ok || outrun.Hello != 5 {
		w.Errorf("a late hello: %v", err)
	}
	w.same(0, len(w.beat(flow.Node{Incarnation: first})), "a late hello ended a session")
	again := must(register(5))(w) // the answer to the first was lost
	w.same([]int64{first}, w.beat(flow.Node{Incarnation: first}))

	sessions := make([]int64, 16)
	var group errgroup.Group
	for i := range sessions {
		group.Go(func() (err error) {
			sessions[i], err = register(int64(10 + i))
			if _, late := errors.AsType[*flow.OutrunError](err); late {
				return nil
			}
			return err
		})
	}
	w.ok(group.Wait())
	w.same([]int64{again}, w.beat(flow.Node{Incarnation: again}))
	for i, s := range sessions {
		if s != 0 && i < len(sessions)-1 {
			w.same([]int64{s}, w.beat(flow.Node{Incarnation: s}), "an earlier hello's session")
		}
	}
	last := sessions[len(sessions)-1]
	w.same(0, len(w.beat(flow.Node{Incarnation: last})), "the latest hello's session")
	if other := must(register(0))(w); other == 0 { // of a version that does not number them
		w.Error("no session")
	}
}

// testEndSession: only a lease that is over ends a session, once, and then nobody renews it.
func testReadmit(w *world) {
	const given = 1 << 50 // by another generation
	node := flow.Node{Role: flow.RoleWorker, Name: "w", Home: "w", Groups: []string{"default"}}
	early := must(w.m.Register(w.ctx, node))(w).Incarnation
	again := node
	again.Incarnation = given
	for range 2 { // of two masters
		w.same(int64(given), must(w.m.Register(w.ctx, again))(w).Incarnation)
	}
	w.same([]int64{early}, w.beat(flow.Node{Incarnation: early}, flow.Node{Incarnation: given, Name: "w", Groups: node.Groups}), "one of the home lives")
	nodes := must(w.db.Nodes(w.ctx, flow.RoleWorker))(w)
	if len(nodes) == 0 || !slices.ContainsFunc(nodes, func(n flow.Node) bool { return n.Incarnation == given && n.State == flow.NodeReady }) {
		w.Errorf("nodes are %+v", nodes)
	}
	if got := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleAPI, Name: "a", Incarnation: given + 1}))(w); got.Incarnation == given+1 {
		w.Errorf("an api keeps its incarnation: %+v", got)
	}
	must(w.m.Fence(w.ctx, given))(w)
	if _, err := w.m.Register(w.ctx, again); !errors.Is(err, flow.ErrFenced) {
		w.Errorf("dead, it is readmitted: %v", err)
	}
	late := again
	late.Incarnation = 1
	other := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Name: "v", Home: "v"}))(w).Incarnation
	late.Home, late.Name = "v", "v"
	if _, err := w.m.Register(w.ctx, late); !errors.Is(err, flow.ErrFenced) {
		w.Errorf("though the home has a later one it is readmitted: %v", err)
	}
	w.same([]int64(nil), w.beat(flow.Node{Incarnation: other, Name: "v"}), "the later one lives")
}

func testServedGroups(w *world) {
	worker := func(name string, groups ...string) int64 {
		w.Helper()
		return must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Name: name, Home: name, Groups: groups}))(w).Incarnation
	}
	served := func(want ...string) {
		w.Helper()
		w.same(want, must(w.m.ServedGroups(w.ctx))(w))
	}
	served()
	worker("a", "spark", "default")
	worker("b", "default")
	gone, drained := worker("c", "gone"), flow.Node{Role: flow.RoleWorker, Home: "d"}
	worker("d", "drained")
	busy := worker("e", "busy")
	w.same([]int64(nil), w.beat(flow.Node{Incarnation: busy, Name: "e", State: flow.NodeBusy, Groups: []string{"busy"}}))
	served("busy", "default", "drained", "gone", "spark")
	w.ok(w.m.Leave(w.ctx, gone))
	w.ok(w.db.Drain(w.ctx, drained.DrainKey(), "x", now))
	served("busy", "default", "spark")
}

func testEndSession(w *world) {
	w.ok(w.db.SetSetting(w.ctx, "lease", "1s"))
	worker := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Name: "w", Home: "w"}))(w).Incarnation
	const soon = time.Minute
	end := func(session int64, within time.Duration) bool {
		w.Helper()
		over, left, err := w.m.EndSession(w.ctx, session, w.me, "silent", within)
		w.ok(err)
		if left < 0 || left > time.Second || over && left > 0 {
			w.Errorf("over %t, and %s of a lease of 1s are left", over, left)
		}
		return over
	}
	w.same(false, end(worker, soon), "its lease holds")
	other := must(w.m.Register(w.ctx, flow.Node{Role: flow.RoleWorker, Name: "v", Home: "v"}))(w).Incarnation
	for !end(other, soon) { // for a second
		w.ok(w.ctx.Err())
	}
	w.same(false, end(worker, time.Nanosecond), "it came too late")
	w.same(true, end(worker, soon), "its lease is over")
	w.same(true, end(worker, soon), "it stays ended")
	w.same([]int64{worker}, w.beat(flow.Node{Incarnation: worker}), "a lost session was renewed")
	all := must(w.db.Failovers(w.ctx, 10))(w)
	if !slices.ContainsFunc(all, func(f flow.Failover) bool {
		return f.Incarnation == worker && f.Role == flow.RoleWorker && f.Reason == "silent"
	}) {
		w.Errorf("not recorded: %+v", all)
	}
}
