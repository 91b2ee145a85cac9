// What one object says beyond its row: the tasks of a workflow, the days of a calendar, the script of an environment.

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"baton/internal/api"
	"baton/internal/flow"
)

// printWorkflow shows a workflow with its tasks, and with its schedules and their next times.
func (a *app) printWorkflow(ctx context.Context, got answer[api.Workflow]) error {
	w := got.Value
	if a.config.Output != formatTable && a.config.Output != formatWide {
		return one(a, got, workflowView())
	}
	var def flow.Workflow
	if err := json.Unmarshal(w.Definition, &def); err != nil {
		return fmt.Errorf("read definition: %w", err)
	}
	q := url.Values{"project": {w.Project}, "workflow": {w.Name}, "next": {"1"}}
	schedules, err := ask[api.List[api.Schedule]](ctx, a.client(), read("/schedules", q))
	if err != nil {
		return err
	}
	if err := workflowView().write(a.Stdout, []api.Workflow{w}, a.look()); err != nil {
		return err
	}
	say(a.Stdout, "\n")
	if err := outlineView().write(a.Stdout, def.Tasks, a.look()); err != nil || len(schedules.Value.Items) == 0 {
		return err
	}
	say(a.Stdout, "\n")
	return scheduleView().write(a.Stdout, schedules.Value.Items, a.look())
}

func outlineView() view[flow.Task] {
	return view[flow.Task]{
		name: func(t flow.Task) string { return t.Name },
		columns: []column[flow.Task]{
			{head: "TASK", cell: func(t flow.Task) string { return shorten(t.Name, 32) }},
			{head: "TYPE", cell: func(t flow.Task) string { return t.Type }},
			{head: "NEEDS", free: true, cell: func(t flow.Task) string { return strings.Join(t.Needs, ", ") }},
		},
	}
}

// named finds one of a list by its name.
func named[T any](ctx context.Context, a *app, r request, kind, wanted string, nameOf func(T) string) (answer[T], error) {
	var found answer[T]
	page, err := ask[api.List[json.RawMessage]](ctx, a.client(), r)
	if err != nil {
		return found, err
	}
	var names []string
	for _, raw := range page.Value.Items {
		var item T
		if err := json.Unmarshal(raw, &item); err != nil {
			return found, fmt.Errorf("read %s: %w", kind, err)
		}
		if nameOf(item) == wanted {
			return answer[T]{Value: item, Raw: raw}, nil
		}
		names = append(names, nameOf(item))
	}
	e := flow.Errorf(flow.CodeNotFound, kind, "there is no %s %q", kind, wanted)
	if e.Suggestion = flow.Nearest(wanted, names); e.Suggestion != "" {
		e.Message += fmt.Sprintf("; did you mean %q?", e.Suggestion)
	}
	return found, e
}

func (a *app) getCalendar(ctx context.Context, wanted string) error {
	project, name := a.place(wanted)
	got, err := named(ctx, a, read("/calendars", url.Values{"project": {project}}), "calendar", name, func(c api.Calendar) string { return c.Name })
	if err != nil {
		return err
	}
	c := got.Value
	return a.print(got.Raw, []string{placeOf(c.Project, c.Name)}, func(w io.Writer) error {
		if err := calendarView().write(w, []api.Calendar{c}, a.look()); err != nil {
			return err
		}
		for _, part := range []struct {
			word  string
			dates []string
		}{{"holidays", c.Holidays}, {"workdays", c.Workdays}} {
			if len(part.dates) > 0 {
				say(w, "\n%s\n", a.paint().dim(part.word))
				for _, date := range part.dates {
					say(w, "  %s\n", date)
				}
			}
		}
		return nil
	})
}

func (a *app) getEnvironment(ctx context.Context, name string) error {
	got, err := named(ctx, a, read("/environments", nil), "environment", name, func(e api.Environment) string { return e.Name })
	if err != nil {
		return err
	}
	e := got.Value
	return a.print(got.Raw, []string{e.Name}, func(w io.Writer) error {
		if err := environmentView().write(w, []api.Environment{e}, a.look()); err != nil {
			return err
		}
		if len(e.Env) > 0 {
			say(w, "\n")
		}
		for _, v := range e.Env {
			value := or(v.Value, "")
			if v.Secret != nil {
				value = a.paint().dim("secret " + *v.Secret)
			}
			say(w, "%s=%s\n", v.Name, value)
		}
		if e.Script != nil {
			say(w, "\n%s\n%s\n", a.paint().dim("script"), strings.TrimSuffix(*e.Script, "\n"))
		}
		return nil
	})
}
