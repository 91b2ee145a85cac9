// Completion of names: what a shell asks while a command is being typed. Commands say by the words
// of their Use line what they take, so a new command is completed without a line here. Whoever
// presses tab wants no message and no wait: what cannot be asked quickly is left out.

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/window"
)

const (
	// completeWithin is what a person who pressed tab may wait for the server.
	completeWithin = time.Second
	// completeRuns is how many of the latest runs are offered.
	completeRuns = "25"
)

// completer answers what may stand where the cursor is.
type completer func(ctx context.Context, a *app, at typed) []cobra.Completion

// typed is the command line so far.
type typed struct {
	command string // "pause", "task kill"
	args    []string
	prefix  string
}

// argumentCompleters are by the words of Use lines.
var argumentCompleters = map[string]completer{
	"INSTANCE": completeRun, "ID": completeRun, "TASK": completeTask, "NAME": completeWorkflow, "PROJECT": completeProject, "NODE": completeNode, "SETTING": completeSetting, "POOL": completePool,
	"BACKFILL": completeBackfill(),
	"CYCLE":    words(window.Cycles()...), "VALUE": completeValue,
}

// flagCompleters are by the names of flags, the same in every command.
var flagCompleters = map[string]completer{
	"project": completeProject, "workflow": completeWorkflow, "instance": completeRun, "tasks": completeTaskList,
	"state": func(_ context.Context, _ *app, at typed) []cobra.Completion {
		return oneMore(at.prefix, instanceStates())
	},
	"output": words(formats...), "log-level": words("debug", "info", "warn", "error"), "log-format": words("auto", "text", "json"),
	"mode": words("after", "before", "only"), "failure": words("continue", "end"), "priority": words("highest", "high", "medium", "low", "lowest"),
	"order": words("asc", "desc"), "on-failure": words(flow.OnFailureContinue, flow.OnFailureStop),
	"pause":        completeBackfill(flow.BackfillRunning),
	"resume":       completeBackfill(flow.BackfillPaused, flow.BackfillFailed),
	"stop":         completeBackfill(flow.BackfillRunning, flow.BackfillPaused),
	"worker-group": completeGroup, "environment": completeEnvironment,
	"trigger": words("manual", "schedule", "backfill", "sub_workflow", "trigger"),
}

// addCompletion gives every command below c its completion.
func (a *app) addCompletion(c *cobra.Command) {
	for _, child := range c.Commands() {
		a.addCompletion(child)
	}
	names := argumentNames(c.Use)
	if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 && !c.Hidden {
		c.ValidArgsFunction = a.completion(func(ctx context.Context, a *app, at typed) []cobra.Completion {
			if len(at.args) >= len(names) || argumentCompleters[names[len(at.args)]] == nil {
				return nil
			}
			return argumentCompleters[names[len(at.args)]](ctx, a, at)
		})
	}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		// The errors of these are about flags that do not exist, or that have a completion already.
		switch complete := flagCompleters[f.Name]; {
		case complete != nil:
			_ = c.RegisterFlagCompletionFunc(f.Name, a.completion(complete))
		case f.Name == "file":
			_ = c.MarkFlagFilename(f.Name, "yaml", "yml")
		case f.Name == "data":
			_ = c.MarkFlagDirname(f.Name)
		case f.Name != "config" && f.Value.Type() != "bool":
			_ = c.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
		}
	})
}

// argumentNames are the words of a Use line in capitals: "get tasks INSTANCE [TASK]".
func argumentNames(use string) []string {
	var names []string
	for word := range strings.FieldsSeq(use) {
		if word = strings.Trim(word, "[]"); argumentCompleters[word] != nil {
			names = append(names, word)
		}
	}
	return names
}

// completion reads the settings, which no command has done yet, and asks.
func (a *app) completion(complete completer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		config, err := a.load(cmd.Flags(), a.Environ)
		if err != nil {
			return nil, directive
		}
		a.config = config
		ctx, cancel := context.WithTimeout(cmd.Context(), cmp.Or(a.CompleteWithin, completeWithin))
		defer cancel()
		offered := complete(ctx, a, typed{called(cmd), args, prefix})
		return slices.DeleteFunc(offered, func(o cobra.Completion) bool { return !strings.HasPrefix(o, prefix) }), directive
	}
}

func words(list ...string) completer {
	return func(context.Context, *app, typed) []cobra.Completion { return slices.Clone(list) }
}

// instanceStates lists the states of a run.
func instanceStates() []string {
	var names []string
	for n := flow.InstanceSubmitted; n <= flow.InstanceSucceeded; n++ {
		names = append(names, n.String())
	}
	return names
}

// oneMore completes the last part of a list with commas.
func oneMore(prefix string, names []string) []cobra.Completion {
	before := prefix[:strings.LastIndexByte(prefix, ',')+1]
	var out []cobra.Completion
	for _, name := range names {
		if !slices.Contains(strings.Split(before, ","), name) {
			out = append(out, before+name)
		}
	}
	return out
}

