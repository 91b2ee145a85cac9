// The command tree.

package cli

import (
	"context"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"baton/internal/flow"
)

// app is one command being run: its process and its settings.
type app struct {
	Process
	config Config
	load   func(*pflag.FlagSet, []string) (Config, error)
}

const rootHelp = `Baton schedules and runs work on a fleet of machines. One program, all roles.

Start here:
  baton standalone                      a server for this machine, data in ./baton-data
  baton apply -f orders.yaml            make or change workflows
  baton run orders --wait               start one and watch it
  baton logs INSTANCE TASK -f           what a task prints
  baton explain INSTANCE                why something waits

Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 conflict, 124 timed out.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "baton",
		Short:         "Schedule and run workflows",
		Long:          rootHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			a.config, err = a.load(cmd.Flags(), a.Environ)
			return err
		},
	}
	a.settingFlags(root.PersistentFlags())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddGroup(
		&cobra.Group{ID: groupFiles, Title: "Workflows:"},
		&cobra.Group{ID: groupRuns, Title: "Runs:"},
		&cobra.Group{ID: groupServer, Title: "Servers:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
		}
		root.AddCommand(commands...)
	}
	add(groupFiles, a.scheduleCommand(), a.triggerCommand(), a.poolCommand(), a.validateCommand(), a.applyCommand(), a.diffCommand(), a.exportCommand(), a.paramCommand(), a.cronCommand(), a.dependentCommand(), a.calendarCommand(), a.schemaCommand())
	add(groupRuns, a.runCommand(), a.backfillCommand(), a.eventCommand(), a.waitCommand(), a.getCommand(), a.logsCommand(), a.explainCommand())
	add(groupRuns, a.verbCommands()...)
	add(groupRuns, a.taskCommand())
	add(groupServer, a.standaloneCommand(), a.masterCommand(), a.apiCommand(), a.workerCommand(), a.clusterCommand(), a.drainCommand(), a.undrainCommand(), a.doctorCommand(), a.migrateCommand(), a.adminCommand())
	root.AddCommand(a.versionCommand(), a.openapiCommand())
	root.AddCommand(laterCommands()...)
	root.InitDefaultCompletionCmd()
	a.addCompletion(root)
	return root
}

const (
	groupFiles  = "files"
	groupRuns   = "runs"
	groupServer = "server"
)

// settingFlags are the flags of every command.
func (a *app) settingFlags(f *pflag.FlagSet) {
	d := defaults()
	f.String("server", "", "server to ask, a URL or host:port (default: the one whose data folder is --data)")
	f.String("token", "", "token to ask with (default: from the file token in --data)")
	f.String("project", d["project"].(string), "project of names that are not written P/NAME")
	f.String("data", d["data"].(string), "data folder of a server on this machine")
	f.StringP("output", "o", d["output"].(string), "how to print: "+strings.Join(formats, ", "))
	f.String("config", "", "file with settings (default ~/.config/baton/config.yaml)")
	f.String("log-level", d["log-level"].(string), "debug, info, warn or error")
	f.String("log-format", d["log-format"].(string), "auto (text on a terminal), text or json")
}

// place reads P/NAME; a bare name is in --project.
func (a *app) place(arg string) (project, name string) {
	if project, name, found := strings.Cut(arg, "/"); found {
		return project, name
	}
	return a.config.Project, arg
}

func (a *app) client() *client {
	c := newClient(a.config)
	c.patience = a.patience()
	return c
}

// logger writes to standard error: standard output belongs to answers.
func (a *app) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(a.config.LogLevel)) // checked with the settings
	options := &slog.HandlerOptions{Level: level}
	if a.config.LogFormat == "json" || a.config.LogFormat == "auto" && !isTerminal(a.Stderr) {
		options.ReplaceAttr = readableDuration
		return slog.New(slog.NewJSONHandler(a.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(a.Stderr, options))
}

// readableDuration writes a duration as text does: as JSON it would be a number of nanoseconds.
func readableDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// called is a command's name without the program's: messages begin with that.
func called(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// Arguments: cobra's own checks, as usage errors that say what is missing.

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasAvailableSubCommands() {
		e := flow.Errorf(flow.CodeBadRequest, "", "unknown command %q for %q", args[0], cmd.CommandPath())
		cmd.SuggestionsMinimumDistance = 2 // letters; cobra sets it in its own check only
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			e.Suggestion = near[0]
		}
		return usageError{e}
	}
	return usagef("%s takes no arguments, not %q", called(cmd), args[0])
}

// arguments asks for exactly these, by name.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usagef("%s needs %s", called(cmd), strings.Join(names[len(args):], " and "))
		}
		if len(args) > len(names) {
			return usagef("%s: what is %q for?", called(cmd), args[len(names)])
		}
		return nil
	}
}

// atMost asks for up to these, by name.
func atMost(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return usagef("%s: what is %q for?", called(cmd), args[len(names)])
		}
		return nil
	}
}

// between asks for the first least of these, and takes the others.
func between(least int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least {
			return arguments(names[:least]...)(cmd, args)
		}
		return atMost(names...)(cmd, args)
	}
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: noArguments, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(commands...)
	return c
}

// action is the form of most commands: it needs the context, its arguments and nothing else.
func action(run func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args) }
}
