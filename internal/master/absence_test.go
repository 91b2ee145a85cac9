package master

import (
	"errors"
	"slices"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// watch lets a time pass in which the worker beats and the store answers.
func (b *bench) watch(d time.Duration) {
	for end := b.now.Add(d); b.now < end; b.now = b.now.Add(DefaultConfig().Lease / 20) {
		b.step(Tick{}, Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: int64(b.now)}}})
	}
}

// A worker that lives, and that this master cannot reach, has what is on it given to the masters that hear
// it: what was granted may have been lost on the way.
func TestWhatIsOnAWorkerThatOthersHear(t *testing.T) {
	t.Parallel()
	for _, renewed := range []bool{true, false} {
		b := busy(t)
		b.answer()
		b.see(7, 8)
		b.step(PeersRead{})
		b.watch(DefaultConfig().Lease)
		lost := b.now
		b.step(Closed{1})
		for len(every[EndSession](b)) == 0 {
			if b.now = b.now.Add(10 * time.Millisecond); b.now.Sub(lost) > DefaultConfig().Lease {
				t.Fatal("the store is not asked")
			}
			b.step(Tick{})
			if len(every[Commit](b)) > 0 { // that it is suspect
				b.answer()
			}
		}
		left := DefaultConfig().Lease - b.now.Sub(lost) // it asked when it was seen last
		if renewed {
			left += DefaultConfig().Lease / 3
		}
		b.step(SessionEnded{Session: 50, Left: left})
		if given := len(every[GiveAway](b)); (given == 1) != renewed || renewed && !slices.Equal(one[GiveAway](b).IDs, []flow.ID{100}) {
			t.Errorf("renewed since (%t): %v", renewed, b.out)
		}
		if here := b.core.insts[100] != nil; here == renewed {
			t.Errorf("renewed since (%t): still here %t", renewed, here)
		}
	}
}

// A session that is not over yet is asked about again when it may be: not before, and not much later.
func TestAskedAgainWhenTheLeaseIsOver(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.answer()
	b.watch(DefaultConfig().Lease)
	b.step(Closed{1})
	asked := 0
	for end := b.now.Add(2 * DefaultConfig().Lease); b.now < end; b.now = b.now.Add(10 * time.Millisecond) {
		b.step(Tick{})
		if len(every[EndSession](b)) == 0 {
			continue
		}
		if asked++; asked == 2 {
			break
		}
		from, left := b.now, 1234*time.Millisecond
		b.step(SessionEnded{Session: 50, Left: left})
		b.now = from.Add(left - 10*time.Millisecond)
		b.step(Tick{})
		if len(every[EndSession](b)) > 0 {
			t.Error("asked before it can be over")
		}
		end = from.Add(left + 50*time.Millisecond)
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// A lease runs from when its worker asked, not from when many of them are renewed together.
func TestLeaseRunsFromTheQuestion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 3, Keep: true}}})
	b.now = b.now.Add(b.core.gather())
	b.out = b.core.Step(b.now, Tick{})
	if n := one[Beat](b).Sessions[0]; n.Waited != b.core.gather() {
		t.Errorf("it asked %s ago, not %s", b.core.gather(), n.Waited)
	}
}

// A worker that leaves in order is nobody's loss: its session ends at once, and no store is asked for it.
func TestWorkerLeaves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(Frame{1, &rpc.FromWorker{Leave: 50}})
	if l := one[LeaveSession](b); l != (LeaveSession{1, 50}) {
		t.Errorf("the store is told %v", l)
	}
	b.step(SessionLeft{1, 50, nil})
	if s := one[Send](b); s.Conn != 1 || s.Frame.Left != 50 {
		t.Errorf("says %v", s)
	}
	b.step(Closed{1})
	for range 40 {
		b.now = b.now.Add(DefaultConfig().Lease / 20)
		b.step(Tick{})
		if len(every[EndSession](b)) > 0 {
			t.Fatal("the store is asked whether it is lost")
		}
	}
}

// What was granted to a worker while it left is lost at once.
func TestWorkerLeavesWhatIsBeingGranted(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.answer()
	b.watch(DefaultConfig().Lease)
	b.step(Frame{1, &rpc.FromWorker{Leave: 50}})
	b.step(SessionLeft{1, 50, nil})
	b.step(Tick{})
	if e := one[EndSession](b); e.Session != 50 {
		t.Errorf("the store is asked about session %d", e.Session)
	}
}

