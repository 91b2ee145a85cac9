// The group commit.

package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
)

// fill gives every field of a struct a value of its own, so that two columns that were confused
// show up.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			fill(f, n)
		}
	case reflect.Bool:
		v.SetBool(*n%2 == 0)
	case reflect.String:
		v.SetString(fmt.Sprint("s", *n))
	case reflect.Slice:
		v.SetBytes(fmt.Appendf(nil, `{"n":%d}`, *n))
	case reflect.Uint8:
		v.SetUint(uint64(1 + *n%5))
	case reflect.Int32, reflect.Int64:
		v.SetInt(*n)
	default:
		panic("fill: " + v.Kind().String())
	}
}

func testFields(w *world) {
	c := w.submit()
	for round := range int64(3) { // bools are told apart by their pattern over rounds
		n := 1000 * (round + 1) * (round + 3) / 2
		var i flow.Instance
		fill(reflect.ValueOf(&i).Elem(), &n)
		i.ID, i.Owner, i.Trigger, i.Seq = c.ID, w.me, flow.TriggerBackfill, 1
		ch := flow.Change{Instance: i, Command: c.ID}
		for k := range 3 {
			var t flow.TaskRow
			fill(reflect.ValueOf(&t).Elem(), &n)
			t.ID, t.Instance, t.Attempt.Class = w.id(), c.ID, flow.ClassInfrastructure
			t.Attempt.Task = t.ID
			if k == 0 { // no row is both
				t.Item, t.Digest = 0, 0
			} else {
				t.Compensates = 0
			}
			ch.NewTasks = append(ch.NewTasks, t)
		}
		w.committed(ch)
		w.same(flow.Loaded{Instance: ch.Instance, Tasks: ch.NewTasks}, w.load(c.ID), "created")

		// Every field that may change, changed.
		up := next(ch.Instance)
		changed := up.Instance
		fill(reflect.ValueOf(&changed).Elem(), &n)
		keep := up.Instance
		up.Instance = changed
		u := &up.Instance
		u.ID, u.Owner, u.Seq, u.Project, u.Workflow, u.Version = keep.ID, w.me, keep.Seq, keep.Project, keep.Workflow, keep.Version
		u.DryRun, u.DataTime, u.Zone, u.Trigger, u.Key, u.TurnKey, u.Spec = keep.DryRun, keep.DataTime, keep.Zone, keep.Trigger, keep.Key, keep.TurnKey, keep.Spec
		u.Parent, u.SubmittedAt = keep.Parent, keep.SubmittedAt
		var rows []flow.TaskRow
		for _, old := range ch.NewTasks {
			var t flow.TaskRow
			fill(reflect.ValueOf(&t).Elem(), &n)
			t.ID, t.Instance, t.Name, t.Type, t.RunTimes, t.Item = old.ID, old.Instance, old.Name, old.Type, old.RunTimes, old.Item
			t.Compensates, t.Digest = old.Compensates, old.Digest
			t.Attempt.Task, t.Attempt.Class = t.ID, flow.ClassUser
			rows = append(rows, t)
			up.Tasks = append(up.Tasks, flow.TaskUpdate{Row: t, Sources: 1 << old.State})
		}
		w.committed(up)
		w.same(flow.Loaded{Instance: up.Instance, Tasks: rows}, w.load(c.ID), "changed")
		c = w.submit()
	}
}

func testStep(w *world) {
	ch := w.run(2)
	w.same(flow.Loaded{Instance: ch.Instance, Tasks: ch.NewTasks}, w.load(ch.Instance.ID))
	// The end of one task and the grant of the next are one commit.
	up := next(ch.Instance)
	up.Tasks = []flow.TaskUpdate{end(ch.NewTasks[1], ch.NewTasks[1].Attempt.Token)}
	more := w.task(ch.Instance.ID, "c")
	up.NewTasks, up.Grants = []flow.TaskRow{more}, []flow.ID{more.ID}
	r := w.committed(up)[0]
	more.Attempt.Token = r.Tokens[0]
	w.same([]flow.TaskRow{ch.NewTasks[0], up.Tasks[0].Row, more}, w.load(ch.Instance.ID).Tasks)
}

func fates(rs []flow.ChangeResult) (out []flow.Fate) {
	for _, r := range rs {
		out = append(out, r.Fate)
	}
	return out
}

