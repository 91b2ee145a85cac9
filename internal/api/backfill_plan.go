// The plan of a backfill: which dates, with what.

package api

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"baton/internal/cascade"
	"baton/internal/flow"
	"baton/internal/timetable"
)

// planned is a backfill that may be made.
type planned struct {
	backfill flow.Backfill
	def      flow.Definition
	parts    []flow.BackfillPart // its own, and with cascade its dependents
	items    []flow.BackfillItem // in the order in which they begin
	members  []cascade.Member
}

// plan makes a backfill of a request, with all that follows from it.
func (s *Server) plan(ctx context.Context, r BackfillRequest, def flow.Definition) (planned, error) {
	b, dates, err := s.planOwn(ctx, r, def)
	p := planned{backfill: b, def: def}
	if err != nil {
		return p, err
	}
	if r.Cascade {
		if p.members, err = s.membersOf(ctx, def); err != nil {
			return p, err
		}
	}
	own := p.backfill.Own()
	own.Dates, own.ProjectName, own.WorkflowName = 0, def.Project, def.Name
	if p.parts, p.items, err = cascade.Plan(own, dates, def, p.members, p.backfill.Descending); err != nil {
		return p, err
	}
	p.backfill.Dates, p.backfill.Cascaded = len(p.items), len(p.items)-len(dates)
	return p, nil
}

// planOwn makes a backfill of a request, and the dates of its own workflow.
func (s *Server) planOwn(ctx context.Context, r BackfillRequest, def flow.Definition) (flow.Backfill, []flow.Time, error) {
	zone := cmp.Or(def.Workflow.Timezone, "UTC")
	b := flow.Backfill{
		Project: def.ProjectID, Workflow: def.ID, State: flow.BackfillRunning, Zone: zone, Descending: r.Order == "desc", Parallel: 1,
		Halt: r.OnFailure == flow.OnFailureStop, CreatedAt: flow.At(time.Now()),
		Start: flow.Start{Trigger: flow.TriggerBackfill},
	}
	if r.Parallel != nil {
		b.Parallel = *r.Parallel
	}
	if b.Parallel < 1 || b.Parallel > flow.MaxBackfillParallel {
		return b, nil, flow.Errorf(flow.CodeBadRequest, "parallel", "parallel %d: between 1 and %d runs go on at a time", b.Parallel, flow.MaxBackfillParallel)
	}
	if r.Priority != "" {
		var err error
		if b.Start.Priority, err = flow.ParsePriority(r.Priority); err != nil {
			return b, nil, err
		}
	}
	asked, err := rangeOf(r, zone)
	if err != nil {
		return b, nil, err
	}
	table, schedule, err := s.scheduleFor(ctx, r, zone)
	if err != nil {
		return b, nil, err
	}
	if schedule != nil {
		b.Zone, b.Start.Schedule = schedule.Timezone, schedule.Name
		b.Start.Params = paramsOf(schedule.Params)
	}
	if len(r.Params) > 0 {
		b.Start.Params = maps.Clone(b.Start.Params)
		if b.Start.Params == nil {
			b.Start.Params = map[string]string{}
		}
		maps.Copy(b.Start.Params, r.Params)
	}
	dates := asked.dates
	if dates == nil {
		if dates, err = datesOf(table, schedule, asked); err != nil {
			return b, nil, err
		}
	}
	return b, dates, nil
}

func paramsOf(pairs []flow.Pair) map[string]string {
	if len(pairs) == 0 {
		return nil
	}
	out := make(map[string]string, len(pairs))
	for _, p := range pairs {
		out[p.Name] = p.Value
	}
	return out
}

// asked is which dates a request wants: a range, or a list in ascending order.
type asked struct {
	from, to flow.Time
	dates    []flow.Time
}

func rangeOf(r BackfillRequest, zone string) (asked, error) {
	var a asked
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return a, flow.Errorf(flow.CodeBadRequest, "from", "the workflow's timezone %q is not known on this server", zone)
	}
	switch {
	case len(r.Dates) > 0 && r.From+r.To != "":
		return a, flow.Errorf(flow.CodeBadRequest, "dates", "a range (from, to) and a list (dates) exclude each other: say one of them")
	case len(r.Dates) > 0:
		a.dates, err = listOfDates(r.Dates, loc)
		return a, err
	case r.From == "" && r.To == "":
		return a, flow.Errorf(flow.CodeBadRequest, "from", "which dates? Say a range (from, to: both included) or a list (dates)")
	case r.From == "":
		return a, flow.Errorf(flow.CodeBadRequest, "from", "from when? A range has both ends")
	case r.To == "":
		return a, flow.Errorf(flow.CodeBadRequest, "to", "to when? A range has both ends")
	}
	if a.from, err = dateOf("from", r.From, loc); err != nil {
		return a, err
	}
	if a.to, err = dateOf("to", r.To, loc); err != nil {
		return a, err
	}
	if a.from > a.to {
		return a, flow.Errorf(flow.CodeBadRequest, "to", "to (%s) is before from (%s); from is the earlier end, and order: desc begins with the latest date", r.To, r.From)
	}
	return a, nil
}

