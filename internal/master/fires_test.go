package master

import (
	"errors"
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/timetable"
)

func everyMinute(id flow.ID, after flow.Time) flow.Timing {
	return flow.Timing{
		Schedule: id, Revision: 1, Project: 1, Workflow: 9, Priority: flow.PriorityHigh, After: after, Next: after,
		Body: flow.Schedule{Name: "s", Every: flow.Duration(time.Minute), Timezone: "Asia/Shanghai", Params: []flow.Pair{{Name: "a", Value: "b"}}},
	}
}

// What is due by the clock of the store is fired, and the core looks again when the next time comes by its own.
func TestFireWhatIsDue(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.step(PeersRead{}, CommandsRead{})
	store := b.now.Add(time.Hour) // its clock is an hour before this one's
	minute := store - store%flow.Time(time.Minute.Microseconds())
	b.step(Polled{Waiting: flow.Waiting{NextFire: minute, Now: store}})
	if e := one[ReadDue](b); e.Slots > 1 || e.Limit < 100 {
		t.Fatalf("%+v", e)
	}
	b.step(Polled{Waiting: flow.Waiting{NextFire: minute, Now: store}})
	if len(every[ReadDue](b)) > 0 {
		t.Fatal("it is being read")
	}
	b.step(DueRead{Due: flow.DueTimings{Now: store, Timings: []flow.Timing{everyMinute(5, minute-1)}, Next: minute.Add(time.Hour)}})
	f := one[Fire](b).Firings
	if len(f) != 1 || len(f[0].Fires) != 1 || len(f[0].Commands) != 1 || f[0].After != minute-1 || f[0].NewAfter != minute || f[0].Next != minute.Add(time.Minute) {
		t.Fatalf("%+v", f)
	}
	c, fire := f[0].Commands[0], f[0].Fires[0]
	if c.ID != fire.Instance || c.ID == fire.ID || c.Zone != "Asia/Shanghai" || c.Priority != flow.PriorityHigh || c.Workflow != 9 || fire.State != flow.FireFired || fire.Nominal != minute {
		t.Errorf("%+v, %+v", c, fire)
	}
	if want := `{"params":{"a":"b"},"data_time":"` + minute.String() + `","trigger":"schedule","schedule":"s"}`; string(c.Start) != want {
		t.Errorf("%s, want %s", c.Start, want)
	}
	b.step(Fired{Firings: f, Written: []bool{true}})
	if len(every[ReadCommands](b)) != 1 {
		t.Error("the run is not taken at once")
	}
	if want := minute.Add(time.Minute - time.Hour); b.core.fires.next != want {
		t.Errorf("it looks again at %s, want %s", b.core.fires.next, want)
	}
}

// The clock of the store is set an hour on, and back: what is due by it is looked at with the next poll, and what is not due
// any more is not.
func TestClockOfTheStoreIsSet(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.step(PeersRead{}, CommandsRead{})
	next := b.now.Add(30 * time.Minute)
	b.step(Polled{Waiting: flow.Waiting{NextFire: next, Now: b.now}})
	if len(every[ReadDue](b)) > 0 {
		t.Fatal("nothing is due")
	}
	on := b.now.Add(time.Hour)
	b.step(Polled{Waiting: flow.Waiting{NextFire: next, Now: on}})
	if len(every[ReadDue](b)) != 1 {
		t.Fatal("it is due")
	}
	b.step(DueRead{Due: flow.DueTimings{Now: on, Next: on.Add(30 * time.Minute)}})
	b.step(Polled{Waiting: flow.Waiting{NextFire: on.Add(30 * time.Minute), Now: b.now}}, Tick{})
	if len(every[ReadDue](b)) > 0 {
		t.Fatal("nothing is due again")
	}
	if want := b.now.Add(90 * time.Minute); b.core.fires.next != want {
		t.Errorf("it looks again at %s, want %s", b.core.fires.next, want)
	}
}

// A decision that somebody else was faster with, or whose outcome is not known, orders nothing here.
func TestFireThatWasNotWritten(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func([]flow.Firing) Fired{
		"another was faster": func(f []flow.Firing) Fired { return Fired{Firings: f, Written: []bool{false}} },
		"unknown":            func(f []flow.Firing) Fired { return Fired{Firings: f, Err: errors.New("gone")} },
	} {
		b := crashed(t)
		b.step(PeersRead{}, CommandsRead{}, Polled{Waiting: flow.Waiting{NextFire: b.now, Now: b.now}})
		one[ReadDue](b)
		b.step(DueRead{Due: flow.DueTimings{Now: b.now, Timings: []flow.Timing{everyMinute(5, b.now.Add(-time.Minute))}}})
		b.step(answer(one[Fire](b).Firings))
		if len(every[ReadCommands](b)) > 0 {
			t.Errorf("%s: commands are looked for", name)
		}
		if name == "unknown" && b.core.fires.next != b.now.Add(time.Second) {
			t.Errorf("%s: it looks again at %s", name, b.core.fires.next)
		}
	}
}

