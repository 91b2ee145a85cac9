// The questions that a planned schedule answers, and its fires with what became of them.

package cron

import (
	"iter"
	"time"
)

// Fire is one fire of a planned schedule, or one that it left out.
type Fire struct {
	At      time.Time // when; of a skipped one, when it would have been
	Of      time.Time // the schedule's own fire; another instant than At when it was moved
	Skipped bool
	Why     Reason // of a skipped or moved one: why the day of Of rests
}

// Moved tells whether it fires at another instant than the schedule says.
func (f Fire) Moved() bool { return !f.At.Equal(f.Of) }

// Next returns the first fire after an instant; false when there is none any more.
func (p *Planned) Next(after time.Time) (time.Time, bool) {
	at, _, ok := p.next(after.Unix() + 1)
	return p.schedule.told(at, ok)
}

// NextFire is Next with what the fire is; it is never a skipped one.
func (p *Planned) NextFire(after time.Time) (Fire, bool) {
	at, of, ok := p.next(after.Unix() + 1)
	if !ok {
		return Fire{}, false
	}
	return p.fire(at, of), true
}

// Prev returns the last fire before an instant; false when there was none.
func (p *Planned) Prev(before time.Time) (time.Time, bool) {
	return p.schedule.told(p.prev(ceil(before) - 1))
}

// NextN returns the first n fires after an instant, ascending; fewer when there are no more.
func (p *Planned) NextN(after time.Time, n int) []time.Time {
	var out []time.Time
	for len(out) < n {
		fire, ok := p.Next(after)
		if !ok {
			break
		}
		out = append(out, fire)
		after = fire
	}
	return out
}

// Between yields the fires from one instant to another, both included, ascending.
func (p *Planned) Between(from, to time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		last := to.Unix()
		for t, _, ok := p.next(ceil(from)); ok && t <= last; t, _, ok = p.next(t + 1) {
			if !yield(time.Unix(t, 0).In(p.schedule.zone)) {
				return
			}
		}
	}
}

// Fires yields what Between yields and, among it by their own instants, the skipped ones.
func (p *Planned) Fires(from, to time.Time) iter.Seq[Fire] {
	return func(yield func(Fire) bool) {
		first, last := ceil(from), to.Unix()
		at, of, ok := p.next(first)
		out, left := p.left(first, last)
		for ok && at <= last || left {
			switch {
			case left && (!ok || out < at):
				f := p.fire(out, out)
				f.Skipped = true
				if !yield(f) {
					return
				}
				out, left = p.left(out+1, last)
			default:
				if !yield(p.fire(at, of)) {
					return
				}
				at, of, ok = p.next(at + 1)
			}
		}
	}
}

func (p *Planned) fire(at, of instant) Fire {
	zone := p.schedule.zone
	return Fire{At: time.Unix(at, 0).In(zone), Of: time.Unix(of, 0).In(zone), Why: p.why(of)}
}

// next returns the first fire at or after t, and the schedule's own fire that it is.
func (p *Planned) next(t instant) (at, of instant, ok bool) {
	if p.to != ShiftSkip {
		return p.nextMoved(max(t, earliest))
	}
	for {
		if at, ok = p.schedule.next(t); !ok || p.worked.at(at) {
			return at, at, ok
		}
		if t, ok = p.worked.nextWork(at); !ok {
			return 0, 0, false
		}
	}
}

// prev returns the last fire at or before t.
func (p *Planned) prev(t instant) (instant, bool) {
	if p.to != ShiftSkip {
		return p.prevMoved(t)
	}
	for {
		at, ok := p.schedule.prev(t)
		if !ok || p.worked.at(at) {
			return at, ok
		}
		if t, ok = p.worked.workEnd(at); !ok {
			return 0, false
		}
		t--
	}
}

// prevMoved asks next: it goes back until that finds something, and then forward from what it found.
func (p *Planned) prevMoved(t instant) (instant, bool) {
	t = min(t, latest)
	var found instant
	for step := int64(day24); ; step *= 2 {
		from := max(t-step, earliest)
		at, _, ok := p.next(from)
		if ok && at <= t {
			found = at
			break
		}
		if from == earliest {
			return 0, false
		}
	}
	for none := t + 1; ; { // at or after none nothing fires up to t
		at, _, ok := p.next(found + 1)
		if !ok || at > t {
			return found, true
		}
		found = at
		middle := found + (none-found)/2
		if at, _, ok = p.next(middle); ok && at <= t {
			found = at
		} else {
			none = middle
		}
	}
}

// left returns the first fire from t to last that is left out.
func (p *Planned) left(t, last instant) (instant, bool) {
	for {
		f, ok := p.schedule.next(t)
		if !ok || f > last {
			return 0, false
		}
		if p.worked.at(f) {
			if t, ok = p.worked.nextRest(f); !ok {
				return 0, false
			}
			continue
		}
		if p.to == ShiftSkip {
			return f, true
		}
		m := p.move(f)
		if !m.lands {
			return f, true
		}
		t = m.end
	}
}
