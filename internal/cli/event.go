// Events that tasks wait for.

package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

func (a *app) eventCommand() *cobra.Command {
	var params []string
	c := &cobra.Command{
		Use: "event NAME", Short: "Send an event to the tasks that wait for it", Args: arguments("NAME"),
		Long:    "Tasks of type wait with `event: NAME` go on; the parameters become their outputs. An event is not kept: who begins to wait later does not hear it.",
		Example: "  baton event warehouse-loaded -p day=2026-03-01",
	}
	c.Flags().StringArrayVarP(&params, "param", "p", nil, "parameter k=v, as often as needed")
	c.RunE = action(func(ctx context.Context, args []string) error {
		values, err := keyValues(params)
		if err != nil {
			return err
		}
		project, name := a.place(args[0])
		body := map[string]any{"params": values}
		got, err := ask[api.EventResult](ctx, a.client(), request{method: http.MethodPost, path: path("projects", project, "events", name), body: body})
		if err != nil {
			return err
		}
		return a.print(got.Raw, []string{got.Value.Event}, func(w io.Writer) error {
			text := "nobody waits for it"
			switch n := got.Value.Heard; {
			case n == 1:
				text = "1 task heard it"
			case n > 1:
				text = fmt.Sprintf("%d tasks heard it", n)
			}
			_, err := fmt.Fprintf(w, "event %s: %s\n", got.Value.Event, text)
			return err
		})
	})
	return c
}