func listOfDates(texts []string, loc *time.Location) ([]flow.Time, error) {
	if n := len(texts); n > flow.MaxBackfillDates {
		return nil, flow.Errorf(flow.CodeBadRequest, "dates", "these are %d dates, and a backfill has at most %d; make several of them", n, flow.MaxBackfillDates)
	}
	known := map[flow.Time]string{}
	var out []flow.Time
	for _, text := range texts {
		at, err := dateOf("dates", text, loc)
		if err != nil {
			return nil, err
		}
		if before, twice := known[at]; twice {
			return nil, flow.Errorf(flow.CodeBadRequest, "dates", "%s and %s are the same moment; each date is run once", before, text)
		}
		known[at] = text
		out = append(out, at)
	}
	slices.Sort(out)
	return out, nil
}

func dateOf(field, text string, loc *time.Location) (flow.Time, error) {
	t, ok := flow.ParseMoment(strings.TrimSpace(text), loc)
	switch {
	case !ok:
		return 0, flow.Errorf(flow.CodeBadRequest, field, "%q is no moment that there is; write 2026-03-01, \"2026-03-01 02:00:00\" or 2026-03-01T02:00:00Z", text)
	case t.Unix() <= 0:
		return 0, flow.Errorf(flow.CodeBadRequest, field, "%s is before 1970; data times are later", text)
	}
	return flow.At(t), nil
}

// scheduleFor is the schedule of a backfill: the one that is named, or the only one; without any, nil and every midnight.
func (s *Server) scheduleFor(ctx context.Context, r BackfillRequest, zone string) (*timetable.Table, *flow.Schedule, error) {
	have, err := s.schedulesOf(ctx, r.Project, r.Workflow)
	if err != nil {
		return nil, nil, err
	}
	if len(have) == 0 && r.Schedule == "" {
		t, err := timetable.New(timetable.Daily(zone), nil)
		return t, nil, err
	}
	names := make([]string, len(have))
	for i, h := range have {
		names[i] = h.Schedule.Name
	}
	at := slices.Index(names, r.Schedule)
	switch {
	case r.Schedule == "" && len(have) == 1:
		at = 0
	case r.Schedule == "":
		return nil, nil, flow.Errorf(flow.CodeBadRequest, "schedule", "workflow %s has %d schedules: %s; say whose dates, and whose parameters, are meant", r.Workflow, len(have), someOf(names))
	case at < 0:
		return nil, nil, s.noSchedule(ctx, WorkflowPath{ProjectPath{r.Project}, r.Workflow}, r.Schedule, have)
	}
	chosen := have[at].Schedule
	t, err := s.tableOf(ctx, r.Project, chosen)
	return t, &chosen, err
}

// tableOf compiles a schedule of a project, whether it is enabled or not.
func (s *Server) tableOf(ctx context.Context, project string, schedule flow.Schedule) (*timetable.Table, error) {
	var days *flow.Calendar
	if schedule.Calendar != "" { // of a disabled schedule the row has none
		all, err := s.store.Calendars(ctx, project)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(all, func(c flow.Calendar) bool { return c.Name == schedule.Calendar }); i >= 0 {
			days = &all[i]
		}
	}
	return timetable.New(schedule, days)
}

func (s *Server) schedulesOf(ctx context.Context, project, workflow string) ([]flow.ScheduleRow, error) {
	var have []flow.ScheduleRow
	for after := flow.ID(0); ; {
		p, err := s.store.Schedules(ctx, project, workflow, 500, after)
		if err != nil {
			return nil, err
		}
		have = append(have, p.Items...)
		if after = p.Next; after == 0 {
			return have, nil
		}
	}
}

// datesOf are the times of a schedule in a range: some, and not too many.
func datesOf(t *timetable.Table, schedule *flow.Schedule, a asked) ([]flow.Time, error) {
	of := "no midnight"
	if schedule != nil {
		of = "no time of schedule " + schedule.Name
	}
	say := func(at flow.Time) string { return at.Std().In(t.Zone()).Format(time.RFC3339) }
	dates, about := t.Between(a.from, a.to, flow.MaxBackfillDates)
	switch next, more := t.Next(a.to); {
	case len(dates) == 0 && more:
		return nil, flow.Errorf(flow.CodeBadRequest, "from", "%s lies from %s to %s; the next one is %s", of, say(a.from), say(a.to), say(next))
	case len(dates) == 0:
		return nil, flow.Errorf(flow.CodeBadRequest, "from", "%s lies from %s to %s, and none comes after that: %s", of, say(a.from), say(a.to), t.WhyNever())
	case about > len(dates):
		return nil, flow.Errorf(flow.CodeBadRequest, "to", "these would be about %d dates, and a backfill has at most %d; split the range: there are %d up to %s",
			about, flow.MaxBackfillDates, len(dates), say(dates[len(dates)-1]))
	}
	return dates, nil
}
