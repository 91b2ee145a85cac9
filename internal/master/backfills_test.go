package master

import (
	"errors"
	"testing"
	"time"

	"baton/internal/flow"
)

// dated is a start that a backfill ordered.
func dated(id, workflow, backfill flow.ID) flow.Command {
	c := command(id, workflow)
	c.Start = []byte(`{"trigger":"backfill","backfill":"` + backfill.String() + `"}`)
	return c
}

// A run of a backfill that has ended makes room for another date, once it is durable.
func TestBackfillGoesOnWhenARunEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(CommandsRead{Commands: []flow.Command{dated(100, 9, 5), command(101, 9)}})
	// A workflow without tasks ends with its beginning.
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing", Disabled: true})})
	if len(every[AdvanceBackfills](b)) > 0 {
		t.Error("nothing has ended yet")
	}
	b.answer()
	e := one[AdvanceBackfills](b)
	if len(e.Backfills) != 1 || e.Backfills[0] != 5 || len(e.Runs) != 1 || e.Runs[0] != 100 || len(e.IDs) < 10 {
		t.Fatalf("%+v", e)
	}
	seen := map[flow.ID]bool{}
	for _, id := range e.IDs {
		if seen[id] {
			t.Errorf("%s is given twice", id)
		}
		seen[id] = true
	}
	b.step(BackfillsAdvanced{Advanced: flow.Advanced{Started: 1, Again: []flow.ID{5}}})
	if len(every[ReadCommands](b)) != 1 {
		t.Error("what was ordered is not taken at once")
	}
	if e := one[AdvanceBackfills](b); len(e.Backfills) != 1 || len(e.Runs) != 1 {
		t.Errorf("there was more to decide: %+v", e)
	}
	b.step(BackfillsAdvanced{})
	if len(every[AdvanceBackfills](b)) > 0 {
		t.Error("it is through")
	}
}

// One question at a time; what comes meanwhile is asked in the next.
func TestBackfillsAreAskedOneQuestionAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	def := definition(9, flow.Task{Name: "a", Type: "nothing", Disabled: true})
	b.step(CommandsRead{Commands: []flow.Command{dated(100, 9, 5)}})
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: def})
	b.answer()
	one[AdvanceBackfills](b)
	b.step(CommandsRead{Commands: []flow.Command{dated(102, 9, 5), dated(103, 9, 6)}})
	b.answer()
	if len(every[AdvanceBackfills](b)) > 0 {
		t.Fatal("it is being asked")
	}
	b.step(BackfillsAdvanced{})
	if e := one[AdvanceBackfills](b); len(e.Backfills) != 2 || len(e.Runs) != 2 {
		t.Errorf("%+v", e)
	}
}

// A run that a person recovers is of its backfill again.
func TestBackfillHearsOfARecoveredRun(t *testing.T) {
	t.Parallel()
	var w backfills
	b := setup(t)
	b.step(CommandsRead{Commands: []flow.Command{dated(100, 9, 5)}})
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing"})})
	b.answer()
	st := b.core.insts[100].st
	for name, c := range map[string]struct {
		verb    string
		applied bool
		want    int
	}{"recover": {flow.VerbRecover, true, 1}, "rerun": {flow.VerbRerun, true, 1}, "refused": {flow.VerbRerun, false, 0}, "pause": {flow.VerbPause, true, 0}} {
		w = backfills{}
		w.changed(st, flow.Change{Instance: flow.Instance{ID: 100, State: flow.InstanceRunning}, Outcomes: []flow.Outcome{{Verb: c.verb, Applied: c.applied}}})
		if len(w.wanted) != c.want {
			t.Errorf("%s: %d are to be asked", name, len(w.wanted))
		}
	}
}

// The net asks for all of them, page by page, now and then, and soon after a failure.
func TestNetOfBackfills(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(Polled{Waiting: flow.Waiting{Backfills: true}})
	if e := one[AdvanceBackfills](b); len(e.Backfills) != 0 || e.After != 0 {
		t.Fatalf("%+v", e)
	}
	b.step(BackfillsAdvanced{Advanced: flow.Advanced{Next: 7}})
	if e := one[AdvanceBackfills](b); len(e.Backfills) != 0 || e.After != 7 {
		t.Fatalf("%+v", e)
	}
	b.step(BackfillsAdvanced{})
	b.now = b.now.Add(time.Second)
	b.step(Polled{Waiting: flow.Waiting{Backfills: true}})
	if len(every[AdvanceBackfills](b)) > 0 {
		t.Error("that was a second ago")
	}
	b.now = b.now.Add(allEvery)
	b.step(Polled{Waiting: flow.Waiting{Backfills: true}})
	one[AdvanceBackfills](b)
	b.step(BackfillsAdvanced{Err: errors.New("gone")})
	b.step(Polled{Waiting: flow.Waiting{Backfills: true}})
	one[AdvanceBackfills](b)
	b.step(BackfillsAdvanced{}, Polled{})
	if len(every[AdvanceBackfills](b)) > 0 {
		t.Error("none goes on")
	}
}
