package worker_test

import (
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker"
)

// leaseTest is a core with one master that renews it.
type leaseTest struct {
	*testing.T
	core *worker.Core
	now  flow.Time
	sent []*rpc.FromWorker
	gone bool
}

func newLeaseTest(t *testing.T, lease time.Duration) *leaseTest {
	t.Helper()
	l := &leaseTest{T: t, now: 1e6}
	l.core = worker.NewCore(worker.CoreConfig{Name: "w", Home: "h", Slots: 4, OutageGrace: time.Minute, Kind: func(string) worker.Kind { return worker.KindFunction }}, worker.State{})
	l.step(worker.StreamUp{Stream: 1})
	l.step(worker.Frame{Stream: 1, Frame: &rpc.FromMaster{Master: 1, Welcome: &rpc.Welcome{Session: 9, Generation: 1, LeaseMicros: lease.Microseconds()}}})
	return l
}

func (l *leaseTest) step(events ...worker.Event) {
	for _, e := range l.core.Step(l.now, events...) {
		switch e := e.(type) {
		case worker.Send:
			l.sent = append(l.sent, e.Frame)
		case worker.Measure:
			l.step(worker.Measured{})
		case worker.Close:
			l.gone = true
		}
	}
}

// beat waits for the next beat, for at most a time, and returns it.
func (l *leaseTest) beat(most time.Duration) *rpc.Beat {
	l.Helper()
	for end := l.now.Add(most); l.now <= end; l.now = l.now.Add(10 * time.Millisecond) {
		if l.step(worker.Tick{}); l.gone {
			return nil
		}
		for len(l.sent) > 0 {
			b := l.sent[0].GetBeat()
			if l.sent = l.sent[1:]; b != nil {
				return b
			}
		}
	}
	l.Fatalf("no beat within %s", most)
	return nil
}

func (l *leaseTest) renew(b *rpc.Beat, lease time.Duration) {
	l.step(worker.Frame{Stream: 1, Frame: &rpc.FromMaster{Master: 1, Renew: true, Beat: b.GetNumber(), LeaseMicros: lease.Microseconds()}})
}

// lasts is how long the session lives if nothing more is heard.
func (l *leaseTest) lasts() time.Duration {
	from := l.now
	for l.gone = false; !l.gone; l.now = l.now.Add(10 * time.Millisecond) {
		l.step(worker.Tick{})
	}
	return l.now.Sub(from)
}

// A shorter lease counts from the beat that asks for it: by then nobody can hold the session for
// dead before it gives up.
func TestLeaseIsShortened(t *testing.T) {
	t.Parallel()
	l := newLeaseTest(t, 10*time.Second)
	b := l.beat(time.Millisecond)
	if got := b.GetLeaseMicros(); got != 10_000_000 {
		t.Errorf("the beat asks for %d µs", got)
	}
	l.renew(b, 2*time.Second)
	b = l.beat(time.Second)
	if got := b.GetLeaseMicros(); got != 2_000_000 {
		t.Errorf("the beat asks for %d µs", got)
	}
	if got := l.lasts(); got > 1600*time.Millisecond || got < 1400*time.Millisecond {
		t.Errorf("it lives on for %s", got)
	}
}

// A longer lease counts when it is granted.
func TestLeaseIsLengthened(t *testing.T) {
	t.Parallel()
	for _, granted := range []bool{false, true} {
		l := newLeaseTest(t, 2*time.Second)
		l.renew(l.beat(time.Millisecond), 10*time.Second)
		b := l.beat(time.Second)
		if got := b.GetLeaseMicros(); got != 10_000_000 {
			t.Errorf("the beat asks for %d µs", got)
		}
		want := 1500 * time.Millisecond
		if granted {
			l.renew(b, 10*time.Second)
			want = 7500 * time.Millisecond
		}
		if got := l.lasts(); got > want+100*time.Millisecond || got < want-100*time.Millisecond {
			t.Errorf("granted %v: it lives on for %s", granted, got)
		}
	}
}

// A master that keeps the lease and is frozen answers nothing: the others are asked at once, well before
// the worker gives itself up.
func TestFrozenKeeper(t *testing.T) {
	t.Parallel()
	const lease = 10 * time.Second
	l := newLeaseTest(t, lease)
	l.step(worker.StreamUp{Stream: 2})
	l.step(worker.Frame{Stream: 2, Frame: &rpc.FromMaster{Master: 2, Welcome: &rpc.Welcome{Session: 9, Generation: 1, LeaseMicros: lease.Microseconds()}}})
	l.renew(l.beat(time.Millisecond), lease)
	from := l.now
	for !l.gone && l.now.Sub(from) < lease*6/10 {
		if b := l.beat(lease); b.GetUrgent() {
			if !b.GetKeep() {
				t.Error("an urgent beat asks for nothing")
			}
			return
		}
	}
	t.Errorf("nobody else was asked within %s", l.now.Sub(from))
}

