package worker_test

import (
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker"
)

// helloTest is a core that has no session, and what it said.
type helloTest struct {
	*testing.T
	core *worker.Core
	now  flow.Time
}

// says steps the core and returns the hellos that it says, by stream.
func (h *helloTest) says(events ...worker.Event) map[worker.StreamID]*rpc.Hello {
	said := map[worker.StreamID]*rpc.Hello{}
	for _, e := range h.core.Step(h.now, events...) {
		if s, ok := e.(worker.Send); ok && s.Frame.Hello != nil {
			said[s.Stream] = s.Frame.Hello
		}
	}
	return said
}

// Hellos without a session are numbered, so that the store can tell which of two is the later one.
func TestHellosAreNumbered(t *testing.T) {
	t.Parallel()
	h := &helloTest{T: t, now: 1e6, core: worker.NewCore(worker.CoreConfig{Name: "w", Home: "h", Slots: 4, Kind: func(string) worker.Kind { return worker.KindFunction }}, worker.State{})}
	last := int64(0)
	next := func(said map[worker.StreamID]*rpc.Hello, stream worker.StreamID) int64 {
		t.Helper()
		if len(said) != 1 || said[stream] == nil {
			t.Fatalf("hellos %v, want one to %d", said, stream)
		}
		n := said[stream].GetNumber()
		if n <= last {
			t.Errorf("hello %d after %d", n, last)
		}
		last = n
		return n
	}
	if n := next(h.says(worker.StreamUp{Stream: 1}, worker.StreamUp{Stream: 2}), 1); n < int64(h.now) {
		t.Errorf("hello %d, which one before a restart may have been", n)
	}
	next(h.says(worker.StreamDown{Stream: 1}), 2) // at the same time
	outrun := func(number int64) *rpc.FromMaster {
		return &rpc.FromMaster{Master: 2, Welcome: &rpc.Welcome{Outrun: number}}
	}
	// The clock was set back: somebody has a greater number.
	if n := next(h.says(worker.Frame{Stream: 2, Frame: outrun(9e12)}), 2); n <= 9e12 {
		t.Errorf("hello %d is no greater than that of before", n)
	}
	h.says(worker.Frame{Stream: 2, Frame: &rpc.FromMaster{Master: 2, Welcome: &rpc.Welcome{Session: 9, Generation: 1, LeaseMicros: 1e7}}})
	said := h.says(worker.StreamUp{Stream: 3})
	if said[3].GetSession() != 9 || said[3].GetNumber() != 0 {
		t.Errorf("says %v", said)
	}
	if said = h.says(worker.Frame{Stream: 3, Frame: outrun(1e15)}); len(said) > 0 {
		t.Errorf("with a session it says %v", said)
	}
}

// A store that is slow for every master gives a session in the end: each master gets twice the time of the
// one before it.
func TestPatienceWithASlowStoreGrows(t *testing.T) {
	t.Parallel()
	h := &helloTest{T: t, now: 1e6, core: worker.NewCore(worker.CoreConfig{Name: "w", Home: "h", Slots: 4, Kind: func(string) worker.Kind { return worker.KindFunction }}, worker.State{})}
	h.says(worker.StreamUp{Stream: 1}, worker.StreamUp{Stream: 2})
	asked := worker.StreamID(1)
	last := time.Duration(0)
	for range 4 {
		since := h.now
		for closed := false; !closed; h.now = h.now.Add(time.Second) {
			for _, e := range h.core.Step(h.now, worker.Tick{}) {
				if c, ok := e.(worker.Close); ok && c.Stream == asked {
					closed = true
				}
			}
			if h.now.Sub(since) > time.Hour {
				t.Fatalf("waits for stream %d for ever", asked)
			}
		}
		took := h.now.Sub(since)
		if last != 0 && took < 2*last-2*time.Second {
			t.Errorf("a master has %s, the one before it had %s", took, last)
		}
		last = took
		said := h.says(worker.StreamDown{Stream: asked})
		h.says(worker.StreamUp{Stream: asked + 2})
		asked++
		if said[asked] == nil {
			t.Fatalf("stream %d is not asked: %v", asked, said)
		}
	}
}
