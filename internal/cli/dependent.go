// baton dependent windows: what a dependent looks at, answered without a server, one or many.

package cli

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/flow"
	"baton/internal/window"
)

func (a *app) dependentCommand() *cobra.Command {
	return group("dependent", "What depends on other runs", a.dependentWindows())
}

// windowsRequest is one question; its names are those of the arguments and flags.
type windowsRequest struct {
	ID       json.RawMessage `json:"id"`
	Cycle    string          `json:"cycle"`
	Value    string          `json:"value"`
	DataTime string          `json:"data_time"`
	Timezone string          `json:"timezone"`
}

type windowsAnswer struct {
	ID       json.RawMessage  `json:"id,omitempty"`
	Cycle    string           `json:"cycle"`
	Value    string           `json:"value"`
	DataTime string           `json:"data_time"`
	Timezone string           `json:"timezone"`
	Windows  []windowInterval `json:"windows"`
}

// windowInterval ends with the last whole second inside.
type windowInterval struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

func (a *app) dependentWindows() *cobra.Command {
	var q windowsRequest
	var many bool
	c := &cobra.Command{
		Use:   "windows CYCLE VALUE --data-time T",
		Short: "Say which windows a dependent looks at; needs no server",
		Long:  "Prints the windows of a value of DolphinScheduler's dependent task (cycle hour, day, week or month) for a data time in a zone, earliest first, each from its first to its last second. With --bulk it reads a JSON object a line from standard input (cycle, value, data_time, timezone, id) and answers each with a line.",
		Example: `  baton dependent windows day last2Days --data-time 2026-03-01T10:30:00+08:00 --timezone Asia/Shanghai
  baton dependent windows month lastMonthEnd --data-time 2028-03-15`,
		Args: func(cmd *cobra.Command, args []string) error {
			if many {
				return noArguments(cmd, args)
			}
			return arguments("CYCLE", "VALUE")(cmd, args)
		},
	}
	c.Flags().StringVar(&q.DataTime, "data-time", "", "the data time to look from: RFC 3339, or yyyy-MM-dd[ HH:mm:ss] in the zone")
	c.Flags().StringVar(&q.Timezone, "timezone", "UTC", "IANA zone")
	c.Flags().BoolVar(&many, "bulk", false, "answer JSON lines from standard input")
	c.RunE = action(func(_ context.Context, args []string) error {
		if many {
			return bulk(a.Stdin, a.Stdout, windowsOf)
		}
		q.Cycle, q.Value = args[0], args[1]
		got, err := windowsOf(q)
		if err != nil {
			return err
		}
		raw, err := marshal(got)
		if err != nil {
			return err
		}
		return a.print(raw, got.names(), got.people)
	})
	return c
}

// names are intervals as ISO 8601 writes them.
func (w windowsAnswer) names() []string {
	out := make([]string, len(w.Windows))
	for i, each := range w.Windows {
		out[i] = each.Start + "/" + each.End
	}
	return out
}

func (w windowsAnswer) people(to io.Writer) error {
	for _, each := range w.Windows {
		say(to, "%s  %s\n", each.Start, each.End)
	}
	if len(w.Windows) == 0 {
		say(to, "# %s has no such day\n", w.Timezone)
	}
	return nil
}

func windowsOf(q windowsRequest) (windowsAnswer, error) {
	asked, err := window.Parse(q.Cycle, q.Value)
	if err != nil {
		return windowsAnswer{}, err
	}
	zone, err := zoneNamed("timezone", &q.Timezone)
	if err != nil {
		return windowsAnswer{}, err
	}
	at, err := zonedTime("data_time", q.DataTime, zone)
	if err != nil {
		return windowsAnswer{}, err
	}
	at = at.In(zone)
	intervals := asked.Intervals(at, zone)
	windows := make([]windowInterval, len(intervals))
	writable := hasFourDigits(at)
	for i, each := range intervals {
		writable = writable && hasFourDigits(each.Start) && hasFourDigits(each.Last())
		windows[i] = windowInterval{each.Start.Format(time.RFC3339), each.Last().Format(time.RFC3339)}
	}
	if !writable {
		return windowsAnswer{}, flow.Errorf(codeBadTime, "data_time", "%q is too far away: its windows leave the years from 0 to 9999", q.DataTime)
	}
	return windowsAnswer{
		ID: q.ID, Cycle: asked.Cycle(), Value: asked.String(), DataTime: at.Format(time.RFC3339), Timezone: q.Timezone,
		Windows: windows,
	}, nil
}

// hasFourDigits tells whether RFC 3339 can write the year.
func hasFourDigits(t time.Time) bool { return 0 <= t.Year() && t.Year() <= 9999 }
