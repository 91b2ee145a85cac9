package client

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"baton/internal/flow"
	"baton/internal/registry"
)

const (
	length = 10 * time.Second
	zero   = flow.Time(1_000_000_000)
)

func at(seconds float64) flow.Time { return zero + flow.Time(math.Round(seconds*1e6)) }

// bench steps a keeper and shows what it does.
type bench struct {
	*testing.T
	k *keeper
}

func (b bench) does(now float64, want ...any) {
	b.Helper()
	b.same(want, b.k.tick(at(now)))
}

func (b bench) same(want, got []any) {
	b.Helper()
	all := []cmp.Option{cmpopts.EquateEmpty(), cmpopts.EquateErrors(), cmp.AllowUnexported(renew{}, openSession{}, endSession{}, sessionLive{}, sessionOver{}, announced{}, withdrawn{}, released{}, sessionID{}, startWatch{}, probe{}, publish{})}
	if d := cmp.Diff(want, got, all...); d != "" {
		b.Errorf("(-want +got)\n%s", d)
	}
}

func id(n int) sessionID { return sessionID{length, n} }

var errLost = errors.New("connection lost")

// live is a keeper with one member that is announced at 0.
func live(t *testing.T) (bench, registry.Member) {
	t.Helper()
	b := bench{t, newKeeper()}
	m := registry.Member{Incarnation: 1, Role: "master", State: "ready"}
	if err := b.k.announce(at(0), m, length); err != nil {
		t.Fatal(err)
	}
	b.does(0, openSession{id(1)})
	b.same([]any{sessionLive{id(1)}}, b.k.opened(at(0.1), id(1), at(0), length, nil))
	news := News{Put: []registry.Member{m}}
	b.does(0.1, renew{id(1), news})
	if b.k.until(1) != 0 {
		t.Error("it is not announced yet")
	}
	b.same([]any{announced{1, nil}}, b.k.renewed(at(0.2), id(1), at(0.1), news, nil))
	return b, m
}

func TestRenewals(t *testing.T) {
	t.Parallel()
	b, m := live(t)
	// Counted from the sending, not from the answer.
	if got := b.k.until(1); got != at(10.1) {
		t.Errorf("until %v", got.Sub(zero))
	}
	if due := b.k.due(); due != at(2.6) {
		t.Errorf("next at %v", due.Sub(zero))
	}
	b.does(2.5)
	b.does(2.6, renew{id(1), News{}})
	b.does(3) // one call at a time
	// A call that fails is no loss: it is made again, soon, and the lease is what it was.
	b.same(nil, b.k.renewed(at(6), id(1), at(2.6), News{}, errLost))
	if got := b.k.until(1); got != at(10.1) {
		t.Errorf("until %v", got.Sub(zero))
	}
	b.does(6.5)
	b.does(7, renew{id(1), News{}})
	// A load rides along with the next renewal; a state makes one, after the answer of the last.
	m.Load.Used = 3
	b.k.update(at(7.1), m)
	b.same(nil, b.k.renewed(at(7.2), id(1), at(7), News{}, nil))
	b.does(7.3)
	b.does(9.5, renew{id(1), News{Put: []registry.Member{m}}})
	busy := m
	busy.State = "busy"
	b.k.update(at(9.6), busy)
	b.does(9.6)
	b.same(nil, b.k.renewed(at(9.7), id(1), at(9.5), News{Put: []registry.Member{m}}, nil))
	b.does(9.7, renew{id(1), News{Put: []registry.Member{busy}}})
}

// Nothing else happens for longer than the lease: the process was frozen. Whatever comes first,
// the session is over before it counts.
func TestOverByTheClock(t *testing.T) {
	t.Parallel()
	b, m := live(t)
	h := Hold{Name: "n", Fence: 7, Key: "k"}
	if !b.k.hold(id(1), h) {
		t.Fatal("not held")
	}
	b.does(2.6, renew{id(1), News{}})
	// With something held it is over a little sooner than the registry thinks.
	if due := b.k.due(); due != at(9.1) {
		t.Errorf("due at %v", due.Sub(zero))
	}
	b.does(30, sessionOver{id(1)}, endSession{id(1)}, openSession{id(2)})
	if b.k.until(1) != 0 || b.k.hold(id(1), h) {
		t.Error("it still counts")
	}
	// The answer of the old session comes late.
	b.same(nil, b.k.renewed(at(30.1), id(1), at(2.6), News{}, nil))
	if !b.k.release(at(30.1), id(1), h) {
		t.Error("what was lost has to be released")
	}
	b.same([]any{sessionLive{id(2)}}, b.k.opened(at(31), id(2), at(30), length, nil))
	b.does(31, renew{id(2), News{Put: []registry.Member{m}}})
	b.same(nil, b.k.renewed(at(31.1), id(2), at(31), News{Put: []registry.Member{m}}, nil))
	if got := b.k.until(1); got != at(41) {
		t.Errorf("until %v", got.Sub(zero))
	}
}

