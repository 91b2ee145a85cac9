package master

import (
	"errors"
	"slices"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/rpc"
	"baton/internal/task"
)

// drain has the store tell who is drained.
func (b *bench) drain(keys ...string) { b.step(Polled{Waiting: flow.Waiting{Draining: keys}}) }

// see shows masters in the registry.
func (b *bench) see(ids ...int64) {
	v := registry.View{Since: t0}
	for _, id := range ids {
		v.Members = append(v.Members, registry.Member{Incarnation: id, Role: flow.RoleMaster, Engine: flow.EngineVersion, State: "ready"})
	}
	b.step(Viewed{v})
}

// busy is a core that drives a run whose task runs on a worker.
func busy(t *testing.T) *bench {
	t.Helper()
	b := setup(t)
	b.core.cfg.DrainKey = "master:m"
	b.connect(1, 50, 4)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"}, flow.Task{Name: "b", Type: "nothing", Needs: []string{"a"}})})
	return b
}

func TestDrainedWorkerGetsNothingNew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.drain("worker:h", "worker:other")
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	row := b.answer()[0].NewTasks[0]
	if want := flow.ReasonNoWorker + `: every worker of group "default" is draining`; row.State != flow.TaskQueued || row.Reason != want {
		t.Errorf("%s: %q", row.State, row.Reason)
	}
	if len(every[Grant](b)) > 0 {
		t.Error("granted to a drained worker")
	}
	b.step(Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 1, Keep: true}}})
	if len(every[Grant](b)) > 0 {
		t.Error("granted with its beat")
	}
	b.drain()
	b.answer()
	one[Grant](b)
}

func TestDrainedMasterGivesAwayWhatIsAtRest(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.see(7, 8, 9)
	b.step(PeersRead{}, CommandsRead{})
	b.drain("master:m")
	if a := one[Announce](b); a.State != "draining" {
		t.Errorf("the others see it %s", a.State)
	}
	if len(every[GiveAway](b)) > 0 {
		t.Fatal("a run was given away while a commit of it is under way")
	}
	b.step(Poked{Commands: true})
	if len(every[ReadCommands](b))+len(every[Claim](b)) > 0 {
		t.Error("a drained master takes new work")
	}
	b.out = []Effect{Commit{Batch: flow.Batch{Changes: b.core.lanes[0].changes}}}
	b.answer()
	g := one[GiveAway](b)
	if !slices.Equal(g.IDs, []flow.ID{100}) || !slices.Equal(g.Heirs, []int64{8, 9}) {
		t.Fatalf("%+v", g)
	}
	one[Grant](b)
	b.step(GivenAway{Heirs: g.Heirs})
	if len(every[Tell](b)) != 2 {
		t.Error("the heirs are not told")
	}
	// A result that comes here all the same goes through the inbox.
	b.step(Frame{1, &rpc.FromWorker{Ended: []*rpc.Ended{{Token: 1, Instance: 100, Task: 5}}}})
	one[HandOver](b)
	b.drain()
	one[ReadCommands](b)
	if a := one[Announce](b); a.State != "ready" {
		t.Errorf("the others see it %s", a.State)
	}
}

// Of masters with one name the one is drained whose incarnation is named.
func TestDrainOfOneIncarnation(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.see(7, 8)
	b.step(PeersRead{}, CommandsRead{})
	b.drain(flow.DrainOf(8))
	if b.core.drains.me {
		t.Error("the drain of another incarnation is taken for its own")
	}
	b.drain(flow.DrainOf(7))
	if a := one[Announce](b); a.State != "draining" {
		t.Errorf("the others see it %s", a.State)
	}
}

func TestLastMasterKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.see(7)
	b.drain("master:m")
	b.out = []Effect{Commit{Batch: flow.Batch{Changes: b.core.lanes[0].changes}}}
	b.answer()
	if len(every[GiveAway](b)) > 0 {
		t.Error("given away to nobody")
	}
	one[Grant](b)
}

func TestGivenAwayIsDoubtful(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.see(7, 8)
	b.step(PeersRead{})
	b.drain("master:m")
	b.out = []Effect{Commit{Batch: flow.Batch{Changes: b.core.lanes[0].changes}}}
	b.answer()
	b.step(GivenAway{Heirs: []int64{8}, Err: errors.New("nobody knows")})
	b.poll()
	one[ReadOwned](b)
	b.step(OwnedRead{IDs: []flow.ID{100}})
	if l := one[Load](b); !slices.Equal(l.IDs, []flow.ID{100}) {
		t.Errorf("what is still mine is not driven on: %v", l.IDs)
	}
}

