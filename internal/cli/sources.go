// The files of a command line, and the resources beside them.

package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"baton/internal/api"
	"baton/internal/flow"
)

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
		return a.source("stdin", raw)
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
	return a.source(name, raw)
}

// source refuses here what would not reach a server as it is: JSON replaces what is no UTF-8.
func (a *app) source(name string, raw []byte) ([]api.SourceFile, error) {
	out := []api.SourceFile{{Name: name, Content: string(raw)}}
	switch {
	case len(raw) > flow.MaxFile:
		return nil, tooLarge(name)
	case !utf8.Valid(raw):
		_, err := newFiles().Parse(out, a.config.Project)
		return nil, err
	}
	return out, nil
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

func tooLarge(name string) error {
	return &flow.Error{Code: flow.CodeTooLarge, Field: "file", File: name, Message: fmt.Sprintf("the file is larger than %d MiB: split it, or move data into files: of a task", flow.MaxFile>>20)}
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
	var wrong flow.Errors
	for i := range sources {
		paths, named := resourcesOf(valid.Value.Items, sources[i].Name)
		for _, path := range paths {
			resource, raw, refused := readResource(sources[i].Name, path)
			if refused != nil {
				by := named[path]
				refused.Line, refused.Column = by.Line, by.Column
				if by.Task != "" {
					refused.Message, refused.Field = fmt.Sprintf("task %s: %s", by.Task, refused.Message), "tasks."+by.Task+".files"
				}
				wrong = append(wrong, refused)
				continue
			}
			sources[i].Resources = append(sources[i].Resources, resource)
			content[resource.SHA256] = raw
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return content, nil
}

// resourcesOf lists what the documents of one file name, each once, and where it is named first.
func resourcesOf(items []api.Described, file string) ([]string, map[string]api.Named) {
	named := map[string]api.Named{}
	for _, d := range items {
		if d.File != file {
			continue
		}
		for i, path := range d.Resources {
			if _, known := named[path]; known {
				continue
			}
			named[path] = api.Named{}
			if i < len(d.NamedBy) { // a server of before does not say
				named[path] = d.NamedBy[i]
			}
		}
	}
	return slices.Sorted(maps.Keys(named)), named
}

// readResource reads a file beside the YAML. Standard input lies in the current folder.
func readResource(yaml, path string) (api.Resource, []byte, *flow.Error) {
	fail := func(format string, args ...any) (api.Resource, []byte, *flow.Error) {
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
