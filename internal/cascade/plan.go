// Plan: the data times of all that follows from a backfill.

package cascade

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
	"baton/internal/timetable"
	"baton/internal/window"
)

// Schedule is one by whose times a dependent runs.
type Schedule struct {
	Name   string
	Params map[string]string
	Zone   string
	Table  *timetable.Table
}

// Member is a dependent with its schedules that are enabled.
type Member struct {
	Dependent
	Schedules []Schedule
}

// Reasons of a workflow of a plan that is left out, or whose dates are not all that may depend on it.
const (
	ReasonUnknown = "unknown"
	ReasonNoDates = "no_dates"
)

// Plan lists what is run when a workflow is run for some dates, in the order in which it begins: its own dates, then level
// by level those of its dependents, members being in that order, too. Which workflow an item is of, and how it is
// started, its part says, of which the first is the workflow's own.
func Plan(own flow.BackfillPart, dates []flow.Time, of flow.Definition, members []Member, descending bool) ([]flow.BackfillPart, []flow.BackfillItem, error) {
	p := plan{parts: []flow.BackfillPart{own}, dates: map[Name][]time.Time{}, left: flow.MaxBackfillDates - len(dates)}
	p.add(nameOf(of), 0, dates)
	for i := range members {
		if err := p.member(&members[i], own.Start); err != nil {
			return nil, nil, err
		}
	}
	slices.SortStableFunc(p.items, func(a, b flow.BackfillItem) int {
		byTime := cmp.Compare(a.DataTime, b.DataTime)
		if descending {
			byTime = -byTime
		}
		return cmp.Or(cmp.Compare(a.Level, b.Level), byTime, cmp.Compare(a.Part, b.Part))
	})
	return p.parts, p.items, nil
}

// plan is a plan that is being made.
type plan struct {
	parts []flow.BackfillPart
	items []flow.BackfillItem
	dates map[Name][]time.Time // of each workflow so far
	left  int                  // how many there may be yet
}

// add puts dates of the part that was begun last.
func (p *plan) add(of Name, level int, dates []flow.Time) {
	part := len(p.parts) - 1
	p.parts[part].Dates += len(dates)
	for _, at := range dates {
		p.items = append(p.items, flow.BackfillItem{Part: part, Level: level, DataTime: at})
		p.dates[of] = append(p.dates[of], at.Std())
	}
}

// member finds the dates of a dependent: a part for each schedule by which there are some.
func (p *plan) member(m *Member, own flow.Start) error {
	f := finder{member: m, by: map[flow.Time]int{}, most: p.left}
	for _, l := range m.Links {
		if of, within := p.dates[l.Upstream]; within {
			if err := f.follow(l, of); err != nil {
				return err
			}
		}
	}
	p.left -= len(f.by)
	def := m.Definition
	part := flow.BackfillPart{
		Level: m.Level, Workflow: def.ID, ProjectName: def.Project, WorkflowName: def.Name, Zone: cmp.Or(def.Workflow.Timezone, "UTC"),
		Start: flow.Start{Trigger: flow.TriggerBackfill, Priority: own.Priority}, Reason: strings.Join(f.unknown, "; "),
	}
	begun := false
	for i := noSchedule; i < len(m.Schedules); i++ {
		var dates []flow.Time
		for _, at := range slices.Sorted(maps.Keys(f.by)) {
			if f.by[at] == i {
				dates = append(dates, at)
			}
		}
		if len(dates) == 0 {
			continue
		}
		one := part
		if begun {
			one.Reason = "" // it is told once
		}
		if i != noSchedule {
			s := m.Schedules[i]
			one.Zone, one.Start.Schedule, one.Start.Params = s.Zone, s.Name, s.Params
		}
		begun = true
		p.parts = append(p.parts, one)
		p.add(nameOf(def), m.Level, dates)
	}
	if !begun {
		if part.Reason == "" {
			part.Reason = ReasonNoDates + ": none of its times looks at a date of what it depends on"
		}
		p.parts = append(p.parts, part)
	}
	return nil
}

// noSchedule stands for a date that no schedule of the workflow has given.
const noSchedule = -1

// finder finds the dates of one dependent.
type finder struct {
	member  *Member
	by      map[flow.Time]int // its dates, each with the place of the schedule that gave it
	unknown []string          // what cannot be told
	most    int
}

// follow finds the dates whose window looks at some dates of what it depends on.
func (f *finder) follow(l Link, of []time.Time) error {
	switch {
	case len(of) == 0:
		return nil
	case l.Match == flow.MatchLatestEnd:
		f.cannotTell("match: latest_end looks at when runs of %s ended, not at what they were for", l.Upstream)
		return nil
	case templated(l.Window):
		f.cannotTell("its window of %s is made of a parameter, and known when it begins", l.Upstream)
		return nil
	case l.Window == window.Same:
		for _, at := range of {
			f.by[flow.At(at)] = f.scheduleAt(flow.At(at))
		}
		return f.bounded(len(f.by))
	case len(f.member.Schedules) == 0:
		f.cannotTell("it has no schedule that is enabled, so nothing says for which dates it would look at %s of %s", l.Window, l.Upstream)
		return nil
	}
	w, err := window.Find(l.Window)
	if err != nil { // of a newer program
		f.cannotTell("its window %q of %s is not known here", l.Window, l.Upstream)
		return nil //nolint:nilerr // it is said in the plan
	}
	for i, s := range f.member.Schedules {
		for _, stretch := range w.Bases(of, s.Table.Zone()) {
			times, about := s.Table.Between(flow.At(stretch.Start), flow.At(stretch.End)-1, f.most)
			if err := f.bounded(about); err != nil {
				return err
			}
			for _, at := range times {
				if _, known := f.by[at]; !known {
					f.by[at] = i
				}
			}
			if err := f.bounded(len(f.by)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *finder) cannotTell(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	if len(f.unknown) == 0 {
		why = ReasonUnknown + ": " + why
	}
	f.unknown = append(f.unknown, why)
}

// scheduleAt is the schedule that fires at a moment; else the only one.
func (f *finder) scheduleAt(at flow.Time) int {
	for i, s := range f.member.Schedules {
		if next, ok := s.Table.Next(at - 1); ok && next == at {
			return i
		}
	}
	if len(f.member.Schedules) == 1 {
		return 0
	}
	return noSchedule
}

// bounded refuses more dates than there may be yet.
func (f *finder) bounded(about int) error {
	if about <= f.most {
		return nil
	}
	return flow.Errorf(flow.CodeBadRequest, "cascade", "a backfill has at most %d dates over all, and with those of %s (about %d) they would be more; split the range",
		flow.MaxBackfillDates, nameOf(f.member.Definition), about)
}
