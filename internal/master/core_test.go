package master

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/task"
)

// nothing is a task type that no worker of these tests runs.
type nothing struct{}

func (nothing) Name() string                        { return "nothing" }
func (nothing) Schema() task.Schema                 { return task.Schema{} }
func (nothing) Check(json.RawMessage) []*flow.Error { return nil }

const t0 = flow.Time(1_770_000_000_000_000)

// bench is a core and what it asked for.
type bench struct {
	t    *testing.T
	core *Core
	now  flow.Time
	out  []Effect
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, core: NewCore(DefaultConfig(), task.NewSet(nothing{})), now: t0}
	b.step(Started{flow.Lease{Incarnation: 7, Number: 1, Epoch: 1, Generation: 1}})
	b.step(CommandsRead{}, InboxRead{}, Claimed{})
	return b
}

// step has the core take events. The store renews every lease it is asked to.
func (b *bench) step(events ...Event) {
	b.out = b.core.Step(b.now, events...)
	for _, fx := range b.out {
		if beat, ok := fx.(Beat); ok {
			done := Beaten{At: b.now}
			for _, n := range beat.Sessions {
				done.Sessions = append(done.Sessions, n.Incarnation)
			}
			b.out = append(b.out, b.core.Step(b.now, done)...)
		}
	}
}

// one returns the only effect of a type.
func one[E Effect](b *bench) E {
	b.t.Helper()
	all := every[E](b)
	if len(all) != 1 {
		var none E
		b.t.Fatalf("%d effects of type %T in %v", len(all), none, b.out)
	}
	return all[0]
}

func every[E Effect](b *bench) []E {
	var all []E
	for _, fx := range b.out {
		if e, ok := fx.(E); ok {
			all = append(all, e)
		}
	}
	return all
}

func definition(id flow.ID, tasks ...flow.Task) flow.Definition {
	return flow.Definition{ID: id, ProjectID: 1, Project: "p", Name: "w", Version: 1, Workflow: flow.Workflow{Project: "p", Name: "w", Tasks: tasks}}
}

func command(id, workflow flow.ID) flow.Command {
	return flow.Command{ID: id, Project: 1, Workflow: workflow, Version: 1, Start: []byte(`{}`), At: t0}
}

// connect lets a worker in.
func (b *bench) connect(conn, session int64, slots int32) {
	b.step(Frame{conn, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w1", Home: "h", Groups: []string{"default"}, Slots: slots}}})
	b.step(Registered{Conn: conn, Lease: flow.Lease{Incarnation: session}})
	b.room(conn, slots)
}

// room has a worker give this master places.
func (b *bench) room(conn int64, places int32) {
	b.step(Frame{conn, &rpc.FromWorker{Room: &rpc.Room{Places: places, Number: 1}}})
}

// answer commits everything that is being committed, with tokens from 1.
func (b *bench) answer() []flow.Change {
	b.t.Helper()
	c := one[Commit](b)
	res := flow.CommitResult{}
	token := int64(0)
	for _, ch := range c.Batch.Changes {
		r := flow.ChangeResult{Fate: flow.Committed}
		for range ch.Grants {
			token++
			r.Tokens = append(r.Tokens, token)
		}
		res.Changes = append(res.Changes, r)
	}
	b.step(Committed{Lane: c.Lane, Result: res})
	return c.Batch.Changes
}

func TestNothingLeavesBeforeItIsDurable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}})
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	if len(every[Grant](b)) > 0 || len(every[Publish](b)) > 0 {
		t.Fatalf("effects before the commit answered: %v", b.out)
	}
	c := one[Commit](b)
	if c.Batch.Owner != 7 || len(c.Batch.Changes) != 1 || c.Batch.Changes[0].Command != 100 || len(c.Batch.Changes[0].Grants) != 1 {
		t.Fatalf("the claim, the instance and its first grant are one change, not %+v", c.Batch)
	}
	b.answer()
	if g := one[Grant](b); g.Conn != 1 || g.Order.Token != 1 || g.Order.Session != 50 {
		t.Errorf("granted %+v", g)
	}
}

func TestUnknownOutcomeForgetsAndReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	b.step(Committed{Err: errors.New("connection lost")})
	if len(every[Grant](b)) > 0 {
		t.Fatalf("something left although nobody knows whether it is durable: %v", b.out)
	}
	b.now += flow.Time(time.Second.Microseconds())
	b.step(Tick{})
	if l := one[Load](b); !slices.Equal(l.IDs, []flow.ID{100}) {
		t.Fatalf("reads %v again, want instance 100", l.IDs)
	}
	// It was not written: the command is still there and is taken again.
	b.step(LoadedRows{Asked: []flow.ID{100}})
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}})
	b.answer()
	one[Grant](b)
}