func TestOverByTheRegistry(t *testing.T) {
	t.Parallel()
	b, m := live(t)
	b.does(2.6, renew{id(1), News{}})
	b.same([]any{sessionOver{id(1)}, endSession{id(1)}}, b.k.renewed(at(2.7), id(1), at(2.6), News{}, ErrOver))
	b.does(2.7, openSession{id(2)})
	// It cannot be had for a while, and is asked for again and again.
	b.same(nil, b.k.opened(at(3), id(2), at(2.7), 0, errLost))
	b.does(3.5)
	b.does(4, openSession{id(2)})
	// What the registry grants may be less than was asked for, never more.
	b.k.opened(at(4.1), id(2), at(4), 6*time.Second, nil)
	news := News{Put: []registry.Member{m}}
	b.does(4.1, renew{id(2), news})
	b.k.renewed(at(4.2), id(2), at(4.1), news, nil)
	if got := b.k.until(1); got != at(10.1) {
		t.Errorf("until %v", got.Sub(zero))
	}
}

func TestWithdrawals(t *testing.T) {
	t.Parallel()
	b, m := live(t)
	if err := b.k.announce(at(1), m, length); !errors.Is(err, errTwice) {
		t.Error(err)
	}
	if b.k.withdraw(at(1), 1) {
		t.Error("nobody told the registry")
	}
	gone := News{Remove: []int64{1}}
	b.does(1, renew{id(1), gone})
	// Without an answer it is said again, and not announced anew behind anybody's back.
	b.same(nil, b.k.renewed(at(2), id(1), at(1), gone, errLost))
	b.does(3, renew{id(1), gone})
	b.same([]any{withdrawn{1}}, b.k.renewed(at(3.1), id(1), at(3), gone, nil))
	b.does(3.1, sessionOver{id(1)}, endSession{id(1)}) // nothing is left
	if !b.k.withdraw(at(4), 1) || b.k.due() != 0 {
		t.Error("there is still something")
	}

	b, _ = live(t)
	b.k.withdraw(at(1), 1)
	b.does(11, sessionOver{id(1)}, endSession{id(1)}, withdrawn{1})
	b.does(11.1)

	b, _ = live(t)
	b.does(2.6, renew{id(1), News{}})
	b.k.withdraw(at(2.7), 1)
	b.same([]any{sessionOver{id(1)}, endSession{id(1)}, withdrawn{1}}, b.k.renewed(at(2.8), id(1), at(2.6), News{}, ErrOver))
}

func TestReleases(t *testing.T) {
	t.Parallel()
	b, _ := live(t)
	b.k.want(at(1), length)
	one, two := Hold{Name: "a", Fence: 1, Key: "k1"}, Hold{Name: "b", Fence: 2, Key: "k2"}
	b.k.hold(id(1), one)
	b.k.hold(id(1), two)
	b.k.unwant(length)
	if b.k.release(at(1), id(1), one) {
		t.Error("nobody told the registry")
	}
	news := News{Unlock: []Hold{one}}
	b.does(1, renew{id(1), news})
	b.same(nil, b.k.renewed(at(1.5), id(1), at(1), news, errLost))
	b.does(2.5, renew{id(1), news})
	b.same([]any{released{one}}, b.k.renewed(at(2.6), id(1), at(2.5), news, nil))
	b.k.withdraw(at(3), 1)
	b.k.renewed(at(3.1), id(1), at(3), News{Remove: []int64{1}}, nil)
	b.does(3.2) // the other name keeps the session
	b.k.release(at(4), id(1), two)
	b.does(15, sessionOver{id(1)}, endSession{id(1)}, released{two})
}

// What will never be is told, and does not disturb what is.
func TestRefusals(t *testing.T) {
	t.Parallel()
	b := bench{t, newKeeper()}
	refused := Permanent(errLost)
	m := registry.Member{Incarnation: 1}
	_ = b.k.announce(at(0), m, length)
	b.does(0, openSession{id(1)})
	b.same([]any{announced{1, refused}}, b.k.opened(at(1), id(1), at(0), 0, refused))
	b.does(2)
	if b.k.due() != 0 {
		t.Error("it goes on")
	}
	b, _ = live(t)
	b.does(2.6, renew{id(1), News{}})
	b.same(nil, b.k.renewed(at(2.7), id(1), at(2.6), News{}, refused))
	b.does(4, renew{id(1), News{}})
	// An answer to a session that is not wanted any more.
	b = bench{t, newKeeper()}
	b.k.want(at(0), length)
	b.does(0, openSession{id(1)})
	b.k.unwant(length)
	b.does(1)
	b.same([]any{sessionLive{id(1)}}, b.k.opened(at(2), id(1), at(0), length, nil))
	b.does(2, sessionOver{id(1)}, endSession{id(1)})
	b.same([]any{endSession{id(9)}}, b.k.opened(at(2), id(9), at(0), length, nil))
}

func TestReach(t *testing.T) {
	t.Parallel()
	k := newKeeper()
	if got := reachOf(k.shortest()); got != 3*time.Second {
		t.Error(got)
	}
	k.want(at(0), time.Minute)
	if got := reachOf(k.shortest()); got != 5*time.Second {
		t.Error(got)
	}
	k.want(at(0), 4*time.Second)
	if got := reachOf(k.shortest()); got != 2*time.Second {
		t.Error(got)
	}
}
