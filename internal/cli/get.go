// baton get: lists and single objects of every kind.

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"baton/internal/api"
	"baton/internal/flow"
)

func (a *app) getCommand() *cobra.Command {
	get := group("get", "List or read objects", a.getInstances(), a.getTasks(), a.getShards(), a.getAttempts(), a.getWorkflows(), a.getVersions(),
		a.getProjects(), a.getDataSources(), a.getCommands(), a.getAlerts(), a.getNodes("masters", flow.RoleMaster), a.getNodes("workers", flow.RoleWorker), a.getNodes("nodes", ""), a.getFailovers(),
		a.getSchedules(), a.getFires(), a.getTriggers(), a.getStarts(), a.getCalendars(), a.getBackfills(), a.getPools(), a.getGroups(), a.getEnvironments())
	get.Example = `  baton get instances --workflow daily-orders --state failed --since 2h
  baton get instance 7301444403200000 -o json
  baton get tasks 7301444403200000 -w`
	for _, kind := range laterKinds {
		get.AddCommand(notSupported(kind))
	}
	return get
}

// reader is a list command: where it reads, how it shows it, and which events say that it changed.
type reader[T any] struct {
	ask    func() request
	view   view[T]
	events request // empty path: it is looked at now and then
	watch  bool
}

// pageFlags are the flags of lists that page.
type pageFlags struct {
	limit  int
	cursor string
}

func (p *pageFlags) add(c *cobra.Command) {
	c.Flags().IntVar(&p.limit, "limit", 50, "rows of a page, at most 500")
	c.Flags().StringVar(&p.cursor, "cursor", "", "go on behind a page: its next")
}

func (p *pageFlags) query() url.Values {
	q := url.Values{}
	set(q, "limit", strconv.Itoa(p.limit))
	set(q, "cursor", p.cursor)
	return q
}

// set adds a parameter that was said.
func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func watchFlag(c *cobra.Command, watch *bool) {
	c.Flags().BoolVarP(watch, "watch", "w", false, "go on and print what changes")
}

// run prints the list once, or again and again.
func (r reader[T]) run(ctx context.Context, a *app) error {
	c := a.client()
	if r.watch {
		return watchList(ctx, a, c, r)
	}
	asked := r.ask()
	page, err := ask[api.List[T]](ctx, c, asked)
	if err != nil {
		return err
	}
	if len(page.Value.Items) == 0 {
		a.warnOfProject(ctx, c, asked.query.Get("project"))
	}
	return list(a, page, r.view)
}

// warnOfProject says why nothing is listed of a project that does not exist.
func (a *app) warnOfProject(ctx context.Context, c *client, project string) {
	if project == "" || project == flow.DefaultProject {
		return // which is made by its first workflow
	}
	if _, err := ask[api.Project](ctx, c, read(path("projects", project), nil)); flow.CodeOf(err) == flow.CodeNotFound {
		say(a.Stderr, "Warning: %s\n", err)
	}
}

// one prints a single object: for people as a list of one.
func one[T any](a *app, got answer[T], v view[T]) error {
	return list(a, answer[api.List[T]]{Value: api.List[T]{Items: []T{got.Value}}, Raw: got.Raw}, v)
}

func read(path string, q url.Values) request {
	return request{method: http.MethodGet, path: path, query: q}
}

func (a *app) getWorkflows() *cobra.Command {
	var p pageFlags
	var watch bool
	c := &cobra.Command{Use: "workflows [NAME]", Aliases: []string{"workflow"}, Args: atMost("NAME"), Short: "Workflows by project and name; with a NAME the workflow itself with its definition"}
	p.add(c)
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, args []string) error {
		if len(args) == 1 {
			project, name := a.place(args[0])
			got, err := ask[api.Workflow](ctx, a.client(), read(path("projects", project, "workflows", name), nil))
			if err != nil {
				return err
			}
			return a.printWorkflow(ctx, got)
		}
		q := a.inProject(p.query())
		return reader[api.Workflow]{ask: func() request { return read("/workflows", q) }, view: workflowView(), watch: watch}.run(ctx, a)
	})
	return c
}

// inProject narrows a list to a project that was said; the default project is no narrowing.
func (a *app) inProject(q url.Values) url.Values {
	if a.config.given["project"] {
		q.Set("project", a.config.Project)
	}
	return q
}

