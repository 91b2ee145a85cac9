package assign

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"baton/internal/flow"
)

func workers(weights ...int) []Candidate {
	var out []Candidate
	for i, w := range weights {
		out = append(out, Candidate{ID: int64(i + 1), Weight: w})
	}
	return out
}

// choices names whom a chooser chooses n times.
func choices(c *Chooser, s flow.Strategy, n int, among []Candidate, draw func(int) int) string {
	var out []string
	for range n {
		out = append(out, fmt.Sprint(among[c.Choose(s, among, draw)].ID))
	}
	return strings.Join(out, " ")
}

func TestChoose(t *testing.T) {
	t.Parallel()
	seeded := func() func(int) int { return rand.New(rand.NewPCG(1, 2)).IntN }
	loaded := workers(100, 100, 100)
	loaded[0].Load, loaded[1].Load, loaded[2].Load = 0.5, 0.2, 0.2
	for _, c := range []struct {
		strategy flow.Strategy
		among    []Candidate
		want     string
	}{
		{flow.LeastLoaded, loaded, "2 2 2 2 2 2 2"},
		{"", loaded, "2 2 2 2 2 2 2"}, // of a newer version, or unset
		{flow.RoundRobin, workers(1, 1, 1), "1 2 3 1 2 3 1"},
		{flow.Weighted, workers(5, 1, 1), "1 1 2 1 3 1 1"},
		{flow.Weighted, workers(0, 0), "1 2 1 2 1 2 1"}, // a weight that nobody said
	} {
		if got := choices(&Chooser{}, c.strategy, 7, c.among, seeded()); got != c.want {
			t.Errorf("%s of %v: %s, want %s", c.strategy, c.among, got, c.want)
		}
	}
	one, other := choices(&Chooser{}, flow.Random, 40, workers(1, 1, 1), seeded()), choices(&Chooser{}, flow.Random, 40, workers(1, 1, 1), seeded())
	if one != other {
		t.Errorf("the same seed gave %s and %s", one, other)
	}
	for _, id := range []string{"1", "2", "3"} {
		if !strings.Contains(one, id) {
			t.Errorf("worker %s was never drawn: %s", id, one)
		}
	}
	if got := new(Chooser).Choose(flow.RoundRobin, nil, seeded()); got != -1 {
		t.Errorf("%d was chosen of nobody", got)
	}
}

// Workers come and go: nobody is served twice before those who stayed were served once.
func TestRoundRobinWithoutACount(t *testing.T) {
	t.Parallel()
	c := &Chooser{}
	all := workers(1, 1, 1, 1)
	got := choices(c, flow.RoundRobin, 2, all, nil)
	got += " " + choices(c, flow.RoundRobin, 2, all[1:], nil) // 1 is full
	got += " " + choices(c, flow.RoundRobin, 2, all, nil)
	if want := "1 2 3 4 1 2"; got != want {
		t.Errorf("chose %s, want %s", got, want)
	}
}

// Each gets its share, within one task per worker, at any time.
func TestWeightedShares(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		among := workers(rapid.SliceOfN(rapid.IntRange(1, 300), 1, 6).Draw(t, "weights")...)
		total := 0
		for _, a := range among {
			total += a.Weight
		}
		c, got := &Chooser{}, make([]int, len(among))
		for n := 1; n <= 500; n++ {
			got[c.Choose(flow.Weighted, among, nil)]++
			for i, a := range among {
				share := float64(n) * float64(a.Weight) / float64(total)
				if off := float64(got[i]) - share; off > float64(len(among)) || off < -float64(len(among)) {
					t.Fatalf("worker %d of %v got %d of %d tasks, its share is %.1f", i, among, got[i], n, share)
				}
			}
		}
	})
}
