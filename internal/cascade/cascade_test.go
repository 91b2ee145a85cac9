package cascade_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"baton/internal/cascade"
	"baton/internal/flow"
	"baton/internal/timetable"
)

// workflow has a dependent task with these options, JSON.
func workflow(id flow.ID, name string, dependents ...string) flow.Definition {
	d := flow.Definition{ID: id, Project: "p", Name: name}
	for i, with := range dependents {
		d.Workflow.Tasks = append(d.Workflow.Tasks, flow.Task{Name: fmt.Sprint("t", i), Type: flow.TypeDependent, With: json.RawMessage(with)})
	}
	return d
}

func on(leaves ...string) string { return `{"all": [` + strings.Join(leaves, ",") + `]}` }

func leaf(workflow, window string) string {
	return fmt.Sprintf(`{"workflow": %q, "window": %q}`, workflow, window)
}

func graphOf(defs ...flow.Definition) *cascade.Graph {
	g := &cascade.Graph{}
	for _, d := range defs {
		g.Add(d)
	}
	return g
}

func TestLevels(t *testing.T) {
	t.Parallel()
	a := workflow(1, "a")
	disabled := workflow(9, "off", on(leaf("a", "same")))
	disabled.Workflow.Tasks[0].Disabled = true
	inner := workflow(10, "inner")
	inner.Workflow.Tasks = []flow.Task{{Name: "m", Type: flow.TypeMap, Inner: &flow.Task{Type: flow.TypeDependent, With: json.RawMessage(on(leaf("a", "same")))}}}
	other := workflow(11, "a", on(leaf("x", "same"), `{"project": "p", "workflow": "a", "window": "same"}`))
	other.Project = "q"
	for _, c := range []struct {
		name string
		defs []flow.Definition
		want string
	}{
		{"nobody", []flow.Definition{a, workflow(2, "b", on(leaf("x", "same")))}, ""},
		{"a chain", []flow.Definition{workflow(3, "c", on(leaf("b", "same"))), workflow(2, "b", on(leaf("a", "last1Days")))}, "1 p/b, 2 p/c"},
		{"the longest way counts", []flow.Definition{workflow(2, "b", on(leaf("a", "same"), leaf("c", "same"))), workflow(3, "c", on(leaf("a", "today")))}, "1 p/c, 2 p/b"},
		{"all and any, and several tasks", []flow.Definition{workflow(2, "b", on(leaf("x", "same")), `{"any": [{"all": [`+leaf("a", "same")+`]}]}`)}, "1 p/b"},
		{"its own runs of before", []flow.Definition{workflow(1, "a", on(leaf("a", "last1Days"))), workflow(2, "b", on(leaf("a", "same"), leaf("b", "last1Days")))}, "1 p/b"},
		{"a task that is disabled", []flow.Definition{disabled}, ""},
		{"of an item", []flow.Definition{inner}, "1 p/inner"},
		{"another project, a name of both", []flow.Definition{other}, "1 q/a"},
		{"a name made of a parameter", []flow.Definition{workflow(2, "b", on(leaf("${a}", "same")))}, ""},
	} {
		got, err := graphOf(c.defs...).Levels(a)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var told []string
		for _, d := range got {
			told = append(told, fmt.Sprintf("%d %s/%s", d.Level, d.Definition.Project, d.Definition.Name))
		}
		if text := strings.Join(told, ", "); text != c.want {
			t.Errorf("%s: %s, want %s", c.name, text, c.want)
		}
	}
}

func TestCircle(t *testing.T) {
	t.Parallel()
	g := graphOf(workflow(2, "b", on(leaf("a", "same"), leaf("d", "last1Days"))), workflow(3, "c", on(leaf("b", "same"))), workflow(4, "d", on(leaf("c", "same"))))
	_, err := g.Levels(workflow(1, "a"))
	if e, known := errors.AsType[*flow.Error](err); !known || e.Field != "cascade" || !strings.Contains(e.Message, "in a circle: p/b, p/c, p/d, p/b (each names the one before it)") {
		t.Errorf("%v", err)
	}
	var below []string
	for _, d := range g.Below(workflow(1, "a")) {
		below = append(below, d.Name)
	}
	if text := strings.Join(below, " "); text != "b c d" {
		t.Errorf("below a: %s", text)
	}
}

