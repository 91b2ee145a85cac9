// baton get instances, tasks, shards, attempts.

package cli

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

type instanceFilter struct {
	pageFlags
	workflow, since, until, trigger, dataFrom, dataTo string
	states                                            []string
}

func (a *app) getInstances() *cobra.Command {
	var f instanceFilter
	var watch bool
	c := &cobra.Command{
		Use:     "instances [ID]",
		Aliases: []string{"instance", "runs", "run"},
		Short:   "Runs, newest first; with an ID the run itself with its tasks",
		Example: `  baton get instances --state failed,stopped --since 2h
  baton get instances --workflow sales/daily-orders --limit 5 -o wide
  baton get instance 7301444403200000`,
		Args: atMost("ID"),
	}
	f.add(c)
	c.Flags().StringVar(&f.workflow, "workflow", "", "of this workflow, NAME or P/NAME")
	c.Flags().StringSliceVar(&f.states, "state", nil, "in one of these states")
	c.Flags().StringVar(&f.since, "since", "", "submitted since: a span such as 2h, or a time")
	c.Flags().StringVar(&f.until, "until", "", "submitted before: a span ago, or a time")
	c.Flags().StringVar(&f.trigger, "trigger", "", "started by: manual, schedule, backfill, sub_workflow, trigger")
	c.Flags().StringVar(&f.dataFrom, "data-from", "", "data time at or after")
	c.Flags().StringVar(&f.dataTo, "data-to", "", "data time before")
	watchFlag(c, &watch)
	c.Flags().Lookup("watch").Usage += "; with an ID until the run has ended"
	c.RunE = action(func(ctx context.Context, args []string) error {
		if len(args) == 1 {
			return a.getInstance(ctx, args[0], watch)
		}
		q, err := f.query(a)
		if err != nil {
			return err
		}
		return reader[api.Summary]{
			ask:   func() request { return read("/instances", q) },
			view:  a.instanceView(),
			watch: watch, events: request{path: "/events"},
		}.run(ctx, a)
	})
	return c
}

func (f *instanceFilter) query(a *app) (url.Values, error) {
	q := f.pageFlags.query()
	set(q, "trigger", f.trigger)
	for _, s := range f.states {
		q.Add("state", s)
	}
	if len(f.states) > 0 {
		q.Set("state", join(f.states))
	}
	if f.workflow != "" {
		project, name := a.place(f.workflow)
		q.Set("project", project)
		q.Set("workflow", name)
	} else if a.config.given["project"] {
		q.Set("project", a.config.Project)
	}
	for name, value := range map[string]string{"since": f.since, "until": f.until, "data_from": f.dataFrom, "data_to": f.dataTo} {
		at, err := moment(value)
		if err != nil {
			return nil, usagef("--%s: %w", name, err)
		}
		set(q, name, at)
	}
	return q, nil
}

func (a *app) getInstance(ctx context.Context, id string, watch bool) error {
	c := a.client()
	if watch {
		return watchInstance(ctx, a, c, id)
	}
	got, err := ask[api.Instance](ctx, c, read(path("instances", id), nil))
	if err != nil {
		return err
	}
	return a.printInstance(got)
}

func (a *app) getTasks() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "tasks INSTANCE [TASK]", Aliases: []string{"task"}, Args: between(1, "INSTANCE", "TASK"),
		Short: "Task instances of a run, in order of creation",
	}
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, args []string) error {
		return reader[api.Task]{
			ask:  func() request { return read(path("instances", args[0], "tasks"), optional("task", args)) },
			view: a.taskView(), watch: watch, events: request{path: path("instances", args[0], "events")},
		}.run(ctx, a)
	})
	return c
}

func (a *app) getShards() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "shards INSTANCE [TASK]", Aliases: []string{"shard", "items"}, Args: between(1, "INSTANCE", "TASK"),
		Short: "Items of a run's maps and rounds of its loops, in order of creation",
	}
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, args []string) error {
		return reader[api.Shard]{
			ask:  func() request { return read(path("instances", args[0], "shards"), optional("task", args)) },
			view: shardView(), watch: watch, events: request{path: path("instances", args[0], "events")},
		}.run(ctx, a)
	})
	return c
}

func (a *app) getAttempts() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "attempts INSTANCE [TASK]", Aliases: []string{"attempt"}, Args: between(1, "INSTANCE", "TASK"),
		Short: "Attempts of a run or of one task, in order of creation",
	}
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, args []string) error {
		return reader[api.Attempt]{
			ask:  func() request { return read(path("instances", args[0], "attempts"), optional("task", args)) },
			view: attemptView(), watch: watch, events: request{path: path("instances", args[0], "events")},
		}.run(ctx, a)
	})
	return c
}

func optional(name string, args []string) url.Values {
	q := url.Values{}
	if len(args) > 1 {
		q.Set(name, args[1])
	}
	return q
}