func (a *app) getVersions() *cobra.Command {
	return &cobra.Command{
		Use: "versions NAME", Aliases: []string{"version"}, Args: arguments("NAME"), Short: "Versions of a workflow, newest first",
		RunE: action(func(ctx context.Context, args []string) error {
			project, name := a.place(args[0])
			return reader[api.Workflow]{ask: func() request {
				return read(path("projects", project, "workflows", name, "versions"), nil)
			}, view: workflowView()}.run(ctx, a)
		}),
	}
}

func (a *app) getProjects() *cobra.Command {
	return &cobra.Command{
		Use: "projects [PROJECT]", Aliases: []string{"project"}, Args: atMost("PROJECT"), Short: "Projects by name",
		RunE: action(func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return reader[api.Project]{ask: func() request { return read("/projects", nil) }, view: projectView()}.run(ctx, a)
			}
			got, err := ask[api.Project](ctx, a.client(), read(path("projects", args[0]), nil))
			if err != nil {
				return err
			}
			return one(a, got, projectView())
		}),
	}
}

func (a *app) getDataSources() *cobra.Command {
	return &cobra.Command{
		Use: "datasources", Aliases: []string{"datasource"}, Args: noArguments, Short: "Databases that sql tasks use",
		RunE: action(func(ctx context.Context, _ []string) error {
			q := a.inProject(url.Values{})
			return reader[api.DataSource]{ask: func() request { return read("/datasources", q) }, view: dataSourceView()}.run(ctx, a)
		}),
	}
}

func (a *app) getCommands() *cobra.Command {
	var p pageFlags
	var watch bool
	c := &cobra.Command{Use: "commands", Aliases: []string{"command"}, Args: noArguments, Short: "Starts that no master has taken yet, newest first"}
	p.add(c)
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, _ []string) error {
		return reader[api.Summary]{ask: func() request { return read("/commands", p.query()) }, view: a.instanceView(), watch: watch, events: request{path: "/events"}}.run(ctx, a)
	})
	return c
}

func (a *app) getAlerts() *cobra.Command {
	var p pageFlags
	var watch bool
	var instance, workflow string
	c := &cobra.Command{Use: "alerts", Aliases: []string{"alert"}, Args: noArguments, Short: "What a person should know, newest first"}
	p.add(c)
	c.Flags().StringVar(&instance, "instance", "", "of this run")
	c.Flags().StringVar(&workflow, "workflow", "", "of this workflow, NAME or P/NAME")
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, _ []string) error {
		q := a.inProject(p.query())
		set(q, "instance", instance)
		if workflow != "" {
			project, name := a.place(workflow)
			q.Set("project", project)
			q.Set("workflow", name)
		}
		return reader[api.Alert]{ask: func() request { return read("/alerts", q) }, view: alertView(), watch: watch, events: request{path: "/events"}}.run(ctx, a)
	})
	return c
}

func (a *app) getNodes(kind, role string) *cobra.Command {
	var watch bool
	c := &cobra.Command{Use: kind + " [NODE]", Aliases: []string{strings.TrimSuffix(kind, "s")}, Args: atMost("NODE"), Short: "Live and recently lost " + kind}
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, args []string) error {
		q := url.Values{}
		set(q, "role", role)
		if len(args) == 1 {
			return a.getNode(ctx, args[0], q)
		}
		return reader[api.Node]{ask: func() request { return read("/nodes", q) }, view: nodeView(), watch: watch}.run(ctx, a)
	})
	return c
}

func (a *app) getFailovers() *cobra.Command {
	var limit int
	var watch bool
	c := &cobra.Command{Use: "failovers", Aliases: []string{"failover"}, Args: noArguments, Short: "Nodes that were declared dead, and what became of their work, newest first"}
	c.Flags().IntVar(&limit, "limit", 50, "most to list, at most 500")
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, _ []string) error {
		q := url.Values{"limit": {strconv.Itoa(limit)}}
		return reader[api.Failover]{ask: func() request { return read("/failovers", q) }, view: failoverView(), watch: watch}.run(ctx, a)
	})
	return c
}

// getNode finds a node by id or name.
func (a *app) getNode(ctx context.Context, wanted string, q url.Values) error {
	page, err := ask[api.List[json.RawMessage]](ctx, a.client(), read("/nodes", q))
	if err != nil {
		return err
	}
	for _, raw := range page.Value.Items {
		var n api.Node
		if err := json.Unmarshal(raw, &n); err != nil {
			return err
		}
		if n.ID == wanted || n.Name == wanted {
			return one(a, answer[api.Node]{Value: n, Raw: raw}, nodeView())
		}
	}
	return flow.Errorf(flow.CodeNotFound, "node", "there is no %s %q", cmp.Or(q.Get("role"), "node"), wanted)
}
