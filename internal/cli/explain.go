// baton explain: why a run, and each of its tasks, stands where it stands.

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain INSTANCE [TASK]",
		Short: "Tell why a run and its tasks stand where they stand, and where each value comes from",
		Example: `  baton explain 7301444403200000
  baton explain 7301444403200000 load`,
		Args: between(1, "INSTANCE", "TASK"),
		RunE: action(func(ctx context.Context, args []string) error {
			got, err := ask[api.Explanation](ctx, a.client(), read(path("instances", args[0], "explain"), optional("task", args)))
			if err != nil {
				return err
			}
			names := make([]string, len(got.Value.Tasks))
			for i, t := range got.Value.Tasks {
				names[i] = t.Name
			}
			return a.print(got.Raw, names, func(w io.Writer) error {
				return a.writeExplanation(w, got.Value, len(args) > 1 || a.config.Output == formatWide)
			})
		}),
	}
}

func (a *app) writeExplanation(w io.Writer, e api.Explanation, values bool) error {
	p := a.paint()
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s%s\n", p.bold(e.Instance), p.state(string(e.State)), because(string(e.State), ownReason(e), e.NextCheckAt.Std()))
	if e.EndedBy != nil {
		fmt.Fprintf(&b, "  %s\n", *e.EndedBy)
	}
	writeGiven(&b, p, e.Given)
	names := 0
	for _, t := range e.Tasks {
		names = max(names, min(displayWidth(t.Name), 32))
	}
	for _, t := range e.Tasks {
		name := shorten(t.Name, 32)
		fmt.Fprintf(&b, "  %s%s  %s%s\n", name, strings.Repeat(" ", max(names-displayWidth(name), 0)), p.state(or(t.State, "not yet")), because(or(t.State, ""), t.Reason, t.NextCheckAt.Std()))
		for _, lost := range t.Lost {
			fmt.Fprintf(&b, "      %s\n", lost)
		}
		writeAsked(&b, t.Asks)
		if !values {
			continue
		}
		if t.Environment != nil {
			fmt.Fprintf(&b, "      %s\n", environmentUsed(*t.Environment))
		}
		for _, v := range t.Params {
			if strings.HasPrefix(v.Name, "system.") && a.config.Output != formatWide {
				continue
			}
			fmt.Fprintf(&b, "      %s = %s  %s\n", v.Name, shorten(v.Value, 60), p.dim("from "+v.From))
		}
		if t.Script != nil {
			fmt.Fprintf(&b, "      %s\n", p.dim("script"))
			for line := range strings.Lines(*t.Script) {
				fmt.Fprintf(&b, "      | %s\n", strings.TrimSuffix(line, "\n"))
			}
		}
	}
	if !values && len(e.Tasks) > 0 {
		b.WriteString(p.dim("values: baton explain "+e.Instance+" TASK, or -o wide") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeAsked shows what an approval asks: what may be chosen, and its form, a line for each field.
func writeAsked(b *strings.Builder, asked *api.Asked) {
	if asked == nil {
		return
	}
	if len(asked.Options) > 0 {
		fmt.Fprintf(b, "      --choose %s%s\n", strings.Join(asked.Options, "|"), defaultText(asked.Default))
	}
	for _, f := range asked.Form {
		line := fmt.Sprintf("-p %s=<%s>", f.Name, f.Type)
		if len(f.Enum) > 0 {
			line = fmt.Sprintf("-p %s=%s", f.Name, strings.Join(f.Enum, "|"))
		}
		if f.Required && f.Default == nil {
			line += "  required"
		}
		line += defaultText(f.Default)
		if f.Description != "" {
			line += "  " + firstOf(f.Description)
		}
		fmt.Fprintf(b, "      %s\n", line)
	}
}

func defaultText(value *string) string {
	if value == nil {
		return ""
	}
	return "  (default " + *value + ")"
}

// writeGiven tells of verbs that were accepted and wait.
func writeGiven(b *strings.Builder, p paint, given []api.Given) {
	for _, g := range given {
		what := g.Verb
		if g.Task != nil {
			what += " " + *g.Task
		}
		if g.By != nil {
			what += " by " + *g.By
		}
		fmt.Fprintf(b, "  %s\n", p.bold(fmt.Sprintf("%s, given %s ago, is not carried out yet: the master that drives the run does it", what, age(g.At))))
	}
}

// ownReason is the reason of a run, null where it is that of one of its tasks, which is told there.
func ownReason(e api.Explanation) *string {
	if e.Reason == nil {
		return nil
	}
	for _, t := range e.Tasks {
		said := strings.TrimPrefix(strings.TrimPrefix(*e.Reason, "waiting: "), "task "+t.Name+": ")
		if t.Reason != nil && strings.HasPrefix(*t.Reason, said) { // the task says also since when
			return nil
		}
	}
	return e.Reason
}

// because is the reason behind a state, whose code is left out where it is the state's name.
func because(state string, reason *string, next time.Time) string {
	out := ""
	if reason != nil && *reason != state {
		out = ": " + strings.TrimPrefix(*reason, state+": ")
	}
	if !next.IsZero() {
		out += ", looked at again in " + span(time.Until(next))
	}
	return out
}
