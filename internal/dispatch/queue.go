// Queues: what waits for a place, by group and type, ordered by priority, then age.

package dispatch

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"

	"baton/internal/assign"
	"baton/internal/flow"
)

// Item is a task row that waits for a place.
type Item struct {
	Instance flow.ID
	Task     flow.ID
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
	items      itemHeap
	told       cause // of waiting, that its items were told
}

type itemHeap []Item

func (h itemHeap) Len() int           { return len(h) }
func (h itemHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h itemHeap) Less(i, j int) bool { return before(&h[i], &h[j]) }

// before orders what waits: by priority, then what lost its worker, then age.
func before(a, b *Item) bool {
	if a.Priority != b.Priority {
		return a.Priority < b.Priority
	}
	if a.Again != b.Again {
		return a.Again
	}
	return a.seq < b.seq
}
func (h *itemHeap) Push(x any) { *h = append(*h, x.(Item)) }
func (h *itemHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// Enqueue adds an item; of equal ones the first enqueued goes first.
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
	heap.Push(&p.queues[i].items, it)
	p.fresh = append(p.fresh, it)
}

// keepQueues is how many queues there may be before those are forgotten in which nothing waits: there may
// be any number of groups in the course of time.
const keepQueues = 256

// forgetQueues forgets the queues in which nothing waits, and how their groups chose. It tells whether
// there were any.
func (p *Pool) forgetQueues() bool {
	before := len(p.queues)
	p.queues = slices.DeleteFunc(p.queues, func(q *queue) bool { return len(q.items) == 0 })
	maps.DeleteFunc(p.choosers, func(group string, _ *assign.Chooser) bool {
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
		for len(q.items) > 0 && p.Holder(q.items[0].Task) != 0 {
			heap.Pop(&q.items)
		}
		if len(q.items) == 0 || from != nil && !before(&q.items[0], &from.items[0]) {
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
	it := heap.Pop(&from.items).(Item)
	p.Hold(it.Task, it.Instance, to.ID, it.Type)
	return Placement{it, to.ID, to.Name}, true
}

// Unserved returns the groups that something waits for and that no session serves, in order.
func (p *Pool) Unserved() []string {
	var out []string
	for _, q := range p.queues { // by group
		if len(q.items) > 0 && !slices.Contains(out, q.group) &&
			!slices.ContainsFunc(p.sessions, func(s *Session) bool { return slices.Contains(s.Groups, q.group) }) {
			out = append(out, q.group)
		}
	}
	return out
}

// Waiting returns the instances of what waits for a group, as often as they wait. What keep refuses is
// forgotten.
func (p *Pool) Waiting(group string, keep func(Item) bool) []flow.ID {
	var out []flow.ID
	for _, q := range p.queues {
		if q.group != group {
			continue
		}
		q.items = slices.DeleteFunc(q.items, func(it Item) bool { return !keep(it) })
		heap.Init(&q.items)
		for _, it := range q.items {
			out = append(out, it.Instance)
		}
	}
	return out
}

// Len is how many items wait.
func (p *Pool) Len() int {
	n := 0
	for _, q := range p.queues {
		n += len(q.items)
	}
	return n
}
