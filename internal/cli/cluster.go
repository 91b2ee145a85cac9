// baton cluster: the settings of a cluster.

package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

func (a *app) clusterCommand() *cobra.Command {
	get := &cobra.Command{
		Use: "get [SETTING]", Short: "List the settings of the cluster, or read one", Args: atMost("SETTING"),
		RunE: action(func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return reader[api.Setting]{ask: func() request { return read("/settings", nil) }, view: settingView()}.run(ctx, a)
			}
			got, err := ask[api.Setting](ctx, a.client(), read(path("settings", args[0]), nil))
			if err != nil {
				return err
			}
			return one(a, got, settingView())
		}),
	}
	change := &cobra.Command{
		Use: "set SETTING VALUE", Short: "Change a setting of the cluster", Args: arguments("SETTING", "VALUE"),
		Long: "It holds for all nodes without a restart: `lease` from the next heartbeat of each, `retention` within a minute.",
		Example: `  baton cluster set lease 5s
  baton cluster set retention 90d`,
		RunE: action(func(ctx context.Context, args []string) error {
			body := map[string]string{"value": args[1]}
			got, err := ask[api.Setting](ctx, a.client(), request{method: http.MethodPut, path: path("settings", args[0]), body: body})
			if err != nil {
				return err
			}
			if got.Value.Warning != nil {
				say(a.Stderr, "Warning: %s\n", *got.Value.Warning)
			}
			return a.print(got.Raw, []string{got.Value.Key}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is %s\n", got.Value.Key, got.Value.Value)
				return err
			})
		}),
	}
	change.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return negative(a.Args, err) })
	return group("cluster", "Settings of the cluster", get, change)
}

// negative is what is wrong with a value that was taken for a flag because it begins with a minus and a digit;
// other errors of flags stay what they are.
func negative(args []string, err error) error {
	i := slices.IndexFunc(args, func(arg string) bool { return len(arg) > 1 && arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9' })
	if i < 1 || args[i-1] == "set" {
		return usageError{err}
	}
	return cmp.Or(api.CheckSetting(args[i-1], args[i]), error(usageError{err}))
}

func settingView() view[api.Setting] {
	return view[api.Setting]{
		name: func(s api.Setting) string { return s.Key },
		columns: []column[api.Setting]{
			{head: "SETTING", cell: func(s api.Setting) string { return s.Key }},
			{head: "VALUE", cell: func(s api.Setting) string { return s.Value }},
			{head: "DEFAULT", cell: func(s api.Setting) string { return s.Default }},
			{head: "FOR", free: true, cell: func(s api.Setting) string { return s.Text }},
		},
	}
}
