// Fires that are moved to another day: where each lands, and the first one that lands after an instant.

package cron

// maxMove is by how many days a fire is moved at most: what is due in a year without any day of work
// is skipped, and no search goes further.
const maxMove = 366

// A move says by how many days the fires of a stretch are moved.
type move struct {
	end   instant // of the stretch, which begins at the fire that was asked about
	from  wall    // that fire's local time
	off   int64   // of the stretch
	days  int64
	lands bool // false: no day is left for them
}

// move returns how a fire moves whose day rests, and until when others that rest move alike.
func (p *Planned) move(f instant) move {
	s := spanAt(p.schedule.zone, f)
	m := move{end: s.end, from: p.meant(f, s), off: s.off}
	if rests, ok := p.worked.nextWork(f); ok {
		m.end = min(m.end, rests)
	}
	var until wall
	if p.to == ShiftNext {
		m.days, until, m.lands = p.later(m.from)
	} else {
		m.days, until, m.lands = p.earlier(m.from)
	}
	m.end = min(m.end, until-s.off)
	if m.from != f+s.off {
		m.end = f + 1
	}
	return m
}

// meant is the local time of a fire: what clocks show, but that of the expression where they left it
// out and the fire stands for it.
func (p *Planned) meant(f instant, s span) wall {
	shown := f + s.off
	if p.schedule.kind != byExpression || f != s.start {
		return shown
	}
	c := &p.schedule.clock
	if own, ok := c.expression.next(shown); ok && own == shown {
		return shown
	}
	first, _ := c.expression.next(c.from(s))
	return first
}

// later finds the nearest day after that of w at which its time works. Those from w to until move by
// as many days.
func (p *Planned) later(w wall) (days int64, until wall, ok bool) {
	until = far
	for days = 1; ; {
		if days > maxMove || w+days*day24 > lastInstant {
			return 0, until, false
		}
		x := p.resolve(w + days*day24)
		if p.worked.at(x) {
			until = min(until, lastInstant+1-days*day24)
			if rest, ok := p.worked.nextRest(x); ok {
				until = min(until, p.firstAt(rest)-days*day24)
			}
			return days, until, true
		}
		work, ok := p.worked.nextWork(x)
		if !ok {
			return 0, until, false
		}
		first := p.firstAt(work)
		days = -floor(w-first, day24) // the first day at which it is not before the work
		until = min(until, first-(days-1)*day24)
	}
}

// earlier finds the nearest day before that of w, as later does.
func (p *Planned) earlier(w wall) (days int64, until wall, ok bool) {
	until = far
	for days = -1; ; {
		if days < -maxMove {
			return 0, until, false
		}
		if w+days*day24 < firstInstant {
			return 0, min(until, firstInstant-days*day24), false
		}
		x := p.resolve(w + days*day24)
		if p.worked.at(x) {
			if rest, ok := p.worked.nextRest(x); ok {
				until = min(until, p.firstAt(rest)-days*day24)
			}
			return days, until, true
		}
		if work, ok := p.worked.nextWork(x); ok {
			until = min(until, p.firstAt(work)-days*day24)
		}
		end, ok := p.worked.workEnd(x)
		if !ok {
			return 0, until, false
		}
		days = -floor(w-p.firstAt(end), day24) - 1 // the first day at which it is before the end
	}
}

// resolve returns the instant of a local time in the schedule's zone: the first one that shows it, or
// the first after the gap that left it out.
func (p *Planned) resolve(w wall) instant {
	for t := w - day24; ; {
		s := spanAt(p.schedule.zone, t)
		if w < s.end+s.off {
			return max(w-s.off, s.start)
		}
		t = s.end
	}
}

// firstAt returns the first local time that resolves to t or later.
func (p *Planned) firstAt(t instant) wall {
	s := spanAt(p.schedule.zone, t)
	switch {
	case t-s.start >= near:
		return t + s.off
	case t == s.start:
		return unshown(p.schedule.zone, s)
	}
	return max(t+s.off, unshown(p.schedule.zone, s))
}
