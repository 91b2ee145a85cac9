// The search among moved fires: which of the schedule's fires can be the first after an instant.

package cron

// search is the first fire at or after t, as far as it is known.
type search struct {
	t        instant
	at, of   instant // at is far while nothing is found
	boundary instant // fires from here on land after at
}

// nextMoved goes through the schedule's fires, ascending and by stretches that are moved alike, and
// keeps the first one that lands at t or later. It begins and ends where a day of work has caught
// all that could come from beyond. No fire lands before itself with ShiftNext, or after itself with
// ShiftPrevious: clocks are never set by more than a day.
func (p *Planned) nextMoved(t instant) (at, of instant, ok bool) {
	found := search{t: t, at: far, boundary: far}
	for from := p.source(t); from < found.boundary; {
		f, ok := p.schedule.next(from)
		if !ok || f >= found.boundary {
			break
		}
		if p.worked.at(f) {
			if f >= t && f <= found.at { // also instead of one that was moved here
				p.take(&found, f, f)
			}
			rest, ok := p.worked.nextRest(f)
			switch {
			case f < t && (!ok || t < rest):
				from = t
			case ok:
				from = rest
			default:
				from = far
			}
			continue
		}
		if from, ok = p.stretch(f, &found); !ok {
			break
		}
	}
	return found.at, found.of, found.at < far
}

func (p *Planned) take(s *search, at, of instant) {
	s.at, s.of = at, of
	s.boundary = at + 1
	if p.to == ShiftPrevious {
		s.boundary = p.caughtAfter(at)
	}
}

// stretch looks at the fires that move as f does, and returns where they end; false when nothing
// after them can land earlier than what is found.
func (p *Planned) stretch(f instant, found *search) (end instant, more bool) {
	if p.to == ShiftNext {
		if work, ok := p.worked.nextWork(f); !ok || work > found.at {
			return 0, false
		}
	} else if work, ok := p.worked.workEnd(f); !ok || work <= found.t { // they land before that
		rests, ok := p.worked.nextWork(f)
		return rests, ok
	}
	m := p.move(f)
	if !m.lands {
		return m.end, true
	}
	land := p.resolve(m.from + m.days*day24)
	if land < found.t { // a later one of them may land late enough
		first := p.firstAt(found.t) - m.days*day24 - m.off
		g, ok := p.schedule.next(max(f+1, first))
		if !ok || g >= m.end {
			return m.end, true
		}
		f, land = g, p.resolve(g+m.off+m.days*day24)
	}
	if land < found.at {
		p.take(found, land, f)
	}
	return m.end, true
}

// reach is further than any fire is moved.
const reach = (maxMove + 2) * day24

// source returns from where on the schedule's fires matter for what lands at or after t.
func (p *Planned) source(t instant) instant {
	if p.to == ShiftPrevious {
		return t
	}
	far := max(earliest, t-reach)
	for t > far {
		end, ok := p.worked.workEnd(t)
		if !ok {
			break
		}
		begin, ok := p.worked.restEnd(end)
		if !ok {
			begin = far
		}
		for ; end-begin >= day24; end -= day24 {
			if p.steady(end-day24, end) {
				return max(end, far)
			}
		}
		t = begin
	}
	return far
}

// caughtAfter returns the end of a day of work that begins at or after t and that every later fire
// reaches on its way back, at the latest.
func (p *Planned) caughtAfter(t instant) instant {
	far := t + reach
	for t < far {
		begin, ok := p.worked.nextWork(t)
		if !ok {
			break
		}
		end, ok := p.worked.nextRest(begin)
		if !ok {
			end = far
		}
		for ; end-begin >= day24; begin += day24 {
			if p.steady(begin, begin+day24) {
				return begin + day24
			}
		}
		t = end
	}
	return far
}

// steady tells whether the schedule's clocks are far from any change: then steps of a whole day do
// not miss the day from begin to end.
func (p *Planned) steady(begin, end instant) bool {
	s := spanAt(p.schedule.zone, begin)
	return s.start <= begin-near && s.end >= end+near
}
