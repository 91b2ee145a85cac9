// Room: how many of a worker's places each master may fill.

package assign

// Demand is one master as a worker sees it.
type Demand struct {
	// Held is how many places its attempts hold now, or may be on their way to.
	Held int
	// Wants is how many more it could fill at once.
	Wants int
}

// Room shares the places of a worker among its masters. Who has use for more gets more, in equal
// steps, what it holds already counted, so that one master alone can fill the worker; what nobody has
// use for is spread evenly, so that everybody has a place at hand for the next task and need not ask
// first. The sum is places. A master may hold more than it is given: then it is to begin nothing until
// enough of that has ended. Otherwise whoever came first would keep its places as long as it has work,
// and who comes later would get none.
//
// It is max-min fairness by progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2) with
// whole places; remainders go to the first of the list.
func Room(places int, masters []Demand) []int {
	room := make([]int, len(masters))
	if places <= 0 || len(masters) == 0 {
		return room
	}
	wants := make([]int, len(masters))
	for i, m := range masters {
		wants[i] = m.Held + max(m.Wants, 0)
	}
	free := fill(room, wants, places)
	for i := range wants {
		wants[i] = free // nobody has use for the rest: everybody gets the same of it
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
