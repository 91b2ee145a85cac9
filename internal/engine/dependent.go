// Dependents: a task that waits for runs of other workflows.

package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/window"
)

const dependentLookup = flow.ReasonDependent + ": looks at what it depends on"

// dependentOptions are those of a dependent.
type dependentOptions struct {
	flow.Dependency
	OnFailure   string     `json:"on_failure"`
	Wait        string     `json:"wait"`
	Match       flow.Match `json:"match"`
	PassOutputs any        `json:"pass_outputs"` // a boolean, or a text that a template gave
}

// checkDependency refuses names that no workflow has: they may be made of parameters, and come out empty or as anything.
// at is the place of the dependency.
func checkDependency(d *flow.Dependency, at string) error {
	for _, list := range []struct {
		name  string
		below []flow.Dependency
	}{{"all", d.All}, {"any", d.Any}} {
		for i := range list.below {
			if err := checkDependency(&list.below[i], fmt.Sprintf("%s.%s[%d]", at, list.name, i)); err != nil {
				return err
			}
		}
	}
	if !d.Leaf() {
		return nil
	}
	for _, is := range []struct {
		name string
		text *string
	}{{"project", d.Project}, {"workflow", &d.Workflow}, {"task", d.Task}} {
		if is.text == nil {
			continue
		}
		if err := flow.CheckName(*is.text); err != nil {
			return fmt.Errorf("%s.%s: %s", at, is.name, err.Message)
		}
	}
	if d.Window == window.Same {
		return nil
	}
	if _, err := window.Find(d.Window); err != nil {
		return fmt.Errorf("%s.window: %w", at, err)
	}
	return nil
}

// upstreams are the leaves of a row as questions.
func (s *State) upstreams(o *dependentOptions) ([]flow.Upstream, error) {
	if err := checkDependency(&o.Dependency, "with"); err != nil {
		return nil, err
	}
	base := s.Inst.DataTime
	var out []flow.Upstream
	for _, leaf := range o.Leaves() {
		u := flow.Upstream{Project: leaf.ProjectIn(s.Plan.Def.Project), Workflow: leaf.Workflow, Task: leaf.TaskName(), Match: cmp.Or(o.Match, flow.MatchDataTime)}
		u.Own = u.Project == s.Plan.Def.Project && u.Workflow == s.Plan.Def.Name
		if leaf.Window == window.Same {
			u.Windows = []flow.Span{{From: base, To: base + 1}}
			out = append(out, u)
			continue
		}
		w, err := window.Find(leaf.Window)
		if err != nil {
			return nil, err
		}
		for _, i := range w.Intervals(base.Std(), s.zone()) {
			u.Windows = append(u.Windows, flow.Span{From: flow.At(i.Start), To: flow.At(i.End)})
		}
		out = append(out, u)
	}
	return out, nil
}

func (s *State) beginDependent(r int32, raw json.RawMessage, env Env, fx *Effects) {
	var o dependentOptions
	err := json.Unmarshal(raw, &o)
	if err == nil {
		_, err = s.upstreams(&o)
	}
	if err != nil {
		s.failHosted(r, flow.ReasonOptions, err.Error(), env, fx)
		return
	}
	s.Rows[r].Reason = dependentLookup
	s.look(r, fx)
}

// lookedUpstream goes on with how the upstreams of a row stand.
func (s *State) lookedUpstream(r int32, found []flow.FoundUpstream, env Env, fx *Effects) {
	o, err := optionsOf[dependentOptions](s, r)
	if err != nil {
		s.failHosted(r, flow.ReasonParameter, err.Error(), env, fx)
		return
	}
	asked, err := s.upstreams(&o)
	if err != nil || len(found) != len(asked) { // the question was of another program: soon it is asked again
		s.Rows[r].NextCheck = env.Now.Add(followSoon)
		s.touch(r)
		return
	}
	k := 0
	up := o.Upshot(func() flow.Upshot { k++; return standingOf(asked[k-1], found[k-1]) })
	switch {
	case up == flow.UpshotSucceeded:
		var outputs []byte
		if fmt.Sprint(o.PassOutputs) == "true" {
			outputs = passed(found)
		}
		s.succeedHosted(r, outputs, env, fx)
		return
	case up == flow.UpshotFailed && o.OnFailure != "wait":
		s.failHosted(r, flow.ReasonDependentFailed, s.waitsFor(asked, found, flow.UpshotFailed), env, fx)
		return
	}
	s.follow(r, &o, up, asked, found, env, fx)
}

