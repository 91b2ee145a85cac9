package assign

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRoom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		places  int
		masters []Demand
		want    []int
	}{
		{"nobody", 8, nil, []int{}},
		{"one has all", 8, []Demand{{0, 0}}, []int{8}},
		{"one of three wants all", 9, []Demand{{0, 100}, {0, 0}, {0, 0}}, []int{9, 0, 0}},
		{"one of three wants some", 9, []Demand{{0, 3}, {0, 0}, {0, 0}}, []int{5, 2, 2}},
		{"idle ones have the same", 9, []Demand{{0, 0}, {0, 0}, {0, 0}}, []int{3, 3, 3}},
		{"hungry ones have the same", 9, []Demand{{0, 50}, {0, 50}, {0, 0}}, []int{5, 4, 0}},
		{"a small wish is met first", 9, []Demand{{0, 1}, {0, 50}}, []int{1, 8}},
		{"what is held beyond a fair share is given up", 9, []Demand{{6, 0}, {0, 10}}, []int{5, 4}},
		{"a late one gets its share", 8, []Demand{{4, 50}, {4, 50}, {0, 2}}, []int{3, 3, 2}},
		{"more held than there is", 4, []Demand{{3, 5}, {3, 5}}, []int{2, 2}},
		{"fewer places than masters", 2, []Demand{{0, 0}, {0, 0}, {0, 0}}, []int{1, 1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Room(c.places, c.masters)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestRoomHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.IntRange(0, 40).Draw(t, "places")
		n := rapid.IntRange(1, 6).Draw(t, "masters")
		masters := make([]Demand, n)
		for i := range masters {
			masters[i] = Demand{rapid.IntRange(0, 10).Draw(t, "held"), rapid.IntRange(0, 60).Draw(t, "wants")}
		}
		room := Room(places, masters)
		sum := 0
		for _, r := range room {
			sum += r
		}
		if sum != places {
			t.Fatalf("%d places are given of %d", sum, places)
		}
		// Max-min: nobody who has use for more could get it without taking from one that has less.
		for i, a := range masters {
			for j := range masters {
				if room[i] < a.Held+a.Wants && room[j] > room[i]+1 {
					t.Fatalf("master %d got %d and has use for %d, master %d got %d: %v of %v", i, room[i], a.Held+a.Wants, j, room[j], room, masters)
				}
			}
		}
	})
}
