// Queues: what waits for a place, by group and type, ordered by priority, then by what the projects have, then age.

package dispatch

import (
	"cmp"
	"maps"
	"slices"

	"baton/internal/assign"
	"baton/internal/flow"
)

// Item is a task row that waits for a place.
type Item struct {
	Instance flow.ID
	Task     flow.ID
	Project  flow.ID
	Group    string
	Type     string
	Priority flow.Priority
	// Again: it lost its worker and goes before new work of equal priority.
	Again bool

	seq uint64
}

// queue is what waits for the same sessions.
type queue struct {
	group, typ string
	kind       Kind
	levels     [levels]level
	waiting    int
	told       cause // of waiting, that its items were told
}

// levels are the priorities, of each first what lost its worker.
const levels = 2 * (int(flow.PriorityLowest) + 1)

func (it *Item) level() int {
	n := 2 * min(int(it.Priority), int(flow.PriorityLowest))
	if !it.Again {
		n++
	}
	return n
}

// head is the item that goes first, with the line it is in; nil when nothing waits.
func (q *queue) head() (*Item, *line) {
	if q.waiting > 0 {
		for i := range q.levels {
			if l := &q.levels[i]; len(l.lines) > 0 {
				return &l.lines[0].items[0], l.lines[0]
			}
		}
	}
	return nil, nil
}

// pop takes the head of the queue.
func (q *queue) pop() Item {
	_, ln := q.head()
	q.waiting--
	return ln.pop()
}

// each goes through all that waits, in no order that means anything.
func (q *queue) each(do func(Item)) {
	for i := range q.levels {
		for _, ln := range q.levels[i].lines {
			for _, it := range ln.items {
				do(it)
			}
		}
	}
}

// before tells whether the head of a queue goes before that of another. What projects have is compared within a group.
func (q *queue) before(other *queue) bool {
	a, line := q.head()
	b, others := other.head()
	switch {
	case a.level() != b.level():
		return a.level() < b.level()
	case q.group == other.group && line.share != others.share:
		return line.share.before(others.share, a.seq < b.seq)
	default:
		return a.seq < b.seq
	}
}

// Enqueue adds an item; of equal ones of a project the first enqueued goes first.
func (p *Pool) Enqueue(it Item) {
	p.seq++
	it.seq = p.seq
	i, found := slices.BinarySearchFunc(p.queues, it, func(q *queue, it Item) int {
		return cmp.Or(cmp.Compare(q.group, it.Group), cmp.Compare(q.typ, it.Type))
	})
	if !found && len(p.queues) >= keepQueues && p.forgetQueues() {
		p.Enqueue(it)
		return
	}
	if !found {
		p.queues = slices.Insert(p.queues, i, &queue{group: it.Group, typ: it.Type, kind: p.kind(it.Type)})
	}
	q := p.queues[i]
	q.levels[it.level()].push(p.share(it.Group, it.Project), it)
	q.waiting++
	p.fresh = append(p.fresh, it)
}

// keepQueues is how many queues there may be before those are forgotten in which nothing waits: there may
// be any number of groups in the course of time.
const keepQueues = 256

// forgetQueues forgets the queues in which nothing waits, and how their groups chose. It tells whether
// there were any.
func (p *Pool) forgetQueues() bool {
	before := len(p.queues)
	p.queues = slices.DeleteFunc(p.queues, func(q *queue) bool { return q.waiting == 0 })
	maps.DeleteFunc(p.choosers, func(group string, _ *assign.Chooser) bool {
		return !slices.ContainsFunc(p.queues, func(q *queue) bool { return q.group == group })
	})
	maps.DeleteFunc(p.shares, func(_ shareKey, s *share) bool { return s.held == 0 && len(s.lines) == 0 })
	maps.DeleteFunc(p.clocks, func(group string, _ *clock) bool {
		return !slices.ContainsFunc(p.queues, func(q *queue) bool { return q.group == group })
	})
	return len(p.queues) < before
}

// Placement is an item and the session chosen for it.
type Placement struct {
	Item    Item
	Session int64
	Worker  string
}

// Next takes the first item of all that can be placed and books the slot. Items are not checked: one
// whose row is no longer queued is the caller's to release. A row that was enqueued twice (held and
// released, read again) is placed once: a second placement would move the slot to a session that
// does not have the attempt.
func (p *Pool) Next() (Placement, bool) {
	var from *queue
	for _, q := range p.queues {
		it, _ := q.head()
		for ; it != nil && p.Holder(it.Task) != 0; it, _ = q.head() {
			q.pop()
		}
		if it == nil || from != nil && !q.before(from) {
			continue
		}
		if p.placeable(q) {
			from = q
		}
	}
	if from == nil {
		return Placement{}, false
	}
	to := p.pick(from)
	it := from.pop()
	p.share(it.Group, it.Project).granted()
	p.Book(it, to.ID)
	return Placement{it, to.ID, to.Name}, true
}

// Unserved returns the groups that something waits for and that no session serves, in order.
func (p *Pool) Unserved() []string {
	var out []string
	for _, q := range p.queues { // by group
		if q.waiting > 0 && !slices.Contains(out, q.group) &&
			!slices.ContainsFunc(p.sessions, func(s *Session) bool { return slices.Contains(s.Groups, q.group) }) {
			out = append(out, q.group)
		}
	}
	return out
}

// Waiting returns the instances of what waits for a group, as often as they wait, by age. What keep refuses is
// forgotten.
func (p *Pool) Waiting(group string, keep func(Item) bool) []flow.ID {
	var left []Item
	for _, q := range p.queues {
		if q.group != group {
			continue
		}
		var kept []Item
		q.each(func(it Item) {
			if keep(it) {
				kept = append(kept, it)
			}
		})
		q.waiting = len(kept)
		for i := range q.levels {
			q.levels[i].clear()
		}
		for _, it := range kept {
			q.levels[it.level()].push(p.share(it.Group, it.Project), it)
		}
		left = append(left, kept...)
	}
	slices.SortFunc(left, func(a, b Item) int { return cmp.Compare(a.seq, b.seq) })
	out := make([]flow.ID, len(left))
	for i, it := range left {
		out[i] = it.Instance
	}
	return out
}

// Len is how many items wait.
func (p *Pool) Len() int {
	n := 0
	for _, q := range p.queues {
		n += q.waiting
	}
	return n
}