func TestOnlyTheCulpritIsQuarantined(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9), command(101, 9), command(102, 8)}})
	b.step(
		DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})},
		DefinitionRead{Key: PlanKey{8, 1}, Definition: definition(8, flow.Task{Name: "a", Type: "unheard-of"})},
	)
	if q := one[Quarantine](b); q.ID != 102 || !q.Command || !strings.Contains(q.Reason, "unheard-of") {
		t.Errorf("quarantined %+v", q)
	}
	b.step(Committed{Result: flow.CommitResult{Changes: []flow.ChangeResult{
		{Fate: flow.Poison, Err: errors.New("value too long")}, {Fate: flow.Committed, Tokens: []int64{1}},
	}}})
	if q := one[Quarantine](b); q.ID != 100 || !strings.Contains(q.Reason, "value too long") {
		t.Errorf("quarantined %+v", q)
	}
	if g := one[Grant](b); g.Order.Instance != 101 {
		t.Errorf("granted %+v, want instance 101 to go on", g)
	}
}

// What the store cannot set aside now is remembered, not taken again: neither the command, nor an
// instance that is still this master's in the store.
func TestQuarantineUnderWayIsRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	refused := definition(8, flow.Task{Name: "a", Type: "unheard-of"})
	b.step(CommandsRead{Commands: []flow.Command{command(100, 8)}}, DefinitionRead{Key: PlanKey{8, 1}, Definition: refused})
	if q := one[Quarantine](b); q.ID != 100 || q.Again {
		t.Fatalf("quarantined %+v", q)
	}
	b.step(Claimed{IDs: []flow.ID{101}})
	b.step(LoadedRows{Asked: []flow.ID{101}, Loaded: []flow.Loaded{{Instance: flow.Instance{ID: 101}, Err: errors.New("cannot be read")}}})
	one[Quarantine](b)

	b.step(Poked{Commands: true})
	if r := one[ReadCommands](b); !slices.Contains(r.Except, 100) {
		t.Errorf("reads the command that is being quarantined: %+v", r)
	}
	full := errors.New("the disk is full")
	b.step(CommandsRead{Commands: []flow.Command{command(100, 8)}}, OwnedRead{IDs: []flow.ID{101}}, Quarantined{100, full}, Quarantined{101, full})
	if len(every[Quarantine](b))+len(every[Load](b))+len(every[ReadDefinition](b)) > 0 {
		t.Fatalf("taken again: %v", b.out)
	}
	b.poll()
	again := every[Quarantine](b)
	if len(again) != 2 || again[0].ID != 100 || again[1].ID != 101 || !again[0].Again || !again[0].Command || again[1].Command {
		t.Fatalf("ordered again: %+v", again)
	}
	b.poll()
	if len(every[Quarantine](b)) > 0 {
		t.Error("ordered again while it is under way")
	}
	// Durable, and released before the answer came: it is this master's to load.
	b.step(Claimed{IDs: []flow.ID{101}}, Quarantined{ID: 100}, Quarantined{ID: 101})
	if l := one[Load](b); !slices.Equal(l.IDs, []flow.ID{101}) || len(b.core.poisoned) > 0 {
		t.Errorf("loads %v, remembers %v", l.IDs, b.core.poisoned)
	}
}

func TestDamagedRowsAreQuarantined(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := flow.Instance{ID: 100, Workflow: 9, Version: 1, State: flow.InstanceRunning, Owner: 7, Seq: 3, Spec: []byte(`{}`)}
	bad := in
	bad.ID = 101
	b.step(Claimed{IDs: []flow.ID{100, 101}})
	b.step(LoadedRows{Asked: []flow.ID{100, 101}, Loaded: []flow.Loaded{
		{Instance: in, Tasks: []flow.TaskRow{{ID: 1, Instance: 100, Name: "a", Type: "nothing", Valid: true, State: flow.TaskQueued, Reason: "queued"}}},
		{Instance: bad, Tasks: []flow.TaskRow{{ID: 2, Instance: 101, Name: "a", Type: "nothing", Valid: true, State: 77}}},
	}})
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	if q := one[Quarantine](b); q.ID != 101 || q.Command || !strings.Contains(q.Reason, "state 77") {
		t.Errorf("quarantined %+v", q)
	}
	b.answer() // it says why it waits
	b.connect(1, 50, 4)
	if changes := one[Commit](b).Batch.Changes; len(changes) != 1 || changes[0].Instance.ID != 100 || len(changes[0].Grants) != 1 {
		t.Errorf("the sound instance does not go on: %+v", changes)
	}
}

