// baton logs: what a task printed, or prints.

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"baton/internal/api"
)

func (a *app) logsCommand() *cobra.Command {
	var attempt int
	var row string
	var follow bool
	c := &cobra.Command{
		Use:   "logs INSTANCE TASK",
		Short: "Print the log of a task",
		Long:  "Without --attempt it is the log of the newest attempt. -f goes on until the task has ended, over retries.\nA task that was recovered or run again has several rows, which count their attempts from 1 each: `baton get attempts INSTANCE TASK -o wide` lists them, --row chooses one.",
		Example: `  baton logs 7301444403200000 load -f
  baton logs 7301444403200000 load --attempt 1
  baton logs 7301444403200000 load --row 7301444403200009`,
		Args: arguments("INSTANCE", "TASK"),
	}
	c.Flags().IntVar(&attempt, "attempt", 0, "number of the attempt")
	c.Flags().StringVar(&row, "row", "", "id of the row, its task_instance; the newest where it is left out")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on as the log grows")
	c.RunE = action(func(ctx context.Context, args []string) error {
		q := url.Values{}
		if attempt != 0 {
			q.Set("attempt", strconv.Itoa(attempt))
		}
		r := request{method: http.MethodGet, path: path("instances", args[0], "tasks", args[1], "log"), query: q}
		set(q, "task_instance", row)
		if follow {
			q.Set("follow", "true")
			return a.followLog(ctx, r)
		}
		res, err := a.client().send(ctx, r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if _, err := io.Copy(a.Stdout, res.Body); err != nil {
			return fmt.Errorf("the log was cut short: %w", err)
		}
		if row == "" && isTerminal(a.Stdout) {
			a.tellEarlierRows(ctx, args[0], args[1])
		}
		return nil
	})
	return c
}

// tellEarlierRows says under a log that the task has others, from before it was recovered or run again.
func (a *app) tellEarlierRows(ctx context.Context, instance, task string) {
	rows, err := ask[api.List[api.Task]](ctx, a.client(), read(path("instances", instance, "tasks"), url.Values{"task": {task}}))
	if err != nil {
		return // the log is there
	}
	var earlier []string
	for _, r := range rows.Value.Items {
		if !r.Valid && r.Attempt > 0 {
			earlier = append(earlier, r.ID)
		}
	}
	if len(earlier) > 0 {
		say(a.Stderr, "%s\n", a.paint().dim("earlier rows of it have logs too: --row "+strings.Join(earlier, ", --row ")))
	}
}

// followLog prints pieces as they come. When the connection breaks it goes on where it stopped:
// the server begins again with the attempt, and what was printed of it is left out.
func (a *app) followLog(ctx context.Context, r request) error {
	c := a.client()
	var f follower
	err := c.patiently(ctx, func() error {
		return c.events(ctx, r, func(name string, data []byte) error { return f.take(a, name, data) })
	})
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the server ended the log before the task did")
	}
	return err
}

// follower knows what was printed.
type follower struct {
	token   int64 // attempt being printed
	printed int64 // bytes of it
	tries   int
}

func (f *follower) take(a *app, name string, data []byte) error {
	switch name {
	case "attempt":
		var begin api.LogAttempt
		if err := json.Unmarshal(data, &begin); err != nil {
			return err
		}
		if begin.Token == f.token {
			return nil // told again after the connection broke
		}
		if f.tries++; f.tries > 1 {
			say(a.Stderr, "%s\n", a.paint().dim(fmt.Sprintf("--- attempt %d ---", begin.Attempt)))
		}
		f.token, f.printed = begin.Token, 0
	case "log":
		var piece api.LogText
		if err := json.Unmarshal(data, &piece); err != nil {
			return err
		}
		if piece.Next <= f.printed {
			return nil
		}
		f.printed = piece.Next
		_, err := io.WriteString(a.Stdout, piece.Text)
		return err
	case "end":
		return errStop
	}
	return nil
}