// What a master asked a worker for is taken back when it has no more use for it, also when the worker was
// nobody else's meanwhile: else places are kept for it that others wait for.
func TestWantsAreTakenBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	room := func(number int64, places int32, shared bool) Frame {
		return Frame{1, &rpc.FromWorker{Room: &rpc.Room{Number: number, Places: places, Shared: shared}}}
	}
	asked := int32(0) // for more places, as said last
	step := func(events ...Event) {
		b.step(events...)
		for _, s := range every[Send](b) {
			if s.Frame.Wants != nil {
				asked = *s.Frame.Wants
			}
		}
	}
	step(room(1, 0, true))
	step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	if asked != 1 {
		t.Fatalf("asks for %d more places", asked)
	}
	b.answer()
	step(room(2, 4, false))
	b.answer() // it is granted
	step(Tick{})
	if step(room(3, 2, true)); asked != 0 {
		t.Errorf("asks for %d more places, and has nothing to give", asked)
	}
}

// Of a worker that others hear, and that has nothing of this master's, the store is asked once. Who is cut
// off from a thousand workers would ask it for ever.
func TestAskedOnceOfAWorkerThatHoldsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.watch(DefaultConfig().Lease)
	b.step(Closed{1})
	asked := 0
	for end := b.now.Add(100 * time.Second); b.now < end; b.now = b.now.Add(100 * time.Millisecond) {
		b.step(Tick{})
		if len(every[EndSession](b)) > 0 {
			asked++
			b.step(SessionEnded{Session: 50, Left: 9 * time.Second})
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// A worker that is away for longer than its lease is heard by nobody when its lease is over, though the
// question came too late to end it: it is asked again at once, and nothing is given away.
func TestLateQuestion(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.answer()
	b.see(7, 8)
	b.step(PeersRead{})
	b.watch(DefaultConfig().Lease)
	b.step(Closed{1})
	lost := b.now
	over := lost.Add(DefaultConfig().Lease * 5 / 4) // it asked for it late, of another master
	for ; b.now.Sub(lost) < 2*DefaultConfig().Lease; b.now = b.now.Add(10 * time.Millisecond) {
		b.step(Tick{}, PeersRead{})
		if len(every[Commit](b)) > 0 {
			b.answer()
		}
		if len(every[EndSession](b)) == 0 {
			continue
		}
		b.step(SessionEnded{Session: 50, Left: max(over.Sub(b.now), 0)})
		if b.core.insts[100] == nil {
			return // another master heard it when it asked, and has what is on it now
		}
		if next := b.core.away[0].until; next > max(over, b.now).Add(100*time.Millisecond) {
			t.Fatalf("its lease is over in %s, and it is asked again in %s", over.Sub(b.now), next.Sub(b.now))
		}
		if b.now >= over {
			if len(every[GiveAway](b)) > 0 {
				t.Error("given away though nobody hears it")
			}
			return
		}
	}
	t.Error("not asked when it was over")
}

// One question that fails while the beats are answered is no outage: it costs nobody the witness.
func TestOneFailedReadIsNoOutage(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.answer()
	for range 2 {
		b.watch(DefaultConfig().Lease)
	}
	b.step(PeersRead{Err: errors.New("a backend was killed")})
	if !b.core.witnessed() {
		t.Error("it is no witness any more")
	}
	b.out = b.core.Step(b.now, Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 99, Keep: true}}})
	for _, s := range every[Send](b) {
		if s.Frame.Outage {
			t.Error("workers are told of an outage")
		}
	}
	b.step(Beaten{Err: errors.New("the store is away")}, PeersRead{Err: errors.New("the store is away")})
	if b.core.witnessed() {
		t.Error("it is a witness after a gap")
	}
}

// A session that was registered for a connection that is gone is ended: nobody was told of it.
func TestRegisteredTooLate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(Frame{1, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w1", Home: "h", Groups: []string{"default"}, Slots: 4}}})
	one[Register](b)
	b.step(Closed{1})
	b.step(Registered{Conn: 1, Lease: flow.Lease{Incarnation: 50}})
	if l := one[LeaveSession](b); l.Session != 50 {
		t.Errorf("ends %v", l)
	}
	b.step(SessionLeft{1, 50, nil})
	// One that its worker had before, and which other masters hear, is not ended by a connection that broke.
	b.step(Frame{2, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w1", Home: "h", Groups: []string{"default"}, Slots: 4, Session: 40, Generation: 99}}})
	one[Register](b)
	b.step(Closed{2})
	b.step(Registered{Conn: 2, Lease: flow.Lease{Incarnation: 40}, Again: true})
	if l := every[LeaveSession](b); len(l) > 0 {
		t.Errorf("ends %v", l)
	}
}