func TestFencedStops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	b.step(Committed{Err: flow.ErrFenced}, Tick{}) // others wait behind it
	if s := one[Stop](b); !errors.Is(s.Err, flow.ErrFenced) {
		t.Errorf("stops with %v", s.Err)
	}
	if b.step(Tick{}); len(b.out) > 0 {
		t.Errorf("a fenced master still does %v", b.out)
	}
}

// What nobody could place says why, in the commit that makes it wait.
func TestWaitingRowsSayWhy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing", WorkerGroup: "spark"})})
	row := one[Commit](b).Batch.Changes[0].NewTasks[0]
	if row.State != flow.TaskQueued || !strings.HasPrefix(row.Reason, "no_worker: ") || !strings.Contains(row.Reason, `"spark"`) {
		t.Errorf("task is %s: %q", row.State, row.Reason)
	}
}

// A row that waits says why as it is now: nobody there, then everybody busy, then nobody again.
func TestReasonFollowsTheCause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	two := definition(9, flow.Task{Name: "a", Type: "nothing"}, flow.Task{Name: "b", Type: "nothing"}, flow.Task{Name: "c", Type: "nothing"})
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: two})
	for _, row := range b.answer()[0].NewTasks {
		if !strings.HasPrefix(row.Reason, "no_worker: ") {
			t.Fatalf("%s: %s", row.Name, row.Reason)
		}
	}
	reason := func() string {
		in := b.core.insts[100].st
		return in.Rows[in.RowOf("c")].Reason
	}
	b.connect(1, 50, 1)
	b.answer()
	if got := reason(); !strings.HasPrefix(got, "no_slot: all 1 places") {
		t.Errorf("one is granted, the others say %s", got)
	}
	b.step(Frame{2, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w2", Home: "i", Groups: []string{"default"}, Slots: 1}}})
	b.step(Registered{Conn: 2, Lease: flow.Lease{Incarnation: 51}})
	b.room(2, 1)
	for _, ch := range b.answer() {
		for _, u := range ch.Tasks {
			if u.Row.Name == "c" {
				t.Errorf("written for another number: %s", u.Row.Reason)
			}
		}
	}
	b.step(Closed{1}, Closed{2})
	b.answer()
	if got := reason(); !strings.HasPrefix(got, "no_worker: no worker is connected") {
		t.Errorf("all are gone, it says %s", got)
	}
}

// A type that no worker of the group has is offered to nobody, and the row says what is missing.
func TestTypeThatNoWorkerHas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(Frame{1, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w1", Home: "h", Groups: []string{"default"}, Types: []string{"shell"}, Slots: 4}}})
	b.step(Registered{Conn: 1, Lease: flow.Lease{Incarnation: 50}})
	b.room(1, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	ch := one[Commit](b).Batch.Changes[0]
	if len(ch.Grants) > 0 || !strings.HasPrefix(ch.NewTasks[0].Reason, `no_worker: no worker of group "default" has type "nothing"`) {
		t.Errorf("%d grants, %q", len(ch.Grants), ch.NewTasks[0].Reason)
	}
	b.answer()
	b.step(Frame{2, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w2", Home: "i", Groups: []string{"default"}, Types: []string{"nothing"}, Slots: 4}}})
	b.step(Registered{Conn: 2, Lease: flow.Lease{Incarnation: 51}})
	b.room(2, 4)
	if ch := one[Commit](b).Batch.Changes[0]; len(ch.Grants) != 1 || ch.Tasks[0].Row.Attempt.Session != 51 {
		t.Errorf("not granted to the worker that has the type: %+v", ch)
	}
}

// refuse has the worker refuse the grants it got, and counts what is granted anew at once.
func (b *bench) refuse(reason string) int {
	b.t.Helper()
	f := &rpc.FromWorker{}
	for _, g := range every[Grant](b) {
		f.Refused = append(f.Refused, &rpc.Refused{Token: g.Order.Token, Instance: int64(g.Order.Instance), Task: int64(g.Order.Task), Reason: reason})
	}
	b.step(Frame{1, f})
	n := 0
	for _, ch := range b.answer() {
		n += len(ch.Grants)
	}
	return n
}

// A worker that did not say which types it has refuses one once, not once a beat.
func TestRefusedTypeIsNotOfferedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	b.answer()
	if n := b.refuse("unknown_type"); n > 0 {
		t.Fatalf("granted again %d times", n)
	}
	for range 5 {
		b.now = b.now.Add(DefaultConfig().Lease / 3)
		b.step(Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 1}}})
		if len(every[Commit](b)) > 0 {
			t.Fatal("offered again after a beat")
		}
	}
}

// A worker that refuses everything is asked ever more rarely.
func TestRefusalsBackOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	b.answer()
	asked := []time.Duration{}
	last := b.now
	for len(asked) < 9 {
		if n := b.refuse("disk"); n > 0 {
			t.Fatalf("granted again at once, %d times", n)
		}
		for len(every[Commit](b)) == 0 {
			b.now = b.now.Add(DefaultConfig().Lease / 3)
			b.step(Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 1}}})
			if b.now.Sub(last) > 2*askAgainMost {
				t.Fatalf("not asked again for %s", b.now.Sub(last))
			}
		}
		asked = append(asked, b.now.Sub(last))
		last = b.now
		b.answer()
	}
	if asked[0] > DefaultConfig().Lease/3 || asked[3] < 2*asked[1] || asked[8] < askAgainMost {
		t.Errorf("asked after %v", asked)
	}
}

