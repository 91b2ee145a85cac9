package master

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// gone answers the commit under way: none of its instances was as the commit expected.
func (b *bench) gone() {
	b.t.Helper()
	c := one[Commit](b)
	b.step(Committed{Lane: c.Lane, Result: flow.CommitResult{Changes: slices.Repeat([]flow.ChangeResult{{Fate: flow.Gone}}, len(c.Batch.Changes))}})
}

// poll lets the net under the pokes come round.
func (b *bench) poll() {
	b.now = b.now.Add(DefaultConfig().Poll)
	b.step(Tick{})
}

// parked loads an instance of two tasks, the first of which was left to be settled by hand.
func unknownTask() flow.Loaded {
	return flow.Loaded{
		Instance: flow.Instance{ID: 100, Workflow: 9, Version: 1, State: flow.InstanceRunning, Owner: 7, Seq: 3, Spec: []byte(`{}`)},
		Tasks: []flow.TaskRow{{
			ID: 1, Instance: 100, Name: "a", Type: "nothing", Valid: true, State: flow.TaskUnknown, Reason: "unknown",
			Attempt: flow.AttemptRow{Task: 1, Number: 1, Token: 5, State: flow.AttemptUnknown, GrantedAt: t0, StartedAt: t0},
		}},
	}
}

func (b *bench) claim(l flow.Loaded) {
	b.t.Helper()
	b.step(Claimed{IDs: []flow.ID{l.Instance.ID}})
	b.step(LoadedRows{Asked: []flow.ID{l.Instance.ID}, Loaded: []flow.Loaded{l}})
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing", Delivery: flow.AtMostOnce})})
}

// What was claimed is mine, although what was asked after the claim failed: nobody else drives it.
func TestClaimedAlthoughTheNextWakeIsNotKnown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(Claimed{IDs: []flow.ID{100}, Err: errors.New("the next wake is not known")})
	if l := one[Load](b); !slices.Equal(l.IDs, []flow.ID{100}) {
		t.Errorf("loads %v", l.IDs)
	}
}

// A commit that was held for failed may go through after the rows were read again. The next one
// finds them changed, and they are this master's still.
func TestGoneIsReadAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	b.gone()
	b.poll()
	if l := one[Load](b); !slices.Equal(l.IDs, []flow.ID{100}) {
		t.Fatalf("loads %v", l.IDs)
	}
	b.step(LoadedRows{Asked: []flow.ID{100}}) // another master's, after all
	if len(b.core.insts) != 0 {
		t.Error("an instance of another master is kept")
	}
}

// A result that came through the inbox while its instance was being parked is read again when it
// has been claimed for it.
func TestInboxWhileParking(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.claim(unknownTask())
	for len(every[Commit](b)) == 0 {
		b.step(InboxRead{})
	}
	if o := one[Commit](b).Batch.Changes[0].Instance.Owner; o != 0 {
		b.answer()
		if o = one[Commit](b).Batch.Changes[0].Instance.Owner; o != 0 {
			t.Fatalf("it is not parked, owner %d", o)
		}
	}
	parking := one[Commit](b)
	b.step(Poked{Commands: true, Inbox: true})
	b.step(InboxRead{Items: []flow.InboxItem{{ID: 60, Instance: 100, Kind: flow.InboxResult, Payload: []byte(`{"task":"1","result":{}}`)}}})
	b.step(Committed{Lane: parking.Lane, Result: flow.CommitResult{Changes: []flow.ChangeResult{{Fate: flow.Committed}}}})
	if len(every[HandOver](b)) > 0 {
		t.Error("what is in the inbox is put into it")
	}
	if len(b.core.seen) != 0 {
		t.Errorf("%v is never read again", b.core.seen)
	}
}

