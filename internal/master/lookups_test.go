package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"baton/internal/flow"
	"baton/internal/task"
)

// waiter is what is known here of dependents.
type waiter struct{ nothing }

func (waiter) Name() string { return flow.TypeDependent }

// dependents takes a run of so many tasks that wait for another workflow, and commits it.
func dependents(t *testing.T, n int) *bench {
	t.Helper()
	b := &bench{t: t, core: NewCore(DefaultConfig(), task.NewSet(nothing{}, waiter{})), now: t0}
	b.step(Started{flow.Lease{Incarnation: 7, Number: 1, Epoch: 1, Generation: 1}})
	b.step(CommandsRead{}, InboxRead{}, Claimed{})
	b.connect(1, 50, 4)
	var tasks []flow.Task
	for i := range n {
		tasks = append(tasks, flow.Task{Name: fmt.Sprintf("t%d", i), Type: flow.TypeDependent, With: json.RawMessage(`{"all": [{"workflow": "up", "window": "same"}]}`)})
	}
	b.step(CommandsRead{Commands: []flow.Command{command(100, 9)}})
	b.step(DefinitionRead{Key: PlanKey{9, 1}, Definition: definition(9, tasks...)})
	b.answer()
	return b
}

// However many rows ask at once, the store has a few of the questions at a time, and each row has its answer in the end.
func TestLookupsAFewAtATime(t *testing.T) {
	t.Parallel()
	const n = 5*lookupsAtOnce + 3
	b := dependents(t, n)
	var asked []LookUp
	answered := map[flow.ID]bool{}
	for asked = every[LookUp](b); len(asked) > 0; {
		if len(asked) > lookupsAtOnce {
			t.Fatalf("%d questions are with the store", len(asked))
		}
		e := asked[0]
		if answered[e.Question.Task] {
			t.Fatalf("task %d asks twice", e.Question.Task)
		}
		answered[e.Question.Task] = true
		b.step(LookedUp{Ask: e, Found: flow.Found{Upstreams: []flow.FoundUpstream{{Workflow: 8, Runs: []flow.FoundRun{{}}}}}})
		asked = append(asked[1:], every[LookUp](b)...)
	}
	if len(answered) != n {
		t.Errorf("%d of %d rows asked", len(answered), n)
	}
}

// What the store did not answer is asked again with the next poll, and does not take the room of others.
func TestLookupsThatFail(t *testing.T) {
	t.Parallel()
	b := dependents(t, lookupsAtOnce+1)
	var more []LookUp
	for _, e := range every[LookUp](b) {
		b.step(LookedUp{Ask: e, Err: errors.New("no answer")})
		more = append(more, every[LookUp](b)...)
	}
	if len(more) != 1 {
		t.Fatalf("%d are asked when the others have failed, want the one that waited", len(more))
	}
	b.poll()
	if again := every[LookUp](b); len(again) != lookupsAtOnce-1 {
		t.Errorf("%d are asked again beside the one that is under way", len(again))
	}
}
