package master

import (
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/rpc"
)

// seeStates shows masters 7 (this one) and others in states.
func (b *bench) seeStates(states map[int64]string) {
	v := registry.View{Since: t0}
	for id := int64(1); id < 20; id++ {
		if state, there := states[id]; there {
			v.Members = append(v.Members, registry.Member{Incarnation: id, Role: flow.RoleMaster, State: state, Engine: flow.EngineVersion})
		}
	}
	b.step(Viewed{v})
}

// beat has the core renew its lease, with an answer that says something.
func (b *bench) beat(done Beaten) {
	done.At = b.now
	b.step(done)
}

// The commands of a busy master are the others' at once; it goes on with its share, and several busy
// ones do not all take the same.
func TestSlotsOfBusyMasters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		states      map[int64]string
		busy        bool
		slot, slots int
	}{
		{map[int64]string{7: "ready"}, false, 0, 1},
		{map[int64]string{5: "ready", 7: "ready", 9: "ready"}, false, 1, 3},
		{map[int64]string{5: "busy", 7: "ready", 9: "ready"}, false, 0, 2},
		{map[int64]string{5: "ready", 7: "busy", 9: "ready"}, true, 1, 3},
		{map[int64]string{5: "busy", 7: "busy", 9: "busy"}, true, 1, 3},
		{map[int64]string{5: "draining", 7: "busy"}, true, 0, 1},
	} {
		b.core.pace.now = b.core.pace.most
		if c.busy {
			b.core.pace.now = 1
		}
		b.seeStates(c.states)
		if slot, slots := b.core.slot(); slot != c.slot || slots != c.slots {
			t.Errorf("of %v master 7 takes slot %d of %d, not %d of %d", c.states, slot, slots, c.slot, c.slots)
		}
	}
}

// A master reads commands as soon as its share has grown.
func TestShareOfABusyMasterIsReadAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.seeStates(map[int64]string{5: "ready", 7: "ready"})
	b.step(CommandsRead{})
	b.seeStates(map[int64]string{5: "busy", 7: "ready"})
	if r := one[ReadCommands](b); r.Slot != 0 || r.Slots != 1 {
		t.Errorf("slot %d of %d is read", r.Slot, r.Slots)
	}
	b.step(CommandsRead{})
	b.seeStates(map[int64]string{5: "busy", 7: "ready"})
	if n := len(every[ReadCommands](b)); n != 0 {
		t.Errorf("%d reads although nothing changed", n)
	}
}

// Slow commits make a master take fewer commands and say that it is busy, and never stop it.
func TestSlowCommitsMakeAMasterBusy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	said := ""
	limits := []int{}
	for i := range flow.ID(30) {
		b.step(CommandsRead{Commands: []flow.Command{command(100+i, 9)}})
		if i == 0 {
			b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
		}
		took := 10 * time.Millisecond
		if i < 10 {
			took = time.Second
		}
		b.now = b.now.Add(took)
		b.answer()
		for _, d := range every[Announce](b) {
			said += d.State + ": " + d.Note + "\n"
		}
		b.now = b.now.Add(time.Second)
		b.step(Tick{}, Poked{Commands: true})
		for _, d := range every[Announce](b) {
			said += d.State + ": " + d.Note + "\n"
		}
		for _, r := range every[ReadCommands](b) {
			limits = append(limits, r.Limit)
		}
	}
	if said != "busy: overloaded, commits take long: fewer runs are begun here, the other masters take the rest\nready: the overload is over, runs are begun as before\n" {
		t.Errorf("said %q", said)
	}
	least := limits[0]
	for _, l := range limits {
		least = min(least, l)
	}
	if least != DefaultConfig().Commands/paceSteps || limits[len(limits)-1] <= DefaultConfig().Commands/2 {
		t.Errorf("read at most %v", limits)
	}
}

// Too little memory is the same, and the state goes with the next beat.
func TestShortMemoryMakesAMasterBusy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.beat(Beaten{Memory: 0.97})
	for range 4 {
		b.now = b.now.Add(time.Second)
		b.step(Tick{})
	}
	if b.core.state() != flow.NodeBusy {
		t.Fatalf("it is %s", b.core.state())
	}
	b.now = b.now.Add(DefaultConfig().Lease)
	b.step(Tick{})
	if beat := one[Beat](b); beat.State != flow.NodeBusy {
		t.Errorf("the beat says %s", beat.State)
	}
}

// The setting balance counts from the beat on that brings it.
func TestBalanceIsFollowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(Frame{2, &rpc.FromWorker{Hello: &rpc.Hello{Name: "w2", Home: "i", Groups: []string{"default"}, Slots: 4, Weight: 300}}})
	b.step(Registered{Conn: 2, Lease: flow.Lease{Incarnation: 60}})
	b.room(2, 4)
	place := func(first flow.ID, want string) {
		t.Helper()
		got := ""
		for i := range flow.ID(4) {
			b.step(CommandsRead{Commands: []flow.Command{command(first+i, 9)}})
			if b.core.plans[PlanKey{9, 1}].plan == nil {
				b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
			}
			c := one[Commit](b)
			got += c.Batch.Changes[0].NewTasks[0].Attempt.Worker + " "
			b.answer()
			in := b.core.insts[first+i]
			b.core.pool.Release(in.st.Rows[0].ID) // as if it were over
		}
		if got != want {
			t.Errorf("placed on %s, want %s", got, want)
		}
	}
	place(100, "w1 w1 w1 w1 ") // both are empty
	b.beat(Beaten{Settings: flow.Settings{Balance: flow.Balance{Strategy: flow.RoundRobin}}})
	place(200, "w1 w2 w1 w2 ")
	b.beat(Beaten{Settings: flow.Settings{Balance: flow.Balance{Groups: map[string]flow.Strategy{"default": flow.Weighted}}}})
	place(300, "w2 w1 w2 w2 ")
}

// A worker that says that it is overloaded is shown as busy and gets nothing; what waits says why.
func TestOverloadedWorkerGetsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 1, Keep: true, Memory: 0.97, Overloaded: "memory 97 % (limit 95 %)"}}})
	b.now = b.now.Add(2 * time.Second)
	b.step(Tick{})
	if beat := one[Beat](b); len(beat.Sessions) != 1 || beat.Sessions[0].State != flow.NodeBusy {
		t.Errorf("written: %+v", beat.Sessions)
	}
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}})
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	row := one[Commit](b).Batch.Changes[0].NewTasks[0]
	if row.State != flow.TaskQueued || !strings.Contains(row.Reason, "worker w1 takes nothing now: memory 97 % (limit 95 %)") {
		t.Fatalf("%s: %s", row.State, row.Reason)
	}
	b.answer()
	b.step(Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 2}}})
	if c := one[Commit](b); c.Batch.Changes[0].Tasks[0].Row.State != flow.TaskDispatched {
		t.Errorf("when it is over the task is %s", c.Batch.Changes[0].Tasks[0].Row.State)
	}
}
