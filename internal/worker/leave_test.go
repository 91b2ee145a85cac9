package worker_test

import (
	"testing"
	"time"

	"baton/internal/rpc"
	"baton/internal/worker"
)

// ends steps the core and tells which session it asked each stream to end, and whether it is over.
func (l *leaseTest) ends(events ...worker.Event) (asked map[worker.StreamID]int64, over bool) {
	asked = map[worker.StreamID]int64{}
	for _, e := range l.core.Step(l.now, events...) {
		switch e := e.(type) {
		case worker.Send:
			if e.Frame.Leave != 0 {
				asked[e.Stream] = e.Frame.Leave
			}
		case worker.Stopped:
			over = true
		}
	}
	return asked, over
}

// A worker that stops ends its session through a master, so that nobody waits for its lease: through another
// one when the first is gone, and without when none answers.
func TestStopEndsTheSession(t *testing.T) {
	t.Parallel()
	for _, answers := range []bool{true, false} {
		l := newLeaseTest(t, 10*time.Second)
		l.step(worker.StreamUp{Stream: 2})
		l.step(worker.Frame{Stream: 2, Frame: &rpc.FromMaster{Master: 3, Welcome: &rpc.Welcome{Session: 9, Generation: 1, LeaseMicros: 1e7}}})
		asked, over := l.ends(worker.Stop{})
		if over || len(asked) != 1 || asked[1] != 9 {
			t.Fatalf("asked %v, over %t", asked, over)
		}
		if asked, over = l.ends(worker.Tick{}); over || len(asked) != 0 {
			t.Errorf("asked again: %v, over %t", asked, over)
		}
		if asked, over = l.ends(worker.StreamDown{Stream: 1}); over || asked[2] != 9 {
			t.Errorf("of the other master: %v, over %t", asked, over)
		}
		if answers {
			if _, over = l.ends(worker.Frame{Stream: 2, Frame: &rpc.FromMaster{Master: 3, Left: 9}}); !over {
				t.Error("it does not end when its session has")
			}
			continue
		}
		l.now = l.now.Add(2 * time.Second)
		if _, over = l.ends(worker.Tick{}); !over {
			t.Error("it waits for masters that do not answer")
		}
	}
}

// A worker that is told to stop says so at once: what it is granted then it can only refuse.
func TestStopIsSaid(t *testing.T) {
	t.Parallel()
	l := newLeaseTest(t, 10*time.Second)
	l.run(5)
	measures := false
	for _, e := range l.core.Step(l.now, worker.Stop{}) {
		_, m := e.(worker.Measure)
		measures = measures || m
	}
	if !measures {
		t.Fatal("no beat at once")
	}
	for _, e := range l.core.Step(l.now, worker.Measured{}) {
		if s, ok := e.(worker.Send); ok && s.Frame.Beat != nil && s.Frame.Beat.Draining {
			return
		}
	}
	t.Error("its beat does not say so")
}

// run grants an attempt, which starts.
func (l *leaseTest) run(token int64) {
	l.Helper()
	grant := &rpc.Grant{Token: token, Instance: 1, Task: 2, Type: "t", Epoch: 1}
	started := false
	for _, e := range l.core.Step(l.now, worker.Frame{Stream: 1, Frame: &rpc.FromMaster{Master: 1, Grants: []*rpc.Grant{grant}}}) {
		if p, ok := e.(worker.Persist); ok {
			for _, e := range l.core.Step(l.now, worker.Persisted{ID: p.ID}) {
				_, s := e.(worker.Start)
				started = started || s
			}
		}
	}
	if !started {
		l.Fatal("it does not start")
	}
}
