// baton get groups and environments: what operations say of machines.

package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

func (a *app) getGroups() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "groups", Aliases: []string{"group", "workergroups", "workergroup"}, Args: noArguments, Short: "Worker groups: those that were declared, and those that workers serve",
	}
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, _ []string) error {
		return reader[api.Group]{ask: func() request { return read("/groups", nil) }, view: groupView(), watch: watch}.run(ctx, a)
	})
	return c
}

func groupView() view[api.Group] {
	return view[api.Group]{
		name: func(g api.Group) string { return g.Name },
		columns: []column[api.Group]{
			{head: "NAME", cell: func(g api.Group) string { return shorten(g.Name, 32) }},
			{head: "DECLARED", cell: func(g api.Group) string { return yes(g.Declared) }},
			{head: "WORKERS", cell: func(g api.Group) string { return strconv.Itoa(g.Workers) }},
			{head: "SLOTS", cell: func(g api.Group) string { return strconv.Itoa(g.Slots) }},
			{head: "FREE", cell: func(g api.Group) string { return strconv.Itoa(g.Free) }},
			{head: "DESCRIPTION", free: true, cell: func(g api.Group) string { return firstOf(g.Description) }},
		},
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (a *app) getEnvironments() *cobra.Command {
	return &cobra.Command{
		Use: "environments [NAME]", Aliases: []string{"environment", "envs", "env"}, Args: atMost("NAME"), Short: "How the processes of tasks are prepared; with a NAME also the variables and the script of one",
		RunE: action(func(ctx context.Context, args []string) error {
			if len(args) == 1 {
				return a.getEnvironment(ctx, args[0])
			}
			return reader[api.Environment]{ask: func() request { return read("/environments", nil) }, view: environmentView()}.run(ctx, a)
		}),
	}
}

func environmentView() view[api.Environment] {
	return view[api.Environment]{
		name: func(e api.Environment) string { return e.Name },
		columns: []column[api.Environment]{
			{head: "NAME", cell: func(e api.Environment) string { return shorten(e.Name, 32) }},
			{head: "VERSION", cell: func(e api.Environment) string { return "v" + strconv.Itoa(int(e.Version)) }},
			{head: "CHANGED", cell: func(e api.Environment) string { return age(e.ChangedAt) }},
			{head: "GROUPS", cell: func(e api.Environment) string {
				if len(e.WorkerGroups) == 0 {
					return "all"
				}
				return shorten(strings.Join(e.WorkerGroups, ","), 24)
			}},
			{head: "VARIABLES", cell: func(e api.Environment) string {
				names := make([]string, len(e.Env))
				for i, v := range e.Env {
					names[i] = v.Name
				}
				return shorten(strings.Join(names, ","), 32)
			}},
			{head: "SCRIPT", cell: func(e api.Environment) string { return yes(e.Script != nil) }},
			{head: "DESCRIPTION", wide: true, cell: func(e api.Environment) string { return firstOf(e.Description) }},
		},
	}
}

// objectName names an object of a kind for programs; some kinds belong to no project.
func objectName(kind, project, name string) string {
	if project == "" {
		return kind + "/" + name
	}
	return kind + "/" + project + "/" + name
}

// completeGroup offers worker groups.
func completeGroup(ctx context.Context, a *app, _ typed) []cobra.Completion {
	return offer(ctx, a, read("/groups", nil), func(g api.Group) (string, string) {
		about := firstOf(g.Description)
		if about == "" {
			about = strconv.Itoa(g.Workers) + " workers"
		}
		return g.Name, about
	})
}

// completeEnvironment offers environments.
func completeEnvironment(ctx context.Context, a *app, _ typed) []cobra.Completion {
	return offer(ctx, a, read("/environments", nil), func(e api.Environment) (string, string) { return e.Name, firstOf(e.Description) })
}

// environmentUsed is a line about the environment of a task.
func environmentUsed(u api.UsedEnvironment) string {
	text := "environment " + u.Name
	switch {
	case u.Newest == 0:
		return text
	case u.Version == 0:
		return text + ", which there was none of"
	case u.Version != u.Newest:
		return text + ", version " + strconv.Itoa(int(u.Version)) + " of " + clock(u.ChangedAt) + "; the next try gets version " + strconv.Itoa(int(u.Newest))
	}
	return text + ", version " + strconv.Itoa(int(u.Version)) + " of " + clock(u.ChangedAt)
}
