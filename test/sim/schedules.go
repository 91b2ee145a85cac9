// Schedules: the store's model of them, edits while they fire, and the check that every time had one fate.

package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/master"
	"baton/internal/timetable"
)

// schedules is what the store knows of them.
type schedules struct {
	timings []*flow.Timing
	nominal map[*flow.Timing]flow.Time
	fires   map[flow.ID]map[flow.Time]flow.Fire // by schedule and nominal time
	// windows are the times that each revision had to decide about, for the check.
	windows []window
}

// window is the reign of one revision.
type window struct {
	schedule flow.ID
	body     flow.Schedule
	from, to flow.Time // to 0: to the end
}

func newSchedules() schedules {
	return schedules{nominal: map[*flow.Timing]flow.Time{}, fires: map[flow.ID]map[flow.Time]flow.Fire{}}
}

// revise begins a new revision of a schedule, as the real store does.
func (s *Store) revise(id flow.ID, body flow.Schedule) {
	now := s.w.now
	revision := int64(0)
	s.timings = slices.DeleteFunc(s.timings, func(t *flow.Timing) bool {
		if t.Schedule != id {
			return false
		}
		revision = max(revision, t.Revision)
		if t.Next == 0 {
			return true
		}
		if t.Until == 0 && s.nominal[t] <= now { // of one that nobody has looked at it is not known, and may have come
			t.Until = now
		}
		return t.Until == 0
	})
	for i := range s.windows {
		if w := &s.windows[i]; w.schedule == id && w.to == 0 {
			w.to = now
		}
	}
	s.windows = append(s.windows, window{schedule: id, body: body, from: now})
	s.revisions++
	s.timings = append(s.timings, &flow.Timing{
		Schedule: id, Revision: max(revision, s.revisions) + 1, Project: 1, Workflow: 100 + id%5, Body: body, After: now, Next: now,
	})
}

// due is what is to be looked at.
func (s *Store) due(e master.ReadDue) flow.DueTimings {
	out := flow.DueTimings{Now: s.w.now}
	for _, t := range s.timings {
		switch {
		case t.Next == 0:
		case t.Next > s.w.now:
			out.Next = flow.Earliest(out.Next, t.Next)
		case len(out.Timings) < e.Limit && (e.Slots <= 1 || int(t.Schedule)%e.Slots == e.Slot || t.Next < s.w.now.Add(-500*time.Millisecond)):
			out.Timings = append(out.Timings, *t)
		}
	}
	slices.SortStableFunc(out.Timings, func(a, b flow.Timing) int { return cmp.Compare(a.Next, b.Next) })
	return out
}

func (s *Store) nextFire() (at flow.Time) {
	for _, t := range s.timings {
		at = flow.Earliest(at, t.Next)
	}
	return at
}

// fire writes decisions, each only if nobody has decided meanwhile.
func (s *Store) fire(owner int64, firings []flow.Firing) []bool {
	written := make([]bool, len(firings))
	if s.fenced[owner] && s.w.cfg.Mutant != NoGate {
		return written
	}
	for i, f := range firings {
		j := slices.IndexFunc(s.timings, func(t *flow.Timing) bool {
			return t.Schedule == f.Schedule && t.Revision == f.Revision && t.After == f.After && t.Until == f.Until && t.Next > 0
		})
		if j < 0 {
			continue
		}
		written[i] = true
		t := s.timings[j]
		t.After, t.Next = f.NewAfter, f.Next
		s.nominal[t] = f.Nominal
		ordered := map[flow.ID]bool{}
		for _, fire := range f.Fires {
			if s.fires[f.Schedule] == nil {
				s.fires[f.Schedule] = map[flow.Time]flow.Fire{}
			}
			if _, twice := s.fires[f.Schedule][fire.Nominal]; twice {
				continue // the unique key refuses it
			}
			s.fires[f.Schedule][fire.Nominal] = fire
			ordered[fire.Instance] = true
		}
		for _, c := range f.Commands {
			if !ordered[c.ID] {
				continue
			}
			c.Version = 1
			s.submit(c)
			s.w.fired = append(s.w.fired, &accepted{id: c.ID})
			s.w.log("schedule %d fires %d for %s", f.Schedule, c.ID, f.Fires[0].Nominal)
		}
	}
	return written
}

// plan makes schedules that fire for a while, and has people change them meanwhile.
func (w *World) plan() {
	for id := flow.ID(1); id <= flow.ID(w.cfg.Schedules); id++ {
		w.after(time.Duration(w.rng.Int64N(int64(5*time.Second))), func() { w.store.revise(id, w.schedule(id)) })
		for range w.rng.IntN(3) {
			w.after(time.Duration(w.rng.Int64N(int64(w.cfg.Starts+5*time.Second))), func() {
				w.log("schedule %d is changed", id)
				w.store.revise(id, w.schedule(id))
			})
		}
	}
}

func (w *World) schedule(id flow.ID) flow.Schedule {
	s := flow.Schedule{
		Name: fmt.Sprintf("s%d", id), Timezone: "UTC", Every: flow.Duration(time.Duration(3+w.rng.IntN(9)) * time.Second),
		End: start.Add(10*time.Second + w.cfg.Starts), Missed: flow.MissedAll,
	}
	if w.rng.IntN(3) == 0 {
		s.Jitter = flow.Duration(time.Duration(1+w.rng.IntN(20)) * time.Second) // also more than the span
	}
	if w.rng.IntN(4) == 0 {
		s.Missed = []flow.MissedPolicy{flow.MissedLast, flow.MissedNone}[w.rng.IntN(2)]
	}
	return s
}

// planned tells whether every schedule has come to its end.
func (w *World) planned() bool {
	return !slices.ContainsFunc(w.store.timings, func(t *flow.Timing) bool { return t.Next != 0 })
}

// checkFires: each time of each revision has one fate, and no other time has any.
func (w *World) checkFires(say func(string, ...any)) {
	want := map[flow.ID]map[flow.Time]window{}
	for _, win := range w.store.windows {
		table, err := timetable.New(win.body, nil)
		if err != nil {
			say("schedule %d: %v", win.schedule, err)
			continue
		}
		for after := win.from; ; {
			p := table.Preview(after, 1)
			if len(p) == 0 || win.to != 0 && p[0].At > win.to {
				break
			}
			after = p[0].At
			if want[win.schedule] == nil {
				want[win.schedule] = map[flow.Time]window{}
			}
			want[win.schedule][after] = win
		}
	}
	for _, id := range sorted(want) {
		for _, at := range slices.Sorted(maps.Keys(want[id])) {
			fire, decided := w.store.fires[id][at]
			switch {
			case !decided:
				say("schedule %d: its time %s is lost", id, at)
			case want[id][at].body.Missed == flow.MissedAll && fire.State != flow.FireFired:
				say("schedule %d: its time %s is %s (%s), and all are made up for", id, at, fire.State, fire.Reason)
			case fire.State != flow.FireFired && fire.Reason == "":
				say("schedule %d: its time %s is %s without a reason", id, at, fire.State)
			case fire.State == flow.FireFired && w.store.instances[fire.Instance] == nil:
				say("schedule %d: the run of its time %s is lost", id, at)
			}
		}
	}
	for _, id := range sorted(w.store.fires) {
		for _, at := range slices.Sorted(maps.Keys(w.store.fires[id])) {
			if _, meant := want[id][at]; !meant {
				say("schedule %d: it has no time %s, which was decided about", id, at)
			}
		}
	}
}