// An instance that only waits, for longer than it is worth keeping, has no owner after the commit.
func TestLongWaitIsParked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing", Delay: flow.Duration(time.Hour)})})
	in := one[Commit](b).Batch.Changes[0].Instance
	if in.Owner != 0 || in.WakeAt != t0.Add(time.Hour) || in.Reason == "" {
		t.Errorf("owner %d, wakes at %s, reason %q", in.Owner, in.WakeAt, in.Reason)
	}
	b.answer()
	if len(b.core.insts) != 0 {
		t.Error("a parked instance is still in memory")
	}
	b.now = t0.Add(time.Hour)
	b.step(Tick{})
	one[Claim](b)
}

// An idle master asks the store less than twice a second, however many workers are connected.
func TestIdleCost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range int64(50) {
		b.step(Frame{i + 1, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w", Home: "h", Groups: []string{"default"}, Slots: 4}}})
		b.step(Registered{Conn: i + 1, Lease: flow.Lease{Incarnation: 50 + i}})
	}
	// All workers ask for their leases, each at a moment of its own within a third of a lease.
	asked, renewed := t0, 0
	// A run that waits for a day, parked, is looked for as ever.
	const seconds = 120
	statements := 0
	at := b.now
	for end := t0.Add(seconds * time.Second); b.now < end; b.now = at {
		b.step(Tick{})
		out := b.out
		for ; asked <= b.now; asked = asked.Add(DefaultConfig().Lease / 3 / 50) {
			conn := int64(asked-t0)/(DefaultConfig().Lease/3/50).Microseconds()%50 + 1
			b.step(Frame{conn, &rpc.FromWorker{Beat: &rpc.Beat{Number: 1, Keep: true}}})
			out = append(out, b.out...)
		}
		b.out = out
		var answers []Event
		for _, fx := range b.out {
			switch e := fx.(type) {
			case WakeAt:
				at = max(e.At, b.now+1)
			case Send, Publish:
			case Poll:
				statements++
				answers = append(answers, Polled{Waiting: flow.Waiting{NextWake: t0.Add(24 * time.Hour)}})
			case ReadOwned:
				statements++
				answers = append(answers, OwnedRead{})
			case Beat:
				statements++
				renewed += len(e.Sessions)
			case ReadPeers:
				statements++
				answers = append(answers, PeersRead{})
			case ReadCommands:
				statements++
				answers = append(answers, CommandsRead{})
			case Claim:
				statements += 2
				answers = append(answers, Claimed{})
			default:
				t.Fatalf("an idle master does %T", fx)
			}
		}
		b.step(answers...)
		for _, w := range every[WakeAt](b) {
			at = max(w.At, b.now+1)
		}
	}
	if got := float64(statements) / seconds; got >= 2 {
		t.Errorf("%.2f statements a second", got)
	}
	b.step(Polled{Waiting: flow.Waiting{Commands: true, Addressed: true}})
	one[ReadCommands](b)
	one[Claim](b)
}

// A master that cannot be sure of its lease says nothing more, and says it once it is sure again.
func TestOrdersWaitForTheLease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	under := one[Commit](b)
	b.now = b.now.Add(DefaultConfig().Lease / 2)
	res := flow.CommitResult{Changes: []flow.ChangeResult{{Fate: flow.Committed, Tokens: []int64{1}}}}
	b.out = b.core.Step(b.now, Committed{Lane: under.Lane, Result: res})
	if n := len(every[Grant](b)); n != 0 {
		t.Fatalf("%d attempts are granted by a master that may be dead for the others", n)
	}
	beat := one[Beat](b)
	b.out = b.core.Step(b.now, Beaten{At: b.now, Sessions: []int64{}})
	if g := one[Grant](b); g.Order.Token != 1 || len(beat.Sessions) != 0 {
		t.Errorf("granted %+v", g)
	}
}