// What a newer program wrote is left to it.
func TestTimingThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := crashed(t)
	b.step(PeersRead{}, CommandsRead{}, Polled{Waiting: flow.Waiting{NextFire: b.now, Now: b.now}})
	one[ReadDue](b)
	strange := everyMinute(5, b.now.Add(-time.Minute))
	strange.Body.Every, strange.Body.Cron = 0, "when the moon is full"
	b.step(DueRead{Due: flow.DueTimings{Now: b.now, Timings: []flow.Timing{strange, everyMinute(6, b.now.Add(-time.Minute))}}})
	if f := one[Fire](b).Firings; len(f) != 1 || f[0].Schedule != 6 {
		t.Errorf("%+v", f)
	}
}

// Of two masters each orders runs of its own slot.
func TestFiredRunsAreOfMySlot(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.see(7, 8)
	b.step(PeersRead{}, CommandsRead{}, Polled{Waiting: flow.Waiting{NextFire: b.now, Now: b.now}})
	e := one[ReadDue](b)
	if e.Slots != 2 {
		t.Fatalf("%+v", e)
	}
	var timings []flow.Timing
	for id := flow.ID(1); id <= 20; id++ {
		timings = append(timings, everyMinute(id, b.now.Add(-time.Minute)))
	}
	b.step(DueRead{Due: flow.DueTimings{Now: b.now, Timings: timings}})
	seen := map[flow.ID]bool{}
	for _, f := range one[Fire](b).Firings {
		for _, c := range f.Commands {
			if c.ID.Slot(2) != e.Slot || seen[c.ID] {
				t.Errorf("%s is of slot %d, or given twice", c.ID, c.ID.Slot(2))
			}
			seen[c.ID] = true
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d runs of 20 times", len(seen))
	}
}

// dueNow has the core read timings that are due, and returns what it writes of them.
func (b *bench) dueNow(timings ...flow.Timing) []flow.Firing {
	b.t.Helper()
	b.step(Polled{Waiting: flow.Waiting{NextFire: b.now, Now: b.now}})
	one[ReadDue](b)
	b.step(DueRead{Due: flow.DueTimings{Now: b.now, Timings: timings}})
	return one[Fire](b).Firings
}

// checkPutOff: a timing keeps its times, is looked at later, and a person hears of it.
func checkPutOff(t *testing.T, f flow.Firing, now flow.Time, why string) {
	t.Helper()
	if len(f.Fires)+len(f.Commands) > 0 || f.NewAfter != f.After || f.Next != now.Add(putOffFor) {
		t.Errorf("%+v", f)
	}
	if f.Alert == nil || f.Alert.Kind != flow.AlertFireMissed || !strings.Contains(f.Alert.Message, "schedule s:") || !strings.Contains(f.Alert.Message, why) {
		t.Errorf("%+v", f.Alert)
	}
}

// One that panics is put off, and holds up no other.
func TestTimingThatPanicsIsPutOff(t *testing.T) {
	t.Parallel()
	b := crashed(t)
	b.step(PeersRead{}, CommandsRead{})
	b.core.fires.tables = map[tableKey]*timetable.Table{{5, 1}: {}} // it has no zone, no times, nothing
	f := b.dueNow(everyMinute(5, b.now.Add(-time.Minute)), everyMinute(6, b.now.Add(-time.Minute)))
	if len(f) != 2 || f[1].Schedule != 6 || len(f[1].Commands) != 1 {
		t.Fatalf("%+v", f)
	}
	checkPutOff(t, f[0], b.now, "nil pointer")
}

// One whose decision the store refuses is found out, and put off; what the store says of itself tells nothing of it.
func TestTimingThatCannotBeWrittenIsPutOff(t *testing.T) {
	t.Parallel()
	b := crashed(t)
	b.step(PeersRead{}, CommandsRead{})
	timings := []flow.Timing{everyMinute(5, b.now.Add(-time.Minute)), everyMinute(6, b.now.Add(-time.Minute))}
	refusal := errors.New("a constraint is violated")
	f := b.dueNow(timings...)
	b.step(Fired{Firings: f, Err: refusal})
	b.now = b.now.Add(time.Second)
	f = b.dueNow(timings[0])
	b.step(Fired{Firings: f, Err: flow.Errorf(flow.CodeUnavailable, "store", "it is away")})
	b.now = b.now.Add(time.Second)
	if f = b.dueNow(timings[0]); len(f[0].Commands) != 1 {
		t.Fatalf("it is put off because the store was away: %+v", f)
	}
	b.step(Fired{Firings: f, Err: refusal})
	b.now = b.now.Add(time.Second)
	f = b.dueNow(timings[0])
	checkPutOff(t, f[0], b.now, "a constraint is violated")
	b.step(Fired{Firings: f, Written: []bool{true}})
	one[ReadDue](b)
	b.step(DueRead{Due: flow.DueTimings{Now: b.now, Timings: timings[1:]}})
	if f = one[Fire](b).Firings; len(f[0].Commands) != 1 {
		t.Errorf("%+v", f)
	}
}