// Items that this master can do nothing with, a page full of them, do not hold up what is behind.
func TestUnknownItemsHoldUpNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.claim(unknownTask())
	var page []flow.InboxItem
	for i := range flow.ID(inboxAtOnce) {
		it := flow.InboxItem{ID: 1000 + i, Instance: 100, Kind: "of tomorrow", Payload: []byte(`{}`)}
		if i%2 == 0 {
			it.Instance, it.Kind = 555, flow.InboxVerb // mine in the store, and nothing is known of it here
		}
		page = append(page, it)
	}
	b.step(InboxRead{Items: page})
	next := one[ReadInbox](b)
	for _, it := range page {
		if !slices.Contains(next.Except, it.ID) {
			t.Fatalf("item %d fills the next page too", it.ID)
		}
	}
	b.step(InboxRead{Items: []flow.InboxItem{{ID: 5000, Instance: 100, Kind: flow.InboxVerb, Payload: []byte(`{"name":"task.succeed","task":"a"}`)}}})
	if ch := one[Commit](b).Batch.Changes; len(ch) != 1 || !slices.Equal(ch[0].Inbox, []flow.ID{5000}) {
		t.Errorf("what is behind them is not carried out: %+v", ch)
	}
	// Its instance is found to be mine: its items are read then.
	b.step(OwnedRead{IDs: []flow.ID{555}}, Poked{Inbox: true})
	if r := one[ReadInbox](b); slices.Contains(r.Except, 1000) {
		t.Error("the items of an instance that was taken are not read")
	}
}

// A step as wide as a batch is committed by itself, and what is ready beside it goes first.
func TestWideStepHoldsUpNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	wide := make([]flow.Task, DefaultConfig().BatchRows+1)
	for i := range wide {
		wide[i] = flow.Task{Name: "t" + strconv.Itoa(i), Type: "nothing"}
	}
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9), command(101, 8), command(102, 7), command(103, 7)}},
		DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})},
		DefinitionRead{Key: PlanKey{8, 1}, Definition: definition(8, wide...)},
		DefinitionRead{Key: PlanKey{7, 1}, Definition: definition(7, flow.Task{Name: "a", Type: "nothing"})})
	ids := func() (out []flow.ID) {
		for _, ch := range b.answer() {
			out = append(out, ch.Instance.ID)
		}
		return out
	}
	if got := ids(); !slices.Equal(got, []flow.ID{100, 102, 103}) {
		t.Errorf("first %v", got)
	}
	if got := ids(); !slices.Equal(got, []flow.ID{101}) {
		t.Errorf("then %v", got)
	}
}

// A grant that was lost with its connection is sent again although a commit of its instance is
// under way when the worker is back.
func TestGrantIsSentAgainAfterTheCommitUnderWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9,
		flow.Task{Name: "a", Type: "nothing"}, flow.Task{Name: "b", Type: "nothing"})})
	rows := b.answer()[0].NewTasks
	if g := every[Grant](b); len(g) != 2 {
		t.Fatalf("granted %+v", g)
	}
	b.step(Frame{1, &rpc.FromWorker{Ended: []*rpc.Ended{{Instance: 100, Task: int64(rows[0].ID), Token: 1, State: uint32(flow.AttemptSucceeded)}}}})
	under := one[Commit](b)
	b.step(Closed{1})
	b.step(Frame{2, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w1", Home: "h", Groups: []string{"default"}, Slots: 4, Session: 50, Generation: 1}}})
	b.step(Committed{Lane: under.Lane, Result: flow.CommitResult{Changes: []flow.ChangeResult{{Fate: flow.Committed}}}})
	if g := one[Grant](b); g.Conn != 2 || g.Order.Token != 2 {
		t.Errorf("granted %+v", g)
	}
}

// An at-most-once attempt is told to begin when its start is durable, not when its worker is back.
func TestBeginWaitsForItsCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9,
		flow.Task{Name: "a", Type: "nothing", Delivery: flow.AtMostOnce})})
	row := b.answer()[0].NewTasks[0]
	b.step(CommandsRead{Commands: []flow.Command{command(101, 9)}}) // keeps the lane busy
	under := one[Commit](b)
	b.step(Frame{1, &rpc.FromWorker{Started: []*rpc.Started{{Token: 1, Instance: 100, Task: int64(row.ID), At: int64(b.now)}}}})
	b.step(Closed{1})
	b.step(Frame{2, &rpc.FromWorker{Hello: &rpc.Hello{
		Name: "w1", Home: "h", Groups: []string{"default"}, Slots: 4, Session: 50, Generation: 1,
		Held: []*rpc.Held{{Token: 1, Instance: 100, Task: int64(row.ID), State: rpc.HeldState_HELD_STATE_RUNNING}},
	}}})
	for _, s := range every[Send](b) {
		if len(s.Frame.Begins) > 0 {
			t.Fatal("it begins before its start is durable")
		}
	}
	b.step(Committed{Lane: under.Lane, Result: flow.CommitResult{Changes: []flow.ChangeResult{{Fate: flow.Committed, Tokens: []int64{2}}}}})
	b.answer()
	begins := 0
	for _, s := range every[Send](b) {
		if s.Conn == 2 && len(s.Frame.Begins) > 0 {
			begins++
		}
	}
	if begins != 1 {
		t.Errorf("told to begin %d times", begins)
	}
	// Whoever did not hear it says again that it waits, and is told again.
	b.step(Frame{2, &rpc.FromWorker{Started: []*rpc.Started{{Token: 1, Instance: 100, Task: int64(row.ID), At: int64(b.now)}}}})
	if s := one[Send](b); s.Conn != 2 || !slices.Equal(s.Frame.Begins, []int64{1}) {
		t.Errorf("sends %+v", s)
	}
}

