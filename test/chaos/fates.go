// What became of the times of schedules, compared with those that they had.

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// fire is a row of GET /fires.
type fire struct {
	ID       string    `json:"id"`
	Workflow string    `json:"workflow"`
	Schedule string    `json:"schedule"`
	Nominal  time.Time `json:"nominal_time"`
	Last     time.Time `json:"last_time"`
	Times    int       `json:"times"`
	State    string    `json:"state"`
	Reason   string    `json:"reason"`
	Instance string    `json:"instance"`
	At       time.Time `json:"decided_at"`
}

const stateFired = "fired"

// verdict is what is wrong with the fates of a schedule's times.
type verdict struct {
	times   int         // that it had
	lost    []time.Time // no row has them
	strange []string    // what else there is
}

// compare holds the rows against the reigns. A time belongs to the reign in which it lies. Nobody knows when
// between its first try and its acknowledgement an order took effect, but it was one moment: times up to it are
// of the reign before, later ones of its own.
func (of *reigns) compare(rows []fire) verdict {
	var out verdict
	have := of.expand(rows, &out)
	for i, g := range of.list {
		upTo := lastEnd(of.list)
		if i+1 < len(of.list) {
			upTo = of.list[i+1].asked
		}
		var before *timed
		if i > 0 {
			before = of.list[i-1].timed
		}
		out.times += have.match(g.times(g.acked, upTo), &out.lost)
		out.times += have.change(before, g, &out.lost)
	}
	for _, t := range slices.SortedFunc(have.unmatched(), time.Time.Compare) {
		out.strange = append(out.strange, fmt.Sprintf("%s is none of its times (%s)", clock(t), of.at(t)))
	}
	return out
}

// lastEnd is when the last time is over that any reign has.
func lastEnd(list []reign) (last time.Time) {
	for _, g := range list {
		if g.timed != nil && g.end.After(last) {
			last = g.end
		}
	}
	return last
}

// at tells which orders were in force about a moment.
func (of *reigns) at(t time.Time) string {
	s := "before all orders"
	for _, g := range of.list {
		switch {
		case g.asked.After(t):
			return s
		case g.acked.Before(t):
			s = "after "
		default:
			s += ", during "
		}
		s += fmt.Sprintf("%q, %s … %s", g.order, clock(g.asked), clock(g.acked))
	}
	return s
}

// fates are the times that rows have, by microsecond; whether they are accounted for.
type fates map[int64]bool

// expand lists the times that rows stand for.
func (of *reigns) expand(rows []fire, out *verdict) fates {
	have := fates{}
	for _, f := range rows {
		if f.Workflow != of.workflow || f.Schedule != of.schedule {
			continue
		}
		times := []time.Time{f.Nominal}
		if f.Times != 1 || !f.Last.Equal(f.Nominal) {
			times = of.between(f)
		}
		if times == nil {
			out.strange = append(out.strange, fmt.Sprintf("a row from %s to %s stands for %d times, and no reign has so many there", clock(f.Nominal), clock(f.Last), f.Times))
		}
		for _, t := range times {
			if _, twice := have[t.UnixMicro()]; twice {
				out.strange = append(out.strange, fmt.Sprintf("%s has two fates", clock(t)))
			}
			have[t.UnixMicro()] = false
		}
	}
	return have
}

// between are the times of a row that stands for several: those that one reign has from its first to its last.
func (of *reigns) between(f fire) []time.Time {
	for _, g := range of.list {
		times := g.times(f.Nominal.Add(-time.Microsecond), f.Last)
		if len(times) == f.Times && f.Times > 0 && times[0].Equal(f.Nominal) && times[f.Times-1].Equal(f.Last) {
			return times
		}
	}
	return nil
}

// match accounts for times that must be there.
func (have fates) match(times []time.Time, lost *[]time.Time) int {
	for _, t := range times {
		if _, there := have[t.UnixMicro()]; !there {
			*lost = append(*lost, t)
		}
		have.account(t)
	}
	return len(times)
}

func (have fates) account(t time.Time) {
	if _, there := have[t.UnixMicro()]; there {
		have[t.UnixMicro()] = true
	}
}

// change accounts for the times in the interval in which an order took effect: at the moment that explains most
// of what is there.
func (have fates) change(before *timed, g reign, lost *[]time.Time) int {
	early, late := before.times(g.asked, g.acked), g.times(g.asked, g.acked)
	var best []time.Time
	least := -1
	for _, moment := range slices.Concat([]time.Time{g.asked}, early, late) {
		want := slices.DeleteFunc(slices.Clone(early), func(t time.Time) bool { return t.After(moment) })
		want = append(want, slices.DeleteFunc(slices.Clone(late), func(t time.Time) bool { return !t.After(moment) })...)
		if wrong := have.wrong(want, g.asked, g.acked); least < 0 || wrong < least {
			best, least = want, wrong
		}
	}
	return have.match(best, lost)
}

// wrong counts what is too much or too little in an interval.
func (have fates) wrong(want []time.Time, after, upTo time.Time) int {
	n := 0
	for _, t := range want {
		if _, there := have[t.UnixMicro()]; !there {
			n++
		}
	}
	for at := range have {
		t := time.UnixMicro(at)
		if t.After(after) && !t.After(upTo) && !slices.ContainsFunc(want, t.Equal) {
			n++
		}
	}
	return n
}

