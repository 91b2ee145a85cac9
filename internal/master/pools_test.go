package master

import (
	"errors"
	"slices"
	"testing"
	"time"

	"baton/internal/flow"
)

// pooled takes a run whose only task claims slots, and commits it.
func (b *bench) pooled() flow.Change {
	b.t.Helper()
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}})
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing", Pool: &flow.PoolUse{Name: "dw", Key: "${system.project.name}"}})})
	return b.answer()[0]
}

var dw = flow.PoolKey{Project: 1, Pool: "dw", Key: "p"}

// A claim that is durable is asked for; the run waits as a row, and goes on with what it finds in its inbox.
func TestSlotsAreAskedForAndGiven(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	ch := b.pooled()
	if len(ch.Claims) != 1 || ch.Claims[0].PoolKey != dw || ch.Instance.Owner != 0 || len(every[Grant](b)) > 0 {
		t.Fatalf("it claims %+v, of owner %d", ch.Claims, ch.Instance.Owner)
	}
	if ask := one[GiveSlots](b); !slices.Equal(ask.Keys, []flow.PoolKey{dw}) {
		t.Fatalf("asked for %v", ask.Keys)
	}
	b.step(SlotsGiven{SlotsGiven: flow.SlotsGiven{Runs: []flow.ID{100}}})
	one[TellAll](b) // it is parked: another master may be the one that claims it
	one[Claim](b)
	b.step(Claimed{IDs: []flow.ID{100}})
	row := ch.NewTasks[0]
	in := ch.Instance
	in.Owner, in.Seq = 7, in.Seq+1
	b.step(LoadedRows{Asked: []flow.ID{100}, Loaded: []flow.Loaded{{Instance: in, Tasks: []flow.TaskRow{row}}}})
	if len(every[Commit](b)) > 0 {
		t.Fatal("it is sent to a worker before it has its slots")
	}
	b.step(InboxRead{Items: []flow.InboxItem{ch.Claims[0].Item(5, t0)}})
	up := one[Commit](b).Batch.Changes[0]
	if len(up.Grants) != 1 || !slices.Equal(up.Inbox, []flow.ID{5}) || !up.Tasks[0].Row.Given {
		t.Fatalf("%+v", up)
	}
}

// One question at a time; what comes meanwhile is in the next, and what had no answer is asked again after a poll.
func TestSlotsOneQuestionAtATime(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.core.pools.want(dw)
	b.step()
	one[GiveSlots](b)
	other := flow.PoolKey{Project: 1, Pool: "dw", Key: "q"}
	b.core.pools.want(other)
	b.core.pools.want(dw)
	if b.step(); len(every[GiveSlots](b)) > 0 {
		t.Fatal("asked twice")
	}
	b.step(SlotsGiven{})
	if ask := one[GiveSlots](b); !slices.Equal(ask.Keys, []flow.PoolKey{other, dw}) {
		t.Fatalf("asked for %v", ask.Keys)
	}
	b.step(SlotsGiven{SlotsGiven: flow.SlotsGiven{Again: []flow.PoolKey{other}}})
	if ask := one[GiveSlots](b); !slices.Equal(ask.Keys, []flow.PoolKey{other}) {
		t.Fatalf("asked for %v", ask.Keys)
	}
	b.step(SlotsGiven{Err: errors.New("gone")})
	if len(every[GiveSlots](b)) > 0 {
		t.Fatal("asked again at once")
	}
	b.step(Polled{})
	if ask := one[GiveSlots](b); !slices.Equal(ask.Keys, []flow.PoolKey{other}) {
		t.Fatalf("asked for %v", ask.Keys)
	}
}

// All are looked for every ten seconds while something waits, page by page, and at once when a person changed a pool.
func TestSlotsNet(t *testing.T) {
	t.Parallel()
	b := busy(t)
	asked := func(waits bool) []GiveSlots {
		b.step(Polled{Waiting: flow.Waiting{Pooled: waits}})
		return every[GiveSlots](b)
	}
	if len(asked(false)) > 0 {
		t.Fatal("nothing waits")
	}
	if got := asked(true); len(got) != 1 || got[0].After != (flow.PoolKey{}) {
		t.Fatalf("%v", got)
	}
	b.step(SlotsGiven{SlotsGiven: flow.SlotsGiven{Next: dw}})
	if ask := one[GiveSlots](b); ask.After != dw {
		t.Fatalf("goes on after %v", ask.After)
	}
	b.step(SlotsGiven{})
	if len(asked(true)) > 0 {
		t.Fatal("looked for again at once")
	}
	b.step(Poked{Drains: true})
	if len(asked(true)) != 1 {
		t.Fatal("a pool may be larger now")
	}
	b.step(SlotsGiven{})
	b.now = b.now.Add(11 * time.Second)
	if len(asked(true)) != 1 {
		t.Fatal("not looked for again")
	}
}