// outlast waits for an upstream that failed and may be mended, for as long as the task says. Since when it has failed
// is kept where an attempt keeps when it was granted.
func (s *State) outlast(r int32, o *dependentOptions, why string, env Env, fx *Effects) {
	row := &s.Rows[r]
	since := &row.Attempt.GrantedAt
	if *since == 0 {
		*since = env.Now
	}
	row.NextCheck = env.Now.Add(followNet)
	if patience, err := flow.ParseDuration(o.Wait); err == nil {
		if until := since.Add(patience.Std()); until <= env.Now {
			s.failHosted(r, flow.ReasonDependentFailed, why+"; nothing changed in "+patience.String(), env, fx)
		} else {
			row.NextCheck = flow.Earliest(row.NextCheck, until)
		}
	}
	if !row.State.Ended() {
		row.Reason = flow.Text(flow.ReasonDependent+": waits for somebody to mend "+why, flow.MaxReason)
	}
}

// standingOf is what the windows of one upstream come to together: each must have succeeded.
func standingOf(u flow.Upstream, f flow.FoundUpstream) flow.Upshot {
	if f.Workflow == 0 {
		return flow.UpshotPending
	}
	if u.Own && !f.Earlier {
		return flow.UpshotSucceeded // the first run of all
	}
	out := flow.UpshotSucceeded
	for _, run := range f.Runs {
		switch run.Upshot(u.Task) {
		case flow.UpshotFailed:
			return flow.UpshotFailed
		case flow.UpshotPending:
			out = flow.UpshotPending
		default:
		}
	}
	return out
}

// waitsFor names the windows that stand so, a few of them.
func (s *State) waitsFor(asked []flow.Upstream, found []flow.FoundUpstream, up flow.Upshot) string {
	var out []string
	for i, u := range asked {
		name := u.Project + "/" + u.Workflow
		if found[i].Workflow == 0 {
			if up == flow.UpshotPending {
				out = append(out, fmt.Sprintf("workflow %s, which does not exist", name))
			}
			continue
		}
		if standingOf(u, found[i]) != up {
			continue
		}
		if u.Task != "" {
			name += " task " + u.Task
		}
		for w, run := range found[i].Runs {
			if run.Upshot(u.Task) != up {
				continue
			}
			out = append(out, fmt.Sprintf("%s of %s (%s)", name, s.spanText(u.Windows[w]), runText(run)))
		}
	}
	return few(out)
}

// spanText names a window as people do: a day, an hour.
func (s *State) spanText(w flow.Span) string {
	from, to := w.From.Std().In(s.zone()), w.To.Std().In(s.zone())
	switch midnight := from.Hour()+from.Minute()+from.Second() == 0; {
	case w.To-w.From <= 1:
		return from.Format(time.RFC3339)
	case midnight && to.Sub(from) > 12*time.Hour:
		return from.Format(time.DateOnly)
	default:
		return from.Format("2006-01-02 15:04")
	}
}

func runText(run flow.FoundRun) string {
	switch {
	case run.ID == 0:
		return "no run yet"
	case run.Rerun:
		return fmt.Sprintf("run %s is about to be rerun", run.ID)
	case run.Task != 0:
		return fmt.Sprintf("%s in run %s", run.Task, run.ID)
	default:
		return fmt.Sprintf("run %s is %s", run.ID, run.State)
	}
}

// passed merges the outputs of upstreams; of equal names the one that ended first wins, as in DolphinScheduler.
func passed(found []flow.FoundUpstream) []byte {
	var runs []flow.FoundRun
	for _, f := range found {
		runs = append(runs, f.Runs...)
	}
	slices.SortStableFunc(runs, func(a, b flow.FoundRun) int { return cmp.Compare(a.EndedAt, b.EndedAt) })
	out := map[string]json.RawMessage{}
	for _, run := range runs {
		var values map[string]json.RawMessage
		if len(run.Outputs) == 0 || json.Unmarshal(run.Outputs, &values) != nil {
			continue
		}
		for k, v := range values {
			if _, earlier := out[k]; !earlier {
				out[k] = v
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	raw, _ := json.Marshal(out) // of JSON: it cannot fail
	return raw
}