// completeProject offers projects.
func completeProject(ctx context.Context, a *app, _ typed) []cobra.Completion {
	return offer(ctx, a, read("/projects", nil), func(p api.Project) (string, string) { return p.Name, firstOf(p.Description) })
}

// completeWorkflow offers the names in --project, and those of other projects as P/NAME.
func completeWorkflow(ctx context.Context, a *app, at typed) []cobra.Completion {
	q := url.Values{"limit": {"500"}}
	said, _, qualified := strings.Cut(at.prefix, "/")
	if qualified {
		q.Set("project", said)
	} else {
		a.inProject(q)
	}
	return offer(ctx, a, read("/workflows", q), func(w api.Workflow) (string, string) {
		name := w.Name
		if qualified || w.Project != a.config.Project {
			name = w.Project + "/" + w.Name
		}
		about := firstOf(w.Description)
		if about == "" {
			about = fmt.Sprintf("v%d, %d tasks", w.Version, w.Tasks)
		}
		return name, about
	})
}

// verbStates are the states in which a verb on a run has something to do.
var verbStates = map[string][]flow.InstanceState{
	"pause":   {flow.InstanceSubmitted, flow.InstanceQueued, flow.InstanceRunning},
	"resume":  {flow.InstancePausing, flow.InstancePaused},
	"stop":    {flow.InstanceSubmitted, flow.InstanceQueued, flow.InstanceRunning, flow.InstancePausing, flow.InstancePaused, flow.InstanceCompensating, flow.InstanceQuarantined},
	"recover": {flow.InstanceFailed, flow.InstanceStopped},
	"rerun":   {flow.InstanceSucceeded, flow.InstanceFailed, flow.InstanceStopped},
	"release": {flow.InstanceQuarantined},
}

// completeRun offers the latest runs, for a verb those it can do something to.
func completeRun(ctx context.Context, a *app, at typed) []cobra.Completion {
	q := a.inProject(url.Values{"limit": {completeRuns}})
	var states []string
	for _, s := range verbStates[at.command] {
		states = append(states, s.String())
	}
	set(q, "state", strings.Join(states, ","))
	return offer(ctx, a, read("/instances", q), func(i api.Summary) (string, string) {
		return i.ID, fmt.Sprintf("%s %s, %s ago", placeOf(i.Project, i.Workflow), i.State, age(i.SubmittedAt))
	})
}

// completeTask offers the tasks of the run that stands before; of a superseded row once.
func completeTask(ctx context.Context, a *app, at typed) []cobra.Completion {
	if len(at.args) == 0 {
		return nil
	}
	return offer(ctx, a, read(path("instances", at.args[0], "tasks"), nil), func(t api.Task) (string, string) {
		if !t.Valid {
			return "", ""
		}
		return t.Name, string(t.State)
	})
}

// completeTaskList offers the tasks of the workflow that is to be run.
func completeTaskList(ctx context.Context, a *app, at typed) []cobra.Completion {
	if len(at.args) == 0 {
		return nil
	}
	project, name := a.place(at.args[0])
	got, err := ask[api.Workflow](ctx, a.client(), read(path("projects", project, "workflows", name), nil))
	var def flow.Workflow
	if err != nil || json.Unmarshal(got.Value.Definition, &def) != nil {
		return nil
	}
	names := make([]string, len(def.Tasks))
	for i, t := range def.Tasks {
		names[i] = t.Name
	}
	return oneMore(at.prefix, names)
}

// completeNode offers nodes of the kind that the command lists.
func completeNode(ctx context.Context, a *app, at typed) []cobra.Completion {
	q := url.Values{}
	if kind, listed := strings.CutPrefix(at.command, "get "); listed {
		q.Set("role", strings.TrimSuffix(kind, "s"))
	}
	return offer(ctx, a, read("/nodes", q), func(n api.Node) (string, string) { return n.Name, n.State })
}

func completeSetting(ctx context.Context, a *app, _ typed) []cobra.Completion {
	return offer(ctx, a, read("/settings", nil), func(s api.Setting) (string, string) { return s.Key, s.Text })
}

// completeValue offers the values of the cycle that stands before; those of settings are not known here.
func completeValue(_ context.Context, _ *app, at typed) []cobra.Completion {
	if len(at.args) == 0 {
		return nil
	}
	return window.Values(at.args[len(at.args)-1])
}

// offer asks for a list and makes completions of it; one without a name is left out.
func offer[T any](ctx context.Context, a *app, r request, item func(T) (name, about string)) []cobra.Completion {
	page, err := ask[api.List[T]](ctx, a.client(), r)
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, i := range page.Value.Items {
		if name, about := item(i); name != "" {
			out = append(out, cobra.CompletionWithDesc(name, about))
		}
	}
	return out
}
