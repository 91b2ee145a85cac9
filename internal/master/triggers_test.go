package master

import (
	"errors"
	"slices"
	"testing"

	"baton/internal/flow"
)

// heardEnd is a trigger that has heard the only end that it waits for.
func heardEnd(id flow.ID) flow.TriggerStanding {
	after := flow.After{All: []flow.Source{{Project: "p", Workflow: "w"}}}
	return flow.TriggerStanding{
		ID: id, Revision: 1, Project: 1, Workflow: 9, ProjectName: "p", Body: flow.Trigger{Name: "t", After: &after},
		Marks: []flow.Mark{{Source: after.All[0].Key(), Instance: 5, Seq: 2, State: flow.InstanceSucceeded, EndedAt: 7}}, Newest: 7,
	}
}

// What a commit marked is asked about at once, decided, and written; the run that is ordered is taken.
func TestAMarkIsDecidedAbout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}})
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing", Disabled: true})})
	commit := one[Commit](b)
	if !commit.Batch.Changes[0].Ended {
		t.Errorf("the change does not say that the run ends: %+v", commit.Batch.Changes[0])
	}
	b.step(Committed{Lane: commit.Lane, Result: flow.CommitResult{Changes: []flow.ChangeResult{{Fate: flow.Committed}}, Marked: []flow.ID{4, 3}}})
	if ask := one[ReadMarks](b); !slices.Equal(ask.Triggers, []flow.ID{3, 4}) {
		t.Fatalf("%+v", ask)
	}
	b.step(MarksRead{Standings: []flow.TriggerStanding{heardEnd(3), heardEnd(4)}})
	start := one[StartTriggered](b)
	if len(start.Decisions) != 2 || len(start.Decisions[0].Commands) != 1 || start.Decisions[0].Commands[0].ID == start.Decisions[1].Commands[0].ID {
		t.Fatalf("%+v", start)
	}
	b.step(Triggered{Decisions: start.Decisions, Written: []bool{true, false}})
	if len(every[ReadCommands](b)) != 1 {
		t.Error("what was ordered is not taken at once")
	}
	if ask := one[ReadMarks](b); !slices.Equal(ask.Triggers, []flow.ID{4}) {
		t.Errorf("about what somebody else decided it asks again: %+v", ask)
	}
	b.step(MarksRead{})
	if len(every[StartTriggered](b))+len(every[ReadMarks](b)) > 0 {
		t.Error("there is nothing left")
	}
}

// Marks of a master that died, or whose answer was lost, are found by the poll.
func TestMarksAreFoundByThePoll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.step(Polled{Waiting: flow.Waiting{Marked: true}})
	if ask := one[ReadMarks](b); len(ask.Triggers) != 0 || ask.After != 0 {
		t.Fatalf("%+v", ask)
	}
	b.step(MarksRead{Standings: []flow.TriggerStanding{heardEnd(3)}, Next: 3})
	start := one[StartTriggered](b)
	b.step(Triggered{Decisions: start.Decisions, Written: []bool{true}})
	if ask := one[ReadMarks](b); ask.After != 3 {
		t.Errorf("%+v", ask)
	}
	b.step(MarksRead{Standings: []flow.TriggerStanding{heardEnd(4)}})
	b.step(Triggered{Decisions: one[StartTriggered](b).Decisions, Err: errors.New("the store is away")})
	if len(every[ReadMarks](b)) > 0 {
		t.Error("it does not wait for the next poll")
	}
	b.step(Polled{Waiting: flow.Waiting{Marked: true}})
	one[ReadMarks](b)
}
