// Commands that run beside the store, without a server: the first token, the schema.

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/api"
	"baton/internal/flow"
)

func (a *app) adminCommand() *cobra.Command {
	return group("admin", "Administer a server", group("token", "Tokens", a.tokenCreate()))
}

func (a *app) tokenCreate() *cobra.Command {
	var owner string
	c := &cobra.Command{
		Use:   "create",
		Short: "Make an administrator's token in the store and print it, once",
		Long:  "It writes into the store itself: for the first token of a server, and for one whose tokens are lost. Only the token's SHA-256 is kept.\nAn empty store gets its schema; that is said on standard error.",
		Example: `  baton admin token create --store postgres://baton@db/baton
  export BATON_TOKEN=$(baton admin token create --data ./baton-data)`,
		Args: noArguments,
	}
	c.Flags().StringVar(&owner, "for", "administrator", "whose it is; verbs are recorded under this name")
	c.Flags().String("store", "", "store to write into (default: that of --data)")
	c.RunE = action(func(ctx context.Context, _ []string) error {
		before, err := migrations(ctx, a.config)
		if err != nil {
			return err
		}
		db, err := openStore(ctx, a.config)
		if err != nil {
			return err
		}
		a.tellSchema(before)
		defer func() { _ = db.Close() }() // what it wrote is durable or an error already
		token, sum := api.NewToken()
		if err := db.CreateToken(ctx, owner, sum, flow.At(time.Now())); err != nil {
			return err
		}
		raw, err := json.Marshal(struct {
			Token string `json:"token"`
		}{token})
		if err != nil {
			return err
		}
		return a.print(raw, []string{token}, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, token)
			return err
		})
	})
	return c
}

// tellSchema says what opening the store has made of a schema that lacked some of these steps.
func (a *app) tellSchema(before []migration) {
	missing := 0
	for _, m := range before {
		if !m.Applied {
			missing++
		}
	}
	switch {
	case missing == 0:
	case missing == len(before):
		say(a.Stderr, "The store was empty: its schema was made.\n")
	default:
		say(a.Stderr, "The store's schema was brought from version %d to %d.\n", len(before)-missing, len(before))
	}
}

// migration is one step of the store's schema, as it is printed.
type migration struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	Applied   bool      `json:"applied"`
	AppliedAt flow.Time `json:"applied_at"`
}

func (a *app) migrateCommand() *cobra.Command {
	up := &cobra.Command{
		Use: "up", Short: "Bring the store's schema to this program's version", Args: noArguments,
		RunE: action(func(ctx context.Context, _ []string) error {
			if err := migrateUp(ctx, a.config); err != nil {
				return err
			}
			return a.printMigrations(ctx)
		}),
	}
	status := &cobra.Command{
		Use: "status", Short: "List the steps of the schema and which the store has", Args: noArguments,
		RunE: action(func(ctx context.Context, _ []string) error { return a.printMigrations(ctx) }),
	}
	c := group("migrate", "The schema of the store", up, status)
	c.Long = "A standalone server migrates its own store when it starts; clusters do it by hand, before the new version starts."
	c.PersistentFlags().String("store", "", "store to migrate: sqlite:PATH or postgres://… (default: that of --data)")
	return c
}

func (a *app) printMigrations(ctx context.Context) error {
	steps, err := migrations(ctx, a.config)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(api.List[migration]{Items: steps})
	if err != nil {
		return err
	}
	return list(a, answer[api.List[migration]]{Value: api.List[migration]{Items: steps}, Raw: raw}, view[migration]{
		name: func(m migration) string { return m.Name },
		columns: []column[migration]{
			{head: "VERSION", cell: func(m migration) string { return fmt.Sprint(m.Version) }},
			{head: "NAME", cell: func(m migration) string { return m.Name }},
			{head: "APPLIED", cell: func(m migration) string {
				if !m.Applied {
					return "no"
				}
				return clock(m.AppliedAt)
			}},
		},
	})
}
