package client

import (
	"testing"
	"time"

	"baton/internal/registry"
)

const reach = 4 * time.Second

func (b bench) sees(s *sight, now float64, want ...any) {
	b.Helper()
	b.same(want, s.tick(at(now), reach))
}

func view(since float64, members ...registry.Member) publish {
	v := registry.View{Members: members}
	if since > 0 {
		v.Since = at(since)
	}
	return publish{v}
}

// seeing is a sight that has seen a member since 0.2.
func seeing(b bench, m registry.Member) *sight {
	b.Helper()
	s := &sight{}
	s.start(at(0))
	b.sees(s, 0, startWatch{1})
	b.same(nil, s.tell(at(0.1), 1, []registry.Member{m})) // read, but from when?
	b.sees(s, 0.1, probe{1})
	b.same([]any{view(0.2, m)}, s.probed(at(0.2), 1, at(0.1), reach, nil))
	return s
}

func TestSight(t *testing.T) {
	t.Parallel()
	b := bench{T: t}
	m, n := registry.Member{Incarnation: 1}, registry.Member{Incarnation: 2}
	s := seeing(b, m)
	b.same([]any{view(0.2, m, n)}, s.tell(at(0.3), 1, []registry.Member{m, n}))
	b.same(nil, s.tell(at(0.4), 1, []registry.Member{m, n})) // nothing new
	// One probe without an answer is nothing; a silence is.
	b.sees(s, 1.1, probe{1})
	b.same(nil, s.probed(at(3), 1, at(1.1), reach, errLost))
	b.sees(s, 3.5, probe{1})
	b.sees(s, 4.1)
	b.sees(s, 4.2, view(0, m, n), startWatch{2})
	// What the old watch tells, and the answer to the old probe, come too late.
	b.same(nil, s.tell(at(4.3), 1, []registry.Member{n}))
	b.same(nil, s.probed(at(4.3), 1, at(3.5), reach, nil))
	b.same(nil, s.tell(at(4.4), 2, []registry.Member{n}))
	b.sees(s, 4.4, probe{2})
	b.same([]any{view(4.5, n)}, s.probed(at(4.5), 2, at(4.4), reach, nil))
}

// A watch that broke is begun anew; there is no gap if that is quick.
func TestBrokenWatch(t *testing.T) {
	t.Parallel()
	b := bench{T: t}
	m, n := registry.Member{Incarnation: 1}, registry.Member{Incarnation: 2}
	s := seeing(b, m)
	s.broken(at(1), 1, reach, errLost)
	b.sees(s, 1.1)
	b.sees(s, 1.4, startWatch{2})
	b.same([]any{view(0.2, n)}, s.tell(at(1.5), 2, []registry.Member{n}))
	// If it is not, probes alone do not make up for it.
	s.broken(at(2), 2, reach, errLost)
	b.sees(s, 2.4, startWatch{3})
	s.broken(at(2.5), 3, reach, errLost)
	b.sees(s, 4.2, view(0, n), startWatch{4})
	// One that never answers is given up.
	b.sees(s, 12)
	b.sees(s, 12.3, startWatch{5})
}

// A registry that forgot is seen anew: that somebody is missing in it says nothing.
func TestForgotten(t *testing.T) {
	t.Parallel()
	b := bench{T: t}
	m := registry.Member{Incarnation: 1}
	s := seeing(b, m)
	b.same(nil, s.broken(at(1), 7, reach, ErrForgot)) // of another watch
	b.same([]any{view(0, m)}, s.broken(at(1), 1, reach, ErrForgot))
	b.sees(s, 1.4, startWatch{2})
	b.same(nil, s.tell(at(1.5), 2, nil))
	b.sees(s, 1.5, probe{2})
	b.same([]any{view(1.6)}, s.probed(at(1.6), 2, at(1.5), reach, nil))
}

// A process that was frozen hears at once what came meanwhile; but first of all it was away.
func TestFrozenSight(t *testing.T) {
	t.Parallel()
	b := bench{T: t}
	m := registry.Member{Incarnation: 1}
	s := seeing(b, m)
	b.sees(s, 60, view(0, m), startWatch{2})
	b.same(nil, s.tell(at(60), 1, nil))
}

// Without a registry there is an empty view, after a while.
func TestBlindFromTheStart(t *testing.T) {
	t.Parallel()
	b := bench{T: t}
	s := &sight{}
	s.start(at(0))
	b.sees(s, 0, startWatch{1})
	s.broken(at(0.1), 1, reach, errLost)
	b.sees(s, 0.5, startWatch{2})
	if due := s.due(reach); due <= at(4) || due > at(4.1) {
		t.Error(due.Sub(zero))
	}
	b.sees(s, 4.1, view(0))
	s.stop()
	b.sees(s, 20)
	if s.due(reach) != 0 || s.tell(at(20), 2, nil) != nil {
		t.Error("it goes on")
	}
}
