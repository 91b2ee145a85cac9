// baton schedule, baton get schedules, fires, calendars.

package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

func (a *app) scheduleCommand() *cobra.Command {
	s := starter[api.Schedule]{
		word: "schedule", examples: []string{"daily-orders", "sales/daily-orders nightly"},
		name: func(s api.Schedule) string { return s.Name },
		of:   func(s api.Schedule) string { return placeOf(s.Project, s.Workflow) },
		next: func(s api.Schedule) string {
			if len(s.Next) == 0 {
				return ""
			}
			return ", next " + nextOf(s)
		},
	}
	return group("schedule", "Have schedules fire, or keep them from it",
		s.turn(a, "enable", "Have the schedules of a workflow fire"),
		s.turn(a, "disable", "Keep the schedules of a workflow from firing"))
}

func (a *app) getSchedules() *cobra.Command {
	var p pageFlags
	var watch bool
	var next int
	c := &cobra.Command{
		Use: "schedules [NAME]", Aliases: []string{"schedule"}, Args: atMost("NAME"), Short: "When workflows run by themselves, and their next times",
		Example: "  baton get schedules\n  baton get schedules daily-orders --next 5",
	}
	p.add(c)
	c.Flags().IntVar(&next, "next", 0, "tell this many next times of each")
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, args []string) error {
		q := a.inProject(p.query())
		if len(args) == 1 {
			project, name := a.place(args[0])
			q.Set("project", project)
			q.Set("workflow", name)
		}
		q.Set("next", strconv.Itoa(max(next, 1)))
		ask := func() request { return read("/schedules", q) }
		if next > 0 && a.config.Output == formatTable {
			return a.printTimes(ctx, q)
		}
		return reader[api.Schedule]{ask: ask, view: scheduleView(), watch: watch}.run(ctx, a)
	})
	return c
}

// comingTime is a row of a table: a time, and the schedule that it is of.
type comingTime struct {
	of   api.Schedule
	time api.NextFire
}

// printTimes shows the next times of schedules, in order.
func (a *app) printTimes(ctx context.Context, q url.Values) error {
	got, err := ask[api.List[api.Schedule]](ctx, a.client(), read("/schedules", q))
	if err != nil {
		return err
	}
	var times []comingTime
	for _, s := range got.Value.Items {
		if len(s.Next) == 0 {
			say(a.Stderr, "Warning: schedule %s of %s: %s\n", s.Name, placeOf(s.Project, s.Workflow), or(s.Reason, "it does not fire"))
		}
		for _, n := range s.Next {
			times = append(times, comingTime{s, n})
		}
	}
	return a.print(got.Raw, nil, func(w io.Writer) error { return timesView().write(w, times, a.look()) })
}

func timesView() view[comingTime] {
	return view[comingTime]{
		name: func(t comingTime) string { return t.time.Time },
		columns: []column[comingTime]{
			{head: "WORKFLOW", cell: func(t comingTime) string { return shorten(placeOf(t.of.Project, t.of.Workflow), 32) }},
			{head: "SCHEDULE", cell: func(t comingTime) string { return shorten(t.of.Name, 24) }},
			{head: "TIME", cell: func(t comingTime) string { return t.time.Time }},
			{head: "", cell: func(t comingTime) string { return skippedWord(t.time) }},
			{head: "REASON", free: true, cell: func(t comingTime) string { return or(t.time.Reason, "") }},
		},
	}
}

func skippedWord(n api.NextFire) string {
	switch {
	case n.Skipped && n.Times > 1:
		return fmt.Sprintf("%d skipped", n.Times)
	case n.Skipped:
		return "skipped"
	default:
		return ""
	}
}

func scheduleView() view[api.Schedule] {
	return view[api.Schedule]{
		name: func(s api.Schedule) string { return placeOf(s.Project, s.Workflow) + "/" + s.Name },
		columns: []column[api.Schedule]{
			{head: "WORKFLOW", cell: func(s api.Schedule) string { return shorten(placeOf(s.Project, s.Workflow), 32) }},
			{head: "SCHEDULE", cell: func(s api.Schedule) string { return shorten(s.Name, 24) }},
			{head: "WHEN", cell: func(s api.Schedule) string { return shorten(whenText(s), 24) }},
			{head: "ZONE", cell: func(s api.Schedule) string { return s.Timezone }},
			{head: "CALENDAR", wide: true, cell: func(s api.Schedule) string { return or(s.Calendar, "-") }},
			{head: "MISSED", wide: true, cell: func(s api.Schedule) string { return s.Missed }},
			{head: "REVISION", wide: true, cell: func(s api.Schedule) string { return strconv.FormatInt(s.Revision, 10) }},
			{head: "LAST", cell: lastFired},
			{head: "NEXT", cell: nextOf},
			{head: "REASON", free: true, cell: func(s api.Schedule) string { return or(s.Reason, "") }},
		},
	}
}

