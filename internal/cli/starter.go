// baton schedule and baton trigger, enable and disable: what starts workflows by itself is turned on and off.

package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

// starter is what starts a workflow by itself, as the commands speak of it that turn it on and off.
type starter[T any] struct {
	word     string         // schedule or trigger
	more     string         // for the help
	examples []string       // what stands behind the command
	name     func(T) string // of one
	of       func(T) string // its workflow
	next     func(T) string // ends its line
}

// turn is the command that turns them on or off.
func (s starter[T]) turn(a *app, verb, short string) *cobra.Command {
	examples := make([]string, len(s.examples))
	for i, e := range s.examples {
		examples[i] = "  baton " + s.word + " " + verb + " " + e
	}
	return &cobra.Command{
		Use: verb + " NAME [" + strings.ToUpper(s.word) + "]", Short: short, Args: between(1, "NAME", strings.ToUpper(s.word)),
		Long: short + ": one of them, or all of the workflow. It stays so when the file is applied again; `enabled` in a file is how a\n" +
			s.word + " begins." + s.more,
		Example: strings.Join(examples, "\n"),
		RunE: action(func(ctx context.Context, args []string) error {
			project, name := a.place(args[0])
			way := []string{"projects", project, "workflows", name, s.word + "s"}
			if len(args) > 1 {
				way = append(way, args[1])
			}
			got, err := ask[api.List[T]](ctx, a.client(), request{method: http.MethodPost, path: path(append(way, verb)...)})
			if err != nil {
				return err
			}
			names := make([]string, len(got.Value.Items))
			for i, t := range got.Value.Items {
				names[i] = s.name(t)
			}
			return a.print(got.Raw, names, func(w io.Writer) error {
				for i, t := range got.Value.Items {
					if _, err := fmt.Fprintf(w, "%s %s of %s is %sd%s\n", s.word, names[i], s.of(t), verb, s.next(t)); err != nil {
						return err
					}
				}
				return nil
			})
		}),
	}
}