func schedule(t *testing.T, name, cron, zone string) cascade.Schedule {
	t.Helper()
	table, err := timetable.New(flow.Schedule{Name: name, Cron: cron, Timezone: zone}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cascade.Schedule{Name: name, Zone: zone, Table: table, Params: map[string]string{"by": name}}
}

// days are midnights of march 2026 in UTC.
func days(list ...int) []flow.Time {
	out := make([]flow.Time, len(list))
	for i, d := range list {
		out[i] = flow.At(time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC))
	}
	return out
}

// told is a plan as text: the parts, and the items in their order.
func told(parts []flow.BackfillPart, items []flow.BackfillItem) string {
	var out []string
	for i, p := range parts {
		if p.Dates == 0 {
			out = append(out, fmt.Sprintf("%d %s: %s", p.Level, p.WorkflowName, p.Reason))
			continue
		}
		name := p.WorkflowName
		if p.Start.Schedule != "" {
			name += " by " + p.Start.Schedule
		}
		var dates []string
		for _, item := range items {
			if item.Part == i {
				dates = append(dates, item.DataTime.Std().UTC().Format("0102 15:04"))
			}
		}
		line := fmt.Sprintf("%d %s: %s", p.Level, name, strings.Join(dates, ", "))
		if p.Reason != "" {
			line += " (" + p.Reason + ")"
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func TestPlan(t *testing.T) {
	t.Parallel()
	a := workflow(1, "a")
	nightly, weekly := schedule(t, "nightly", "0 0 2 * * ?", "UTC"), schedule(t, "weekly", "0 0 6 ? * MON", "Asia/Shanghai")
	for _, c := range []struct {
		name  string
		defs  []flow.Definition
		by    map[string][]cascade.Schedule
		dates []flow.Time
		want  string
	}{
		{
			"the same data times, without a schedule",
			[]flow.Definition{workflow(2, "b", on(leaf("a", "same")))},
			nil, days(1, 2), "0 a: 0301 00:00, 0302 00:00\n1 b: 0301 00:00, 0302 00:00",
		},
		{
			"the same data times, with the parameters of its schedule",
			[]flow.Definition{workflow(2, "b", on(leaf("a", "same")))},
			map[string][]cascade.Schedule{"b": {nightly}},
			days(1), "0 a: 0301 00:00\n1 b by nightly: 0301 00:00",
		},
		{
			"of several schedules the one that fires then, else none",
			[]flow.Definition{workflow(2, "b", on(leaf("a", "same")))},
			map[string][]cascade.Schedule{"b": {nightly, schedule(t, "daily", "0 0 0 ? * SUN", "UTC")}},
			days(1, 2), "0 a: 0301 00:00, 0302 00:00\n1 b: 0302 00:00\n1 b by daily: 0301 00:00",
		},
		{
			"the nights after",
			[]flow.Definition{workflow(2, "b", on(leaf("a", "last1Days")))},
			map[string][]cascade.Schedule{"b": {nightly}},
			days(1, 2, 5), "0 a: 0301 00:00, 0302 00:00, 0305 00:00\n1 b by nightly: 0302 02:00, 0303 02:00, 0306 02:00",
		},
		{
			"one date for many, in its zone", // the 2nd of march is a monday, and so is the 9th
			[]flow.Definition{workflow(2, "b", on(leaf("a", "lastWeek")))},
			map[string][]cascade.Schedule{"b": {weekly}},
			days(2, 3, 4), "0 a: 0302 00:00, 0303 00:00, 0304 00:00\n1 b by weekly: 0308 22:00",
		},
		{
			"level after level, each by the dates of the one before",
			[]flow.Definition{workflow(2, "b", on(leaf("a", "last1Days"))), workflow(3, "c", on(leaf("b", "last1Days"), leaf("a", "same")))},
			map[string][]cascade.Schedule{"b": {nightly}, "c": {nightly}},
			days(1), "0 a: 0301 00:00\n1 b by nightly: 0302 02:00\n2 c by nightly: 0301 00:00, 0303 02:00",
		},
		{
			"what cannot be known is left out, and said",
			[]flow.Definition{
				workflow(2, "b", on(leaf("a", "last1Days"))), workflow(3, "c", `{"match": "latest_end", "all": [`+leaf("a", "today")+`]}`),
				workflow(4, "d", on(leaf("a", "${w}"))), workflow(5, "e", on(leaf("a", "same"), leaf("a", "lastMonth"))), workflow(6, "f", on(leaf("b", "same"))),
				workflow(7, "g", on(leaf("a", "lastCentury"))),
			},
			map[string][]cascade.Schedule{"c": {nightly}, "d": {nightly}, "g": {nightly}},
			days(1),
			"0 a: 0301 00:00\n" +
				"1 b: unknown: it has no schedule that is enabled, so nothing says for which dates it would look at last1Days of p/a\n" +
				"1 c: unknown: match: latest_end looks at when runs of p/a ended, not at what they were for\n" +
				"1 d: unknown: its window of p/a is made of a parameter, and known when it begins\n" +
				"1 e: 0301 00:00 (unknown: it has no schedule that is enabled, so nothing says for which dates it would look at lastMonth of p/a)\n" +
				"1 g: unknown: its window \"lastCentury\" of p/a is not known here\n" +
				"2 f: no_dates: none of its times looks at a date of what it depends on",
		},
		{
			"no time of it looks there",
			[]flow.Definition{workflow(2, "b", on(leaf("a", "lastMonthEnd")))},
			map[string][]cascade.Schedule{"b": {nightly}},
			days(30), "0 a: 0330 00:00\n1 b: no_dates: none of its times looks at a date of what it depends on",
		},
	} {
		parts, items, err := plan(a, c.dates, c.defs, c.by, false)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if text := told(parts, items); text != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, text, c.want)
		}
		for _, item := range items {
			if item.Level != parts[item.Part].Level {
				t.Errorf("%s: %+v is of level %d", c.name, item, parts[item.Part].Level)
			}
		}
	}
}

func plan(a flow.Definition, dates []flow.Time, defs []flow.Definition, by map[string][]cascade.Schedule, descending bool) ([]flow.BackfillPart, []flow.BackfillItem, error) {
	dependents, err := graphOf(defs...).Levels(a)
	if err != nil {
		return nil, nil, err
	}
	var members []cascade.Member
	for _, d := range dependents {
		members = append(members, cascade.Member{Dependent: d, Schedules: by[d.Definition.Name]})
	}
	return cascade.Plan(flow.BackfillPart{Workflow: a.ID, WorkflowName: "a"}, dates, a, members, descending)
}

// Levels stand one after another, whichever way the dates of each go.
func TestPlanIsInTheOrderInWhichItBegins(t *testing.T) {
	t.Parallel()
	defs := []flow.Definition{workflow(2, "b", on(leaf("a", "same"))), workflow(3, "c", on(leaf("a", "same"))), workflow(4, "d", on(leaf("c", "same")))}
	for _, c := range []struct {
		descending bool
		want       string
	}{
		{false, "a1 a2 b1 c1 b2 c2 d1 d2"},
		{true, "a2 a1 b2 c2 b1 c1 d2 d1"},
	} {
		parts, items, err := plan(workflow(1, "a"), days(1, 2), defs, nil, c.descending)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range items {
			got = append(got, fmt.Sprintf("%s%d", parts[i.Part].WorkflowName, i.DataTime.Std().UTC().Day()))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("descending %t: %s, want %s", c.descending, text, c.want)
		}
	}
}

// All dates together are bounded, and who has too many is named.
func TestPlanIsBounded(t *testing.T) {
	t.Parallel()
	secondly := schedule(t, "secondly", "* * * * * ?", "UTC")
	var many []flow.Time
	for i := range flow.MaxBackfillDates/2 + 1 {
		many = append(many, days(1)[0].Add(time.Duration(i)*time.Hour))
	}
	for name, c := range map[string]struct {
		dates []flow.Time
		leaf  string
	}{"by its schedule": {days(1), leaf("a", "today")}, "by those of the workflow": {many, leaf("a", "same")}} {
		_, _, err := plan(workflow(1, "a"), c.dates, []flow.Definition{workflow(2, "b", on(c.leaf))}, map[string][]cascade.Schedule{"b": {secondly}}, false)
		if e, known := errors.AsType[*flow.Error](err); !known || e.Field != "cascade" || !strings.Contains(e.Message, "with those of p/b") || !strings.Contains(e.Message, "at most 10000 dates over all") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, items, err := plan(workflow(1, "a"), slices.Clone(many[1:]), []flow.Definition{workflow(2, "b", on(leaf("a", "same")))}, nil, false); err != nil || len(items) != flow.MaxBackfillDates {
		t.Errorf("%d items, %v", len(items), err)
	}
}
