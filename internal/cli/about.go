// Commands about the program itself: version, schema, openapi.

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

// version is set by the linker for a release.
var version = ""

// programVersion is the release, or the commit it was built from.
func programVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = "-" + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return "dev" + revision + dirty
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: noArguments,
		RunE: action(func(context.Context, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
			}{programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
			raw, err := json.Marshal(v)
			if err != nil {
				return err
			}
			return a.print(raw, []string{v.Version}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "baton %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
				return err
			})
		}),
	}
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of workflow files, for editors", Args: noArguments,
		Example: "  baton schema > .vscode/baton.schema.json",
		RunE: action(func(context.Context, []string) error {
			return a.printDocument(newFiles().Schema())
		}),
	}
}

func (a *app) openapiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI document of the HTTP interface", Args: noArguments,
		RunE: action(func(context.Context, []string) error {
			raw, err := api.OpenAPI() //nolint:contextcheck // it serves nothing
			if err != nil {
				return err
			}
			return a.printDocument(raw)
		}),
	}
}

// printDocument prints what is JSON in any case.
func (a *app) printDocument(raw json.RawMessage) error {
	if a.config.Output == formatYAML {
		return printYAML(a.Stdout, raw)
	}
	return printJSON(a.Stdout, raw)
}
