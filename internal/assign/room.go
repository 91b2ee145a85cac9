// Room: how many of a worker's places each master may fill.

package assign

// Demand is one master as a worker sees it.
type Demand struct {
	// Held is how many places its attempts hold now, or may be on their way to.
	Held int
	// Wants is how many more it could fill at once.
	Wants int
}

// Room shares the places of a worker among its masters: each gets what it holds and a share of
// what is free. Who wants more gets more, in equal steps, so that one master alone can fill the
// worker; what nobody wants is spread evenly, so that everybody has a place at hand for the next
// task and need not ask first. The sum is never above places, unless more is held already.
//
// It is max-min fairness by progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2) with
// whole places; remainders go to the first of the list.
func Room(places int, masters []Demand) []int {
	room := make([]int, len(masters))
	free := places
	for i, m := range masters {
		room[i] = m.Held
		free -= m.Held
	}
	if free <= 0 || len(masters) == 0 {
		return room
	}
	wants := make([]int, len(masters))
	for i, m := range masters {
		wants[i] = max(m.Wants, 0)
	}
	free = fill(room, wants, free)
	for i := range wants {
		wants[i] = free // nobody wants the rest: everybody gets the same of it
	}
	fill(room, wants, free)
	return room
}

// fill raises all that want more by equal steps until nothing is free or wanted, and returns what
// is left.
func fill(room, wants []int, free int) int {
	for free > 0 {
		hungry, least := 0, 0
		for _, w := range wants {
			if w > 0 {
				if hungry++; least == 0 || w < least {
					least = w
				}
			}
		}
		if hungry == 0 {
			break
		}
		step := min(least, max(free/hungry, 1))
		for i := range wants {
			if wants[i] > 0 && free > 0 {
				give := min(step, free)
				room[i], wants[i], free = room[i]+give, wants[i]-give, free-give
			}
		}
	}
	return free
}