// That a later beat arrived says nothing about the lease: only what was renewed counts.
func TestHeardIsNotRenewed(t *testing.T) {
	t.Parallel()
	const lease = 10 * time.Second
	l := newLeaseTest(t, lease)
	first := l.beat(time.Millisecond)
	sent := l.now
	second := l.beat(lease)
	l.step(worker.Frame{Stream: 1, Frame: &rpc.FromMaster{Master: 1, Renew: true, Beat: first.GetNumber(), Heard: second.GetNumber(), LeaseMicros: lease.Microseconds()}})
	if got, want := l.now.Sub(sent)+l.lasts(), lease*3/4; got > want+100*time.Millisecond {
		t.Errorf("it lives for %s after the beat that was renewed", got)
	}
}

// Streams that come up in another order than they were dialled in are told apart.
func TestStreamsComeUpInAnyOrder(t *testing.T) {
	t.Parallel()
	c := worker.NewCore(worker.CoreConfig{Name: "w", Home: "h", Slots: 4, Kind: func(string) worker.Kind { return worker.KindFunction }}, worker.State{})
	c.Step(1e6, worker.StreamUp{Stream: 3}, worker.StreamUp{Stream: 1}, worker.StreamUp{Stream: 2})
	// The one that came up first was greeted first, and gives a session: the others are greeted then.
	greeted := map[worker.StreamID]bool{}
	for _, e := range c.Step(1e6, worker.Frame{Stream: 3, Frame: &rpc.FromMaster{Master: 1, Welcome: &rpc.Welcome{Session: 9, Generation: 1, LeaseMicros: 1e7}}}) {
		if s, ok := e.(worker.Send); ok && s.Frame.GetHello() != nil {
			greeted[s.Stream] = true
		}
	}
	if !greeted[1] || !greeted[2] {
		t.Errorf("greeted %v: the session was not heard", greeted)
	}
}

// away answers the next beat on streams: the store is away.
func (l *leaseTest) away(most time.Duration, streams ...worker.StreamID) {
	l.Helper()
	b := l.beat(most)
	for _, s := range streams {
		l.step(worker.Frame{Stream: s, Frame: &rpc.FromMaster{Master: int64(s), Outage: true, Heard: b.GetNumber()}})
	}
	l.sent = nil // the same beat for the others
}

// While every master says that the store is away the session goes on, on streams too that were made anew
// meanwhile: they get no welcome, since only the store knows whether the session lives.
func TestOutageOnANewStream(t *testing.T) {
	t.Parallel()
	const lease = 10 * time.Second
	for _, said := range []bool{true, false} {
		l := newLeaseTest(t, lease)
		l.renew(l.beat(time.Millisecond), lease)
		l.sent = nil
		l.step(worker.StreamDown{Stream: 1}, worker.StreamUp{Stream: 2}, worker.StreamUp{Stream: 3})
		from := l.now
		for l.now.Sub(from) < 2*lease && !l.gone {
			if said {
				l.away(lease, 2, 3)
			} else {
				l.away(lease, 2)
			}
		}
		if l.gone == said {
			t.Errorf("the other says it: %t, gone: %t after %s", said, l.gone, l.now.Sub(from))
		}
	}
}

// A master that said so once may have found the store again: only what all say counts, from when the one
// that was heard last said it.
func TestOutageThatOneSaysNoMore(t *testing.T) {
	t.Parallel()
	const lease = 10 * time.Second
	l := newLeaseTest(t, lease)
	l.step(worker.StreamUp{Stream: 2})
	l.step(worker.Frame{Stream: 2, Frame: &rpc.FromMaster{Master: 2, Welcome: &rpc.Welcome{Session: 9, Generation: 1, LeaseMicros: lease.Microseconds()}}})
	l.away(lease, 1, 2)
	from := l.now
	for l.now.Sub(from) < 2*lease && !l.gone {
		l.away(lease, 2)
	}
	if got := l.now.Sub(from); got > lease*3/4+100*time.Millisecond {
		t.Errorf("it lives for %s after the last word of one master", got)
	}
}
