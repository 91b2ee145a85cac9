package worker_test

import (
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker"
)

// hellos steps the core and returns what it says to whom, and whether it kills anything.
func (l *leaseTest) hellos(events ...worker.Event) (said map[worker.StreamID]*rpc.Hello, kills bool) {
	said = map[worker.StreamID]*rpc.Hello{}
	for _, e := range l.core.Step(l.now, events...) {
		switch e := e.(type) {
		case worker.Send:
			if e.Frame.Hello != nil {
				said[e.Stream] = e.Frame.Hello
			}
		case worker.KillAttempt:
			kills = true
		}
	}
	return said, kills
}

// After a restore of the store a worker asks one master for a session, with a number, and what it runs goes
// on; each master would give it another one, and the last of them would end the others. Until it has one,
// its lease counts.
func TestStoreWasRestored(t *testing.T) {
	t.Parallel()
	for _, answers := range []bool{true, false} {
		l := newLeaseTest(t, 10*time.Second)
		l.run(5)
		l.hellos(worker.StreamDown{Stream: 1})
		said, _ := l.hellos(worker.StreamUp{Stream: 2}, worker.StreamUp{Stream: 3})
		if len(said) != 2 || said[2].Session != 9 {
			t.Fatalf("says %v", said)
		}
		anew := func(stream worker.StreamID) worker.Frame {
			return worker.Frame{Stream: stream, Frame: &rpc.FromMaster{Master: int64(stream), Welcome: &rpc.Welcome{Anew: true, Generation: 2}}}
		}
		said, kills := l.hellos(anew(3))
		if len(said) != 1 || kills {
			t.Fatalf("says %v, kills %t", said, kills)
		}
		var to worker.StreamID
		for stream, h := range said {
			if to = stream; h.Session != 0 || h.Number == 0 || len(h.Held) != 1 || len(h.Earlier) != 1 || h.Earlier[0] != 9 {
				t.Errorf("says %v", h)
			}
		}
		if said, kills = l.hellos(anew(2)); len(said) > 0 || kills { // to the hello of before
			t.Errorf("says %v, kills %t", said, kills)
		}
		if !answers {
			l.now = flow.Time(1e6).Add(7600 * time.Millisecond)
			if _, kills = l.hellos(worker.Tick{}); !kills {
				t.Error("what runs is guarded by nothing")
			}
			continue
		}
		welcome := worker.Frame{Stream: to, Frame: &rpc.FromMaster{Master: 2, Welcome: &rpc.Welcome{Session: 101, Generation: 2, LeaseMicros: 1e7}}}
		said, kills = l.hellos(welcome)
		if len(said) != 1 || said[5-to].GetSession() != 101 || said[5-to].GetGeneration() != 2 || kills {
			t.Errorf("says %v, kills %t", said, kills)
		}
		old := worker.Frame{Stream: 5 - to, Frame: &rpc.FromMaster{Master: 1, Welcome: &rpc.Welcome{Anew: true, Generation: 1}}}
		if said, kills = l.hellos(old); len(said) > 0 || kills { // a master that does not know of the restore yet
			t.Errorf("says %v, kills %t", said, kills)
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
