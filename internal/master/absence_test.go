package master

import (
	"testing"
	"time"

	"baton/internal/rpc"
)

// A session that is not over yet is asked about again when it may be: not before, and not much later.
func TestAskedAgainWhenTheLeaseIsOver(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.answer()
	b.step(Closed{1})
	asked := 0
	for end := b.now.Add(2 * DefaultConfig().Lease); b.now < end; b.now = b.now.Add(10 * time.Millisecond) {
		b.step(Tick{})
		if len(every[EndSession](b)) == 0 {
			continue
		}
		if asked++; asked == 2 {
			break
		}
		from, left := b.now, 1234*time.Millisecond
		b.step(SessionEnded{Session: 50, Left: left})
		b.now = from.Add(left - 10*time.Millisecond)
		b.step(Tick{})
		if len(every[EndSession](b)) > 0 {
			t.Error("asked before it can be over")
		}
		end = from.Add(left + 50*time.Millisecond)
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// A lease runs from when its worker asked, not from when many of them are renewed together.
func TestLeaseRunsFromTheQuestion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connect(1, 50, 4)
	b.step(Frame{1, &rpc.FromWorker{Beat: &rpc.Beat{Number: 3, Keep: true}}})
	b.now = b.now.Add(b.core.gather())
	b.out = b.core.Step(b.now, Tick{})
	if n := one[Beat](b).Sessions[0]; n.Waited != b.core.gather() {
		t.Errorf("it asked %s ago, not %s", b.core.gather(), n.Waited)
	}
}