// What is decided while earlier orders of the same run wait for the lease is ordered when it is durable: the
// answer of a beat that comes before has nothing of it sent, and nothing of it forgotten.
func TestOrdersThatWaitForTheLeaseTakeNoOthersAlong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.room(1, 1)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9,
		flow.Task{Name: "a", Type: "nothing"}, flow.Task{Name: "b", Type: "nothing"})})
	first := one[Commit](b)
	if n := len(first.Batch.Changes[0].Grants); n != 1 {
		t.Fatalf("%d grants in one place", n)
	}
	b.now = b.now.Add(DefaultConfig().Lease / 2)
	quiet := func(events ...Event) { b.out = b.core.Step(b.now, events...) } // its beats are not answered
	committed := func(c Commit, tokens ...int64) Committed {
		return Committed{Lane: c.Lane, Result: flow.CommitResult{Changes: []flow.ChangeResult{{Fate: flow.Committed, Tokens: tokens}}}}
	}
	quiet(committed(first, 1), CommandsRead{Commands: []flow.Command{command(101, 9)}})
	other := one[Commit](b) // keeps the lane busy
	quiet(Frame{1, &rpc.FromWorker{Room: &rpc.Room{Places: 2, Number: 2}}})
	quiet(Beaten{At: b.now, Sessions: []int64{}})
	granted := map[int64]bool{}
	note := func() {
		t.Helper()
		for _, g := range every[Grant](b) {
			if g.Order.Token == 0 || granted[g.Order.Token] {
				t.Errorf("granted %+v", g.Order)
			}
			granted[g.Order.Token] = true
		}
	}
	note()
	quiet(committed(other))
	note()
	quiet(committed(one[Commit](b), 2))
	note()
	if !granted[1] || !granted[2] {
		t.Errorf("granted: %v", granted)
	}
}

// A clock that is set back does not stop the core from seeing what is due.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.now -= flow.Time(time.Hour.Microseconds())
	b.step(Poked{Commands: true, Inbox: true})
	if len(b.out) == 0 {
		t.Error("a core whose clock was set back does nothing")
	}
	for _, w := range every[WakeAt](b) {
		if w.At.Sub(t0) > time.Minute {
			t.Errorf("it sleeps until %s", w.At)
		}
	}
}

func TestLostWorkerAfterItsLease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	row := b.answer()[0].NewTasks[0]
	b.step(Frame{1, &rpc.FromWorker{Started: []*rpc.Started{{Token: 1, Instance: 100, Task: int64(row.ID), At: int64(b.now)}}}})
	b.step(Closed{1})
	lease := DefaultConfig().Lease
	for end := b.now.Add(lease - time.Millisecond); b.now < end; {
		b.now = min(end, b.now.Add(lease/10))
		b.step(Tick{})
		if len(every[EndSession](b)) > 0 {
			t.Fatal("its end is asked for before its lease is over")
		}
		if len(every[Commit](b)) > 0 {
			b.answer()
		}
	}
	b.now = b.now.Add(2 * time.Millisecond)
	b.step(Tick{})
	if s := one[EndSession](b); s.Session != 50 || s.Within > lease/4 {
		t.Fatalf("asks for the end of session %d within %s", s.Session, s.Within)
	}
	b.step(SessionEnded{Session: 50, Over: true})
	one[ReadInbox](b)
	if len(every[Commit](b)) > 0 {
		t.Fatal("lost although its result may lie in the inbox")
	}
	b.step(InboxRead{})
	got := one[Commit](b).Batch.Changes[0].Tasks[0].Row
	if got.State != flow.TaskQueued || got.Attempt.State != flow.AttemptLost || got.Attempt.Infra != 1 {
		t.Errorf("task is %s with attempt %s, %d losses", got.State, got.Attempt.State, got.Attempt.Infra)
	}
}

