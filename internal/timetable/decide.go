// Decide: what is due of a schedule, and what becomes of it.

package timetable

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"baton/internal/cron"
	"baton/internal/flow"
)

const (
	// Grace is how late a fire may be and still be on time: a failover, or a busy moment, misses nothing.
	Grace = time.Minute
	// AtOnce bounds the times of one decision; what is left is decided at once after it.
	AtOnce = 500
	// apart is how many rows a decision makes for times of one fate before it puts the rest into one.
	apart = 100
)

// Decision is what becomes of the times of a timing that are due.
type Decision struct {
	After   flow.Time // times up to here are dealt with
	Nominal flow.Time // the next time; 0: none any more
	Next    flow.Time // when to look again; 0: never
	// Fires in order. Those that are fired have no instance yet.
	Fires []flow.Fire
	// Missed counts the times among them that nobody was there to fire and that are not made up for.
	Missed int
}

// Decide tells what becomes of the times of a timing that are due now. One that is later than Grace was missed: the
// schedule's policy says what becomes of it. What is out of its window is never made up for.
func (t *Table) Decide(timing flow.Timing, now flow.Time) Decision {
	d := Decision{After: timing.After}
	limit := now
	if timing.Until != 0 {
		limit = min(limit, timing.Until)
	}
	var due []span
	ordered := flow.Time(0) // a time waits for those before it, whose jitter may be greater
	for {
		s, ok := t.next(d.After, limit, timing.Until)
		if !ok || timing.Until != 0 && s.at > timing.Until {
			break
		}
		s.due = max(t.due(timing.Schedule, s.at), ordered)
		if s.due > now || len(due) == AtOnce {
			d.Nominal, d.Next = s.at, s.due
			break
		}
		ordered = s.due
		due = append(due, s)
		d.After = s.last
	}
	latest := latestFire(due)
	if len(due) == AtOnce && d.Next != 0 && d.Next <= now && latest > 0 {
		// What comes after it may be no fire at all: it is decided about when that is known.
		d.Nominal, d.Next = due[latest].at, due[latest].due
		due = due[:latest]
		d.After = due[latest-1].last
		latest = -1
	}
	for i, s := range due {
		f, missed := t.fate(timing, s, i == latest, now)
		if missed {
			d.Missed += f.Times
		}
		d.add(f)
	}
	return d
}

// latestFire is the index of the last that the calendar does not leave out, -1 if it leaves out all.
func latestFire(due []span) int {
	for i, s := range slices.Backward(due) {
		if !s.skipped {
			return i
		}
	}
	return -1
}

// fate decides about one time that is due; latest: of all that are due it is the last to be fired. It was missed when
// nobody fired it and nobody will.
func (t *Table) fate(timing flow.Timing, s span, latest bool, now flow.Time) (f flow.Fire, missed bool) {
	f = flow.Fire{Nominal: s.at, Last: s.last, Times: s.times, State: flow.FireSkipped}
	late := now.Sub(s.due)
	ago := flow.Duration(now.Sub(s.at).Truncate(time.Second)).String()
	const nobody = "nobody was there to fire it, and it was "
	switch {
	case s.skipped:
		f.Reason = t.whyRest(s)
	case timing.Halted:
		f.Reason = flow.ReasonDisabled + ": the schedule was disabled, or taken out of its file, before anybody had fired it"
	case late <= Grace:
		f.State, f.Reason = flow.FireFired, t.moved(s)
	case late > t.window():
		missed = true
		f.State, f.Reason = flow.FireMissed, fmt.Sprintf("%s: %s%s ago; missed_window is %s", flow.ReasonWindow, nobody, ago, flow.Duration(t.window()))
	case t.schedule.Missed == flow.MissedNone:
		missed = true
		f.Reason = fmt.Sprintf("%s: %s%s ago; missed: none leaves it out", flow.ReasonMissed, nobody, ago)
	case t.schedule.Missed == flow.MissedAll || latest:
		f.State, f.Reason = flow.FireFired, fmt.Sprintf("%s: %s%s ago", flow.ReasonLate, nobody, ago)
	default:
		missed = true
		f.Reason = fmt.Sprintf("%s: %s%s ago; missed: last fires only the latest", flow.ReasonMissed, nobody, ago)
	}
	return f, missed
}

// add puts a fire into the decision. Many that had one fate become one row.
func (d *Decision) add(f flow.Fire) {
	if n := len(d.Fires); n >= apart && f.State != flow.FireFired && d.Fires[n-1].State == f.State && code(d.Fires[n-1].Reason) == code(f.Reason) {
		d.Fires[n-1].Last = f.Last
		d.Fires[n-1].Times += f.Times
		return
	}
	d.Fires = append(d.Fires, f)
}

func code(reason string) string {
	word, _, _ := strings.Cut(reason, ":")
	return word
}

func (t *Table) window() time.Duration {
	if w := t.schedule.MissedWindow.Std(); w > 0 {
		return w
	}
	return flow.DefaultMissedWindow.Std()
}

// whyRest says why the calendar leaves a time out.
func (t *Table) whyRest(s span) string {
	day := s.of.Std().In(t.zone)
	if s.why == cron.Holiday {
		return fmt.Sprintf("%s: %s is a holiday of calendar %s", flow.ReasonCalendar, day.Format(time.DateOnly), t.calendar)
	}
	return fmt.Sprintf("%s: %s, a %s, is no workday of calendar %s", flow.ReasonCalendar, day.Format(time.DateOnly), day.Weekday(), t.calendar)
}

// moved says that the calendar moved a time, "" when it did not.
func (t *Table) moved(s span) string {
	if s.of == 0 || s.of == s.at {
		return ""
	}
	return fmt.Sprintf("%s: moved from %s", flow.ReasonCalendar, s.of.Std().In(t.zone).Format(time.RFC3339))
}

// Preview is a time of a schedule as it will be.
type Preview struct {
	At      flow.Time
	Skipped bool
	Times   int    // how many a skipped one stands for
	Reason  string // why it is left out, or moved; "" for a usual one
}

// Preview tells the next fires after a moment, and what the calendar leaves out among them, until n are fired.
func (t *Table) Preview(after flow.Time, n int) []Preview {
	var out []Preview
	left := mostLeftOut
	for fired := 0; fired < n && len(out) < most; {
		s, ok := t.coming(after, left > 0)
		if !ok {
			break
		}
		after = s.last
		p := Preview{At: s.at, Skipped: s.skipped, Times: s.times, Reason: t.moved(s)}
		if s.skipped {
			p.Reason = t.whyRest(s)
			left -= s.times
		} else {
			fired++
		}
		out = append(out, p)
	}
	return out
}

// coming is what comes after a moment, whole days of rest in one; without rests only what is fired.
func (t *Table) coming(after flow.Time, rests bool) (span, bool) {
	if !rests {
		without := *t
		without.calendar = ""
		return without.next(after, 0, 0)
	}
	s, ok := t.next(after, after.Add(2*24*time.Hour), 0)
	if ok && s.skipped && t.schedule.End != 0 {
		if fire, more := t.planned.NextFire(after.Std()); !more || flow.At(fire.At) >= t.schedule.End {
			return span{}, false // only rests are left: it fires no more
		}
	}
	return s, ok
}

const (
	most = 10_000 // times of a preview
	// mostLeftOut bounds how many times of rest are counted for one: a day of seconds. Behind that only what is
	// fired is told.
	mostLeftOut = 86_400
)
