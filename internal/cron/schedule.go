// Schedules of every kind, and the questions they answer.

package cron

import (
	"iter"
	"time"
)

// Schedule tells when something fires: an expression, a span that repeats, or one instant. All
// fires are whole seconds, in years MinYear to MaxYear. It is immutable and safe for concurrent use.
type Schedule struct {
	kind  kind
	clock clocked // of an expression
	zone  *time.Location
	at    instant // the one, or an instant that a span repeats from
	every int64   // seconds
}

type kind uint8

const (
	byExpression kind = iota
	repeated
	once
)

// Options say how an expression is read and where it applies. The zero value is Quartz in UTC with
// Shift.
type Options struct {
	Dialect Dialect        // "": Quartz
	Zone    *time.Location // nil: UTC
	DST     DST            // "": Shift
}

// Parse compiles a cron expression. One that never fires, such as the 31st of february, is valid.
func Parse(expr string, o Options) (*Schedule, error) {
	dialect, err := ParseDialect(string(o.Dialect))
	if err != nil {
		return nil, err
	}
	mode, err := ParseDST(string(o.DST))
	if err != nil {
		return nil, err
	}
	x, err := parse(expr, dialect)
	if err != nil {
		return nil, err
	}
	zone := o.Zone
	if zone == nil {
		zone = time.UTC
	}
	return &Schedule{kind: byExpression, zone: zone, clock: clocked{x, zone, mode}}, nil
}

// Every fires each span of whole seconds: at the anchor, and in both directions from it. Bounds are
// the caller's affair. Fires are told in the anchor's zone, whose changes of clocks do not matter.
func Every(span time.Duration, anchor time.Time) (*Schedule, error) {
	if span < time.Second || span%time.Second != 0 {
		return nil, errorf("every: %s is no whole number of seconds; write 1s or more, such as 15m", span)
	}
	s := &Schedule{kind: repeated, zone: anchor.Location(), at: anchor.Unix(), every: int64(span / time.Second)}
	if outside(s.at) {
		return nil, errorf("every: the anchor's year %d is not from %d to %d", anchor.Year(), MinYear, MaxYear)
	}
	return s, nil
}

// At fires once. A part of a second is cut off.
func At(t time.Time) (*Schedule, error) {
	s := &Schedule{kind: once, zone: t.Location(), at: t.Unix()}
	if outside(s.at) {
		return nil, errorf("at: the year %d is not from %d to %d", t.Year(), MinYear, MaxYear)
	}
	return s, nil
}

var firstInstant, lastInstant = wallOf(MinYear, 1, 1, 0), wallOf(MaxYear, 12, 31, day24-1)

func outside(t instant) bool { return t < firstInstant || t > lastInstant }

// Zone is the zone in which fires are told.
func (s *Schedule) Zone() *time.Location { return s.zone }

// Next returns the first fire after an instant; false when there is none any more.
func (s *Schedule) Next(after time.Time) (time.Time, bool) {
	return s.told(s.next(after.Unix() + 1))
}

// Prev returns the last fire before an instant; false when there was none.
func (s *Schedule) Prev(before time.Time) (time.Time, bool) {
	return s.told(s.prev(ceil(before) - 1))
}

// NextN returns the first n fires after an instant, ascending; fewer when there are no more.
func (s *Schedule) NextN(after time.Time, n int) []time.Time {
	var out []time.Time
	for len(out) < n {
		fire, ok := s.Next(after)
		if !ok {
			break
		}
		out = append(out, fire)
		after = fire
	}
	return out
}

// Between yields the fires from one instant to another, both included, ascending.
func (s *Schedule) Between(from, to time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		last := to.Unix()
		for t, ok := s.next(ceil(from)); ok && t <= last; t, ok = s.next(t + 1) {
			if !yield(time.Unix(t, 0).In(s.zone)) {
				return
			}
		}
	}
}

func (s *Schedule) told(t instant, ok bool) (time.Time, bool) {
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(t, 0).In(s.zone), true
}

// ceil is the first whole second that is not before t.
func ceil(t time.Time) instant {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// next returns the first fire at or after t.
func (s *Schedule) next(t instant) (instant, bool) {
	switch s.kind {
	case once:
		return s.at, t <= s.at
	case repeated:
		t = max(t, firstInstant)
		t += modulo(s.at-t, s.every)
		return t, t <= lastInstant
	default:
		return s.clock.next(t)
	}
}

// prev returns the last fire at or before t.
func (s *Schedule) prev(t instant) (instant, bool) {
	switch s.kind {
	case once:
		return s.at, t >= s.at
	case repeated:
		t = min(t, lastInstant)
		t -= modulo(t-s.at, s.every)
		return t, t >= firstInstant
	default:
		return s.clock.prev(t)
	}
}

// modulo is the remainder that is never negative.
func modulo(a, b int64) int64 { return (a%b + b) % b }
