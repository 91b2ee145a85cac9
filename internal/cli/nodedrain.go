// baton drain, baton undrain: a node that is to take nothing new.

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/api"
	"baton/internal/flow"
)

func (a *app) drainCommand() *cobra.Command {
	var wait waitFlags
	c := &cobra.Command{
		Use:   "drain NODE",
		Short: "Have a worker or master take nothing new, until undrain",
		Long: `A drained worker finishes what it runs and is given nothing more. A drained master hands what it drives to
the others within a second, and takes no new runs; workers stay connected to it, so their logs can be read.

It is kept in the store by the node's data folder (by its name, if it has none): a restarted node is still
drained. Of several that have one name and live, the one is drained whose id is given, until it is restarted. Stop the node when nothing is left: --wait waits for that.`,
		Example: `  baton drain w7 --wait
  baton drain 1099511627790`,
		Args: arguments("NODE"),
	}
	wait.add(c, "then wait until nothing runs there")
	c.RunE = action(func(ctx context.Context, args []string) error {
		return a.drainNode(ctx, args[0], wait)
	})
	return c
}

func (a *app) undrainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "undrain NODE", Short: "Have a drained node take work again", Args: arguments("NODE"),
		RunE: action(func(ctx context.Context, args []string) error {
			got, err := ask[api.Drained](ctx, a.client(), request{method: http.MethodPost, path: path("nodes", args[0], "undrain")})
			if err != nil {
				return err
			}
			if got.Value.Warning != nil {
				say(a.Stderr, "Warning: %s\n", *got.Value.Warning)
			}
			return a.print(got.Raw, []string{got.Value.Node.Name}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s %s takes work again\n", got.Value.Node.Role, got.Value.Node.Name)
				return err
			})
		}),
	}
}

// drainHeard is how long after the order every master has surely heard of it: they ask every second.
const drainHeard = 3 * time.Second

func (a *app) drainNode(ctx context.Context, wanted string, wait waitFlags) error {
	c := a.client()
	got, err := ask[api.Drained](ctx, c, request{method: http.MethodPost, path: path("nodes", wanted, "drain")})
	if err != nil {
		return err
	}
	if got.Value.Warning != nil {
		say(a.Stderr, "Warning: %s\n", *got.Value.Warning)
	}
	if wait.wanted() {
		if got, err = a.awaitDrained(ctx, c, got, wait.most); err != nil {
			return err
		}
	}
	return a.print(got.Raw, []string{got.Value.Node.Name}, func(w io.Writer) error {
		n := got.Value.Node
		_, err := fmt.Fprintf(w, "%s %s is draining; in hand: %d\n", n.Role, n.Name, got.Value.Holding)
		return err
	})
}

// awaitDrained asks until the node has nothing in hand, or is gone.
func (a *app) awaitDrained(ctx context.Context, c *client, got answer[api.Drained], most time.Duration) (answer[api.Drained], error) {
	limited := ctx
	if most > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	id, told := got.Value.Node.ID, -1
	heard := time.Now().Add(drainHeard)
	for {
		if n := got.Value.Holding; n == 0 && time.Now().After(heard) {
			return got, nil
		} else if n != told && a.config.Output == formatTable {
			say(a.Stderr, "%s %s has %d in hand\n", got.Value.Node.Role, got.Value.Node.Name, n)
			told = n
		}
		t := time.NewTimer(time.Second)
		select {
		case <-limited.Done():
		case <-t.C:
		}
		t.Stop()
		var next answer[api.Drained]
		err := c.patiently(limited, func() (err error) {
			next, err = ask[api.Drained](limited, c, read(path("nodes", id), nil))
			return err
		})
		switch {
		case err == nil:
			got = next
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			return got, flow.Errorf(flow.CodeTimeout, "", "%s still has %d in hand after %s", got.Value.Node.Name, got.Value.Holding, most)
		case flow.CodeOf(err) == flow.CodeNotFound:
			return got, nil // it left: nothing runs there
		default:
			return got, err
		}
	}
}
