// baton pool set|close|open, baton get pools.

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

func (a *app) poolCommand() *cobra.Command {
	return group("pool", "Change limits that tasks share", a.poolSet(),
		a.poolTurn("close", "Give no more slots of a pool", "What waits for the pool goes on waiting; who holds slots goes on."),
		a.poolTurn("open", "Give slots of a pool again", "What waits for the pool gets slots in order."))
}

const staysOverridden = " It stays so when the file is applied again, until `baton apply --reset-overrides`."

func (a *app) poolSet() *cobra.Command {
	slots := -1
	c := &cobra.Command{
		Use: "set POOL --slots N", Short: "Change how many slots a pool has", Args: arguments("POOL"),
		Long:    "More are given at once. Fewer take nothing from who holds some: nothing is given until enough have ended." + staysOverridden,
		Example: "  baton pool set warehouse --slots 8",
	}
	c.Flags().IntVar(&slots, "slots", -1, "how many it is to have; of 0 nothing is given")
	c.RunE = action(func(ctx context.Context, args []string) error {
		if slots < 0 {
			return usagef("pool set needs --slots with a number that is not negative")
		}
		return a.changePool(ctx, args[0], http.MethodPut, "slots", map[string]int{"slots": slots})
	})
	return c
}

func (a *app) poolTurn(word, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: word + " POOL", Short: short, Args: arguments("POOL"), Long: long + staysOverridden, Example: "  baton pool " + word + " warehouse",
		RunE: action(func(ctx context.Context, args []string) error {
			return a.changePool(ctx, args[0], http.MethodPost, word, nil)
		}),
	}
}

// changePool changes one thing about a pool and tells how it is then.
func (a *app) changePool(ctx context.Context, pool, method, what string, body any) error {
	project, name := a.place(pool)
	got, err := ask[api.Pool](ctx, a.client(), request{method: method, path: path("projects", project, "pools", name, what), body: body})
	if err != nil {
		return err
	}
	return a.print(got.Raw, []string{got.Value.Name}, func(w io.Writer) error {
		p := got.Value
		_, err := fmt.Fprintf(w, "pool %s has %s, %d used, and is %s; %d wait\n", placeOf(p.Project, p.Name), counted(p.Slots, "slot"), p.Used, openText(p), p.Waiters)
		return err
	})
}

func openText(p api.Pool) string {
	if p.Closed {
		return "closed"
	}
	return "open"
}

func (a *app) getPools() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "pools [POOL]", Aliases: []string{"pool"}, Args: atMost("POOL"), Short: "Limits that tasks share; with a POOL also who holds slots of it and who waits for some",
		Example: "  baton get pools\n  baton get pools warehouse",
	}
	watchFlag(c, &watch)
	c.RunE = action(func(ctx context.Context, args []string) error {
		if len(args) == 1 {
			return a.getPool(ctx, args[0], watch)
		}
		q := a.inProject(url.Values{})
		return reader[api.Pool]{ask: func() request { return read("/pools", q) }, view: poolView(), watch: watch}.run(ctx, a)
	})
	return c
}

func (a *app) getPool(ctx context.Context, pool string, watch bool) error {
	project, name := a.place(pool)
	if watch {
		return a.watchPool(ctx, read(path("projects", project, "pools", name), nil))
	}
	got, err := ask[api.Pool](ctx, a.client(), read(path("projects", project, "pools", name), nil))
	if err != nil {
		return err
	}
	return a.printPool(got)
}

// watchPool prints a pool anew whenever it has changed: a program gets the object, people the table.
func (a *app) watchPool(ctx context.Context, r request) error {
	c := a.client()
	seen := ""
	for {
		var got answer[api.Pool]
		err := c.patiently(ctx, func() (err error) {
			got, err = ask[api.Pool](ctx, c, r)
			return err
		})
		if err != nil {
			return err
		}
		if now := string(got.Raw); now != seen {
			if err := a.printWatchedPool(got, seen != ""); err != nil {
				return err
			}
			seen = now
		}
		if err := pause(ctx, nil); err != nil {
			return err
		}
	}
}

