// A queue between goroutines that takes everything at once.

package worker

import "sync"

// mailbox is an unbounded queue. What is in it is bounded by what its users have under way: slots,
// streams, writes. take gives all that is there, so a busy reader works in batches.
type mailbox[T any] struct {
	mu     sync.Mutex
	items  []T
	spare  []T
	closed bool
	ready  chan struct{} // has a token when there may be something
}

func newMailbox[T any]() *mailbox[T] { return &mailbox[T]{ready: make(chan struct{}, 1)} }

func (m *mailbox[T]) put(items ...T) {
	m.mu.Lock()
	first := len(m.items) == 0
	m.items = append(m.items, items...)
	m.mu.Unlock()
	if first {
		m.poke()
	}
}

func (m *mailbox[T]) poke() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// take returns what is there, nil for nothing. The slice is valid until the next take but one.
func (m *mailbox[T]) take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.items) == 0 {
		return nil
	}
	out := m.items
	m.items, m.spare = m.spare[:0], out
	return out
}

// close ends the queue; what is in it can still be taken.
func (m *mailbox[T]) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.poke()
}

// ended tells whether it is closed and empty.
func (m *mailbox[T]) ended() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed && len(m.items) == 0
}
