package master

import (
	"errors"
	"slices"
	"testing"
	"time"

	"baton/internal/flow"
)

var eu = flow.TurnKey{Workflow: 9, Key: "eu"}

// A run that waits is asked about by its key, and again when its turn comes by the time alone.
func TestTurnsAreAskedForWhenTheirTimeComes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	region := "eu"
	def := definition(9, flow.Task{Name: "a", Type: "nothing"})
	def.Workflow.Params = []flow.Param{{Name: "region", Default: &region}}
	def.Workflow.Rate = flow.Rate{Starts: 1, Per: flow.Duration(time.Minute), Key: "${region}"}
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}})
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: def})
	if ch := b.answer()[0]; ch.Instance.State != flow.InstanceQueued || ch.Instance.TurnKey != "eu" {
		t.Fatalf("%+v", ch.Instance)
	}
	if ask := one[Admit](b); !slices.Equal(ask.Keys, []flow.TurnKey{eu}) {
		t.Fatalf("asked about %v", ask.Keys)
	}
	b.step(Admitted{Keys: []flow.TurnKey{eu}, Admitted: flow.Admitted{Later: []flow.TurnWait{{TurnKey: eu, In: 300 * time.Millisecond}}}})
	due := b.now.Add(300 * time.Millisecond)
	if at := one[WakeAt](b).At; at > due {
		t.Fatalf("it looks again at %s, not at %s", at, due)
	}
	b.now = due - 1
	if b.step(Tick{}); len(every[Admit](b)) > 0 {
		t.Fatal("asked too early")
	}
	b.now = due
	b.step(Tick{})
	if ask := one[Admit](b); !slices.Equal(ask.Keys, []flow.TurnKey{eu}) {
		t.Fatalf("asked about %v", ask.Keys)
	}
	b.step(Admitted{Keys: []flow.TurnKey{eu}, Admitted: flow.Admitted{Given: 1}})
	one[Claim](b) // who was told is parked
}

// A rate that lets a run begin each millisecond does not have the store asked each millisecond; a question that failed
// is made up for by a look at all.
func TestTurnsApart(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.core.turns.want(eu)
	b.step()
	one[Admit](b)
	b.step(Admitted{Keys: []flow.TurnKey{eu}, Admitted: flow.Admitted{Later: []flow.TurnWait{{TurnKey: eu, In: time.Millisecond}}}})
	b.now = b.now.Add(2 * time.Millisecond)
	if b.step(Tick{}); len(every[Admit](b)) > 0 {
		t.Fatal("asked each millisecond")
	}
	b.now = b.now.Add(turnsApart)
	b.step(Tick{})
	one[Admit](b)
	b.step(Admitted{Keys: []flow.TurnKey{eu}, Err: errors.New("gone")}, Polled{Waiting: flow.Waiting{Queued: true}})
	if ask := one[Admit](b); len(ask.Keys) > 0 {
		t.Fatalf("asked about %v, not about all", ask.Keys)
	}
}

// What all masters find by a look at all, one of them waits for.
func TestTurnsOfOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		workflow flow.ID
		mine     bool
	}{{8, true}, {9, false}} {
		b := busy(t)
		b.see(7, 8) // of two masters this is the first
		key := flow.TurnKey{Workflow: c.workflow}
		b.step(Admitted{Admitted: flow.Admitted{Later: []flow.TurnWait{{TurnKey: key, In: time.Second}}}})
		b.now = b.now.Add(time.Second)
		b.step(Tick{})
		if asked := slices.ContainsFunc(every[Admit](b), func(a Admit) bool { return slices.Contains(a.Keys, key) }); asked != c.mine {
			t.Errorf("workflow %d: asked: %t", c.workflow, asked)
		}
	}
}
