// baton run and baton wait: start a run, and learn how it ends.

package cli

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

type runFlags struct {
	api.StartRequest
	params  []string
	key     string
	version int32
	wait    waitFlags
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run NAME",
		Short: "Start a run of a workflow",
		Example: `  baton run daily-orders
  baton run sales/daily-orders -p day=20260301 --wait
  baton run daily-orders --data-time 2026-03-01 --tasks load --mode after
  baton run daily-orders --key order-4711          # started once, however often it is asked for`,
		Args: arguments("NAME"),
	}
	fl := c.Flags()
	fl.StringArrayVarP(&f.params, "param", "p", nil, "parameter k=v, as often as needed")
	fl.StringVar(&f.DataTime, "data-time", "", "the moment the run is for: RFC 3339, or yyyy-MM-dd[ HH:mm:ss] in the workflow's zone")
	fl.StringSliceVar(&f.Tasks, "tasks", nil, "start from these tasks")
	fl.StringVar(&f.Mode, "mode", "", "after (they and what follows), before (they and what precedes) or only")
	fl.BoolVar(&f.DryRun, "dry-run", false, "every task succeeds without running")
	fl.StringVar(&f.key, "key", "", "idempotency key: the same key answers the first run")
	fl.Int32Var(&f.version, "version", 0, "version of the workflow (default: the newest)")
	fl.StringVar(&f.Failure, "failure", "", "when a task failed: continue or end")
	fl.StringVar(&f.Priority, "priority", "", "highest, high, medium, low or lowest")
	fl.StringVar(&f.WorkerGroup, "worker-group", "", "group of workers for tasks that name none")
	fl.StringVar(&f.Environment, "environment", "", "environment for tasks that name none, instead of the workflow's")
	fl.StringVar(&f.Tenant, "tenant", "", "operating system user of the tasks")
	f.wait.add(c, "wait for the end and print it; exit 0 only if the run succeeded")
	c.RunE = action(func(ctx context.Context, args []string) error { return a.run(ctx, args[0], f) })
	return c
}

func (a *app) run(ctx context.Context, name string, f runFlags) error {
	f.Project, f.Workflow = a.place(name)
	f.Version = f.version
	var err error
	if f.Params, err = keyValues(f.params); err != nil {
		return err
	}
	r := request{method: http.MethodPost, path: "/instances", body: f.StartRequest}
	if f.key != "" {
		r.header = map[string]string{"Idempotency-Key": f.key}
	}
	c := a.client()
	got, err := ask[api.Instance](ctx, c, r)
	if err != nil {
		return err
	}
	a.warn(got.Value.Warnings)
	if !f.wait.wanted() {
		return a.printStarted(a.soon(ctx, c, got))
	}
	return a.finish(ctx, c, begun{run: got.Value, raw: got.Raw, word: a.startedLine(got.Value)}, f.wait)
}

// keyValues reads k=v arguments.
func keyValues(list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, pair := range list {
		k, v, found := strings.Cut(pair, "=")
		if !found || k == "" {
			return nil, usagef("-p %s: write a parameter as name=value", pair)
		}
		out[k] = v
	}
	return out, nil
}
