package master

import (
	"errors"
	"slices"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// A run whose worker group only other masters hear a worker of goes to one of them; one whose group nobody
// serves stays, and says so.
func TestGroupThatOthersServe(t *testing.T) {
	t.Parallel()
	for _, groups := range [][]string{{"default", "gpu"}, {"default"}} {
		b := setup(t)
		b.connect(1, 50, 4)
		b.see(7, 8, 9)
		b.step(PeersRead{})
		b.step(CommandsRead{Commands: []flow.Command{command(100, 9), command(101, 9), command(102, 10)}}, DefinitionRead{
			Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing", WorkerGroup: "gpu"}),
		}, DefinitionRead{Key: PlanKey{10, 1}, Definition: definition(10, flow.Task{Name: "a", Type: "nothing"})})
		b.answer()
		asked, given := 0, []flow.ID{}
		beat := func() Frame { return Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: int64(b.now)}}} }
		for end := b.now.Add(10 * time.Second); b.now < end; b.now = b.now.Add(100 * time.Millisecond) {
			b.step(Tick{}, Polled{}, beat())
			if len(every[ReadGroups](b)) == 0 {
				continue
			}
			if asked++; asked == 1 {
				b.step(GroupsRead{Err: errors.New("the store is away")}) // it is asked again
				continue
			}
			b.step(GroupsRead{Groups: groups})
			for _, g := range every[GiveAway](b) {
				given = append(given, g.IDs...)
				if len(g.Heirs) != 1 || g.Heirs[0] == 7 {
					t.Errorf("given to %v", g.Heirs)
				}
			}
		}
		want := []flow.ID{}
		if len(groups) == 2 {
			want = []flow.ID{100, 101}
		}
		if !slices.Equal(given, want) || asked != 2 {
			t.Errorf("others hear %v: asked %d times, given away %v, want %v", groups, asked, given, want)
		}
	}
}

// A master without others, or whose own workers serve what waits, asks nobody.
func TestNobodyElsewhere(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{true, false} {
		b := setup(t)
		group := "gpu"
		if !alone {
			b.see(7, 8)
			b.step(PeersRead{})
			b.connect(1, 50, 1)
			group = "default"
		}
		b.step(CommandsRead{Commands: []flow.Command{command(100, 9), command(101, 9)}}, DefinitionRead{
			Key: PlanKey{9, 1}, Definition: definition(9, flow.Task{Name: "a", Type: "nothing", WorkerGroup: group}),
		})
		b.answer()
		for end := b.now.Add(5 * time.Second); b.now < end; b.now = b.now.Add(100 * time.Millisecond) {
			b.step(Tick{}, Polled{})
			if len(every[ReadGroups](b)) > 0 {
				t.Fatalf("alone %t: the store is asked who serves %s", alone, group)
			}
		}
	}
}
