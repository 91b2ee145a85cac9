// Triggers that wait for what happens outside: one master looks out, and what it writes counts once.

package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"baton/internal/flow"
)

func arrives(name, path string) flow.Trigger {
	return flow.Trigger{Name: name, File: &flow.Arrival{Path: path}}
}

func notified(name, channel string) flow.Trigger {
	return flow.Trigger{Name: name, Notify: &flow.Notify{DataSource: "dw", Channel: channel}}
}

// lookOut is what a master has to look out for.
func (w *world) lookOut(owner int64) flow.Outlook {
	w.Helper()
	return must(w.m.LookOut(w.ctx, owner, ""))(w)
}

// version is a file as it was written once.
func version(path string, modified int64) flow.FileVersion {
	return flow.FileVersion{Path: path, Size: 3, Modified: modified}
}

// came is a decision about an event of a trigger, which starts a run unless why not is said.
func (w *world) came(o flow.Outside, key, why string, fresh ...flow.FileVersion) flow.OutsideDecision {
	d := flow.OutsideDecision{Trigger: o.ID, Revision: o.Revision, Fresh: fresh}
	start := flow.TriggerStart{Trigger: o.ID, Project: o.Project, Workflow: o.Workflow, State: flow.StartFired, Cause: "something", Key: key, At: now}
	if why != "" {
		start.State, start.Reason = flow.StartSkipped, why
	} else {
		d.Commands = []flow.Command{{Project: o.Project, Workflow: o.Workflow, Priority: flow.PriorityMedium, Start: []byte(`{"trigger":"trigger"}`), Zone: "UTC", At: now}}
	}
	d.Starts = []flow.TriggerStart{start}
	return d
}

func (w *world) startOutside(owner int64, d flow.OutsideDecision) bool {
	w.Helper()
	return must(w.m.StartOutside(w.ctx, owner, d, now))(w)
}

func (w *world) startsOf(workflow string) []flow.NamedStart {
	w.Helper()
	return must(w.db.Starts(w.ctx, flow.StartFilter{Project: "p", Workflow: workflow}))(w).Items
}

// testLookOut: one looks out, another when that one is fenced; what there is to look out for is told when it is new.
func testLookOut(w *world) {
	other, _ := w.register("home-2")
	w.same(false, must(w.m.Waiting(w.ctx, w.me))(w).Outside)
	w.apply(triggered("a", arrives("files", "/in/*"), notified("told", "orders"), after("ends", source(""))))
	w.same(true, must(w.m.Waiting(w.ctx, w.me))(w).Outside)

	first := w.lookOut(w.me)
	w.same([]any{true, 2}, []any{first.Mine, len(first.Triggers)})
	w.same([]any{"files", "told", "p", (*flow.DataSource)(nil)},
		[]any{first.Triggers[0].Body.Name, first.Triggers[1].Body.Name, first.Triggers[0].ProjectName, first.Triggers[1].DataSource})
	w.same(false, w.lookOut(other).Mine, "one looks out")
	w.same([]flow.Outside(nil), must(w.m.LookOut(w.ctx, w.me, first.Version))(w).Triggers, "nothing is new")

	w.apply(flow.Document{DataSource: &flow.DataSource{Project: "p", Name: "dw", Type: "postgres", Host: "db"}})
	second := must(w.m.LookOut(w.ctx, w.me, first.Version))(w)
	w.same("db", second.Triggers[1].DataSource.Host)
	w.same(first.Triggers[0].Since, second.Triggers[0].Since)

	looked := func(i int, at flow.Time, problem, alert string) flow.Looked {
		return flow.Looked{Trigger: first.Triggers[i].ID, Since: first.Triggers[i].Since, At: at, Problem: problem, Alert: alert}
	}
	w.ok(w.m.Looked(w.ctx, w.me, []flow.Looked{looked(0, now, "", ""), looked(1, 0, "no way", "starts nothing")}, now))
	rows := must(w.db.Triggers(w.ctx, "p", "a", 10, 0))(w).Items
	w.same([]any{now, "", flow.Time(0), "no way"}, []any{rows[0].LookedAt, rows[0].Problem, rows[1].LookedAt, rows[1].Problem})
	alerts := must(w.db.Alerts(w.ctx, flow.AlertFilter{}))(w).Items
	w.same([]any{1, flow.AlertTrigger, "a", "trigger told starts nothing"}, []any{len(alerts), alerts[0].Kind, alerts[0].Workflow, alerts[0].Message})
	other0 := looked(0, now+5, "of what it waited for before", "")
	other0.Since--
	w.ok(w.m.Looked(w.ctx, w.me, []flow.Looked{looked(0, now-5, "", ""), looked(1, 0, "", ""), other0}, now))
	row := must(w.db.Triggers(w.ctx, "p", "a", 10, 0))(w).Items[0]
	w.same([]any{now, ""}, []any{row.LookedAt, row.Problem}, "it does not go back, and what it waits for now is meant")

	must(w.m.Condemn(w.ctx, w.me, other, "test"))(w)
	w.same(false, w.lookOut(w.me).Mine, "who is fenced looks out no more")
	w.same(true, w.lookOut(other).Mine)
	for _, owner := range []int64{w.me, 12345} {
		_, err := w.m.StartOutside(w.ctx, owner, w.came(first.Triggers[0], "", ""), now)
		w.same(true, errors.Is(err, flow.ErrFenced))
		w.same(true, errors.Is(w.m.Looked(w.ctx, owner, []flow.Looked{{Trigger: first.Triggers[0].ID, At: now}}, now), flow.ErrFenced))
	}
	w.same(0, len(w.startsOf("a")))
}