// printWatchedPool prints one line a time for programs; for people a blank line stands between two tables.
func (a *app) printWatchedPool(got answer[api.Pool], again bool) error {
	switch {
	case a.config.Output == formatJSON:
		objects := &changing[api.Pool]{app: a}
		return objects.lines([]json.RawMessage{got.Raw})
	case a.config.Output == formatYAML:
		say(a.Stdout, "---\n")
	case again && a.config.Output != formatName:
		say(a.Stdout, "\n")
	}
	return a.printPool(got)
}

func (a *app) printPool(got answer[api.Pool]) error {
	p := got.Value
	return a.print(got.Raw, []string{placeOf(p.Project, p.Name)}, func(w io.Writer) error {
		if err := poolView().write(w, []api.Pool{p}, a.look()); err != nil || len(p.Holders)+len(p.Waiting) == 0 {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		var rows []poolLine
		for _, h := range p.Holders {
			rows = append(rows, poolLine{api.PoolWaiter{Instance: h.Instance, Task: h.Task, Slots: h.Slots, Key: h.Key, Since: h.Since}})
		}
		for _, x := range p.Waiting {
			rows = append(rows, poolLine{x})
		}
		return poolLineView().write(w, rows, a.look())
	})
}

func poolView() view[api.Pool] {
	return view[api.Pool]{
		name: func(p api.Pool) string { return placeOf(p.Project, p.Name) },
		columns: []column[api.Pool]{
			{head: "PROJECT", cell: func(p api.Pool) string { return shorten(p.Project, 20) }},
			{head: "NAME", cell: func(p api.Pool) string { return shorten(p.Name, 32) }},
			{head: "SLOTS", cell: func(p api.Pool) string { return strconv.Itoa(p.Slots) }},
			{head: "USED", cell: func(p api.Pool) string { return strconv.Itoa(p.Used) }},
			{head: "CLOSED", cell: func(p api.Pool) string { return yes(p.Closed) }},
			{head: "WAITING", cell: func(p api.Pool) string { return strconv.Itoa(p.Waiters) }},
			{head: "OVERRIDDEN", cell: func(p api.Pool) string { return yes(p.Overridden) }},
			{head: "DESCRIPTION", wide: true, cell: func(p api.Pool) string { return shorten(firstOf(p.Description), 32) }},
		},
	}
}

// poolLine is a row of a table: who holds slots (of position 0), or waits for some.
type poolLine struct{ api.PoolWaiter }

func poolLineView() view[poolLine] {
	return view[poolLine]{
		name: func(l poolLine) string { return l.Instance },
		columns: []column[poolLine]{
			{head: "INSTANCE", cell: func(l poolLine) string { return l.Instance }},
			{head: "TASK", cell: func(l poolLine) string { return shorten(l.Task, 32) }},
			{head: "SLOTS", cell: func(l poolLine) string { return strconv.Itoa(l.Slots) }},
			{head: "KEY", cell: func(l poolLine) string { return shorten(or(l.Key, "-"), 24) }},
			{head: "STATE", cell: func(l poolLine) string {
				if l.Position == 0 {
					return "holds"
				}
				return fmt.Sprintf("waits, %d.", l.Position)
			}},
			{head: "PRIORITY", cell: func(l poolLine) string {
				if l.Position == 0 {
					return "-"
				}
				return l.Priority
			}},
			{head: "SINCE", cell: func(l poolLine) string { return age(l.Since) }},
		},
	}
}

// completePool offers pools.
func completePool(ctx context.Context, a *app, _ typed) []cobra.Completion {
	return offer(ctx, a, read("/pools", a.inProject(url.Values{})), func(p api.Pool) (string, string) {
		name := p.Name
		if p.Project != a.config.Project {
			name = p.Project + "/" + p.Name
		}
		return name, fmt.Sprintf("%d of %d slots used", p.Used, p.Slots)
	})
}
