// baton backfill, baton get backfills: a workflow run for each of many dates.

package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/api"
	"baton/internal/flow"
)

type backfillFlags struct {
	api.BackfillRequest
	params              []string
	key                 string
	parallel            int
	pause, resume, stop string // ids
}

// verb is the order that is given with a flag, and the backfill that it is for.
func (f backfillFlags) verb() (verb, id string) {
	switch {
	case f.pause != "":
		return flow.VerbPause, f.pause
	case f.resume != "":
		return flow.VerbResume, f.resume
	default:
		return flow.VerbStop, f.stop
	}
}

func (a *app) backfillCommand() *cobra.Command {
	var f backfillFlags
	c := &cobra.Command{
		Use:   "backfill NAME --from T --to T | --dates T,T",
		Short: "Run a workflow for each of many dates",
		Long: `Run a workflow for each time of its schedule in a range, both ends included, or for a list of dates.

The dates are the times of the workflow's schedule, with its calendar, its parameters and its zone; --schedule says which when it
has several. A workflow without a schedule is run for every midnight of its zone. T is RFC 3339, or yyyy-MM-dd[ HH:mm:ss] in the
workflow's zone; a date without a time is its midnight, also behind --to: to include the second of march write
--to "2026-03-02 23:59:59".

--cascade also runs the workflows whose dependent tasks wait for this one, and those that wait for them: for the times of their
schedules that look at a date of the backfill, level by level, each when all dates before it have ended.

--preview tells exactly what would run, and starts nothing. What is started is written as a whole or not at all, and goes on by
itself: ` + "`baton get backfills ID -w`" + ` follows it.

A date whose run did not succeed is passed over, or with --on-failure stop ends the backfill: what runs goes on, no other date
begins. --resume goes on when it is recovered, or at once with --on-failure continue. --pause has no date begin until --resume.
--stop stops what runs, for good.`,
		Example: `  baton backfill daily-orders --from 2026-01-01 --to 2026-03-31 --preview
  baton backfill daily-orders --from 2026-01-01 --to 2026-03-31 --parallel 4 --on-failure stop
  baton backfill daily-orders --dates 2026-01-05,2026-02-17 -p region=us
  baton backfill daily-orders --from "2026-03-01 12:00:00" --to 2026-03-31 --schedule nightly --order desc
  baton backfill daily-orders --from 2026-01-01 --to 2026-01-31 --cascade --preview
  baton backfill --pause 7301444403200000
  baton backfill --resume 7301444403200000 --on-failure continue`,
	}
	fl := c.Flags()
	fl.StringVar(&f.From, "from", "", "the first moment, included")
	fl.StringVar(&f.To, "to", "", "the last moment, included; a date is its midnight")
	fl.StringSliceVar(&f.Dates, "dates", nil, "these dates, in place of a range")
	fl.StringVar(&f.Schedule, "schedule", "", "whose times are the dates (default: the only one that the workflow has)")
	fl.StringVar(&f.Order, "order", "asc", "asc: the earliest date first; desc: the latest")
	fl.IntVar(&f.parallel, "parallel", 1, "so many runs at a time")
	fl.StringVar(&f.OnFailure, "on-failure", "", "when a date did not succeed: continue (the default) or stop")
	fl.StringArrayVarP(&f.params, "param", "p", nil, "parameter k=v of each run, as often as needed")
	fl.StringVar(&f.Priority, "priority", "", "highest, high, medium, low or lowest")
	fl.StringVar(&f.key, "key", "", "idempotency key: the same key answers the first backfill")
	fl.BoolVar(&f.Cascade, "cascade", false, "also run the workflows that depend on it, for the dates that look at its dates")
	fl.BoolVar(&f.Preview, "preview", false, "tell what would run, and start nothing")
	fl.StringVar(&f.pause, "pause", "", "the `ID` of a backfill: have no date of it begin; what runs goes on")
	fl.StringVar(&f.resume, "resume", "", "the `ID` of a backfill that is paused, or that a failure ended: go on")
	fl.StringVar(&f.stop, "stop", "", "the `ID` of a backfill: stop its runs, and end it")
	c.Args = func(cmd *cobra.Command, args []string) error {
		said := saidVerbs(cmd)
		if len(said) == 0 {
			return arguments("NAME")(cmd, args)
		}
		return onlyVerb(cmd, said, args)
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return a.orderBackfill(cmd.Context(), f)
		}
		return a.backfill(cmd.Context(), args[0], f)
	}
	return c
}

// saidVerbs are the flags that order something of a backfill that exists.
func saidVerbs(cmd *cobra.Command) []string {
	return slices.DeleteFunc([]string{"pause", "resume", "stop"}, func(name string) bool { return !cmd.Flags().Changed(name) })
}

