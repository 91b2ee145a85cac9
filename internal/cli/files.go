// baton validate, apply, diff, export: files to definitions and back.

package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"baton/internal/api"
	"baton/internal/flow"
)

const stdinName = "-"

func fileFlag(c *cobra.Command, files *[]string) {
	c.Flags().StringArrayVarP(files, "file", "f", nil, "YAML file or folder, - for standard input; as often as needed")
}

// filesByFlag says how a file is named to who named it as an argument.
func filesByFlag(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usagef("%s takes files with -f: baton %[1]s -f %s", called(cmd), quote(args[0]))
}

func (a *app) validateCommand() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use: "validate -f FILE…", Short: "Check workflow files; needs no server", Args: filesByFlag,
		Example: "  baton validate -f orders.yaml\n  baton validate -f workflows/",
	}
	fileFlag(c, &files)
	c.RunE = action(func(context.Context, []string) error {
		sources, err := a.readFiles(files)
		if err != nil {
			return err
		}
		docs, err := newFiles().Parse(sources, a.config.Project)
		if err != nil {
			return err
		}
		out := api.Describe(newFiles(), docs, sources)
		raw, err := marshal(out)
		if err != nil {
			return err
		}
		return a.print(raw, describedNames(out.Items), func(w io.Writer) error {
			for _, d := range out.Items {
				if _, err := fmt.Fprintf(w, "%s %s is valid\n", d.Kind, placeOf(d.Project, d.Name)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return c
}

func describedNames(items []api.Described) []string {
	names := make([]string, len(items))
	for i, d := range items {
		names[i] = objectName(d.Kind, d.Project, d.Name)
	}
	return names
}

func (a *app) applyCommand() *cobra.Command {
	var files []string
	var reset bool
	c := &cobra.Command{
		Use: "apply -f FILE…", Short: "Make or change what the files describe: all of it or nothing", Args: filesByFlag,
		Long:    "An unchanged document makes no new version. Files that the YAML names (files:) are read beside it and uploaded when the server does not have them.",
		Example: "  baton apply -f orders.yaml\n  generate | baton apply -f -",
	}
	fileFlag(c, &files)
	c.Flags().BoolVar(&reset, "reset-overrides", false, "have schedules, triggers and pools be as the files say, whatever the commands baton schedule, baton trigger and baton pool said of them")
	c.RunE = action(func(ctx context.Context, _ []string) error {
		sources, err := a.readFiles(files)
		if err != nil {
			return err
		}
		c := a.client()
		if err := a.upload(ctx, c, sources); err != nil {
			return err
		}
		body := a.body(sources)
		body.ResetOverrides = reset
		got, err := ask[api.ApplyResult](ctx, c, request{method: http.MethodPost, path: "/apply", body: body})
		if err != nil {
			return err
		}
		a.warn(got.Value.Warnings)
		return a.print(got.Raw, appliedNames(got.Value.Items), func(w io.Writer) error {
			p := a.paint()
			for _, i := range got.Value.Items {
				version := ""
				if i.Version > 0 {
					version = " v" + strconv.Itoa(int(i.Version))
				}
				if _, err := fmt.Fprintf(w, "%s %s%s %s\n", i.Kind, placeOf(i.Project, i.Name), version, p.state(i.Change)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return c
}

func appliedNames(items []flow.Applied) []string {
	names := make([]string, len(items))
	for i, d := range items {
		names[i] = objectName(d.Kind, d.Project, d.Name)
	}
	return names
}

func (a *app) body(sources []api.SourceFile) api.Files {
	return api.Files{Files: sources, Project: a.config.Project}
}

func (a *app) diffCommand() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use: "diff -f FILE…", Short: "Tell what apply would change", Args: filesByFlag,
		Long:    "Also what verbs said of schedules, triggers and pools, which apply leaves as it is: that is no change by itself.",
		Example: "  baton diff -f orders.yaml",
	}
	fileFlag(c, &files)
	c.RunE = action(func(ctx context.Context, _ []string) error {
		sources, err := a.readFiles(files)
		if err != nil {
			return err
		}
		c := a.client()
		if _, err := a.resources(ctx, c, sources); err != nil { // a changed script is a difference too
			return err
		}
		got, err := ask[api.DiffResult](ctx, c, request{method: http.MethodPost, path: "/diff", body: a.body(sources)})
		if err != nil {
			return err
		}
		names := make([]string, 0, len(got.Value.Items))
		for _, d := range got.Value.Items {
			if d.Change != "unchanged" {
				names = append(names, objectName(d.Kind, d.Project, d.Name))
			}
		}
		return a.print(got.Raw, names, func(w io.Writer) error { return a.writeDiff(w, got.Value.Items) })
	})
	return c
}

func (a *app) writeDiff(w io.Writer, items []api.Difference) error {
	p := a.paint()
	overridden := false
	for _, d := range items {
		if _, err := fmt.Fprintf(w, "%s %s %s\n", d.Kind, placeOf(d.Project, d.Name), p.state(d.Change)); err != nil {
			return err
		}
		for line := range strings.Lines(d.Diff) {
			line = strings.TrimSuffix(line, "\n")
			sgr := ""
			switch {
			case strings.HasPrefix(line, "+"):
				sgr = sgrGreen
			case strings.HasPrefix(line, "-"):
				sgr = sgrRed
			case strings.HasPrefix(line, "~"):
				sgr = sgrYellow
			}
			if _, err := fmt.Fprintln(w, p.wrap(sgr, line)); err != nil {
				return err
			}
		}
		for _, o := range d.Overrides {
			overridden = true
			if _, err := fmt.Fprintf(w, "= %s: %s, as a verb said; the file says %s\n", o.Path, o.Now, fileSays(o)); err != nil {
				return err
			}
		}
	}
	if !overridden {
		return nil
	}
	_, err := fmt.Fprintln(w, p.dim("what a verb said stays, until `baton apply --reset-overrides`"))
	return err
}

// fileSays is what the file has for what a verb said, which stands beside it.
func fileSays(o api.Override) string {
	if o.File == o.Now {
		return "the same"
	}
	return o.File
}

func (a *app) exportCommand() *cobra.Command {
	var version int
	c := &cobra.Command{
		Use: "export [NAME]", Short: "Write workflows as one file", Args: atMost("NAME"),
		Long:    "With a NAME that workflow; otherwise everything of --project when it was said, else of all projects, with the worker groups and environments, which belong to none. What it writes, apply takes.",
		Example: "  baton export daily-orders > orders.yaml\n  baton export --project sales > sales.yaml",
	}
	c.Flags().IntVar(&version, "version", 0, "version of the workflow (default: the newest)")
	c.RunE = action(func(ctx context.Context, args []string) error {
		q := a.inProject(url.Values{})
		if len(args) == 1 {
			project, name := a.place(args[0])
			q.Set("project", project)
			q.Set("workflow", name)
			if version > 0 {
				q.Set("version", strconv.Itoa(version))
			}
		}
		res, err := a.client().send(ctx, read("/export", q))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.Copy(a.Stdout, res.Body)
		return err
	})
	return c
}

// warn says on standard error what a server found doubtful and did all the same.
func (a *app) warn(warnings []string) {
	for _, w := range warnings {
		say(a.Stderr, "Warning: %s\n", w)
	}
}