// testLookOutRace: of many that would look out at once one does.
func testLookOutRace(w *world) {
	w.apply(triggered("a", arrives("files", "/in/*")))
	owners := []int64{w.me}
	for _, home := range []string{"h2", "h3", "h4", "h5", "h6"} {
		o, _ := w.register(home)
		owners = append(owners, o)
	}
	var g errgroup.Group
	var mine atomic.Int64
	for _, o := range owners {
		g.Go(func() error {
			out, err := w.m.LookOut(w.ctx, o, "")
			if out.Mine {
				mine.Add(1)
			}
			return err
		})
	}
	w.ok(g.Wait())
	w.same(int64(1), mine.Load())
}

// testStartOutside: what is fresh counts once, and only for the trigger as it is.
func testStartOutside(w *world) {
	w.apply(triggered("a", arrives("files", "/in/*")))
	o := w.lookOut(w.me).Triggers[0]
	d := w.came(o, "", "", version("/in/a", 1), version("/in/b", 1))
	d.LookedAt = now
	w.same(true, w.startOutside(w.me, d))
	w.same(false, w.startOutside(w.me, w.came(o, "", "", version("/in/b", 1))), "it is known")
	failed := w.came(o, "", "an expression failed", version("/in/b", 2))
	failed.Starts[0].Failed = true
	failed.Starts = append(failed.Starts, failed.Starts[0])
	w.same(true, w.startOutside(w.me, failed))
	alerts := must(w.db.Alerts(w.ctx, flow.AlertFilter{}))(w).Items
	w.same([]any{1, "trigger files started nothing for something: an expression failed; nor for 1 more"}, []any{len(alerts), alerts[0].Message})
	starts := w.startsOf("a")
	w.same([]any{3, flow.StartSkipped, "an expression failed"}, []any{len(starts), starts[0].State, starts[0].Reason})
	run := must(w.db.Instance(w.ctx, starts[2].Instance))(w)
	w.same([]any{flow.TriggerTrigger, flow.InstanceSubmitted}, []any{run.Trigger, run.State})

	w.same(true, w.startOutside(w.me, flow.OutsideDecision{
		Trigger: o.ID, Revision: o.Revision, Forgot: []flow.FileVersion{version("/in/b", 1)},
		Changed: []flow.KnownFile{{FileVersion: version("/in/a", 1), GoneAt: now}},
	}))
	known := map[flow.FileVersion]flow.Time{}
	for _, k := range must(w.m.KnownFiles(w.ctx, o.ID, ""))(w).Files {
		known[k.FileVersion] = k.GoneAt
	}
	w.same(map[flow.FileVersion]flow.Time{version("/in/a", 1): now, version("/in/b", 2): 0}, known)

	changed := arrives("files", "/in/*")
	changed.Params = []flow.Pair{{Name: "x", Value: "y"}}
	w.apply(triggered("a", changed))
	w.same(false, w.startOutside(w.me, w.came(o, "", "", version("/in/c", 1))), "it is another revision")
	now2 := w.lookOut(w.me).Triggers[0]
	w.same([]any{o.Since, now, 2}, []any{now2.Since, now2.LookedAt, len(must(w.m.KnownFiles(w.ctx, o.ID, ""))(w).Files)}, "it looks for the same")

	w.apply(triggered("a", arrives("files", "/other/*")))
	now3 := w.lookOut(w.me).Triggers[0]
	w.same([]any{true, flow.Time(0), 0}, []any{now3.Since >= o.Since, now3.LookedAt, len(must(w.m.KnownFiles(w.ctx, o.ID, ""))(w).Files)}, "it begins anew")
	w.same(true, w.startOutside(w.me, w.came(now3, "", "", version("/in/a", 1))))
	must(w.db.EnableTriggers(w.ctx, "p", "a", "", false))(w)
	w.same([]any{0, 0}, []any{len(w.lookOut(w.me).Triggers), len(must(w.m.KnownFiles(w.ctx, o.ID, ""))(w).Files)}, "one that is disabled forgets")
	w.same(false, must(w.m.Waiting(w.ctx, w.me))(w).Outside)
	must(w.db.EnableTriggers(w.ctx, "p", "a", "", true))(w)
	w.same(flow.Time(0), w.lookOut(w.me).Triggers[0].LookedAt)
	w.apply(triggered("a"))
	w.same(0, len(w.lookOut(w.me).Triggers))
}