// A watcher that was too slow for the last changes of all is told so.
func TestGapAtTheEnd(t *testing.T) {
	t.Parallel()
	var m Master
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ch := m.Watch(ctx, 0)
	for i := range flow.ID(2 * watchDepth) {
		m.feed.publish(flow.Change{Instance: flow.Instance{ID: i + 1}})
	}
	for n := 1; ; n++ {
		c := <-ch
		if c.Gap {
			if n != watchDepth {
				t.Errorf("the gap is number %d", n)
			}
			break
		}
	}
	m.feed.publish(flow.Change{Instance: flow.Instance{ID: 9999}})
	if c := <-ch; c.Instance.ID != 9999 {
		t.Errorf("after the gap %+v", c)
	}
}

// A hello that waited for its welcome knows nothing of what another master granted meanwhile. When
// that master's run comes here before the welcome, the worker is asked: its task still runs.
func TestHelloOlderThanATakeover(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.out = b.core.Step(b.now, Frame{1, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w1", Home: "h", Groups: []string{"default"}, Slots: 4, Session: 50, Generation: 1}}})
	one[Beat](b)
	l := unknownTask()
	row := &l.Tasks[0]
	row.State, row.Reason, row.Attempt.State, row.Attempt.Session, row.Attempt.Worker = flow.TaskRunning, "running", flow.AttemptStarted, 50, "w1"
	b.claim(l)
	b.out = b.core.Step(b.now, InboxRead{}, Beaten{At: b.now, Sessions: []int64{50}})
	var asks []*rpc.Ask
	for _, s := range every[Send](b) {
		asks = append(asks, s.Frame.Asks...)
	}
	if len(asks) != 1 || asks[0].Token != 5 {
		t.Errorf("asked for %v", asks)
	}
	b.answer()
	if in := b.core.insts[100]; in.st.Rows[0].State != flow.TaskRunning {
		t.Errorf("the task is %s: %s", in.st.Rows[0].State, in.st.Rows[0].Reason)
	}
	b.step(Frame{1, &rpc.FromWorker{Held: []*rpc.Held{{Token: 5, Instance: 100, Task: 1}}}}) // it has nothing of it
	b.step(InboxRead{})
	if in := b.core.insts[100]; in.st.Rows[0].State == flow.TaskRunning {
		t.Error("the task runs on although the worker has nothing of it")
	}
}

// A session of another generation of the store is made known to this one, and stays the same: what the worker
// runs is bound to it, also in rows that are read later. One that this store knows as dead is over.
func TestSessionOfAnotherGeneration(t *testing.T) {
	t.Parallel()
	for _, dead := range []bool{false, true} {
		b := setup(t)
		l := unknownTask()
		row := &l.Tasks[0]
		row.State, row.Reason, row.Attempt.State, row.Attempt.Session, row.Attempt.Worker = flow.TaskRunning, "running", flow.AttemptStarted, 50, "w1"
		b.claim(l)
		b.step(InboxRead{})
		b.step(Frame{1, &rpc.FromWorker{Hello: &rpc.Hello{
			Name: "w1", Home: "h", Groups: []string{"default"}, Slots: 4, Session: 50, Generation: 99,
			Held: []*rpc.Held{{Token: 5, Instance: 100, Task: 1, State: rpc.HeldState_HELD_STATE_RUNNING}},
		}}})
		if r := one[Register](b); r.Node.Incarnation != 50 {
			t.Fatalf("registers %+v", r.Node)
		}
		if dead {
			b.step(Registered{Conn: 1, Err: flow.ErrFenced})
			if w := one[Send](b).Frame.Welcome; !w.GetOver() || w.Session != 50 {
				t.Errorf("says %v", w)
			}
			continue
		}
		b.step(Registered{Conn: 1, Err: errors.New("the store is away")})
		b.now = b.now.Add(DefaultConfig().Lease)
		b.step(Tick{})
		if r := one[Register](b); r.Node.Incarnation != 50 {
			t.Fatalf("registers again %+v", r.Node)
		}
		b.step(Registered{Conn: 1, Lease: flow.Lease{Incarnation: 50}})
		w := one[Send](b).Frame.Welcome
		if w.GetSession() != 50 || w.Generation != 1 || len(w.Settle) != 1 || w.Settle[0].Action != rpc.SettleAction_SETTLE_ACTION_KEEP {
			t.Errorf("says %v", w)
		}
	}
}

// Two masters see the same command; the other one takes it. What its worker runs of it is not what this
// one was about to make: it is not cancelled, and its result goes through the inbox at once.
func TestWhatAnotherMasterMadeOfACommandIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	commit := one[Commit](b)
	b.out = b.core.Step(b.now, Frame{1, &rpc.FromWorker{Hello: &rpc.Hello{
		Name: "w1", Home: "h", Groups: []string{"default"}, Slots: 4, Session: 50, Generation: 1,
		Held: []*rpc.Held{{Token: 5, Instance: 100, Task: 77, State: rpc.HeldState_HELD_STATE_RUNNING}},
	}}})
	b.out = b.core.Step(b.now, Beaten{At: b.now, Sessions: []int64{50}})
	welcomed := false
	for _, s := range every[Send](b) {
		w := s.Frame.Welcome
		welcomed = welcomed || w != nil
		if len(w.GetSettle()) > 0 {
			t.Errorf("it is told %v", w.Settle)
		}
	}
	if !welcomed {
		t.Fatal("no welcome")
	}
	b.step(Frame{1, &rpc.FromWorker{Ended: []*rpc.Ended{{Token: 5, Instance: 100, Task: 77, State: uint32(flow.AttemptSucceeded), Confirmed: true}}}})
	if h := one[HandOver](b); h.Token != 5 || h.Item.Instance != 100 {
		t.Errorf("handed over: %+v", h)
	}
	b.step(Committed{Lane: commit.Lane, Result: flow.CommitResult{Changes: []flow.ChangeResult{{Fate: flow.Gone}}}})
	b.step(Frame{1, &rpc.FromWorker{Ended: []*rpc.Ended{{Token: 6, Instance: 100, Task: 78, State: uint32(flow.AttemptSucceeded), Confirmed: true}}}})
	b.poll()
	b.step(LoadedRows{Asked: []flow.ID{100}})
	if h := one[HandOver](b); h.Token != 6 {
		t.Errorf("handed over: %+v", h)
	}
}

// A read of the inbox that fails is asked for again, also when nothing waits there: something is given up
// only after a read.
func TestInboxThatCannotBeReadIsReadAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	b.answer()
	b.step(Closed{1}, SessionEnded{Session: 50, Over: true})
	one[ReadInbox](b)
	b.step(InboxRead{Err: errors.New("the store is away")})
	b.now = b.now.Add(DefaultConfig().Poll)
	b.step(Tick{}, Polled{})
	one[ReadInbox](b)
	b.step(InboxRead{})
	if got := b.answer()[0].Tasks[0].Row; got.Attempt.State != flow.AttemptLost {
		t.Errorf("the attempt is %s", got.Attempt.State)
	}
}

// Who is told that something is its own while it reads a long list of that reads once more, at once.
func TestToldWhileReadingWhatIsMine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(Poked{Handed: true})
	one[ReadOwned](b)
	b.step(Poked{Handed: true})
	page := make([]flow.ID, ownedAtOnce)
	for i := range page {
		page[i] = flow.ID(1000 + i)
	}
	b.step(OwnedRead{IDs: page})
	if next := one[ReadOwned](b); next.After != page[len(page)-1] {
		t.Fatalf("the next page is after %d", next.After)
	}
	b.step(OwnedRead{})
	if again := one[ReadOwned](b); again.After != 0 {
		t.Errorf("read again after %d", again.After)
	}
}
