package master

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// started is a bench whose worker runs the only task of run 100, by token 1.
func started(t *testing.T) (b *bench, task int64) {
	t.Helper()
	b = busy(t)
	task = int64(b.answer()[0].NewTasks[0].ID)
	b.step(Frame{1, &rpc.FromWorker{Started: []*rpc.Started{{Token: 1, Instance: 100, Task: task, At: int64(b.now)}}}})
	b.now = b.now.Add(DefaultConfig().Lazy)
	b.step(Tick{})
	b.answer()
	return b, task
}

// acks are the tokens that workers are told to forget.
func (b *bench) acks() (tokens []int64) {
	for _, s := range every[Send](b) {
		tokens = append(tokens, s.Frame.Acks...)
	}
	return tokens
}

// A master that may be dead for the others does not know every attempt of what it owned. It lets nobody
// forget the result of one: its owner is to hear it.
func TestWhoIsNotSureForgetsNothing(t *testing.T) {
	t.Parallel()
	b, task := started(t)
	of := func(token int64) Frame {
		return Frame{1, &rpc.FromWorker{Ended: []*rpc.Ended{{Token: token, Instance: 100, Task: task, State: uint32(flow.AttemptSucceeded), Confirmed: true}}}}
	}
	b.step(of(9))
	if got := b.acks(); !slices.Equal(got, []int64{9}) {
		t.Fatalf("acknowledged %v, of which the owner knows that nobody waits for it", got)
	}
	b.now = b.now.Add(DefaultConfig().Lease / 2)
	b.out = b.core.Step(b.now, of(10)) // its beats are not answered
	if got := b.acks(); len(got) > 0 {
		t.Errorf("acknowledged %v", got)
	}
	b.out = b.core.Step(b.now, Beaten{At: b.now, Sessions: []int64{50}})
	b.step(of(10))
	if got := b.acks(); !slices.Equal(got, []int64{10}) {
		t.Errorf("acknowledged %v when it is sure again", got)
	}
}

// A result that a worker was told to forget is in the inbox, or it is lost: the attempt does not run for
// ever.
func TestResultThatNobodyHas(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{true, false} {
		b, task := started(t)
		b.step(Frame{1, &rpc.FromWorker{Held: []*rpc.Held{{Token: 1, Instance: 100, Task: task, State: rpc.HeldState_HELD_STATE_DONE}}}})
		one[ReadInbox](b)
		want := flow.AttemptSucceeded
		var items []flow.InboxItem
		if there {
			payload, err := json.Marshal(handedResult{flow.ID(task), flow.Result{Token: 1, State: want, Confirmed: true}})
			if err != nil {
				t.Fatal(err)
			}
			items = append(items, flow.InboxItem{ID: 60, Instance: 100, Kind: flow.InboxResult, Payload: payload})
		}
		b.step(InboxRead{Items: items})
		ch := b.answer()[0]
		switch got := ch.Tasks[0].Row.Attempt; {
		case there && got.State != want:
			t.Errorf("its result is in the inbox, and the attempt is %s", got.State)
		case !there && (got.Number != 2 || len(ch.Past) != 1 || ch.Past[0].State != flow.AttemptLost):
			t.Errorf("its result is nowhere, and the attempt is %+v after %+v", got, ch.Past)
		}
	}
}

// What was read of the inbox is forgotten when the rows are read again; so nothing is given up before the
// inbox was read after that.
func TestInboxIsReadAgainAfterTheRows(t *testing.T) {
	t.Parallel()
	b, task := started(t)
	rows := b.core.insts[100].st.Rows
	loaded := flow.Loaded{Instance: b.core.insts[100].st.Inst, Tasks: slices.Clone(rows)}
	b.step(Poked{Inbox: true})
	one[ReadInbox](b)
	b.step(Frame{1, &rpc.FromWorker{Held: []*rpc.Held{{Token: 1, Instance: 100, Task: task, State: rpc.HeldState_HELD_STATE_DONE}}}})
	payload, err := json.Marshal(handedResult{flow.ID(task), flow.Result{Token: 1, State: flow.AttemptSucceeded, Confirmed: true}})
	if err != nil {
		t.Fatal(err)
	}
	item := flow.InboxItem{ID: 60, Instance: 100, Kind: flow.InboxResult, Payload: payload}
	b.step(InboxRead{Items: []flow.InboxItem{item}})
	commit := one[Commit](b)
	b.step(Committed{Lane: commit.Lane, Err: errors.New("nobody knows")}, InboxRead{})
	b.poll()
	one[Load](b)
	b.step(LoadedRows{Asked: []flow.ID{100}, Loaded: []flow.Loaded{loaded}})
	for _, c := range every[Commit](b) {
		for _, past := range c.Batch.Changes[0].Past {
			t.Errorf("attempt %d is %s", past.Number, past.State)
		}
	}
	for len(every[Commit](b)) == 0 {
		b.step(InboxRead{Items: []flow.InboxItem{item}})
	}
	if got := b.answer()[0].Tasks[0].Row.Attempt; got.State != flow.AttemptSucceeded {
		t.Errorf("the attempt is %s", got.State)
	}
}