// lastFired is the last time that was fired, in the zone of the schedule as its next one is.
func lastFired(s api.Schedule) string {
	if s.Last == 0 {
		return "-"
	}
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		zone = time.UTC
	}
	return s.Last.Std().In(zone).Format(time.RFC3339)
}

// nextOf is the next time that is fired.
func nextOf(s api.Schedule) string {
	i := slices.IndexFunc(s.Next, func(n api.NextFire) bool { return !n.Skipped })
	if i < 0 {
		return "-"
	}
	return s.Next[i].Time
}

func whenText(s api.Schedule) string {
	switch {
	case s.Cron != nil:
		return *s.Cron
	case s.Every != nil:
		return "every " + *s.Every
	default:
		return "at " + s.At.String()
	}
}

func (a *app) getFires() *cobra.Command {
	var p pageFlags
	var watch bool
	var schedule, instance string
	var states []string
	c := &cobra.Command{
		Use: "fires [NAME]", Aliases: []string{"fire"}, Args: atMost("NAME"), Short: "What became of the times of schedules, newest first",
		Example: "  baton get fires daily-orders\n  baton get fires --state skipped,missed",
	}
	p.add(c)
	c.Flags().StringVar(&schedule, "schedule", "", "of this schedule")
	c.Flags().StringVar(&instance, "instance", "", "the one that started this run")
	c.Flags().StringSliceVar(&states, "state", nil, "fired, skipped or missed")
	var workflow string
	c.Flags().StringVar(&workflow, "workflow", "", "of this workflow, NAME or P/NAME")
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, args []string) error {
		q := a.inProject(p.query())
		set(q, "schedule", schedule)
		set(q, "instance", instance)
		set(q, "state", strings.Join(states, ","))
		if len(args) == 1 {
			workflow = args[0]
		}
		if workflow != "" {
			project, name := a.place(workflow)
			q.Set("project", project)
			q.Set("workflow", name)
		}
		return reader[api.Fire]{ask: func() request { return read("/fires", q) }, view: fireView(), watch: watch}.run(ctx, a)
	})
	return c
}

func fireView() view[api.Fire] {
	return view[api.Fire]{
		name: func(f api.Fire) string { return f.ID },
		columns: []column[api.Fire]{
			{head: "ID", wide: true, cell: func(f api.Fire) string { return f.ID }},
			{head: "WORKFLOW", cell: func(f api.Fire) string { return shorten(placeOf(f.Project, f.Workflow), 32) }},
			{head: "SCHEDULE", cell: func(f api.Fire) string { return shorten(f.Schedule, 24) }},
			{head: "TIME", cell: func(f api.Fire) string { return clock(f.Nominal) }},
			{head: "TIMES", wide: true, cell: func(f api.Fire) string { return strconv.Itoa(f.Times) }},
			{head: "STATE", state: true, cell: func(f api.Fire) string { return f.State }},
			{head: "INSTANCE", cell: func(f api.Fire) string { return or(f.Instance, "-") }},
			{head: "REASON", free: true, cell: func(f api.Fire) string { return or(f.Reason, "") }},
		},
	}
}

func (a *app) getCalendars() *cobra.Command {
	return &cobra.Command{
		Use: "calendars [NAME]", Aliases: []string{"calendar"}, Args: atMost("NAME"), Short: "Which days work, for schedules; with a NAME the dates of one",
		RunE: action(func(ctx context.Context, args []string) error {
			if len(args) == 1 {
				return a.getCalendar(ctx, args[0])
			}
			q := a.inProject(url.Values{})
			return reader[api.Calendar]{ask: func() request { return read("/calendars", q) }, view: calendarView()}.run(ctx, a)
		}),
	}
}

func calendarView() view[api.Calendar] {
	return view[api.Calendar]{
		name: func(c api.Calendar) string { return placeOf(c.Project, c.Name) },
		columns: []column[api.Calendar]{
			{head: "PROJECT", cell: func(c api.Calendar) string { return shorten(c.Project, 20) }},
			{head: "NAME", cell: func(c api.Calendar) string { return shorten(c.Name, 32) }},
			{head: "ZONE", cell: func(c api.Calendar) string { return or(c.Timezone, "-") }},
			{head: "WEEKDAYS", cell: func(c api.Calendar) string { return strings.Join(c.Weekdays, ",") }},
			{head: "HOLIDAYS", cell: func(c api.Calendar) string { return strconv.Itoa(len(c.Holidays)) }},
			{head: "WORKDAYS", cell: func(c api.Calendar) string { return strconv.Itoa(len(c.Workdays)) }},
		},
	}
}