// A drained master is no heir: what a dead one leaves is the others'.
func TestDrainedMasterInheritsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.core.cfg.DrainKey = "master:m"
	b.see(7, 8)
	b.drain("master:m")
	b.step(PeersRead{Peers: []flow.Peer{{Incarnation: 9, Name: "dead", Fenced: true, Owns: true}}})
	if len(every[HandOut](b))+len(every[TakeOver](b)) > 0 {
		t.Error("a drained master inherits")
	}
	b.drain()
	one[HandOut](b)
}

func TestDrainedFromTheStart(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.DrainKey = "master:m"
	b := &bench{t: t, core: NewCore(cfg, task.NewSet(nothing{})), now: t0}
	b.step(Started{flow.Lease{Incarnation: 7, Number: 1, Epoch: 1, Generation: 1, Draining: []string{"master:m"}}})
	if len(every[ReadCommands](b))+len(every[Claim](b)) > 0 {
		t.Error("it takes work before it knows that it is drained")
	}
}

// A drained master that is the last one takes over what the dead left, and wakes what is parked: nobody else
// would. What is new waits, with its reason.
func TestLastMasterIsDrained(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{true, false} {
		b := setup(t)
		b.core.cfg.DrainKey = "master:m"
		if b.see(7, 8); alone {
			b.see(7)
		}
		b.drain("master:m")
		b.step(PeersRead{Peers: []flow.Peer{{Incarnation: 9, Name: "dead", Fenced: true, Owns: true}}})
		if takes := len(every[TakeOver](b)) > 0; takes != alone {
			t.Errorf("alone %t: takes over %t", alone, takes)
		}
		b.step(Polled{Waiting: flow.Waiting{Commands: true, Addressed: true, NextWake: b.now, Draining: []string{"master:m"}}})
		if claims := len(every[Claim](b)) > 0; claims != alone {
			t.Errorf("alone %t: wakes what is parked %t", alone, claims)
		}
		if len(every[ReadCommands](b)) > 0 {
			t.Errorf("alone %t: takes new runs", alone)
		}
	}
}

// The length of leases is told to workers with the renewal that is written for as long.
func TestLeaseIsChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 3, Keep: true, LeaseMicros: 10_000_000}}})
	b.now = b.now.Add(b.core.gather())
	b.out = b.core.Step(b.now, Tick{})
	beat := one[Beat](b)
	if beat.Lease != 10*time.Second || beat.Sessions[0].Lease != 10*time.Second {
		t.Errorf("who counts by what: %+v", beat)
	}
	b.out = b.core.Step(b.now, Beaten{At: b.now, Sessions: []int64{50}, Settings: flow.Settings{Lease: 2 * time.Second}})
	if f := one[Send](b).Frame; !f.GetRenew() || f.GetLeaseMicros() != 2_000_000 {
		t.Errorf("the worker is told %v", f)
	}
	if a := one[Announce](b); a.Lease != 2*time.Second {
		t.Errorf("announced for %s", a.Lease)
	}
	if next := one[Beat](b); next.Lease != 2*time.Second {
		t.Errorf("the next beat is for %s", next.Lease)
	}
}

// A result is forgotten only when it is durable, also when its worker is asked for it.
func TestAnswerToAnAskForgetsNothingUncommitted(t *testing.T) {
	t.Parallel()
	b := busy(t)
	row := b.answer()[0].NewTasks[0]
	b.step(Frame{1, &rpc.FromWorker{Ended: []*rpc.Ended{{Token: 1, Instance: 100, Task: int64(row.ID), State: uint32(flow.AttemptSucceeded), Confirmed: true}}}})
	one[Commit](b)
	b.step(Frame{1, &rpc.FromWorker{Held: []*rpc.Held{{Token: 1, Instance: 100, Task: int64(row.ID), State: rpc.HeldState_HELD_STATE_ENDED}}}})
	for _, s := range every[Send](b) {
		if len(s.Frame.GetSettles()) > 0 {
			t.Errorf("told before the commit: %v", s.Frame.GetSettles())
		}
	}
}

// A drain is known as soon as it is told, also when the store was being asked just then.
func TestDrainIsLookedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.drain()
	if b.step(Poked{Drains: true}); len(every[Poll](b)) != 1 {
		t.Fatalf("the store is not asked: %v", b.out)
	}
	if b.step(Poked{Drains: true}); len(every[Poll](b)) != 0 {
		t.Errorf("it is asked twice at a time: %v", b.out)
	}
	if b.step(Polled{}); len(every[Poll](b)) != 1 {
		t.Errorf("what was asked before the word came is believed: %v", b.out)
	}
	if b.drain(); len(every[Poll](b)) != 0 {
		t.Errorf("it is asked again and again: %v", b.out)
	}
}
