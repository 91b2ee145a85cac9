// Schedules: when workflows run by themselves, what became of their times, and calendars.

package api

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"baton/internal/cron"
	"baton/internal/flow"
	"baton/internal/timetable"
)

// Schedule is when a workflow runs by itself.
type Schedule struct {
	ID           string            `json:"id"`
	Project      string            `json:"project"`
	Workflow     string            `json:"workflow"`
	Name         string            `json:"name"`
	Cron         *string           `json:"cron"`
	Dialect      *string           `json:"dialect" doc:"Of cron: quartz or unix"`
	Every        *string           `json:"every"`
	At           flow.Time         `json:"at"`
	Timezone     string            `json:"timezone"`
	DST          *string           `json:"dst" doc:"Of cron: shift, skip or quartz"`
	Calendar     *string           `json:"calendar"`
	Shift        *string           `json:"shift" doc:"Of a calendar: skip, next or previous"`
	Start        flow.Time         `json:"start" doc:"The first moment that counts"`
	End          flow.Time         `json:"end" doc:"The first that does not count any more"`
	Jitter       *string           `json:"jitter"`
	Missed       string            `json:"missed" enum:"none,last,all"`
	MissedWindow string            `json:"missed_window"`
	Params       map[string]string `json:"params"`
	Enabled      bool              `json:"enabled"`
	Overridden   bool              `json:"overridden" doc:"A verb said whether it is enabled; its file does not change that"`
	Revision     int64             `json:"revision"`
	Description  *string           `json:"description" doc:"In words, of cron"`
	Reason       *string           `json:"reason" doc:"Why it does not fire any more; null: it does"`
	Last         flow.Time         `json:"last" doc:"Nominal time of its last run"`
	Next         []NextFire        `json:"next" doc:"Its next times, with what a calendar leaves out among them"`
}

// NextFire is a time of a schedule as it will be.
type NextFire struct {
	Time    string  `json:"time" doc:"In the zone of the schedule"`
	Skipped bool    `json:"skipped" doc:"The calendar leaves it out"`
	Times   int     `json:"times" doc:"How many of one day are left out together"`
	Reason  *string `json:"reason" doc:"Why it is left out, or moved"`
}

type listSchedulesIn struct {
	Paging
	Project  string `query:"project"`
	Workflow string `query:"workflow"`
	Next     int    `query:"next" minimum:"0" maximum:"500" default:"1" doc:"How many times to tell of each"`
}

func (s *Server) listSchedules(ctx context.Context, in *listSchedulesIn) (*body[List[Schedule]], error) {
	cursor, err := in.after()
	if err != nil {
		return nil, err
	}
	p, err := s.store.Schedules(ctx, in.Project, in.Workflow, in.Limit, cursor)
	if err == nil && len(p.Items) == 0 {
		err = s.knowsWorkflow(ctx, in.Project, in.Workflow)
	}
	now := flow.At(time.Now())
	return listOf(p, func(r flow.ScheduleRow) Schedule { return scheduleOf(r, now, in.Next) }), err
}

func scheduleOf(r flow.ScheduleRow, now flow.Time, next int) Schedule {
	d := r.Schedule
	out := Schedule{
		ID: r.ID.String(), Project: r.Project, Workflow: r.Workflow, Name: d.Name, Cron: text(d.Cron), At: d.At, Timezone: d.Timezone,
		Calendar: text(d.Calendar), Start: d.Start, End: d.End, Missed: string(cmp.Or(d.Missed, flow.MissedLast)), MissedWindow: cmp.Or(d.MissedWindow, flow.DefaultMissedWindow).String(),
		Params: map[string]string{}, Enabled: r.Enabled, Overridden: r.Overridden, Revision: r.Revision, Last: r.Last, Next: []NextFire{},
	}
	if d.Cron != "" {
		out.Dialect, out.DST = text(cmp.Or(d.Dialect, string(cron.Quartz))), text(cmp.Or(d.DST, string(cron.Shift)))
	}
	if d.Every != 0 {
		out.Every = text(d.Every.String())
	}
	if d.Calendar != "" {
		out.Shift = text(cmp.Or(d.Shift, string(cron.ShiftSkip)))
	}
	if d.Jitter != 0 {
		out.Jitter = text(d.Jitter.String())
	}
	for _, p := range d.Params {
		out.Params[p.Name] = p.Value
	}
	out.foresee(r, now, next)
	return out
}