func testGone(w *world) {
	ch := w.run(1)
	before := w.load(ch.Instance.ID)
	stale := next(ch.Instance)
	stale.Instance.Seq = 7
	stale.Tasks = []flow.TaskUpdate{end(ch.NewTasks[0], 1)}
	w.same([]flow.Fate{flow.Gone}, fates(w.commit(stale)), "wrong seq")

	other, epoch := w.register("home-2")
	mine := next(ch.Instance)
	mine.Tasks = stale.Tasks
	res, err := w.m.Commit(w.ctx, flow.Batch{Owner: other, Epoch: epoch, Changes: []flow.Change{mine}})
	w.ok(err)
	w.same([]flow.Fate{flow.Gone}, fates(res.Changes), "wrong owner")

	again := w.begin(flow.Command{ID: ch.Instance.ID}, 1)
	w.same([]flow.Fate{flow.Gone}, fates(w.commit(again)), "command taken")
	w.same(before, w.load(ch.Instance.ID), "nothing changed")
}

func testGoneAmongMany(w *world) {
	var batch []flow.Change
	for k := range 7 {
		ch := w.run(1)
		up := next(ch.Instance)
		up.Tasks = []flow.TaskUpdate{end(ch.NewTasks[0], ch.NewTasks[0].Attempt.Token)}
		more := w.task(ch.Instance.ID, "more")
		up.NewTasks, up.Grants = []flow.TaskRow{more}, []flow.ID{more.ID}
		if k == 3 {
			up.Instance.Seq += 5
		}
		batch = append(batch, up)
	}
	taken := w.submit()
	w.committed(w.begin(taken, 1))
	batch = append(batch, w.begin(taken, 1), w.begin(w.submit(), 2))
	slices.Reverse(batch) // the caller's order is its own
	rs := w.commit(batch...)
	const c, g = flow.Committed, flow.Gone
	w.same([]flow.Fate{c, g, c, c, c, g, c, c, c}, fates(rs))
	for n, r := range rs {
		if want := len(batch[n].Grants); r.Fate == c && len(r.Tokens) != want {
			w.Errorf("change %d: %d tokens, want %d", n, len(r.Tokens), want)
		}
		tasks := len(w.load(batch[n].Instance.ID).Tasks)
		if r.Fate == g && tasks != 1 {
			w.Errorf("change %d is gone and wrote a task", n)
		}
	}
}

// poisons are ways to break a commit by its rows alone.
func (w *world) poisons() map[string]flow.Change {
	build := func(spoil func(*flow.Change)) flow.Change {
		ch := w.run(1)
		up := next(ch.Instance)
		up.Tasks = []flow.TaskUpdate{end(ch.NewTasks[0], 1)}
		spoil(&up)
		return up
	}
	return map[string]flow.Change{
		"instance state":     build(func(c *flow.Change) { c.Instance.State = 99 }),
		"task state":         build(func(c *flow.Change) { c.Tasks[0].Row.State = 99 }),
		"class":              build(func(c *flow.Change) { c.Tasks[0].Row.Attempt.Class = "nobody" }),
		"source state":       build(func(c *flow.Change) { c.Tasks[0].Sources = 1 << flow.TaskWaiting }),
		"no such task":       build(func(c *flow.Change) { c.Tasks[0].Row.ID = w.id() }),
		"task twice":         build(func(c *flow.Change) { c.NewTasks = []flow.TaskRow{c.Tasks[0].Row} }),
		"attempt twice":      build(func(c *flow.Change) { a := c.Tasks[0].Row.Attempt; c.Past = []flow.AttemptRow{a, a} }),
		"alert without id":   build(func(c *flow.Change) { c.Alerts = []flow.Alert{{Kind: "x"}} }),
		"negative wake time": build(func(c *flow.Change) { c.Instance.WakeAt = -1 }),
	}
}

func testPoison(w *world) {
	poisons := w.poisons()
	for name, poison := range poisons {
		var batch []flow.Change
		for range 4 {
			ch := w.run(1)
			up := next(ch.Instance)
			up.Tasks = []flow.TaskUpdate{end(ch.NewTasks[0], 1)}
			batch = append(batch, up)
		}
		before := w.load(poison.Instance.ID)
		batch = slices.Insert(batch, 2, poison)
		rs := w.commit(batch...)
		w.same([]flow.Fate{flow.Committed, flow.Committed, flow.Poison, flow.Committed, flow.Committed}, fates(rs), name)
		if rs[2].Err == nil {
			w.Errorf("%s: poison without its error", name)
		}
		w.same(before, w.load(poison.Instance.ID), name, "was written")
	}
	// A NUL in a text: PostgreSQL cannot store it, SQLite can. Neither may fail the others.
	nul, good := w.begin(w.submit(), 1), w.begin(w.submit(), 1)
	nul.Instance.Reason = "a\x00b"
	rs := w.commit(nul, good)
	if rs[1].Fate != flow.Committed || rs[0].Fate == flow.Gone {
		w.Errorf("NUL: %v", fates(rs))
	}
	bad, good := w.begin(w.submit(), 1), w.begin(w.submit(), 1)
	bad.NewTasks[0].Outputs = []byte("\xff\xfe")
	if rs := w.commit(bad, good); rs[1].Fate != flow.Committed {
		w.Errorf("invalid UTF-8: %v", fates(rs))
	}
}

