package flow

import "testing"

func TestSlotsAreEven(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 4, 5, 8} {
		for _, step := range []Time{1_000, 7_000, 250} { // one a millisecond, one in seven, four in one
			ids := NewIDSource(5, 0)
			count := make([]int, n)
			const all = 4000
			for i := range all {
				count[ids.Next(Time(1767225600*1_000_000)+Time(i)*step).Slot(n)]++
			}
			for slot, c := range count {
				if c < all/n/2 || c > all/n*2 {
					t.Errorf("%d slots, an id every %d µs: slot %d has %d of %d", n, step, slot, c, all)
				}
			}
		}
	}
}