func (have fates) unmatched() func(func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		for at, known := range have {
			if !known && !yield(time.UnixMicro(at)) {
				return
			}
		}
	}
}

// checkFates: each time of a schedule has exactly one fate, and nothing else has one; with missed: all, and a window
// that no outage outlasts, it is fired.
func (r *run) checkFates(rows []fire) {
	for _, of := range r.reigns {
		v := of.compare(rows)
		r.looked(invFates, v.times)
		for _, t := range v.lost {
			r.violate(invFates, "", "schedule %s of workflow %s: nothing is known of %s (%s)", of.schedule, of.workflow, clock(t), of.at(t))
		}
		for _, what := range v.strange {
			r.violate(invFates, "", "schedule %s of workflow %s: %s", of.schedule, of.workflow, what)
		}
		s := scheduleOf(of.workflow, of.schedule)
		if s.missed != "all" || s.window != 0 {
			continue
		}
		r.looked(invAll, v.times)
		for _, f := range rows {
			if f.Workflow == of.workflow && f.Schedule == of.schedule && f.State != stateFired && !of.halted(f) {
				r.violate(invAll, "", "schedule %s of workflow %s: %s is %s: %s", of.schedule, of.workflow, clock(f.Nominal), f.State, f.Reason)
			}
		}
	}
	for _, f := range rows {
		if scheduleOf(f.Workflow, f.Schedule).name == "" {
			r.violate(invFates, f.Instance, "schedule %s of workflow %s has a time %s, and was never applied", f.Schedule, f.Workflow, clock(f.Nominal))
		}
	}
}

// halted tells whether a time had come, and was not fired yet, when its schedule was disabled or removed.
func (of *reigns) halted(f fire) bool {
	return strings.HasPrefix(f.Reason, "disabled: ") && slices.ContainsFunc(of.list, func(g reign) bool {
		return g.timed == nil && !f.Nominal.After(g.acked) && !f.At.Before(g.asked)
	})
}

// scheduleOf is a schedule as it was planned.
func scheduleOf(workflow, schedule string) timed {
	for _, c := range clockworks() {
		for _, s := range c.schedules {
			if c.name == workflow && s.name == schedule {
				return s
			}
		}
	}
	return timed{}
}

// checkFired: a time that was fired has one run, for that time and no other; one that was left out has none, and
// says why. No run is there that no schedule fired.
func (r *run) checkFired(rows []fire, pasts []past) {
	byID := map[string]past{}
	for _, p := range pasts {
		if p.Trigger == triggerSchedule {
			byID[p.ID] = p
		}
	}
	r.looked(invFired, len(rows))
	of := map[string]fire{}
	for _, f := range rows {
		what := fmt.Sprintf("schedule %s of workflow %s, %s, %s", f.Schedule, f.Workflow, clock(f.Nominal), f.State)
		if f.At.Before(f.Nominal) {
			r.violate(invFired, f.Instance, "%s: decided %s before it came", what, f.Nominal.Sub(f.At))
		}
		switch {
		case f.State != stateFired && f.Instance != "":
			r.violate(invFired, f.Instance, "%s: it has run %s", what, f.Instance)
			continue
		case f.State != stateFired && f.State != "skipped" && f.State != "missed":
			r.violate(invFired, "", "%s: nobody knows that state", what)
			continue
		case f.State != stateFired:
			if f.Reason == "" {
				r.violate(invFired, "", "%s: without a reason", what)
			}
			continue
		case f.Times != 1:
			r.violate(invFired, f.Instance, "%s: the run is for %d times", what, f.Times)
		}
		if twin, twice := of[f.Instance]; twice {
			r.violate(invFired, f.Instance, "%s: its run is also that of %s", what, clock(twin.Nominal))
		}
		of[f.Instance] = f
		p, there := byID[f.Instance]
		switch {
		case !there:
			r.violate(invFired, f.Instance, "%s: run %q is not there, or no schedule began it", what, f.Instance)
		case p.Workflow != f.Workflow || !p.DataTime.Equal(f.Nominal):
			r.violate(invFired, p.ID, "%s: its run %s is of workflow %s, for %s", what, p.ID, p.Workflow, clock(p.DataTime))
		case !ended[p.State]:
			r.violate(invFired, p.ID, "%s: its run %s is %s", what, p.ID, p.State)
		}
	}
	for id, p := range byID {
		if _, known := of[id]; !known {
			r.violate(invFired, id, "run %s of workflow %s, for %s, is of a schedule, and no fire has it", id, p.Workflow, clock(p.DataTime))
		}
	}
}

const triggerSchedule = "schedule"

// lateness is how long after a time it was decided about.
type lateness struct {
	class string // of the fault meanwhile
	took  time.Duration
}

const (
	calmly   = "none"
	together = "several together"
)

// lates tells of every time of a schedule without jitter how late it was decided about, by the faults that were
// there meanwhile or had just been mended.
func (r *run) lates(rows []fire) []lateness {
	var out []lateness
	for _, f := range rows {
		if f.Times != 1 || scheduleOf(f.Workflow, f.Schedule).jitter != 0 {
			continue
		}
		l := lateness{calmly, f.At.Sub(f.Nominal)}
		for _, x := range r.faults {
			if f.At.Before(x.at) || f.Nominal.After(x.mended.Add(r.opt.Lease/4)) {
				continue
			}
			if l.class != calmly || !x.alone {
				l.class = together
				break
			}
			l.class = x.class
		}
		out = append(out, l)
	}
	return out
}