func testOnlyPoison(w *world) {
	var batch []flow.Change
	var want []flow.Fate
	for _, p := range w.poisons() {
		batch, want = append(batch, p), append(want, flow.Poison)
	}
	w.same(want, fates(w.commit(batch...)))
}

func testRefused(w *world) {
	ch := w.run(1)
	for name, spoil := range map[string]func(*flow.Change){
		"command of another run": func(c *flow.Change) { c.Command = w.id() },
		"task of another run":    func(c *flow.Change) { c.NewTasks = []flow.TaskRow{w.task(w.id(), "x")} },
		"update of another run":  func(c *flow.Change) { c.Tasks = []flow.TaskUpdate{{Row: w.task(w.id(), "x")}} },
		"unknown trigger":        func(c *flow.Change) { c.Instance.Trigger = "moon" },
		"grant of nothing":       func(c *flow.Change) { c.Grants = []flow.ID{1} },
		"outcome of nothing":     func(c *flow.Change) { c.Outcomes = []flow.Outcome{{Inbox: 1}} },
	} {
		up := next(ch.Instance)
		spoil(&up)
		w.same([]flow.Fate{flow.Poison}, fates(w.commit(up)), name)
	}
	if _, err := w.m.Commit(w.ctx, flow.Batch{Owner: w.me, Epoch: w.epoch, Changes: []flow.Change{next(ch.Instance), next(ch.Instance)}}); err == nil {
		w.Error("an instance twice in a batch")
	}
}

func testBelongings(w *world) {
	ch := w.run(1)
	id, row := ch.Instance.ID, ch.NewTasks[0]
	verb, quiet := w.order(id, "verb-1", flow.VerbPause), w.order(id, "result-1", "")
	up := next(ch.Instance)
	up.Past = []flow.AttemptRow{row.Attempt}
	up.Past[0].State, up.Past[0].Cause = flow.AttemptFailed, "exit:1"
	up.Past[0].CPU, up.Past[0].Memory = 1500, 7<<20
	row.Attempt = flow.AttemptRow{Task: row.ID, Number: 2, State: flow.AttemptGranted, ExitCode: flow.NoExit, GrantedAt: now}
	up.Tasks, up.Grants = []flow.TaskUpdate{{Row: row, Sources: 1 << flow.TaskDispatched}}, []flow.ID{row.ID}
	up.Inbox = []flow.ID{quiet, verb}
	up.Outcomes = []flow.Outcome{{Inbox: verb, Instance: id, Verb: flow.VerbPause, Applied: true, By: "me", At: now + 1}}
	up.Alerts = []flow.Alert{{ID: w.id(), Kind: flow.AlertTaskFailed, Project: ch.Instance.Project, Instance: id, Task: row.Name, Workflow: "w", Message: "m", At: now}}
	row.Attempt.Token = w.committed(up)[0].Tokens[0]
	if row.Attempt.Token <= up.Past[0].Token {
		w.Error("the second attempt's token is not greater")
	}
	w.same([]flow.TaskRow{row}, w.load(id).Tasks)
	w.same([]flow.NamedAttempt{{AttemptRow: up.Past[0], TaskName: row.Name}, {AttemptRow: row.Attempt, TaskName: row.Name}}, must(w.db.Attempts(w.ctx, id, ""))(w))
	w.same(&up.Outcomes[0], must(w.db.Outcome(w.ctx, verb))(w))
	w.same((*flow.Outcome)(nil), must(w.db.Outcome(w.ctx, quiet))(w))
	w.same([]flow.InboxItem{}, must(w.m.Inbox(w.ctx, w.me, 10, nil))(w))
	w.same(up.Alerts, must(w.db.Alerts(w.ctx, flow.AlertFilter{Instance: id}))(w).Items)
}