// onlyVerb refuses what has no meaning beside an order to a backfill that exists.
func onlyVerb(cmd *cobra.Command, said, args []string) error {
	if len(said) > 1 {
		return usagef("--%s and --%s exclude each other", said[0], said[1])
	}
	if len(args) > 0 {
		return usagef("--%s takes the id of a backfill, and no NAME: what is %q for?", said[0], args[0])
	}
	for _, name := range []string{"from", "to", "dates", "schedule", "order", "parallel", "on-failure", "param", "priority", "key", "cascade", "preview"} {
		if cmd.Flags().Changed(name) && (name != "on-failure" || said[0] != flow.VerbResume) {
			return usagef("--%s is for a new backfill; --%s changes one that there is", name, said[0])
		}
	}
	return nil
}

func (a *app) backfill(ctx context.Context, name string, f backfillFlags) error {
	f.Project, f.Workflow = a.place(name)
	f.Parallel = &f.parallel
	var err error
	if f.Params, err = keyValues(f.params); err != nil {
		return err
	}
	r := request{method: http.MethodPost, path: "/backfills", body: f.BackfillRequest}
	if f.key != "" {
		r.header = map[string]string{"Idempotency-Key": f.key}
	}
	got, err := ask[api.Backfill](ctx, a.client(), r)
	if err != nil {
		return err
	}
	b := got.Value
	a.warn(b.Warnings)
	if f.Preview {
		return a.printPreview(got)
	}
	return a.print(got.Raw, []string{or(b.ID, "")}, func(w io.Writer) error {
		word := "started"
		if b.Existing {
			word = "exists already"
		}
		return a.writeBackfill(w, b, word, "follow it: baton get backfills "+or(b.ID, "")+" -w")
	})
}

func (a *app) orderBackfill(ctx context.Context, f backfillFlags) error {
	verb, id := f.verb()
	q := url.Values{}
	set(q, "on_failure", f.OnFailure)
	got, err := ask[api.Backfill](ctx, a.client(), request{method: http.MethodPost, path: path("backfills", id, verb), query: q})
	if err != nil {
		return err
	}
	return a.print(got.Raw, []string{or(got.Value.ID, "")}, func(w io.Writer) error { return a.writeBackfill(w, got.Value, got.Value.State, "") })
}