// After an outage of the store nobody's lease was renewed: all begin anew, and nobody is lost.
func TestLostWorkerAfterAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	b.answer()
	b.step(Closed{1}, Beaten{Err: errors.New("the store is away")})
	lease := DefaultConfig().Lease
	b.now = b.now.Add(2 * lease)
	b.step(Beaten{At: b.now}) // it is back
	for end := b.now.Add(lease); b.now < end; b.now = b.now.Add(lease / 10) {
		b.step(Tick{})
		if len(every[EndSession](b)) > 0 {
			t.Fatalf("a session is to be ended %s after an outage", lease-end.Sub(b.now))
		}
	}
	b.step(Tick{})
	if s := one[EndSession](b); s.Session != 50 {
		t.Errorf("session %d is to be ended", s.Session)
	}
}

// A network that swallows packets gives no error: a beat that is not answered in time tells the same.
func TestSilentStoreIsAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.connect(2, 51, 4)
	lease := DefaultConfig().Lease
	b.now = b.now.Add(2 * lease / 3)
	quiet := func(events ...Event) { b.out = b.core.Step(b.now, events...) } // its beats are not answered
	beat := func(conn, number int64) Frame {
		return Frame{conn, &rpc.FromWorker{Beat: &rpc.Beat{Number: number, Keep: true, Urgent: true, LeaseMicros: lease.Microseconds()}}}
	}
	told := func(outage bool, heard map[int64]int64) {
		t.Helper()
		got := map[int64]int64{}
		for _, s := range every[Send](b) {
			if s.Frame.Outage == outage && s.Frame.Heard != 0 {
				got[s.Conn] = s.Frame.Heard
			}
		}
		if !maps.Equal(got, heard) {
			t.Errorf("told %v, want %v", got, heard)
		}
	}
	quiet(beat(1, 7), Frame{2, &rpc.FromWorker{Beat: &rpc.Beat{Number: 6}}})
	if got := one[Beat](b); got.Late > lease/4 || len(got.Sessions) != 1 {
		t.Fatalf("beats %+v", got)
	}
	if at := every[WakeAt](b); at[len(at)-1].At > b.now.Add(lease/4) {
		t.Errorf("it sleeps until %s", at[len(at)-1].At)
	}
	late := one[Beat](b).Late
	b.now = b.now.Add(late - time.Millisecond)
	quiet(Tick{})
	told(true, map[int64]int64{})
	b.now = b.now.Add(time.Millisecond)
	quiet(Tick{})
	told(true, map[int64]int64{1: 7})
	quiet(beat(2, 8))
	told(true, map[int64]int64{2: 8})
	// What was asked before, and is answered now, does not end it.
	quiet(PeersRead{})
	quiet(SessionEnded{Session: 77})
	quiet(beat(2, 9))
	told(true, map[int64]int64{2: 9})
	// Late is better than never.
	quiet(Beaten{At: b.now.Add(-late), Sessions: []int64{50}})
	renewed := false
	for _, s := range every[Send](b) {
		renewed = renewed || s.Conn == 1 && s.Frame.Renew && s.Frame.Beat == 7
	}
	if !renewed {
		t.Errorf("a late answer renews nothing: %v", b.out)
	}
	b.step(Closed{1})
	for end := b.now.Add(lease - time.Millisecond); b.now < end; b.now = b.now.Add(lease / 10) {
		b.step(Tick{}, Frame{2, &rpc.FromWorker{Beat: &rpc.Beat{Number: 9}}})
		if len(every[EndSession](b)) > 0 {
			t.Fatal("a session is to be ended by who saw a gap")
		}
	}
}

// When the store is back, the leases of the workers that asked meanwhile are renewed at once: nobody who
// looks sees them as lost until they ask again.
func TestLeasesAreRenewedAfterAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.connect(2, 51, 4)
	b.connect(3, 52, 4)
	lease := DefaultConfig().Lease
	quiet := func(events ...Event) { b.out = b.core.Step(b.now, events...) } // its beats are not answered
	ask := func(conn int64) Frame {
		return Frame{conn, &rpc.FromWorker{Beat: &rpc.Beat{Number: 1, Keep: true, Urgent: true}}}
	}
	b.now = b.now.Add(lease / 2)
	quiet(ask(1), Frame{2, &rpc.FromWorker{Beat: &rpc.Beat{Number: 1}}})
	quiet(Beaten{Err: errors.New("the store is away")})
	quiet(ask(3))
	b.now = b.now.Add(2 * lease)
	heard := b.now
	quiet(Frame{2, &rpc.FromWorker{Beat: &rpc.Beat{Number: 2, Keep: true}}}, Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 2}}})
	quiet(Beaten{Err: errors.New("the store is away")})
	b.now = b.now.Add(time.Second)
	quiet(Tick{}) // and 3 is silent: what became of it is not known
	asked := map[int64]time.Duration{}
	for _, n := range one[Beat](b).Sessions {
		asked[n.Incarnation] = n.Waited
	}
	want := map[int64]time.Duration{50: b.now.Sub(heard), 51: b.now.Sub(heard)}
	if !maps.Equal(asked, want) {
		t.Fatalf("renews %v, want %v", asked, want)
	}
	quiet(Beaten{At: b.now, Sessions: []int64{50, 51}})
	for _, s := range every[Send](b) {
		if s.Frame.Renew {
			t.Errorf("%d is told of a beat that it did not say: %v", s.Conn, s.Frame)
		}
	}
	b.now = b.now.Add(lease)
	quiet(Tick{})
	if got := one[Beat](b).Sessions; len(got) > 0 {
		t.Errorf("renews unasked when all is well: %v", got)
	}
}

