// Shares: what each project has of the places of a worker group, so that none waits for all that another has ordered.

package dispatch

import (
	"container/heap"
	"slices"

	"baton/internal/flow"
)

// Of equal priority the project goes first that holds the fewest places for its weight, in whole multiples of the weight:
// one of weight 3 holds three before it is behind one of weight 1 that holds one. Between those that are level it goes in
// turn, by weight: each place that is given moves the project's turn on by 1/weight. So the proportion also holds where
// there are fewer places than projects, and nobody's turn is never.

type shareKey struct {
	group   string
	project flow.ID
}

// share is a project in a group.
type share struct {
	key    shareKey
	weight int
	held   int     // places, by this master
	turn   float64 // grows with each place given
	clock  *clock
	lines  []*line // in which something of it waits
}

// clock is the turn at which the last place of a group was given. Who was away, or held enough, has saved up nothing.
type clock struct{ now float64 }

// line is what waits of a project in a queue, of one level.
type line struct {
	share *share
	level *level
	items itemHeap
	at    int // in the level
}

type itemHeap []Item

func (h itemHeap) Len() int           { return len(h) }
func (h itemHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h itemHeap) Less(i, j int) bool { return h[i].seq < h[j].seq }
func (h *itemHeap) Push(x any)        { *h = append(*h, x.(Item)) }
func (h *itemHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// level is what waits in a queue of one priority: a line for each project, the one that goes first at the front.
type level struct{ lines lineHeap }

type lineHeap []*line

func (h lineHeap) Len() int { return len(h) }
func (h lineHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	return a.share.before(b.share, a.items[0].seq < b.items[0].seq)
}

func (h lineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *lineHeap) Push(x any) {
	ln := x.(*line)
	ln.at = len(*h)
	*h = append(*h, ln)
}

func (h *lineHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// before orders projects; older is for those that are level and whose turn is the same.
func (s *share) before(other *share, older bool) bool {
	if a, b := s.held/s.weight, other.held/other.weight; a != b {
		return a < b
	}
	if s.turn != other.turn {
		return s.turn < other.turn
	}
	return older
}

// share returns a project's share of a group.
func (p *Pool) share(group string, project flow.ID) *share {
	key := shareKey{group, project}
	s := p.shares[key]
	if s == nil {
		c := p.clocks[group]
		if c == nil {
			c = &clock{}
			p.clocks[group] = c
		}
		s = &share{key: key, weight: p.weight(project), clock: c, turn: c.now}
		p.shares[key] = s
	}
	return s
}

func (p *Pool) weight(project flow.ID) int { return max(p.weights[project], 1) }

// SetWeights says what projects weigh; one that is not named weighs 1.
func (p *Pool) SetWeights(weights map[flow.ID]int) {
	p.weights = weights
	for _, s := range p.shares { // each by itself: the order does not matter
		if w := p.weight(s.key.project); w != s.weight {
			s.weight = w
			s.moved()
		}
	}
}

// push adds an item to its project's line.
func (l *level) push(s *share, it Item) {
	for _, ln := range s.lines {
		if ln.level == l {
			heap.Push(&ln.items, it)
			heap.Fix(&l.lines, ln.at) // it may be older than those that wait: what was held was read again
			return
		}
	}
	if len(s.lines) == 0 {
		s.turn = max(s.turn, s.clock.now)
	}
	ln := &line{share: s, level: l, items: itemHeap{it}}
	s.lines = append(s.lines, ln)
	heap.Push(&l.lines, ln)
}

// pop takes the oldest of a line.
func (ln *line) pop() Item {
	it := heap.Pop(&ln.items).(Item)
	if len(ln.items) == 0 {
		heap.Remove(&ln.level.lines, ln.at)
		ln.share.leave(ln)
	} else {
		heap.Fix(&ln.level.lines, ln.at)
	}
	return it
}

func (l *level) clear() {
	for _, ln := range l.lines {
		ln.share.leave(ln)
	}
	l.lines = nil
}

func (s *share) leave(ln *line) {
	s.lines = slices.DeleteFunc(s.lines, func(other *line) bool { return other == ln })
}

// granted moves the project's turn on: a place is given to it.
func (s *share) granted() {
	s.clock.now = max(s.clock.now, s.turn)
	s.turn += 1 / float64(s.weight)
	s.moved()
}

// hold counts places that the project holds.
func (s *share) hold(by int) {
	s.held += by
	if by < 0 {
		s.turn = max(s.turn, s.clock.now)
	}
	s.moved()
}

// moved puts the project's lines where they belong now.
func (s *share) moved() {
	for _, ln := range s.lines {
		if len(ln.level.lines) > 1 {
			heap.Fix(&ln.level.lines, ln.at)
		}
	}
}
