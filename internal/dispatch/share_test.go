package dispatch

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"baton/internal/flow"
)

func ofProject(task, project flow.ID) Item {
	it := item(task, "default", flow.PriorityMedium)
	it.Project = project
	return it
}

// One project that has ordered all there is to do holds up no other.
func TestAFloodHoldsUpNobody(t *testing.T) {
	t.Parallel()
	p := pool(session(1, 2))
	for i := range flow.ID(100) {
		p.Enqueue(ofProject(1000+i, 1))
	}
	if got, want := order(p), "1000@w1 1001@w1"; got != want {
		t.Fatalf("placed %s, want %s", got, want)
	}
	p.Enqueue(ofProject(1, 2))
	p.Enqueue(ofProject(2, 2))
	const full = `no_slot: all 2 places of the 1 workers of group "default" are taken; it goes on when one is free`
	if got, want := p.WhyOf(ofProject(1050, 1)), full+"; its project has its share, 2: tasks of projects that have less for their weight go first"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := p.WhyOf(ofProject(1, 2)); got != full {
		t.Errorf("%s, want %s", got, full)
	}
	p.Release(1000)
	if got, want := order(p), "1@w1"; got != want {
		t.Errorf("placed %s, want %s: the other holds a place, this one none", got, want)
	}
	p.Release(1)
	if got, want := order(p), "2@w1"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
	high := ofProject(3, 1)
	high.Priority = flow.PriorityHigh
	p.Enqueue(high)
	p.Release(2)
	if got, want := order(p), "3@w1"; got != want {
		t.Errorf("placed %s, want %s: priority goes before shares", got, want)
	}
}

// What a project held before its master took it over counts as soon as it is known whose it is.
func TestHeldPlacesCountWhenTheirProjectIsKnown(t *testing.T) {
	t.Parallel()
	p := pool(session(1, 2))
	p.Hold(10, 1, 1, "noop")
	p.Book(ofProject(10, 1), 1)
	p.Book(ofProject(10, 1), 1)
	p.Enqueue(ofProject(11, 1))
	p.Enqueue(ofProject(20, 2))
	if got, want := order(p), "20@w1"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
	p.Release(10)
	p.Release(20)
	for key, s := range p.shares {
		if s.held != 0 {
			t.Errorf("%v still holds %d", key, s.held)
		}
	}
}

// contest is projects that always want more places than there are.
type contest struct {
	p       *Pool
	task    flow.ID
	running []Placement // in the order in which they began
}

func newContest(slots int, weights map[flow.ID]int) *contest {
	c := &contest{p: pool(session(1, slots))}
	c.p.SetWeights(weights)
	for project := range flow.ID(len(weights)) {
		for range 3 {
			c.order(project + 1)
		}
	}
	return c
}

func (c *contest) order(project flow.ID) {
	c.task++
	it := ofProject(c.task, project)
	it.Type = []string{"shell", "noop"}[c.task%2]
	c.p.Enqueue(it)
}

// grant returns the project that gets a place; if none is free one of those that run has ended.
func (c *contest) grant(ends func(running int) int) flow.ID {
	pl, ok := c.p.Next()
	for ; !ok; pl, ok = c.p.Next() {
		i := ends(len(c.running))
		c.p.Release(c.running[i].Item.Task)
		c.running = slices.Delete(c.running, i, i+1)
	}
	c.running = append(c.running, pl)
	c.order(pl.Item.Project)
	return pl.Item.Project
}

func drawWeights(t *rapid.T) (map[flow.ID]int, int) {
	weights := map[flow.ID]int{}
	total := 0
	for i := range rapid.IntRange(2, 6).Draw(t, "projects") {
		w := rapid.IntRange(1, 5).Draw(t, "weight")
		weights[flow.ID(i+1)] = w
		total += w
	}
	return weights, total
}

// Of a thousand tasks that take the same time each project gets its share, within a tenth of it.
func TestSharesByWeight(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights, total := drawWeights(t)
		c := newContest(rapid.IntRange(1, 12).Draw(t, "slots"), weights)
		got := map[flow.ID]int{}
		for range 1000 {
			got[c.grant(func(int) int { return 0 })]++
		}
		for project, n := range got {
			due := 1000 * float64(weights[project]) / float64(total)
			if off := float64(n) - due; off > 0.1*due || off < -0.1*due {
				t.Errorf("project %d got %d of 1000, %.0f are due (weights %v)", project, n, due, weights)
			}
		}
	})
}

// However long tasks take, who waits and holds nothing gets a place before the others have had many.
func TestNothingStarves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights, total := drawWeights(t)
		slots := rapid.IntRange(1, 12).Draw(t, "slots")
		c := newContest(slots, weights)
		ends := rapid.SliceOfN(rapid.IntRange(0, slots-1), 40, 40).Draw(t, "ends")
		since := map[flow.ID]int{}
		for n := range 1000 {
			got := c.grant(func(running int) int { return ends[n%len(ends)] % running })
			for project := range weights {
				holds := slices.ContainsFunc(c.running, func(pl Placement) bool { return pl.Item.Project == project })
				if since[project]++; project == got || holds {
					since[project] = 0
				}
				if since[project] > 2*total {
					t.Fatalf("project %d holds nothing, and %d places went to others (weights %v, %d slots)", project, since[project], weights, slots)
				}
			}
		}
	})
}