// What was ordered of a run before anybody took it goes before its tasks: none of them is granted.
func TestOrderedBeforeItBegan(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	cmd := command(100, 9)
	payload, err := json.Marshal(flow.Verb{Name: flow.VerbStop, By: "me"})
	if err != nil {
		t.Fatal(err)
	}
	cmd.Inbox = []flow.InboxItem{{ID: 7, Instance: 100, Kind: flow.InboxVerb, Payload: payload, At: t0}}
	b.step(CommandsRead{Commands: []flow.Command{cmd}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	ch := b.answer()[0]
	if ch.Command != 100 || ch.Instance.State != flow.InstanceStopped || len(ch.Inbox)+len(ch.Outcomes) == 0 {
		t.Errorf("commits %+v", ch)
	}
	for _, row := range ch.NewTasks {
		if row.Attempt.Number != 0 {
			t.Errorf("task %s has an attempt", row.Name)
		}
	}
	if len(every[Grant](b)) > 0 {
		t.Error("a task of a run that was stopped is granted")
	}
}

// A worker whose home belongs to another cluster gets no session: its numbers mean something else here.
func TestWorkerOfAnotherCluster(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.core.lease.Cluster = "mine"
	hello := &rpc.Hello{Name: "w1", Home: "h", Session: 50, Generation: b.core.lease.Generation, Cluster: "other", Held: []*rpc.Held{{Token: 1}}}
	b.step(Frame{1, &rpc.FromWorker{Hello: hello}})
	w := one[Send](b).Frame.Welcome
	if !w.GetForeign() || w.GetCluster() != "mine" || w.Session != 0 || len(w.Settle) > 0 || len(every[Register](b)) > 0 || len(every[Beat](b)) > 0 {
		t.Errorf("does %v", b.out)
	}
	b.step(Frame{1, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w1", Home: "h", Number: 5}}}) // it has nothing of the other any more
	one[Register](b)
	b.step(Registered{Conn: 1, Lease: flow.Lease{Incarnation: 50}})
	if w := one[Send](b).Frame.Welcome; w.GetSession() != 50 || w.GetCluster() != "mine" {
		t.Errorf("welcome %v", w)
	}
}

// A hello that lay somewhere for long is answered with the number of the later one that was answered.
func TestOutrunHello(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hello := &rpc.Hello{Name: "w1", Home: "h", Number: 5}
	b.step(Frame{1, &rpc.FromWorker{Hello: hello}})
	if r := one[Register](b); r.Node.Hello != 5 {
		t.Fatalf("registers %+v", r.Node)
	}
	b.step(Outrun{Conn: 1, Hello: 9})
	if s := one[Send](b); s.Conn != 1 || s.Frame.Welcome.GetOutrun() != 9 || s.Frame.Welcome.Session != 0 {
		t.Errorf("sends %+v", s)
	}
	b.step(Frame{1, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w1", Home: "h", Number: 10}}}) // on the same stream
	if r := one[Register](b); r.Node.Hello != 10 {
		t.Errorf("registers %+v", r.Node)
	}
	b.step(Outrun{Conn: 1, Hello: 10}) // outrun once more, it says a greater one
	if s := every[Send](b); len(s) != 1 || s[0].Frame.Welcome.GetOutrun() != 10 {
		t.Errorf("sends %+v", s)
	}
	b.step(Frame{1, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w1", Home: "h", Number: 11}}})
	b.step(Registered{Conn: 1, Lease: flow.Lease{Incarnation: 50}})
	if s := one[Send](b); s.Frame.Welcome.GetSession() != 50 {
		t.Errorf("sends %+v", s)
	}
	b.step(Closed{1}, Outrun{Conn: 1, Hello: 11}) // too late to matter
}

// Suspect before lost: an attempt whose worker is away says so, and goes on when it is back.
func TestSuspectUntilItsWorkerIsBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	row := b.answer()[0].NewTasks[0]
	b.step(Frame{1, &rpc.FromWorker{Started: []*rpc.Started{{Token: 1, Instance: 100, Task: int64(row.ID), At: int64(b.now)}}}})
	b.now = b.now.Add(DefaultConfig().Lazy)
	b.step(Tick{})
	b.answer()

	b.step(Closed{1})
	b.now = b.now.Add(suspectAfter - time.Millisecond)
	b.step(Tick{})
	if len(every[Commit](b)) > 0 {
		t.Fatal("a short absence is written")
	}
	b.now = b.now.Add(DefaultConfig().Lazy + time.Millisecond)
	b.step(Tick{})
	b.now = b.now.Add(DefaultConfig().Lazy)
	b.step(Tick{})
	if got := b.answer()[0].Tasks[0].Row; got.State != flow.TaskRunning || got.Attempt.State != flow.AttemptSuspect || !strings.HasPrefix(got.Reason, flow.ReasonSuspect) {
		t.Fatalf("task is %s (%s), its attempt %s", got.State, got.Reason, got.Attempt.State)
	}

	b.now = b.now.Add(time.Second)
	b.step(Frame{2, &rpc.FromWorker{Hello: &rpc.Hello{
		Name: "w1", Home: "h", Groups: []string{"default"}, Slots: 4, Session: 50, Generation: 1,
		Held: []*rpc.Held{{Token: 1, Instance: 100, Task: int64(row.ID), State: rpc.HeldState_HELD_STATE_RUNNING}},
	}}})
	if got := b.answer()[0].Tasks[0].Row; got.Attempt.State != flow.AttemptStarted || got.Attempt.Token != 1 {
		t.Errorf("it is back, and the attempt is %s", got.Attempt.State)
	}
	b.now = b.now.Add(2 * DefaultConfig().Lease)
	b.step(Tick{})
	if len(every[Commit](b)) > 0 {
		t.Error("it is given up although its worker is back")
	}
}

// moody is a task type whose schema panics.
type moody struct{ nothing }

func (moody) Name() string        { return "moody" }
func (moody) Schema() task.Schema { panic("bad mood") }

func TestPanicQuarantinesOneInstance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.core.types = task.NewSet(nothing{}, moody{})
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9), command(101, 8)}})
	b.step(
		DefinitionRead{Key: PlanKey{8, 1}, Definition: definition(8, flow.Task{Name: "a", Type: "moody"})},
		DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})},
	)
	if q := one[Quarantine](b); q.ID != 101 || !strings.Contains(q.Reason, "bad mood") || strings.Contains(q.Reason, "goroutine") {
		t.Errorf("quarantined %+v", q)
	}
	b.answer()
	one[Grant](b)

	// A transition that panics: the table of states has no way from there.
	row := &b.core.insts[100].st.Rows[0]
	row.State = 77
	b.step(Frame{1, &rpc.FromWorker{Ended: []*rpc.Ended{{Instance: 100, Task: int64(row.ID), Token: row.Attempt.Token, State: uint32(flow.AttemptSucceeded)}}}})
	if q := one[Quarantine](b); q.ID != 100 || len(q.Stack) == 0 || !strings.Contains(q.Reason, "state77") {
		t.Errorf("quarantined %+v", q)
	}
	b.step(CommandsRead{Commands: []flow.Command{command(102, 9)}})
	b.answer()
	one[Grant](b)
}

// The host of a frozen worker ends no connection. What is silent for two beats is absent, and the store is
// asked when its lease may be over.
func TestSilentWorker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	b.answer()
	lease := DefaultConfig().Lease
	from := b.now
	hungUp := false
	for len(every[EndSession](b)) == 0 {
		if b.now = b.now.Add(lease / 20); b.now.Sub(from) > lease+time.Second {
			t.Fatalf("nothing after %s", b.now.Sub(from))
		}
		if len(every[Beat](b)) > 0 {
			b.step(Beaten{At: b.now})
		}
		b.step(Tick{})
		for _, h := range every[HangUp](b) {
			hungUp = hungUp || h.Conn == 1
		}
	}
	if got := b.now.Sub(from); got < lease*9/10 {
		t.Errorf("the store is asked after %s", got)
	}
	if !hungUp {
		t.Error("its connection is not ended")
	}
}
