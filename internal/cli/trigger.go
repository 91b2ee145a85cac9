// baton trigger, baton get triggers, starts.

package cli

import (
	"context"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

func (a *app) triggerCommand() *cobra.Command {
	s := starter[api.Trigger]{
		word: "trigger", more: " One that is disabled forgets what it has heard.", examples: []string{"report", "sales/report when-loaded"},
		name: func(t api.Trigger) string { return t.Name },
		of:   func(t api.Trigger) string { return placeOf(t.Project, t.Workflow) },
		next: func(api.Trigger) string { return "" },
	}
	return group("trigger", "Have triggers start runs, or keep them from it",
		s.turn(a, "enable", "Have the triggers of a workflow start runs"),
		s.turn(a, "disable", "Keep the triggers of a workflow from starting runs"))
}

func (a *app) getTriggers() *cobra.Command {
	var p pageFlags
	var watch bool
	c := &cobra.Command{
		Use: "triggers [NAME]", Aliases: []string{"trigger"}, Args: atMost("NAME"), Short: "What else starts workflows, and what it waits for",
		Example: "  baton get triggers\n  baton get triggers report",
	}
	p.add(c)
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, args []string) error {
		q := a.inProject(p.query())
		if len(args) == 1 {
			project, name := a.place(args[0])
			q.Set("project", project)
			q.Set("workflow", name)
		}
		return reader[api.Trigger]{ask: func() request { return read("/triggers", q) }, view: triggerView(), watch: watch}.run(ctx, a)
	})
	return c
}

func triggerView() view[api.Trigger] {
	return view[api.Trigger]{
		name: func(t api.Trigger) string { return placeOf(t.Project, t.Workflow) + "/" + t.Name },
		columns: []column[api.Trigger]{
			{head: "WORKFLOW", cell: func(t api.Trigger) string { return shorten(placeOf(t.Project, t.Workflow), 32) }},
			{head: "TRIGGER", cell: func(t api.Trigger) string { return shorten(t.Name, 24) }},
			{head: "KIND", cell: func(t api.Trigger) string { return t.Kind }},
			{head: "ENABLED", cell: func(t api.Trigger) string { return yes(t.Enabled) }},
			{head: "LAST", cell: lastEvent},
			{head: "WAITS", free: true, cell: func(t api.Trigger) string { return t.Waits }},
		},
	}
}

// lastEvent is what became of a trigger's last event.
func lastEvent(t api.Trigger) string {
	switch {
	case t.Last == nil:
		return "-"
	case t.Last.Instance != nil:
		return *t.Last.Instance + ", " + age(t.Last.At)
	default:
		return t.Last.State + ", " + age(t.Last.At)
	}
}

func (a *app) getStarts() *cobra.Command {
	var p pageFlags
	var watch bool
	var trigger, instance string
	c := &cobra.Command{
		Use: "starts [NAME]", Aliases: []string{"start"}, Args: atMost("NAME"), Short: "What became of the events of triggers, newest first",
		Example: "  baton get starts report\n  baton get starts --instance 7301444403200000",
	}
	p.add(c)
	c.Flags().StringVar(&trigger, "trigger", "", "of this trigger")
	c.Flags().StringVar(&instance, "instance", "", "the one that started this run")
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, args []string) error {
		q := a.inProject(p.query())
		set(q, "trigger", trigger)
		set(q, "instance", instance)
		if len(args) == 1 {
			project, name := a.place(args[0])
			q.Set("project", project)
			q.Set("workflow", name)
		}
		return reader[api.Start]{ask: func() request { return read("/starts", q) }, view: startView(), watch: watch}.run(ctx, a)
	})
	return c
}

func startView() view[api.Start] {
	return view[api.Start]{
		name: func(s api.Start) string { return s.ID },
		columns: []column[api.Start]{
			{head: "ID", wide: true, cell: func(s api.Start) string { return s.ID }},
			{head: "WORKFLOW", cell: func(s api.Start) string { return shorten(placeOf(s.Project, s.Workflow), 32) }},
			{head: "TRIGGER", cell: func(s api.Start) string { return shorten(s.Trigger, 24) }},
			{head: "AT", cell: func(s api.Start) string { return clock(s.At) }},
			{head: "STATE", state: true, cell: func(s api.Start) string { return s.State }},
			{head: "INSTANCE", cell: func(s api.Start) string { return or(s.Instance, "-") }},
			{head: "CAUSE", free: true, cell: func(s api.Start) string {
				if s.Reason != nil {
					return s.Cause + ": " + *s.Reason
				}
				return s.Cause
			}},
		},
	}
}