// foresee tells the next times, or why there are none.
func (s *Schedule) foresee(r flow.ScheduleRow, now flow.Time, next int) {
	if !r.Enabled {
		s.Reason = text(flow.ReasonDisabled + ": `baton schedule enable " + r.Workflow + " " + r.Schedule.Name + "` lets it fire")
		return
	}
	t, err := timetable.New(r.Schedule, r.Calendar)
	if err != nil {
		s.Reason = text(flow.ReasonUnreadable + ": " + err.Error())
		return
	}
	s.Description = text(t.Describe())
	times := t.Preview(now, max(next, 1))
	if len(times) == 0 {
		s.Reason = text(flow.ReasonExhausted + ": " + t.WhyNever())
	}
	if next == 0 {
		return
	}
	for _, p := range times {
		s.Next = append(s.Next, NextFire{Time: p.At.Std().In(t.Zone()).Format(time.RFC3339), Skipped: p.Skipped, Times: p.Times, Reason: text(p.Reason)})
	}
}

// SchedulePath names a schedule.
type SchedulePath struct {
	WorkflowPath
	Schedule string `path:"schedule"`
}

func enableSchedule(on bool) func(*Server, context.Context, *SchedulePath) (*body[List[Schedule]], error) {
	return func(s *Server, ctx context.Context, in *SchedulePath) (*body[List[Schedule]], error) {
		return s.turnSchedules(ctx, in.WorkflowPath, in.Schedule, on)
	}
}

func enableSchedules(on bool) func(*Server, context.Context, *WorkflowPath) (*body[List[Schedule]], error) {
	return func(s *Server, ctx context.Context, in *WorkflowPath) (*body[List[Schedule]], error) {
		return s.turnSchedules(ctx, *in, "", on)
	}
}

// turnSchedules turns schedules of a workflow on or off, and tells how they are then.
func (s *Server) turnSchedules(ctx context.Context, in WorkflowPath, name string, on bool) (*body[List[Schedule]], error) {
	n, err := s.store.EnableSchedules(ctx, in.Project, in.Workflow, name, on)
	if err != nil {
		return nil, err
	}
	s.masters.PokeLook()
	have, err := s.schedulesOf(ctx, in.Project, in.Workflow)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, s.noSchedule(ctx, in, name, have)
	}
	now := flow.At(time.Now())
	out := &body[List[Schedule]]{List[Schedule]{Items: []Schedule{}}}
	for _, r := range have {
		if name == "" || r.Schedule.Name == name {
			out.Body.Items = append(out.Body.Items, scheduleOf(r, now, 1))
		}
	}
	return out, nil
}

// noSchedule is the error of a schedule that does not exist.
func (s *Server) noSchedule(ctx context.Context, in WorkflowPath, name string, have []flow.ScheduleRow) error {
	names := make([]string, len(have))
	for i, r := range have {
		names[i] = r.Schedule.Name
	}
	return s.noneCalled(ctx, in, "schedule", name, names)
}

// noneCalled is the error of a schedule or a trigger that a workflow does not have; names are those that it has.
func (s *Server) noneCalled(ctx context.Context, in WorkflowPath, kind, name string, names []string) error {
	if _, err := s.store.Workflow(ctx, in.Project, in.Workflow, 0); err != nil {
		return err
	}
	if len(names) == 0 {
		return flow.Errorf(flow.CodeNotFound, kind, "workflow %s has no %s; write one into its file under %ss", in.Workflow, kind, kind)
	}
	e := flow.Errorf(flow.CodeNotFound, kind, "workflow %s has no %s %q; it has %s", in.Workflow, kind, name, someOf(slices.Clone(names)))
	e.Suggestion = flow.Nearest(name, names)
	return e
}