// testStartOutsideKeys: a decision whose outcome nobody learned is given again, and writes what is missing.
func testStartOutsideKeys(w *world) {
	w.apply(triggered("a", notified("told", "orders")))
	o := w.lookOut(w.me).Triggers[0]
	w.same(true, w.startOutside(w.me, w.came(o, "s:1", "")))
	both := w.came(o, "s:1", "")
	more := w.came(o, "s:2", "")
	skipped := w.came(o, "s:3", "no")
	both.Starts = append(both.Starts, skipped.Starts[0], more.Starts[0])
	both.Commands = append(both.Commands, more.Commands[0])
	w.same(true, w.startOutside(w.me, both))
	w.same(true, w.startOutside(w.me, both))
	keys := map[string]bool{}
	runs := 0
	for _, s := range w.startsOf("a") {
		keys[s.Key] = true
		if s.Instance != 0 {
			runs++
			must(w.db.Instance(w.ctx, s.Instance))(w)
		}
	}
	w.same([]any{map[string]bool{"s:1": true, "s:2": true, "s:3": true}, 2, 3}, []any{keys, runs, len(w.startsOf("a"))})
}

// testKnownFiles: many files, with paths of any length, are read in parts.
func testKnownFiles(w *world) {
	w.apply(triggered("a", arrives("files", "/in/*")))
	o := w.lookOut(w.me).Triggers[0]
	const n = 12_345
	want := map[flow.FileVersion]bool{}
	for len(want) < n {
		var fresh []flow.FileVersion
		for range min(5000, n-len(want)) {
			v := version(fmt.Sprintf("/in/%s/%d", strings.Repeat("x", len(want)%4000), len(want)), 1)
			v.Tag = fmt.Sprint(len(want) % 2)
			want[v] = true
			fresh = append(fresh, v)
		}
		w.same(true, w.startOutside(w.me, flow.OutsideDecision{Trigger: o.ID, Revision: o.Revision, Fresh: fresh}))
	}
	twice := want
	for from := ""; ; {
		part := must(w.m.KnownFiles(w.ctx, o.ID, from))(w)
		for _, k := range part.Files {
			if !twice[k.FileVersion] {
				w.Fatalf("%s is not known, or known twice", k.Path)
			}
			delete(twice, k.FileVersion)
		}
		if from = part.Next; from == "" {
			break
		}
	}
	w.same(0, len(twice))
}