func testFenced(w *world) {
	ch := w.run(1)
	before := w.load(ch.Instance.ID)
	if won := must(w.m.Fence(w.ctx, w.me))(w); !won {
		w.Error("nobody else fenced it")
	}
	if won := must(w.m.Fence(w.ctx, w.me))(w); won {
		w.Error("fenced twice")
	}
	c := w.submit()
	_, err := w.m.Commit(w.ctx, flow.Batch{Owner: w.me, Epoch: w.epoch, Changes: []flow.Change{next(ch.Instance), w.begin(c, 1)}})
	if !errors.Is(err, flow.ErrFenced) {
		w.Errorf("commit of a fenced incarnation: %v", err)
	}
	w.same(before, w.load(ch.Instance.ID))
	w.same(1, len(must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)), "the command waits")
	if ids := must(w.m.Claim(w.ctx, w.me, now, 10))(w); len(ids) > 0 {
		w.Error("a fenced incarnation claimed")
	}
	w.same([]int64{w.me}, w.beat(flow.Node{Incarnation: w.me}), "heartbeat of a fenced incarnation")
}

func testEmpty(w *world) {
	w.same(0, len(w.commit()))
	w.ok(w.m.Leave(w.ctx, w.me))
	if _, err := w.m.Commit(w.ctx, flow.Batch{Owner: w.me, Epoch: w.epoch}); !errors.Is(err, flow.ErrFenced) {
		w.Errorf("an empty commit tells a fenced incarnation so: %v", err)
	}
}

func testLargeBatch(w *world) {
	var batch []flow.Change
	for range 300 {
		batch = append(batch, w.begin(w.submit(), 2))
	}
	wide := w.begin(w.submit(), 1500)
	wide.Instance.Params = []byte(`{"long":"` + strings.Repeat("x", 300_000) + `"}`)
	w.committed(append(batch, wide)...)
	w.same(1500, len(w.load(wide.Instance.ID).Tasks))
	w.same(len(wide.Instance.Params), len(w.load(wide.Instance.ID).Instance.Params))
}

// testFanOut: the widest step there can be is one commit, well within what a statement may take, and
// what others commit meanwhile waits for one such commit at most.
func testFanOut(w *world) {
	wide := w.begin(w.submit(), 0)
	w.committed(wide)
	up := next(wide.Instance)
	for k := range flow.MaxTasks {
		t := w.task(up.Instance.ID, fmt.Sprint("t", k))
		up.NewTasks = append(up.NewTasks, t)
		up.Grants = append(up.Grants, t.ID)
	}
	small := w.run(1).Instance
	begun := time.Now()
	done := make(chan time.Duration, 1)
	go func() {
		w.committed(up)
		done <- time.Since(begun)
	}()
	var waits []time.Duration
	var took time.Duration
	for took == 0 {
		ch := next(small)
		at := time.Now()
		w.committed(ch)
		waits = append(waits, time.Since(at))
		small = ch.Instance
		select {
		case took = <-done:
		default:
		}
	}
	slices.Sort(waits)
	w.Logf("%d rows in %s; %d other commits meanwhile, the longest %s, the median %s", flow.MaxTasks, took, len(waits), waits[len(waits)-1], waits[len(waits)/2])
	if longest := waits[len(waits)-1]; longest > took+time.Second {
		w.Errorf("a commit of one row waited %s beside one that took %s", longest, took)
	}
	w.same(flow.MaxTasks, len(w.load(up.Instance.ID).Tasks))

	// And all of them end together.
	all := next(up.Instance)
	for _, t := range w.load(up.Instance.ID).Tasks {
		all.Tasks = append(all.Tasks, end(t, t.Attempt.Token))
	}
	begun = time.Now()
	w.committed(all)
	w.Logf("%d rows ended in %s", flow.MaxTasks, time.Since(begun))
}

func testTokens(w *world) {
	var last int64
	for k := range 3 {
		w.me, w.epoch = w.register(fmt.Sprint("home-t", k))
		for range 3 {
			ch := w.begin(w.submit(), 3)
			got := w.committed(ch)[0].Tokens
			for _, token := range got {
				if slices.Max(got) <= last || token <= last {
					w.Fatalf("token %d after %d", token, last)
				}
			}
			for n, row := range w.load(ch.Instance.ID).Tasks {
				w.same(got[n], row.Attempt.Token, "token of the row that was granted")
			}
			last = slices.Max(got)
		}
	}
	// Another generation is above every token of the last, whatever the sequence says.
	w.ok(w.db.SetSetting(w.ctx, "generation", "3"))
	if token := w.run(1).NewTasks[0].Attempt.Token; token>>40 != 3 {
		w.Errorf("token %d is not of generation 3", token)
	}
}
