package master

import (
	"slices"
	"strings"
	"testing"

	"baton/internal/flow"
	"baton/internal/task"
)

// crashed is a core that begins after a crash.
func crashed(t *testing.T, dead ...int64) *bench {
	t.Helper()
	b := &bench{t: t, core: NewCore(DefaultConfig(), task.NewSet(nothing{})), now: t0}
	b.step(Started{flow.Lease{Incarnation: 7, Number: 1, Epoch: 1, Generation: 1, MaxID: 999, Crashed: true, Dead: dead}})
	return b
}

func running(id flow.ID) flow.Loaded {
	l := unknownTask()
	l.Instance.ID, l.Tasks[0].Instance = id, id
	return l
}

func (b *bench) loaded(ids ...flow.ID) {
	b.t.Helper()
	e := LoadedRows{Asked: ids}
	for _, id := range ids {
		e.Loaded = append(e.Loaded, running(id))
	}
	b.step(e, DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing", Delivery: flow.AtMostOnce})})
}

// Instances that were taken before without a commit are taken alone, when everything else that was
// taken is committed.
func TestSuspectsAreTriedAlone(t *testing.T) {
	t.Parallel()
	b := crashed(t, 6)
	if e := one[TakeOver](b); e.Dead != 6 || e.Takes != 0 || e.Limit != 500 {
		t.Fatalf("%+v", e)
	}
	b.step(TookOver{Dead: 6, IDs: []flow.ID{100, 101}, Left: 2})
	if len(every[TakeOver](b)) > 0 {
		t.Fatal("a suspect is taken before the others are known to be sound")
	}
	b.loaded(100, 101)
	if changes := b.answer(); len(changes) != 2 || changes[0].Instance.Owner != 7 {
		t.Fatalf("committed %+v", changes)
	}
	if e := one[TakeOver](b); e.Takes != 2 || e.Limit != 1 {
		t.Fatalf("%+v", e)
	}
	b.step(TookOver{Dead: 6, Takes: 2, IDs: []flow.ID{102}, Left: 2})
	if len(every[TakeOver](b)) > 0 {
		t.Fatal("two suspects at a time")
	}
	b.loaded(102)
	if len(every[ReadCommands](b)) > 0 {
		t.Error("ready before everything is taken over")
	}
	b.answer()
	one[TakeOver](b)
	b.step(TookOver{Dead: 6, Takes: 2, Left: -1})
	one[ReadCommands](b)
}

// After a crash commands are counted before they are looked at, and those that were counted before
// are tried in smaller batches.
func TestCommandsOnTrial(t *testing.T) {
	t.Parallel()
	b := crashed(t)
	def := DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})}
	if e := one[ReadCommands](b); !e.Trial || e.Takes != 0 || e.UpTo != 999 || e.Limit != 500 {
		t.Fatalf("%+v", e)
	}
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9), command(101, 9)}}, def)
	if len(every[ReadCommands](b)) > 0 {
		t.Fatal("the next are asked for before these are committed")
	}
	// One of them is not written: it did not end this process and is not tried again by it.
	c := one[Commit](b)
	b.step(Committed{Lane: c.Lane, Result: flow.CommitResult{Changes: []flow.ChangeResult{{Fate: flow.Committed}, {Fate: flow.Gone}}}})
	b.poll()
	b.step(LoadedRows{Asked: []flow.ID{101}})
	for takes, limit := range map[int]int{1: 20} {
		if e := one[ReadCommands](b); e.Takes != takes || e.Limit != limit || !slices.Equal(e.Except, []flow.ID{101}) {
			t.Fatalf("%+v", e)
		}
	}
	b.step(CommandsRead{})
	if e := one[ReadCommands](b); e.Takes != 2 || e.Limit != 1 {
		t.Fatalf("%+v", e)
	}
	b.step(CommandsRead{})
	if e := one[ReadCommands](b); e.Takes != 3 || e.Limit != 1 {
		t.Fatalf("%+v", e)
	}
	b.step(CommandsRead{})
	if e := one[ReadCommands](b); e.Trial || len(e.Except) > 0 {
		t.Fatalf("still on trial: %+v", e)
	}
	guilty := command(102, 9)
	guilty.Takes = flow.MaxTakes
	b.step(CommandsRead{Commands: []flow.Command{guilty, command(101, 9)}})
	if q := one[Quarantine](b); q.ID != 102 || !q.Command || !strings.Contains(q.Reason, "4 masters in a row") {
		t.Errorf("%+v", q)
	}
	if ch := one[Commit](b).Batch.Changes; len(ch) != 1 || ch[0].Command != 101 {
		t.Errorf("%+v", ch)
	}
}

// What cannot be committed now, such as for a full disk, has not ended the process after a while:
// the others do not wait for it for ever.
func TestTrialsEnd(t *testing.T) {
	t.Parallel()
	b := crashed(t)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}}) // its definition does not come
	for range 30 {
		b.poll()
		if len(every[ReadCommands](b)) > 0 {
			return
		}
	}
	t.Error("commands wait for ever")
}
