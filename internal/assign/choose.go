// Choose: which worker gets the next task.

package assign

import "baton/internal/flow"

// Candidate is a worker that could take the next task.
type Candidate struct {
	ID     int64
	Load   float64 // how busy it is; only the order counts
	Weight int     // its share under Weighted, at least 1
}

// Chooser chooses workers, for one worker group. It remembers whose turn it is.
type Chooser struct {
	last   int64         // chosen by RoundRobin
	credit map[int64]int // under Weighted: how far behind its share a worker is
}

// Choose returns which of the candidates gets the next task, -1 when there are none. They are in order
// of ID, and may be others each time: who is full or gone is passed over and keeps its turn. draw
// returns an even number from 0 to below n; Random alone asks for it.
func (c *Chooser) Choose(s flow.Strategy, among []Candidate, draw func(n int) int) int {
	if len(among) == 0 {
		return -1
	}
	switch s {
	case flow.Random:
		return draw(len(among))
	case flow.RoundRobin:
		return c.next(among)
	case flow.Weighted:
		return c.weighted(among)
	case flow.LeastLoaded:
	}
	return least(among)
}

// Forget drops what is known of a worker that is gone.
func (c *Chooser) Forget(id int64) { delete(c.credit, id) }

// least returns the first of those with the least load.
func least(among []Candidate) int {
	best := 0
	for i := range among {
		if among[i].Load < among[best].Load {
			best = i
		}
	}
	return best
}

// next returns the one after the last chosen. It goes by ids, not by a count, so that workers may come
// and go without anybody being passed over or served twice.
func (c *Chooser) next(among []Candidate) int {
	next := 0
	for i := range among {
		if among[i].ID > c.last {
			next = i
			break
		}
	}
	c.last = among[next].ID
	return next
}

// weighted gives everybody credit by weight and chooses who has most, who pays for all: each gets its
// share, spread evenly and not in runs. It is the smooth weighted round robin of nginx. A weight
// counts from the next choice on.
func (c *Chooser) weighted(among []Candidate) int {
	if c.credit == nil {
		c.credit = make(map[int64]int)
	}
	best, total := 0, 0
	for i, a := range among {
		w := max(a.Weight, 1)
		total += w
		c.credit[a.ID] += w
		if c.credit[a.ID] > c.credit[among[best].ID] {
			best = i
		}
	}
	c.credit[among[best].ID] -= total
	return best
}
