// baton param eval: placeholders answered without a server, one or many.

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/flow"
	"baton/internal/param"
)

func (a *app) paramCommand() *cobra.Command {
	return group("param", "Parameters and time placeholders", a.paramEval())
}

// evalRequest is one question; its names are those of the flags.
type evalRequest struct {
	ID       json.RawMessage   `json:"id"`
	Text     string            `json:"text"`
	DataTime string            `json:"data_time"`
	Timezone string            `json:"timezone"`
	Params   map[string]string `json:"params"`
}

type evalAnswer struct {
	ID       json.RawMessage `json:"id,omitempty"`
	Text     string          `json:"text"`
	DataTime string          `json:"data_time"`
	Timezone string          `json:"timezone"`
	Value    string          `json:"value"`
}

func (a *app) paramEval() *cobra.Command {
	var q evalRequest
	var params []string
	var many bool
	c := &cobra.Command{
		Use:   "eval TEXT --data-time T",
		Short: "Put parameters and time placeholders into a text; needs no server",
		Long:  "Replaces every $[…], and ${…} by -p, for the data time in the zone. With --bulk it reads a JSON object a line from standard input (text, data_time, timezone, params, id) and answers each with a line.",
		Example: `  baton param eval '$[yyyyMMdd-1]' --data-time 2026-03-01T00:00:00Z
  baton param eval 'dt=${day}' -p 'day=$[yyyy-MM-dd]' --data-time 2026-03-01 --timezone Asia/Shanghai`,
		Args: func(cmd *cobra.Command, args []string) error {
			if many {
				return noArguments(cmd, args)
			}
			return arguments("TEXT")(cmd, args)
		},
	}
	c.Flags().StringVar(&q.DataTime, "data-time", "", "the moment to evaluate for: RFC 3339, or yyyy-MM-dd[ HH:mm:ss] in the zone")
	c.Flags().StringVar(&q.Timezone, "timezone", "UTC", "IANA zone")
	c.Flags().StringArrayVarP(&params, "param", "p", nil, "parameter k=v, as often as needed")
	c.Flags().BoolVar(&many, "bulk", false, "answer JSON lines from standard input")
	c.RunE = action(func(_ context.Context, args []string) error {
		if many {
			return bulk(a.Stdin, a.Stdout, evalOne)
		}
		q.Text = args[0]
		var err error
		if q.Params, err = keyValues(params); err != nil {
			return err
		}
		got, err := evalOne(q)
		if err != nil {
			return err
		}
		raw, err := marshal(got)
		if err != nil {
			return err
		}
		return a.print(raw, []string{got.Value}, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, got.Value)
			return err
		})
	})
	return c
}

func evalOne(q evalRequest) (evalAnswer, error) {
	zone, err := zoneNamed("timezone", &q.Timezone)
	if err != nil {
		return evalAnswer{}, err
	}
	at, err := zonedTime("data_time", q.DataTime, zone)
	if err != nil {
		return evalAnswer{}, err
	}
	value, err := param.Eval(q.Text, at, zone, q.Params)
	if e, ok := errors.AsType[*param.Error](err); ok {
		return evalAnswer{}, &flow.Error{Code: flow.Code(e.Code), Field: "text", Message: e.Error(), Suggestion: e.Suggestion}
	}
	if err != nil {
		return evalAnswer{}, fmt.Errorf("evaluate: %w", err)
	}
	return evalAnswer{ID: q.ID, Text: q.Text, DataTime: at.In(zone).Format(time.RFC3339), Timezone: q.Timezone, Value: value}, nil
}
