// Verbs on runs and tasks.

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

func (a *app) verbCommands() []*cobra.Command {
	verbs := []struct{ name, short, long string }{
		{"pause", "Let what runs finish and start nothing new", "Waiting tasks pause at once, running ones finish. resume goes on."},
		{"resume", "Go on with a paused run", "The same task instances go on; waits for a time keep their due time."},
		{"stop", "Kill what runs and end the run", "Also while the run is paused, waits for a retry or has not begun. With --compensate what succeeded is undone in reverse order."},
		{"recover", "Take up what failed, was killed or never ran", "In the same run, with its version, parameters and data time. Rows of what failed stay, superseded."},
		{"rerun", "Run everything again in the same run", "With the run's version, parameters and data time. With --downstream the last runs for the same data time of the workflows that depend\non it are rerun, too, and each waits for what comes before it anew; one that goes on is left alone, and named."},
		{"release", "Try again with a quarantined run", ""},
	}
	var out []*cobra.Command
	for _, v := range verbs {
		out = append(out, a.verbCommand(v.name, v.short, v.long))
	}
	return out
}

func (a *app) verbCommand(verb, short, long string) *cobra.Command {
	var wait waitFlags
	var compensate, downstream bool
	c := &cobra.Command{Use: verb + " INSTANCE", Short: short, Long: long, Args: arguments("INSTANCE")}
	wait.add(c, "then wait until the run is at rest")
	switch verb {
	case "stop":
		c.Flags().BoolVar(&compensate, "compensate", false, "undo what succeeded, in reverse order")
	case "rerun":
		c.Flags().BoolVar(&downstream, "downstream", false, "also rerun the runs for the same data time that depend on this one")
	}
	c.RunE = action(func(ctx context.Context, args []string) error {
		q := url.Values{}
		if downstream {
			q.Set("downstream", "true")
		}
		if compensate {
			q.Set("compensate", "true")
		}
		return a.order(ctx, request{method: http.MethodPost, path: path("instances", args[0], verb), query: q}, args[0], verb, wait)
	})
	return c
}

func (a *app) taskCommand() *cobra.Command {
	verbs := []struct{ name, short string }{
		{"retry", "Run a task again in a live run"},
		{"skip", "Count a task as passed without running it"},
		{"succeed", "Count a task as succeeded by hand"},
		{"kill", "Kill a task; it is not retried"},
		{"hold", "Keep a task from starting"},
		{"release", "Let a held task start"},
		{"start", "Start a waiting task now, past delay, retry wait or pool"},
	}
	task := group("task", "Steer one task of a run")
	task.Example = "  baton task retry 7301444403200000 load"
	for _, v := range verbs {
		var wait waitFlags
		c := &cobra.Command{Use: v.name + " INSTANCE TASK", Short: v.short, Args: arguments("INSTANCE", "TASK")}
		wait.add(c, "then wait until the run is at rest")
		c.RunE = action(func(ctx context.Context, args []string) error {
			return a.order(ctx, request{method: http.MethodPost, path: path("instances", args[0], "tasks", args[1], v.name)}, args[0], "task "+v.name, wait)
		})
		task.AddCommand(c)
	}
	task.AddCommand(a.decideCommand("approve", "Approve what an approval asks"), a.decideCommand("reject", "Reject what an approval asks: the task fails"))
	return task
}

// decideCommand answers an approval.
func (a *app) decideCommand(name, short string) *cobra.Command {
	var wait waitFlags
	var d api.Decision
	var fields []string
	c := &cobra.Command{
		Use: name + " INSTANCE TASK", Short: short, Args: arguments("INSTANCE", "TASK"),
		Long:    "`baton explain INSTANCE TASK` shows what is asked and what may be chosen.",
		Example: "  baton task " + name + " 7301444403200000 release --choose friday -p ticket=OPS-12 --comment \"after the freeze\"",
	}
	c.Flags().StringVar(&d.Choice, "choose", "", "the option that is chosen")
	c.Flags().StringArrayVarP(&fields, "param", "p", nil, "a field of the form, name=value; may be given many times")
	c.Flags().StringVar(&d.Comment, "comment", "", "why, for the record")
	wait.add(c, "then wait until the run is at rest")
	c.RunE = action(func(ctx context.Context, args []string) error {
		var err error
		if d.Fields, err = keyValues(fields); err != nil {
			return err
		}
		return a.order(ctx, request{method: http.MethodPost, path: path("instances", args[0], "tasks", args[1], name), body: d}, args[0], "task "+name, wait)
	})
	return c
}

// order gives a verb and says what became of it.
func (a *app) order(ctx context.Context, r request, instance, verb string, wait waitFlags) error {
	c := a.client()
	if wait.wanted() {
		return a.orderAndWait(ctx, c, r, instance, verb, wait)
	}
	got, err := ask[api.Ordered](ctx, c, r)
	if err != nil {
		return err
	}
	return a.print(got.Raw, []string{got.Value.Instance.ID}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, a.outcome(got.Value, verb))
		return err
	})
}

// orderAndWait gives a verb and shows what happens from then on. How the run stood is read before:
// by the time the order is answered much of what it began may be over.
func (a *app) orderAndWait(ctx context.Context, c *client, r request, instance, verb string, wait waitFlags) error {
	before, err := ask[api.Instance](ctx, c, read(path("instances", instance), nil))
	if err != nil {
		return err
	}
	got, err := ask[api.Ordered](ctx, c, r)
	if err != nil {
		return err
	}
	raw, err := member(got.Raw, "instance")
	if err != nil {
		return err
	}
	return a.finish(ctx, c, begun{run: got.Value.Instance, raw: raw, word: a.outcome(got.Value, verb), before: before.Value.Tasks}, wait)
}

// outcome says what a verb did.
func (a *app) outcome(o api.Ordered, verb string) string {
	lines := []string{fmt.Sprintf("%s %s: run %s is %s", verb, o.Outcome, o.Instance.ID, a.paint().state(string(o.Instance.State)))}
	for _, d := range o.Downstream {
		line := fmt.Sprintf("  and run %s of %s: %s", d.ID, placeOf(d.Project, d.Workflow), d.Outcome)
		if d.Reason != nil {
			line += ", " + *d.Reason
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// member takes one part of an answer as it was.
func member(raw json.RawMessage, name string) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return object[name], nil
}
