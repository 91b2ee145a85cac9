// The dates of a backfill and their workflows, shown before they are run, as they are run, and afterwards.

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"baton/internal/api"
	"baton/internal/flow"
)

const (
	// datesShown is how many dates are told one by one where not all were asked for.
	datesShown = 100
	// endsShown is how many of more are told at each end.
	endsShown = 10
)

// printPreview tells what would run: of very many the first and the last, unless all are wanted.
func (a *app) printPreview(got answer[api.Backfill]) error {
	b := got.Value
	names := make([]string, len(b.Items))
	for i, item := range b.Items {
		names[i] = dateIn(b.BackfillSummary, item.DataTime)
		if len(b.Workflows) > 0 {
			names[i] += "  " + placeOf(item.Project, item.Workflow)
		}
	}
	return a.print(got.Raw, names, func(w io.Writer) error {
		if err := errors.Join(a.writeBackfill(w, b, "would be run for", ""), a.writeWorkflows(w, b)); err != nil {
			return err
		}
		for i, name := range names {
			if len(names) > datesShown && a.config.Output != formatWide && i >= endsShown && i < len(names)-endsShown {
				if i == endsShown {
					say(w, "  %s\n", a.paint().dim(fmt.Sprintf("… %d more; -o wide shows them", len(names)-2*endsShown)))
				}
				continue
			}
			say(w, "  %s\n", name)
		}
		say(w, "%s\n", a.paint().dim("nothing was started; without --preview it is"))
		return nil
	})
}

func (a *app) getBackfill(ctx context.Context, id string, watch bool) error {
	c := a.client()
	if watch {
		return watchBackfill(ctx, a, c, id)
	}
	got, err := ask[api.Backfill](ctx, c, read(path("backfills", id), nil))
	if err != nil {
		return err
	}
	b := got.Value
	return a.print(got.Raw, []string{or(b.ID, "")}, func(w io.Writer) error {
		if err := errors.Join(a.writeBackfill(w, b, b.State, ""), a.writeWorkflows(w, b)); err != nil {
			return err
		}
		items, hint := b.Items, ""
		if len(items) > datesShown && a.config.Output != formatWide {
			items = slices.DeleteFunc(slices.Clone(items), func(i api.BackfillItem) bool { return slices.Contains(plainStates, i.State) })
			hint = "the others are waiting, skipped or have succeeded; -o wide shows all"
		}
		if len(items) > 0 {
			if err := itemView(b).write(w, items, a.look()); err != nil {
				return err
			}
		}
		if hint != "" {
			say(w, "%s\n", a.paint().dim(hint))
		}
		return nil
	})
}

// plainStates are those of dates that nobody looks for among many.
var plainStates = []string{"waiting", "skipped", "succeeded"}

// watchBackfill follows a backfill until it has ended: the dates that changed for people, the whole object for programs.
func watchBackfill(ctx context.Context, a *app, c *client, id string) error {
	people := a.config.Output == formatTable || a.config.Output == formatWide
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := c.changes(ctx, request{path: "/events"})
	now := make(chan struct{})
	close(now)
	objects := &changing[api.BackfillSummary]{app: a, view: backfillView(), seen: map[string]string{}}
	var rows *changing[api.BackfillItem]
	for {
		var got answer[api.Backfill]
		err := c.patiently(ctx, func() (err error) {
			got, err = ask[api.Backfill](ctx, c, read(path("backfills", id), nil))
			return err
		})
		if err != nil {
			return err
		}
		b := got.Value
		over := slices.Contains([]string{"stopped", "failed", "succeeded"}, b.State)
		switch {
		case !people:
			err = objects.print([]json.RawMessage{got.Raw})
		default:
			if rows == nil {
				rows = &changing[api.BackfillItem]{app: a, view: itemView(b), seen: map[string]string{}}
			}
			if err = rows.printItems(got.Raw); err == nil && over {
				err = a.writeBackfill(a.Stdout, b, b.State, "")
			}
		}
		if err != nil || over {
			return err
		}
		early := changed
		if b.Progress.Running == 0 && b.State != "paused" {
			early = now // it is about to end, or to go on, and of that no event tells
		}
		if err := pause(ctx, early); err != nil {
			return err
		}
	}
}

