// Runs that are rerun together with those that depend on them.

package storetest

import (
	"encoding/json"
	"strings"

	"baton/internal/flow"
)

// rerun orders a run of the world's workflow to be rerun with those of some others.
func (w *world) rerun(id flow.ID, others ...flow.ID) ([]flow.Downstream, error) {
	w.Helper()
	payload, err := json.Marshal(flow.Verb{Name: flow.VerbRerun, By: "anna"})
	w.ok(err)
	return w.db.RerunDownstream(w.ctx, flow.InboxItem{ID: w.id(), Instance: id, Kind: flow.InboxVerb, Payload: payload, At: now}, others, w.id)
}

// Who looks at a run that is ordered to be rerun together with others sees one that has not ended, from the moment in which
// all are ordered until it has begun anew, whoever commits what, and in whatever order.
func testRerunDownstream(w *world) {
	names := []string{"w", "after", "goes_on", "never_ran"}
	var defs []flow.Definition
	for _, name := range names {
		w.apply(workflow("p", name, "a"))
		defs = append(defs, must(w.db.Workflow(w.ctx, "p", name, 0))(w))
	}
	begin := func(def flow.Definition, at flow.Time, state flow.InstanceState) flow.ID {
		c := w.command()
		c.Workflow, c.Version = def.ID, def.Version
		_, _, err := w.db.Submit(w.ctx, c, "digest")
		w.ok(err)
		ch := w.begin(c, 0)
		ch.Instance.DataTime = at
		w.committed(ch)
		w.endRun(c.ID, state, false, "a")
		return c.ID
	}
	first := begin(defs[0], day, flow.InstanceSucceeded)
	begin(defs[1], day, flow.InstanceFailed) // not the last one
	after := begin(defs[1], day, flow.InstanceSucceeded)
	begin(defs[1], day+1, flow.InstanceSucceeded) // for another time
	goesOn := begin(defs[2], day, flow.InstanceRunning)

	look := func(workflow, task string, match flow.Match) flow.FoundRun {
		w.Helper()
		u := flow.Upstream{Project: "p", Workflow: workflow, Task: task, Match: match, Windows: []flow.Span{{From: day, To: day + 1}}}
		if match == flow.MatchLatestEnd {
			u.Windows[0] = flow.Span{From: now - day, To: now + day}
		}
		return must(w.m.Lookup(w.ctx, flow.Lookup{Instance: 1, Upstreams: []flow.Upstream{u}}))(w).Upstreams[0].Runs[0]
	}
	w.same(flow.UpshotSucceeded, look("w", "", flow.MatchDataTime).Upshot(""))

	runs := must(w.rerun(first, defs[1].ID, defs[2].ID, defs[3].ID))(w)
	w.same(3, len(runs), "one workflow has no run for that time")
	w.same([]flow.ID{first, after, goesOn}, []flow.ID{runs[0].ID, runs[1].ID, runs[2].ID})
	w.same(defs[1].ID, runs[1].Workflow)
	if runs[0].Order == 0 || runs[1].Order == 0 || runs[2].Order != 0 || !strings.Contains(runs[2].LeftAlone(), "the run is running") {
		w.Errorf("%+v", runs)
	}
	w.same(0, len(must(w.db.Given(w.ctx, goesOn))(w)))
	w.same(flow.Verb{Name: flow.VerbRerun, By: "anna"}, must(w.db.Given(w.ctx, after))(w)[0].Verb)

	for _, name := range names[:2] {
		for _, task := range []string{"", "a"} {
			for _, match := range []flow.Match{flow.MatchDataTime, flow.MatchLatestEnd} {
				if match == flow.MatchLatestEnd && name != "w" {
					continue // there another one ended last
				}
				found := look(name, task, match)
				w.same(flow.UpshotPending, found.Upshot(task), name, task, match, "it is about to begin anew")
			}
		}
	}
	// The one behind begins first, and still sees that the one before it has not ended.
	for i, id := range []flow.ID{after, first} {
		up := next(w.load(id).Instance)
		up.Instance.State, up.Instance.RunTimes, up.Instance.EndedAt = flow.InstanceRunning, 2, 0
		up.Inbox = []flow.ID{runs[1-i].Order}
		up.Outcomes = []flow.Outcome{{Inbox: runs[1-i].Order, Instance: id, Verb: flow.VerbRerun, Applied: true, At: now}}
		w.committed(up)
		found := look("w", "", flow.MatchDataTime)
		w.same(flow.UpshotPending, found.Upshot(""), "after", i)
		w.same(i == 0, found.Rerun)
	}
	w.endRun(first, flow.InstanceSucceeded, false, "a")
	w.same(flow.UpshotSucceeded, look("w", "", flow.MatchDataTime).Upshot(""), "it has ended anew")
}

// What is not at rest is not rerun, and then nothing is.
func testRerunDownstreamRefused(w *world) {
	w.apply(workflow("p", "after", "a"))
	after := must(w.db.Workflow(w.ctx, "p", "after", 0))(w)
	_, err := w.rerun(99)
	w.same(flow.CodeNotFound, flow.CodeOf(err))
	waiting := w.submit()
	_, err = w.rerun(waiting.ID, after.ID)
	w.same(flow.CodeConflict, flow.CodeOf(err))
	w.committed(w.begin(waiting, 0))
	_, err = w.rerun(waiting.ID, after.ID)
	w.same(flow.CodeConflict, flow.CodeOf(err))
	w.same(0, len(must(w.db.Given(w.ctx, waiting.ID))(w)))
}
