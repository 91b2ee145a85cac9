// What a client sees, and how sure one may be of it: decided without clock and network.

package client

import (
	"errors"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
)

// Effects of a step.
type (
	// startWatch ends the watch under way and begins the one of this number.
	startWatch struct{ number int }
	probe      struct{ number int }
	publish    struct{ view registry.View }
)

// sight follows one watch after another. The registry is in reach as long as something that was
// asked was answered within reach, and the watch is whole; a watch that broke reads everything
// anew, and only if that takes longer than reach it is a gap.
type sight struct {
	on      bool
	number  int       // of the watch; what an earlier one tells is ignored
	whole   bool      // it has read everything and lost nothing since
	running bool      // it was started and has not ended
	next    flow.Time // when to start it again
	patient flow.Time // until when it may take to read everything
	probing bool
	probeAt flow.Time
	seen    flow.Time // when the last question that was answered was asked
	since   flow.Time
	members []registry.Member
	last    registry.View
	said    bool // last was published
}

// reachOf is how long a registry may be silent. A third at most passes between the renewals of a
// lease, so who was healthy before a silence that nobody noticed is still announced after it.
func reachOf(shortest time.Duration) time.Duration {
	if shortest == 0 {
		return 3 * time.Second
	}
	return min(shortest/2, 5*time.Second)
}

func (s *sight) start(now flow.Time) {
	*s = sight{on: true, number: s.number, next: now, seen: now}
}

func (s *sight) stop() { *s = sight{number: s.number + 1} }

// tell takes what the watch of a number has read.
func (s *sight) tell(now flow.Time, number int, members []registry.Member) []any {
	if !s.on || number != s.number {
		return nil
	}
	s.members = members
	if !s.whole {
		s.whole = true
		s.probeAt = now
	}
	// Before the first answer of a probe nothing is known of now: what a watch delivers may have lain
	// in a buffer while this process was frozen.
	if s.since == 0 {
		return nil
	}
	return s.show()
}

// probed is the answer to a probe.
func (s *sight) probed(now flow.Time, number int, sent flow.Time, reach time.Duration, err error) []any {
	if !s.on || number != s.number {
		return nil
	}
	s.probing = false
	s.probeAt = now.Add(reach / 8)
	if err != nil || !s.whole {
		return nil
	}
	s.probeAt = sent.Add(reach / 4)
	s.seen = sent
	if s.since == 0 {
		s.since = now
		return s.show()
	}
	return nil
}

// broken tells that a watch has ended. Everything is read anew, soon.
func (s *sight) broken(now flow.Time, number int, reach time.Duration, err error) []any {
	if !s.on || number != s.number {
		return nil
	}
	s.whole, s.running, s.probing = false, false, false
	s.next = now.Add(reach / 10)
	if s.since == 0 || !errors.Is(err, ErrForgot) {
		return nil
	}
	s.since = 0
	return s.show()
}

// tick does what is due. Whoever steps the sight does so before anything else: the silence that
// has passed comes before what is heard now.
func (s *sight) tick(now flow.Time, reach time.Duration) (effects []any) {
	if !s.on {
		return nil
	}
	if now.Sub(s.seen) > reach && (s.since != 0 || !s.said) {
		s.since = 0
		effects = append(effects, s.show()...)
		// Nobody knows what was missed.
		if s.whole {
			s.whole, s.running, s.probing, s.next = false, false, false, now
		}
	}
	if s.running && !s.whole && now >= s.patient {
		s.running, s.next = false, now
	}
	if !s.running && now >= s.next {
		s.number++
		s.running, s.probing, s.patient = true, false, now.Add(2*max(reach, time.Second))
		effects = append(effects, startWatch{s.number})
	}
	if s.whole && !s.probing && now >= s.probeAt {
		s.probing = true
		effects = append(effects, probe{s.number})
	}
	return effects
}

// show publishes what changed.
func (s *sight) show() []any {
	v := registry.View{Members: s.members, Since: s.since}
	if s.said && v.Since == s.last.Since && slices.Equal(v.Members, s.last.Members) {
		return nil
	}
	s.last, s.said = v, true
	return []any{publish{v}}
}

func (s *sight) due(reach time.Duration) flow.Time {
	if !s.on {
		return 0
	}
	var at []flow.Time
	if s.since != 0 || !s.said {
		at = append(at, s.seen.Add(reach+time.Microsecond))
	}
	if !s.running {
		at = append(at, s.next)
	} else if !s.whole {
		at = append(at, s.patient)
	}
	if s.whole && !s.probing {
		at = append(at, s.probeAt)
	}
	return flow.Earliest(at...)
}
