// baton validate, apply, diff, export: files to definitions and back.

package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
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

// readFiles reads the named files. Of a folder it takes *.yaml and *.yml, in order, without
// folders below.
func (a *app) readFiles(names []string) ([]api.SourceFile, error) {
	if len(names) == 0 {
		return nil, usagef("say which file: -f FILE")
	}
	var out []api.SourceFile
	for _, name := range names {
		found, err := a.readFile(name)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

func (a *app) readFile(name string) ([]api.SourceFile, error) {
	if name == stdinName {
		raw, err := io.ReadAll(io.LimitReader(a.Stdin, flow.MaxFile+1))
		if err != nil {
			return nil, usagef("read standard input: %w", err)
		}
		return []api.SourceFile{{Name: "stdin", Content: string(raw)}}, tooLarge("stdin", len(raw))
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	if info.IsDir() {
		return a.readFolder(name)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	return []api.SourceFile{{Name: name, Content: string(raw)}}, tooLarge(name, len(raw))
}

func (a *app) readFolder(dir string) ([]api.SourceFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, unreadable(dir, err)
	}
	var out []api.SourceFile
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); e.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		found, err := a.readFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	if len(out) == 0 {
		return nil, usagef("folder %s has no *.yaml", dir)
	}
	return out, nil
}

func unreadable(name string, err error) error {
	var cause *fs.PathError
	if asPath(err, &cause) {
		err = cause.Err
	}
	return &flow.Error{Code: flow.CodeBadRequest, Field: "file", File: name, Message: err.Error()}
}

func tooLarge(name string, n int) error {
	if n <= flow.MaxFile {
		return nil
	}
	return &flow.Error{Code: flow.CodeTooLarge, Field: "file", File: name, Message: fmt.Sprintf("the file is larger than %d MiB", flow.MaxFile>>20)}
}

func (a *app) validateCommand() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use: "validate -f FILE…", Short: "Check workflow files; needs no server", Args: noArguments,
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
		out := api.Describe(newFiles(), docs)
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
		names[i] = d.Kind + "/" + d.Project + "/" + d.Name
	}
	return names
}

func (a *app) applyCommand() *cobra.Command {
	var files []string
	var reset bool
	c := &cobra.Command{
		Use: "apply -f FILE…", Short: "Make or change what the files describe: all of it or nothing", Args: noArguments,
		Long:    "An unchanged document makes no new version. Files that the YAML names (files:) are read beside it and uploaded when the server does not have them.",
		Example: "  baton apply -f orders.yaml\n  generate | baton apply -f -",
	}
	fileFlag(c, &files)
	c.Flags().BoolVar(&reset, "reset-overrides", false, "undo what verbs changed (there is nothing yet that they could)")
	c.RunE = action(func(ctx context.Context, _ []string) error {
		sources, err := a.readFiles(files)
		if err != nil {
			return err
		}
		c := a.client()
		if err := a.upload(ctx, c, sources); err != nil {
			return err
		}
		got, err := ask[api.ApplyResult](ctx, c, request{method: http.MethodPost, path: "/apply", body: a.body(sources)})
		if err != nil {
			return err
		}
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
		names[i] = d.Kind + "/" + d.Project + "/" + d.Name
	}
	return names
}

func (a *app) body(sources []api.SourceFile) api.Files {
	return api.Files{Files: sources, Project: a.config.Project}
}

// upload sends the resources that the server does not have and notes their sums in the sources.
func (a *app) upload(ctx context.Context, c *client, sources []api.SourceFile) error {
	content, err := a.resources(ctx, c, sources)
	if err != nil || len(content) == 0 {
		return err
	}
	sums := api.Sums{}
	for sum := range content {
		sums.Sums = append(sums.Sums, sum)
	}
	missing, err := ask[api.Missing](ctx, c, request{method: http.MethodPost, path: "/blobs/missing", body: sums})
	if err != nil {
		return err
	}
	for _, sum := range missing.Value.Missing {
		if _, err := ask[struct{}](ctx, c, request{method: http.MethodPut, path: path("blobs", sum), body: content[sum]}); err != nil {
			return err
		}
	}
	return nil
}

// resources reads the files that the documents name, notes their sums in the sources and returns
// their content by sum. The server says which they are: it may know keys that this program does
// not.
func (a *app) resources(ctx context.Context, c *client, sources []api.SourceFile) (map[string][]byte, error) {
	valid, err := ask[api.ValidateResult](ctx, c, request{method: http.MethodPost, path: "/validate", body: a.body(sources)})
	if err != nil {
		return nil, err
	}
	content := map[string][]byte{}
	for i := range sources {
		for _, path := range resourcesOf(valid.Value.Items, sources[i].Name) {
			resource, raw, err := readResource(sources[i].Name, path)
			if err != nil {
				return nil, err
			}
			sources[i].Resources = append(sources[i].Resources, resource)
			content[resource.SHA256] = raw
		}
	}
	return content, nil
}

// resourcesOf lists what the documents of one file name, each once.
func resourcesOf(items []api.Described, file string) []string {
	var out []string
	for _, d := range items {
		if d.File == file {
			out = append(out, d.Resources...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// readResource reads a file beside the YAML. Standard input lies in the current folder.
func readResource(yaml, path string) (api.Resource, []byte, error) {
	fail := func(format string, args ...any) (api.Resource, []byte, error) {
		return api.Resource{}, nil, &flow.Error{Code: flow.CodeInvalidFile, Field: "files", File: yaml, Message: fmt.Sprintf(format, args...)}
	}
	full := path
	if !filepath.IsAbs(path) {
		full = filepath.Join(filepath.Dir(yaml), path)
	}
	info, err := os.Stat(full)
	if err != nil {
		return fail("resource %q: there is no file %s", path, full)
	}
	if !info.Mode().IsRegular() {
		return fail("resource %q: %s is not a file", path, full)
	}
	if info.Size() > flow.MaxResource {
		return fail("resource %q is larger than %d MiB", path, flow.MaxResource>>20)
	}
	raw, err := os.ReadFile(full)
	if err != nil {
		return fail("resource %q: %v", path, err)
	}
	sum := sha256.Sum256(raw)
	return api.Resource{Path: path, SHA256: hex.EncodeToString(sum[:]), Executable: info.Mode()&0o111 != 0}, raw, nil
}

func (a *app) diffCommand() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use: "diff -f FILE…", Short: "Tell what apply would change", Args: noArguments,
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
				names = append(names, d.Kind+"/"+d.Project+"/"+d.Name)
			}
		}
		return a.print(got.Raw, names, func(w io.Writer) error { return a.writeDiff(w, got.Value.Items) })
	})
	return c
}

func (a *app) writeDiff(w io.Writer, items []api.Difference) error {
	p := a.paint()
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
	}
	return nil
}

func (a *app) exportCommand() *cobra.Command {
	var version int
	c := &cobra.Command{
		Use: "export [NAME]", Short: "Write workflows as one file", Args: atMost("NAME"),
		Long:    "With a NAME that workflow; otherwise everything of --project when it was said, else of all projects. What it writes, apply takes.",
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