// writeBackfill says in some lines what a backfill is and how far it has come.
func (a *app) writeBackfill(w io.Writer, b api.Backfill, word, hint string) error {
	p := a.paint()
	lines := []string{
		fmt.Sprintf("%s  %s  %s", p.bold(or(b.ID, "preview")), placeOf(b.Project, b.Workflow), p.state(word)),
		"  " + planText(b.BackfillSummary),
	}
	if b.ID != nil {
		lines = append(lines, "  "+progressText(b.BackfillSummary))
	}
	if b.Reason != nil {
		lines = append(lines, "  "+*b.Reason)
	}
	if hint != "" {
		lines = append(lines, p.dim(hint))
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// planText is what a backfill will do, in words.
func planText(b api.BackfillSummary) string {
	own := b.Progress.Total - b.Cascaded
	parts := []string{fmt.Sprintf("%s from %s to %s", datesText(own), dateIn(b, b.From), dateIn(b, b.To))}
	if own == 1 {
		parts[0] = "1 date, " + dateIn(b, b.From)
	}
	if b.Schedule != nil {
		parts = append(parts, "schedule "+*b.Schedule)
	}
	if len(b.Params) > 0 {
		parts = append(parts, pairs(b.Params))
	}
	if b.Order == "desc" {
		parts = append(parts, "the latest first")
	}
	if b.Parallel > 1 {
		parts = append(parts, strconv.Itoa(b.Parallel)+" at a time")
	} else if b.Progress.Total > 1 {
		parts = append(parts, "one after another")
	}
	if b.OnFailure == flow.OnFailureStop {
		parts = append(parts, "until one fails")
	}
	if b.Cascaded > 0 {
		parts = append(parts, "then "+datesText(b.Cascaded)+" of dependents")
	}
	return strings.Join(parts, ", ")
}

func datesText(n int) string {
	if n == 1 {
		return "1 date"
	}
	return strconv.Itoa(n) + " dates"
}

// progressText is how far a backfill has come: 12/90 succeeded, 1 failed, 1 running.
func progressText(b api.BackfillSummary) string { return progressOfDates(b.Progress) }

func progressOfDates(n api.BackfillProgress) string {
	if n.Total == 0 {
		return "-"
	}
	parts := []string{fmt.Sprintf("%d/%d succeeded", n.Succeeded, n.Total)}
	for _, part := range []struct {
		n    int
		word string
	}{{n.Failed, "failed"}, {n.Stopped, "stopped"}, {n.Running, "running"}, {n.Skipped, "skipped"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(parts, ", ")
}

// dateIn is a date of a backfill as its zone has it.
func dateIn(b api.BackfillSummary, at flow.Time) string { return inZone(b, at).Format(time.RFC3339) }

// shortDate is dateIn where there is little room.
func shortDate(b api.BackfillSummary, at flow.Time) string {
	return inZone(b, at).Format("2006-01-02 15:04")
}

func inZone(b api.BackfillSummary, at flow.Time) time.Time {
	zone, err := time.LoadLocation(b.Timezone)
	if err != nil {
		zone = time.UTC
	}
	return at.Std().In(zone)
}

func (a *app) getBackfills() *cobra.Command {
	var p pageFlags
	var watch bool
	var workflow, instance string
	var states []string
	c := &cobra.Command{
		Use: "backfills [BACKFILL]", Aliases: []string{"backfill"}, Args: atMost("ID"), Short: "Backfills, newest first, also of a workflow; with an ID the backfill itself with its dates",
		Example: "  baton get backfills --state running,paused\n  baton get backfills daily-orders\n  baton get backfills 7301444403200000 -w\n  baton get backfills --instance 7301444407394304   # the one that started this run",
	}
	p.add(c)
	c.Flags().StringVar(&workflow, "workflow", "", "of this workflow, NAME or P/NAME")
	c.Flags().StringVar(&instance, "instance", "", "the one that started this run")
	c.Flags().StringSliceVar(&states, "state", nil, "running, paused, stopping, stopped, failed or succeeded")
	watchFlag(c, &watch)
	c.Flags().Lookup("watch").Usage += "; with an ID until the backfill has ended"
	c.RunE = action(func(ctx context.Context, args []string) error {
		if len(args) == 1 {
			if _, err := flow.ParseID(args[0]); err == nil {
				return a.getBackfill(ctx, args[0], watch)
			}
			workflow = args[0]
		}
		q := a.inProject(p.query())
		set(q, "instance", instance)
		set(q, "state", join(states))
		if workflow != "" {
			project, name := a.place(workflow)
			q.Set("project", project)
			q.Set("workflow", name)
		}
		return reader[api.BackfillSummary]{
			ask: func() request { return read("/backfills", q) }, view: backfillView(), watch: watch, events: request{path: "/events"},
		}.run(ctx, a)
	})
	return c
}

func backfillView() view[api.BackfillSummary] {
	return view[api.BackfillSummary]{
		name: func(b api.BackfillSummary) string { return or(b.ID, "") },
		columns: []column[api.BackfillSummary]{
			{head: "ID", cell: func(b api.BackfillSummary) string { return or(b.ID, "-") }},
			{head: "WORKFLOW", cell: func(b api.BackfillSummary) string { return shorten(placeOf(b.Project, b.Workflow), 32) }},
			{head: "SCHEDULE", wide: true, cell: func(b api.BackfillSummary) string { return shorten(or(b.Schedule, "-"), 24) }},
			{head: "STATE", state: true, cell: func(b api.BackfillSummary) string { return b.State }},
			{head: "PROGRESS", cell: progressText},
			{head: "FROM", cell: func(b api.BackfillSummary) string { return shortDate(b, b.From) }},
			{head: "TO", cell: func(b api.BackfillSummary) string { return shortDate(b, b.To) }},
			{head: "ZONE", wide: true, cell: func(b api.BackfillSummary) string { return b.Timezone }},
			{head: "ORDER", wide: true, cell: func(b api.BackfillSummary) string { return b.Order }},
			{head: "PARALLEL", wide: true, cell: func(b api.BackfillSummary) string { return strconv.Itoa(b.Parallel) }},
			{head: "ON FAILURE", wide: true, cell: func(b api.BackfillSummary) string { return b.OnFailure }},
			{head: "AGE", cell: func(b api.BackfillSummary) string { return age(b.CreatedAt) }},
			{head: "REASON", wide: true, free: true, cell: func(b api.BackfillSummary) string { return or(b.Reason, "") }},
		},
	}
}

// completeBackfill offers the latest backfills, for a verb those that it can do something to.
func completeBackfill(states ...flow.BackfillState) completer {
	return func(ctx context.Context, a *app, _ typed) []cobra.Completion {
		q := a.inProject(url.Values{"limit": {completeRuns}})
		var names []string
		for _, s := range states {
			names = append(names, s.String())
		}
		set(q, "state", strings.Join(names, ","))
		return offer(ctx, a, read("/backfills", q), func(b api.BackfillSummary) (string, string) {
			return or(b.ID, ""), placeOf(b.Project, b.Workflow) + " " + b.State + ", " + progressText(b)
		})
	}
}
