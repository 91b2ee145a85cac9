// Waiting for runs: the server answers when the run is there, so nothing is asked twice.

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/api"
	"baton/internal/flow"
)

// waitFlags are --wait and --wait-timeout of run and of the verbs.
type waitFlags struct {
	wait    bool
	timeout string
	most    time.Duration // what timeout says; 0: as long as it takes
}

func (f *waitFlags) add(c *cobra.Command, help string) {
	c.Flags().BoolVar(&f.wait, "wait", false, help)
	c.Flags().StringVar(&f.timeout, "wait-timeout", "", "with --wait: give up after this, exit 124")
	// Before anything is ordered: who mistypes a time has started nothing.
	c.PreRunE = func(*cobra.Command, []string) (err error) {
		f.most, err = within("--wait-timeout", f.timeout)
		return err
	}
}

func (f *waitFlags) wanted() bool { return f.wait || f.timeout != "" }

func (a *app) waitCommand() *cobra.Command {
	var states []string
	var timeout string
	c := &cobra.Command{
		Use:   "wait INSTANCE",
		Short: "Wait until a run is at rest, or in a state",
		Example: `  baton wait 7301444403200000
  baton wait 7301444403200000 --state paused,failed --timeout 10m`,
		Long: "Without --state it waits for the end, or until the run is paused or quarantined, and exits 0 only if the run succeeded. With --state it exits 0 when the run came to that state, and 1 when it ended in another one.",
		Args: arguments("INSTANCE"),
	}
	c.Flags().StringSliceVar(&states, "state", nil, "state to wait for; one or more")
	c.Flags().StringVar(&timeout, "timeout", "", "give up after this, exit 124")
	c.RunE = action(func(ctx context.Context, args []string) error {
		most, err := within("--timeout", timeout)
		if err != nil {
			return err
		}
		got, reached, err := a.await(ctx, a.client(), args[0], states, most)
		if err != nil {
			return err
		}
		if err := a.printInstance(got); err != nil {
			return err
		}
		if len(states) > 0 && !reached || len(states) == 0 && !succeeded(got.Value) {
			return silentError(exitFailed)
		}
		return nil
	})
	return c
}

func succeeded(i api.Instance) bool { return i.State == InstanceSucceeded }

// InstanceSucceeded is the one state that makes a waited-for run exit 0.
var InstanceSucceeded = api.InstanceState(flow.InstanceSucceeded.String())

// begun is a run that a command started or moved.
type begun struct {
	run    api.Instance
	raw    json.RawMessage // the run as it was answered
	word   string          // what the command did
	before []api.Task      // the rows as they stood before it: they are no news
}

// finish waits for the end of a run, shows how it goes, and exits as it ends.
func (a *app) finish(ctx context.Context, c *client, b begun, f waitFlags) error {
	shown := a.progress(ctx, c.silently(), b) // a client of its own: what the other one says it shows
	c.patience.note = shown.away
	got, _, err := a.await(ctx, c, b.run.ID, nil, f.most)
	shown.stop(got.Value, err == nil)
	if codeOf(err) == flow.CodeUnavailable {
		return a.lost(got, b, err)
	}
	if err != nil {
		return err
	}
	got.Value.Existing = b.run.Existing
	if err := a.print(got.Raw, []string{got.Value.ID}, func(w io.Writer) error { return a.writeEnd(w, got.Value) }); err != nil {
		return err
	}
	if !succeeded(got.Value) {
		return silentError(exitFailed)
	}
	return nil
}

// lost gives up a wait whose server is away. What is known of the run is printed for programs: it was accepted, and it
// goes on.
func (a *app) lost(got answer[api.Instance], b begun, err error) error {
	if got.Raw == nil {
		got = answer[api.Instance]{Value: b.run, Raw: b.raw}
	}
	if printed := a.print(got.Raw, []string{b.run.ID}, func(io.Writer) error { return nil }); printed != nil {
		return printed
	}
	return flow.Errorf(flow.CodeUnavailable, "", "the wait for run %s is given up; the run was accepted, and `baton wait %s` waits on: %v", b.run.ID, b.run.ID, err)
}

// pollSpan is how long one question waits at the server; a proxy may cut longer ones.
const pollSpan = 25 * time.Second

// await asks until the run is in one of the states (none: at rest). The time limit is the
// caller's: it ends with code timeout.
func (a *app) await(ctx context.Context, c *client, id string, states []string, most time.Duration) (answer[api.Instance], bool, error) {
	var got answer[api.Instance]
	limited := ctx
	if most > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	for {
		q := url.Values{"timeout": {pollSpan.String()}}
		if len(states) > 0 {
			q.Set("state", join(states))
		}
		var waited answer[api.Waited]
		err := c.patiently(limited, func() (err error) {
			waited, err = ask[api.Waited](limited, c, read(path("instances", id, "wait"), q))
			return err
		})
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return got, false, flow.Errorf(flow.CodeTimeout, "", "run %s is still %s after %s", id, stateOr(got.Value), most)
		}
		if err != nil {
			return got, false, err
		}
		got.Value = waited.Value.Instance
		got.Raw, err = member(waited.Raw, "instance")
		if err != nil || waited.Value.Reached || ended(got.Value.State) {
			return got, waited.Value.Reached, err
		}
	}
}

func stateOr(i api.Instance) string {
	if i.State == "" {
		return "not at rest"
	}
	return string(i.State)
}

var endedStates = []flow.InstanceState{flow.InstanceSucceeded, flow.InstanceFailed, flow.InstanceStopped}

func ended(s api.InstanceState) bool {
	return slices.ContainsFunc(endedStates, func(e flow.InstanceState) bool { return e.String() == string(s) })
}

// printStarted says that a run was accepted, or shows the object to programs.
func (a *app) printStarted(got answer[api.Instance]) error {
	return a.print(got.Raw, []string{got.Value.ID}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s\n%s\n", a.startedLine(got.Value), a.paint().dim("follow it: baton get instance "+got.Value.ID+" -w"))
		return err
	})
}

// begunStates are those of a run that does not wait for its turn any more.
var begunStates = []string{"running", "pausing", "paused", "stopping", "stopped", "succeeded", "failed", "compensating", "quarantined"}

// settleWithin is how long a person who starts a run waits to hear whether it begins.
const settleWithin = 500 * time.Millisecond

// soon is how a run stands a moment after it was accepted, for people: it may wait for its turn, or have been
// discarded. Programs get at once what was answered.
func (a *app) soon(ctx context.Context, c *client, got answer[api.Instance]) answer[api.Instance] {
	if a.config.Output != formatTable && a.config.Output != formatWide {
		return got
	}
	later, _, err := a.await(ctx, c, got.Value.ID, begunStates, settleWithin)
	if err != nil {
		later, err = ask[api.Instance](ctx, c, read(path("instances", got.Value.ID), nil))
	}
	if err != nil {
		return got // it was accepted, whatever becomes of it
	}
	later.Value.Existing = got.Value.Existing
	return later
}

// startedLine says that there is a run now, or that its key had made it before.
func (a *app) startedLine(i api.Instance) string {
	word := "started"
	switch {
	case i.Existing:
		word = "exists already"
	case string(i.State) == flow.InstanceQueued.String():
		word = "queued" + because(string(i.State), i.Reason, time.Time{})
	case i.Reason != nil && *i.Reason == flow.ReasonDiscarded:
		word = or(i.EndedBy, flow.ReasonDiscarded)
	}
	return fmt.Sprintf("%s  %s v%d  %s", a.paint().bold(i.ID), placeOf(i.Project, i.Workflow), i.Version, word)
}
