// baton cron next: when an expression fires, answered without a server, one or many.

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/cron"
	"baton/internal/flow"
)

func (a *app) cronCommand() *cobra.Command {
	return group("cron", "Cron expressions", a.cronNext())
}

// nextRequest is one question; its names are those of the flags.
type nextRequest struct {
	ID      json.RawMessage `json:"id"`
	Expr    string          `json:"expr"`
	Dialect string          `json:"dialect"`
	Zone    string          `json:"zone"`
	After   string          `json:"after"`
	N       *int            `json:"n"`
	DST     string          `json:"dst"`
}

type nextAnswer struct {
	ID        json.RawMessage `json:"id,omitempty"`
	Expr      string          `json:"expr"`
	Dialect   cron.Dialect    `json:"dialect"`
	Zone      string          `json:"zone"`
	After     string          `json:"after"`
	Fires     []string        `json:"fires"`
	Exhausted bool            `json:"exhausted"` // there are fewer than were asked for

	schedule *cron.Schedule
}

const (
	defaultFires = 5
	maxFires     = 10_000 // of one question
)

func (a *app) cronNext() *cobra.Command {
	var q nextRequest
	var n int
	var many bool
	c := &cobra.Command{
		Use:   "next EXPR --after T",
		Short: "Say when a cron expression fires next; needs no server",
		Long:  "Prints the next times at which an expression fires, in a zone. With --bulk it reads a JSON object a line from standard input (expr, dialect, zone, after, n, dst, id) and answers each with a line.",
		Example: `  baton cron next '0 0 2 * * ?' --after 2026-03-07T12:00:00-05:00 --zone America/New_York
  baton cron next '*/20 9-17 * * 1-5' --dialect unix --after 2026-03-01 -n 3`,
		Args: func(cmd *cobra.Command, args []string) error {
			if many {
				return noArguments(cmd, args)
			}
			return arguments("EXPR")(cmd, args)
		},
	}
	c.Flags().StringVar(&q.Dialect, "dialect", string(cron.Quartz), "quartz (6 or 7 fields, sunday is 1) or unix (5 fields, sunday is 0 or 7)")
	c.Flags().StringVar(&q.Zone, "zone", "UTC", "IANA zone")
	c.Flags().StringVar(&q.After, "after", "", "the instant to begin after: RFC 3339, or yyyy-MM-dd[ HH:mm:ss] in the zone")
	c.Flags().IntVarP(&n, "number", "n", defaultFires, "how many")
	c.Flags().StringVar(&q.DST, "dst", string(cron.Shift), "what daylight saving does: shift, skip or quartz")
	c.Flags().BoolVar(&many, "bulk", false, "answer JSON lines from standard input")
	c.RunE = action(func(_ context.Context, args []string) error {
		if many {
			return bulk(a.Stdin, a.Stdout, nextFires)
		}
		q.Expr, q.N = args[0], &n
		got, err := nextFires(q)
		if err != nil {
			return err
		}
		raw, err := marshal(got)
		if err != nil {
			return err
		}
		return a.print(raw, got.Fires, got.people)
	})
	return c
}

// people also want to read what they wrote.
func (n nextAnswer) people(w io.Writer) error {
	say(w, "# %s (%s)\n", n.schedule.Describe(cron.English), n.Zone)
	for _, fire := range n.Fires {
		say(w, "%s\n", fire)
	}
	if n.Exhausted {
		say(w, "# no more up to the end of %d\n", cron.MaxYear)
	}
	return nil
}

func nextFires(q nextRequest) (nextAnswer, error) {
	n := defaultFires
	if q.N != nil {
		n = *q.N
	}
	if n < 1 || n > maxFires {
		return nextAnswer{}, flow.Errorf(flow.CodeBadRequest, "n", "n is %d; it is from 1 to %d", n, maxFires)
	}
	dialect, err := cron.ParseDialect(q.Dialect)
	if err != nil {
		return nextAnswer{}, cronError(err, flow.CodeBadRequest, "dialect")
	}
	mode, err := cron.ParseDST(q.DST)
	if err != nil {
		return nextAnswer{}, cronError(err, flow.CodeBadRequest, "dst")
	}
	zone, err := zoneNamed("zone", &q.Zone)
	if err != nil {
		return nextAnswer{}, err
	}
	after, err := zonedTime("after", q.After, zone)
	if err != nil {
		return nextAnswer{}, err
	}
	schedule, err := cron.Parse(q.Expr, cron.Options{Dialect: dialect, Zone: zone, DST: mode})
	if err != nil {
		return nextAnswer{}, cronError(err, cron.CodeBadCron, "expr")
	}
	fires := make([]string, 0, min(n, 64))
	for at := after; len(fires) < n; {
		var ok bool
		if at, ok = schedule.Next(at); !ok {
			break
		}
		fires = append(fires, at.Format(time.RFC3339))
	}
	return nextAnswer{
		ID: q.ID, Expr: q.Expr, Dialect: dialect, Zone: q.Zone, After: after.In(zone).Format(time.RFC3339),
		Fires: fires, Exhausted: len(fires) < n, schedule: schedule,
	}, nil
}

// cronError puts an error of the package on the field of the question that it is about.
func cronError(err error, code flow.Code, field string) error {
	if e, ok := errors.AsType[*cron.Error](err); ok {
		return &flow.Error{Code: code, Field: field, Message: e.Error(), Suggestion: e.Suggestion}
	}
	return fmt.Errorf("cron: %w", err)
}