// What is to be killed is cancelled when that is durable, also when its worker is asked for it meanwhile:
// who reads the rows after a commit that was lost wants it still.
func TestCancelWaitsForItsCommit(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		b, task := started(t)
		b.step(InboxRead{Items: []flow.InboxItem{{ID: 60, Instance: 100, Kind: flow.InboxVerb, Payload: []byte(`{"name":"stop"}`)}}})
		commit := one[Commit](b)
		settled := func() (n int) {
			for _, s := range every[Send](b) {
				n += len(s.Frame.Settles)
			}
			return n
		}
		b.step(Frame{1, &rpc.FromWorker{Held: []*rpc.Held{{Token: 1, Instance: 100, Task: task, State: rpc.HeldState_HELD_STATE_RUNNING}}}})
		if settled() > 0 {
			t.Fatal("cancelled before the commit")
		}
		if lost {
			b.step(Committed{Lane: commit.Lane, Err: errors.New("nobody knows")})
		} else {
			b.out = []Effect{commit}
			b.answer()
		}
		if n := settled(); (n == 0) != lost {
			t.Errorf("commit lost (%t): settled %d", lost, n)
		}
	}
}

// Whoever may have been handed something is told to look, also when nobody knows what came of it.
func TestHeirsAreToldOfWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.see(7, 8)
	b.step(PeersRead{Peers: []flow.Peer{{Incarnation: 9, Name: "dead", Fenced: true, Owns: true}}})
	b.step(HandedOut{Dead: 9, Heirs: one[HandOut](b).Heirs, Err: errors.New("nobody knows")})
	if told := one[Tell](b); told.Incarnation != 8 {
		t.Errorf("told %d", told.Incarnation)
	}
	one[TakeOver](b)
	b.step(GivenAway{Heirs: []int64{8}, Err: errors.New("nobody knows")})
	one[Tell](b)
}

// Each round of handing out goes to those that are well then.
func TestHeirsAreChosenAnew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.see(7, 8)
	b.step(PeersRead{Peers: []flow.Peer{{Incarnation: 9, Name: "dead", Fenced: true, Owns: true}}})
	first := one[HandOut](b)
	if !slices.Equal(first.Heirs, []int64{7, 8}) {
		t.Fatalf("heirs %v", first.Heirs)
	}
	b.see(7)
	b.step(HandedOut{Dead: 9, Heirs: first.Heirs, Mine: []flow.ID{200}, Others: 1})
	one[TakeOver](b) // what is left is for the only one
	if n := len(every[HandOut](b)); n > 0 {
		t.Error("handed out to who is gone")
	}
}

// An item of a run that is mine, says the store, and that is not here: the answer that said so was lost.
func TestItemOfARunThatIsNotHere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.claim(unknownTask())
	b.step(InboxRead{Items: []flow.InboxItem{{ID: 60, Instance: 555, Kind: flow.InboxVerb, Payload: []byte(`{}`)}}})
	b.poll()
	one[ReadOwned](b)
}

// Workers hear which masters are dead: at once, and with their welcome.
func TestWorkersHearWhoIsDead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.out = b.core.Step(b.now, Frame{2, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w2", Home: "h2", Groups: []string{"default"}, Slots: 4}}})
	b.step(Condemned{Dead: 9})
	if s := one[Send](b); s.Conn != 1 || !slices.Equal(s.Frame.Fenced, []int64{9}) {
		t.Errorf("told before the welcome: %+v", s)
	}
	b.step(Registered{Conn: 2, Lease: flow.Lease{Incarnation: 51}})
	if s := one[Send](b); s.Frame.Welcome == nil || !slices.Equal(s.Frame.Fenced, []int64{9}) {
		t.Errorf("welcomed with %v", s.Frame)
	}
}

// A worker whose session is over hears so, and its connection ends after that.
func TestEndOfASessionEndsItsConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.out = b.core.Step(b.now, Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 1, Keep: true, Urgent: true}}})
	one[Beat](b)
	b.out = b.core.Step(b.now, Beaten{At: b.now, Sessions: []int64{50}, Lost: []int64{50}})
	if s := one[Send](b); !s.Frame.GetWelcome().GetOver() {
		t.Errorf("it is told %v", s.Frame)
	}
	if h := one[HangUp](b); h.Conn != 1 || !h.After {
		t.Errorf("%+v", h)
	}
}