// printItems prints the dates that changed, but for those that have not begun.
func (c *changing[T]) printItems(raw json.RawMessage) error {
	var b struct{ Items []json.RawMessage }
	if err := json.Unmarshal(raw, &b); err != nil {
		return fmt.Errorf("read backfill: %w", err)
	}
	return c.print(slices.DeleteFunc(b.Items, func(raw json.RawMessage) bool {
		var item api.BackfillItem
		return json.Unmarshal(raw, &item) == nil && item.Instance == nil && item.Reason == nil
	}))
}

func itemView(of api.Backfill) view[api.BackfillItem] {
	v := view[api.BackfillItem]{
		name: func(i api.BackfillItem) string { return i.DataTime.String() },
		columns: []column[api.BackfillItem]{
			{head: "DATE", cell: func(i api.BackfillItem) string { return dateIn(of.BackfillSummary, i.DataTime) }},
			{head: "STATE", state: true, cell: func(i api.BackfillItem) string { return i.State }},
			{head: "INSTANCE", cell: func(i api.BackfillItem) string { return or(i.Instance, "-") }},
			{head: "REASON", free: true, cell: func(i api.BackfillItem) string {
				if i.State == "running" && !strings.HasPrefix(or(i.Reason, ""), "waiting:") { // the state says as much
					return ""
				}
				return or(i.Reason, "")
			}},
		},
	}
	if len(of.Workflows) > 0 {
		v.name = func(i api.BackfillItem) string { return i.DataTime.String() + " " + placeOf(i.Project, i.Workflow) }
		v.columns = slices.Insert(v.columns, 1, column[api.BackfillItem]{head: "WORKFLOW", cell: func(i api.BackfillItem) string {
			return shorten(placeOf(i.Project, i.Workflow), 32)
		}})
	}
	return v
}

// writeWorkflows lists the workflows of a backfill with cascade.
func (a *app) writeWorkflows(w io.Writer, b api.Backfill) error {
	if len(b.Workflows) == 0 {
		return nil
	}
	return workflowsView(b.ID != nil).write(w, b.Workflows, a.look())
}

func workflowsView(begun bool) view[api.BackfillWorkflow] {
	date := func(of api.BackfillWorkflow, at flow.Time) string {
		if at == 0 {
			return "-"
		}
		return shortDate(api.BackfillSummary{Timezone: of.Timezone}, at)
	}
	v := view[api.BackfillWorkflow]{
		name: func(p api.BackfillWorkflow) string { return placeOf(p.Project, p.Workflow) },
		columns: []column[api.BackfillWorkflow]{
			{head: "LEVEL", cell: func(p api.BackfillWorkflow) string { return strconv.Itoa(p.Level) }},
			{head: "WORKFLOW", cell: func(p api.BackfillWorkflow) string { return shorten(placeOf(p.Project, p.Workflow), 32) }},
			{head: "SCHEDULE", cell: func(p api.BackfillWorkflow) string { return shorten(or(p.Schedule, "-"), 24) }},
			{head: "DATES", cell: func(p api.BackfillWorkflow) string { return strconv.Itoa(p.Progress.Total) }},
			{head: "FROM", cell: func(p api.BackfillWorkflow) string { return date(p, p.From) }},
			{head: "TO", cell: func(p api.BackfillWorkflow) string { return date(p, p.To) }},
			{head: "REASON", free: true, cell: func(p api.BackfillWorkflow) string { return or(p.Reason, "") }},
		},
	}
	if begun {
		v.columns[3] = column[api.BackfillWorkflow]{head: "PROGRESS", cell: func(p api.BackfillWorkflow) string {
			return progressOfDates(p.Progress)
		}}
	}
	return v
}