// Fire is what became of a time of a schedule.
type Fire struct {
	ID       string    `json:"id"`
	Schedule string    `json:"schedule"`
	Project  string    `json:"project"`
	Workflow string    `json:"workflow"`
	Nominal  flow.Time `json:"nominal_time" nullable:"false"`
	Last     flow.Time `json:"last_time" nullable:"false" doc:"Of those that it stands for"`
	Times    int       `json:"times" doc:"How many times of the schedule it stands for; more than one only when they were left out together"`
	State    string    `json:"state" enum:"fired,skipped,missed"`
	Reason   *string   `json:"reason" doc:"Why it was left out, late or moved"`
	Instance *string   `json:"instance" doc:"The run; null: there is none"`
	At       flow.Time `json:"decided_at" nullable:"false"`
}

type listFiresIn struct {
	Paging
	Project  string   `query:"project"`
	Workflow string   `query:"workflow"`
	Schedule string   `query:"schedule"`
	Instance string   `query:"instance"`
	State    []string `query:"state" doc:"fired, skipped or missed; one or more, separated by commas"`
}

func (s *Server) listFires(ctx context.Context, in *listFiresIn) (*body[List[Fire]], error) {
	f := flow.FireFilter{Project: in.Project, Workflow: in.Workflow, Schedule: in.Schedule, Limit: in.Limit}
	if f.Workflow != "" && f.Project == "" {
		f.Project = flow.DefaultProject
	}
	var err error
	if f.Cursor, err = in.after(); err != nil {
		return nil, err
	}
	if in.Instance != "" {
		if f.Instance, err = flow.ParseID(in.Instance); err != nil {
			return nil, err
		}
	}
	for _, word := range in.State {
		state, err := flow.ParseFireState(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		f.States = append(f.States, state)
	}
	p, err := s.store.Fires(ctx, f)
	if err == nil && len(p.Items) == 0 {
		err = s.knowsWorkflow(ctx, f.Project, f.Workflow)
	}
	// The store has decisions in their order; of those made together the later time comes first.
	slices.SortStableFunc(p.Items, func(a, b flow.NamedFire) int { return cmp.Compare(b.Nominal, a.Nominal) })
	return listOf(p, func(n flow.NamedFire) Fire {
		out := Fire{
			ID: n.ID.String(), Schedule: n.ScheduleName, Project: n.ProjectName, Workflow: n.WorkflowName, Nominal: n.Nominal, Last: n.Last,
			Times: n.Times, State: n.State.String(), Reason: text(n.Reason), At: n.At,
		}
		if n.Instance != 0 {
			out.Instance = text(n.Instance.String())
		}
		return out
	}), err
}

// Calendar says which days work.
type Calendar struct {
	Project  string   `json:"project"`
	Name     string   `json:"name"`
	Timezone *string  `json:"timezone" doc:"Whose days are meant; null: that of the schedule"`
	Weekdays []string `json:"weekdays" doc:"That work"`
	Holidays []string `json:"holidays" doc:"Dates that rest"`
	Workdays []string `json:"workdays" doc:"Dates that work although their day of the week rests"`
}

type listCalendarsIn struct {
	Project string `query:"project"`
}

func (s *Server) listCalendars(ctx context.Context, in *listCalendarsIn) (*body[List[Calendar]], error) {
	all, err := s.store.Calendars(ctx, in.Project)
	return listOf(flow.Page[flow.Calendar]{Items: all}, func(c flow.Calendar) Calendar {
		out := Calendar{Project: c.Project, Name: c.Name, Timezone: text(c.Timezone), Weekdays: c.Weekdays, Holidays: c.Holidays, Workdays: c.Workdays}
		if out.Weekdays == nil && !c.NoWeekdays {
			out.Weekdays = []string{"mon", "tue", "wed", "thu", "fri"}
		}
		for _, list := range []*[]string{&out.Weekdays, &out.Holidays, &out.Workdays} {
			if *list == nil {
				*list = []string{}
			}
		}
		return out
	}), err
}
