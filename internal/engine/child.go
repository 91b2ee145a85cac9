// Sub-workflows: a task that begins a run of another workflow and is over when that is.

package engine

import (
	"encoding/json"
	"fmt"
	"slices"

	"baton/internal/flow"
	"baton/internal/param"
)

// maxDepth is how deep runs may lie in one another.
const maxDepth = 20

// causeRerun marks a superseded row whose run is to do everything again, not only what failed.
const causeRerun = "rerun"

const childLookup = flow.ReasonChild + ": looks up the workflow that is to run"

// childOptions are those of a sub_workflow.
type childOptions struct {
	Workflow string                     `json:"workflow"`
	Project  string                     `json:"project"`
	Params   map[string]json.RawMessage `json:"params"`
}

func (s *State) beginChild(r int32, raw json.RawMessage, env Env, fx *Effects) {
	var o childOptions
	if err := json.Unmarshal(raw, &o); err != nil {
		s.failHosted(r, flow.ReasonOptions, err.Error(), env, fx)
		return
	}
	s.Rows[r].Reason = childLookup
	s.look(r, fx)
}

// lastChild is the run that an earlier row of the same task began, 0 for none, and whether it is to do everything
// again.
func (s *State) lastChild(r int32) (child flow.ID, rerun bool) {
	for i := r - 1; i >= 0; i-- {
		row := &s.Rows[i]
		if row.Name != s.Rows[r].Name || row.Compensates != 0 {
			continue
		}
		rerun = rerun || row.Attempt.Cause == causeRerun
		if child = row.Child(); child != 0 {
			rerun = rerun || row.State.Success()
			if row.Item != 0 && rerun {
				return 0, false // what the item is may have changed
			}
			return child, rerun
		}
	}
	return 0, false
}

// beginRun begins the run of a row, or has the run go on that an earlier row of the task began: the same one is used
// again.
func (s *State) beginRun(r int32, a Looked, env Env, fx *Effects) {
	row := &s.Rows[r]
	if last, rerun := s.lastChild(r); last != 0 && a.Found.Child {
		row.Attempt.Ref = last.String()
		verb := flow.VerbRecover
		if rerun {
			verb = flow.VerbRerun
		}
		s.orderChild(r, verb, env)
		return
	}
	o, err := optionsOf[childOptions](s, r)
	if err != nil {
		s.failHosted(r, flow.ReasonParameter, err.Error(), env, fx)
		return
	}
	if a.Plan == nil {
		s.failHosted(r, flow.ReasonNoWorkflow, a.Found.Missing, env, fx)
		return
	}
	def := &a.Plan.Def
	within := append(slices.Clone(s.start.Within), s.Inst.Workflow)
	if slices.Contains(within, def.ID) || len(within) > maxDepth {
		s.failHosted(r, flow.ReasonRecursion, fmt.Sprintf("workflow %s would run within itself, and without an end", def.Name), env, fx)
		return
	}
	params := make(map[string]string, len(s.given)+len(o.Params))
	for k, v := range s.given {
		params[k] = param.Escape(v) // a value, whatever it looks like
	}
	for k, v := range o.Params {
		params[k] = param.Escape(textOf(v))
	}
	start := flow.Start{
		Params: params, DataTime: s.Inst.DataTime, Trigger: flow.TriggerSubWorkflow, Failure: s.start.Failure,
		WorkerGroup: s.start.WorkerGroup, Environment: s.start.Environment, Parent: s.Inst.ID, ParentRow: row.ID, Within: within,
	}
	if err := CheckStart(a.Plan, start, env.Now); err != nil {
		s.failHosted(r, flow.ReasonParameter, fmt.Sprintf("workflow %s cannot begin: %v", def.Name, err), env, fx)
		return
	}
	raw, err := json.Marshal(start)
	if err != nil {
		s.failHosted(r, flow.ReasonParameter, err.Error(), env, fx)
		return
	}
	child := env.OwnID()
	row.Attempt.Ref = child.String()
	row.Reason = childReason(child, def.Name)
	s.touch(r)
	s.change.commands = append(s.change.commands, flow.Command{
		ID: child, Project: def.ProjectID, Workflow: def.ID, Version: def.Version, Priority: s.Inst.Priority,
		Start: raw, Zone: def.Workflow.Timezone, At: env.Now,
	})
}

// textOf is a value as a parameter has it.
func textOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

func childReason(child flow.ID, of string) string {
	return fmt.Sprintf("%s: waits for run %s of workflow %s", flow.ReasonChild, child, of)
}

// orderChild gives the run of a row a verb.
func (s *State) orderChild(r int32, verb string, env Env) {
	row := &s.Rows[r]
	child := row.Child()
	switch verb {
	case flow.VerbStop:
		row.Reason = fmt.Sprintf("%s: run %s was asked to stop; waits until nothing of it is left", flow.ReasonKilling, child)
	case flow.VerbPause:
		row.Reason = fmt.Sprintf("%s: run %s was asked to pause; what runs of it finishes first", flow.ReasonChild, child)
	default:
		row.Reason = fmt.Sprintf("%s: waits for run %s, which goes on", flow.ReasonChild, child)
	}
	s.touch(r)
	payload, _ := json.Marshal(flow.Verb{Name: verb, By: "run " + s.Inst.ID.String(), Parent: row.ID}) // texts: it cannot fail
	s.send(child, flow.InboxVerb, payload, env)
}

// send puts an item into the inbox of another run.
func (s *State) send(to flow.ID, kind flow.InboxKind, payload []byte, env Env) {
	s.change.touched = true
	id := env.NextID()
	s.change.news = append(s.change.news, flow.InboxItem{ID: id, Instance: to, Kind: kind, Dedup: "news:" + id.String(), Payload: payload, At: env.Now})
}

// toldState is how the run stands for who began it: one that waits for its turn and was paused rests.
func (s *State) toldState() flow.InstanceState {
	if s.restsQueued() {
		return flow.InstancePaused
	}
	return s.Inst.State
}

// tellParent tells the run that began this one when it ended, rests or goes on. Who gave an order is told how the run
// stands whatever came of the order: it may have ended again with the decision that took it up, or have refused.
func (s *State) tellParent(before flow.InstanceState, asked bool, env Env) {
	now := s.toldState()
	rested := func(state flow.InstanceState) bool {
		return state.Ended() || state == flow.InstancePaused || state == flow.InstanceQuarantined
	}
	if s.Inst.Parent == 0 || !asked && (now == before || !rested(now) && !rested(before)) {
		return
	}
	payload, _ := json.Marshal(flow.ChildNews{Child: s.Inst.ID, Row: s.Inst.ParentRow, State: now, Reason: s.Inst.Reason, Outputs: s.Inst.Outputs}) // it was JSON before
	s.send(s.Inst.Parent, flow.InboxChild, payload, env)
}

// childTold follows the run that a row began.
func (s *State) childTold(e ChildTold, env Env, fx *Effects) {
	r := s.RowByID(e.Row)
	if r < 0 || !s.Rows[r].Valid || s.Rows[r].State.Ended() || s.Rows[r].Child() != e.Child {
		return // the row is over, or another took its place
	}
	row := &s.Rows[r]
	kill := row.Kill
	switch {
	case e.State == flow.InstanceSucceeded:
		s.succeedHosted(r, e.Outputs, env, fx)
	case e.State.Ended() && kill == flow.KillTimeout:
		s.failHosted(r, flow.ReasonTimeout, fmt.Sprintf("run %s was stopped, for its time was over", e.Child), env, fx)
	case e.State == flow.InstanceFailed:
		s.failHosted(r, flow.ReasonChildFailed, fmt.Sprintf("run %s failed: %s; `baton explain %s` says why", e.Child, e.Reason, e.Child), env, fx)
	case e.State == flow.InstanceStopped:
		reason := killReason(kill)
		if kill == flow.KillNone {
			reason = flow.ReasonStopped
		}
		s.endRow(r, flow.TaskKilled, reason, env)
		s.failed(r, "", env, fx)
	case row.Kill != flow.KillNone:
	case e.State == flow.InstancePaused && s.resting():
		s.rest(r, env)
	case row.State == flow.TaskPaused: // it goes on when this run is resumed
	default:
		row.Reason = s.childStands(r, e.ChildNews)
		s.touch(r)
	}
}

// childStands says what a row waits for, of a run that has not ended.
func (s *State) childStands(r int32, e flow.ChildNews) string {
	switch e.State {
	case flow.InstancePaused:
		return fmt.Sprintf("%s: run %s is paused; `baton resume %s` goes on", flow.ReasonChild, e.Child, e.Child)
	case flow.InstancePausing:
		return fmt.Sprintf("%s: run %s is pausing; what runs of it finishes first", flow.ReasonChild, e.Child)
	case flow.InstanceQuarantined:
		return flow.Text(fmt.Sprintf("%s: run %s is quarantined; `baton release %s` or `baton stop %s`: %s", flow.ReasonChild, e.Child, e.Child, e.Child, e.Reason), flow.MaxReason)
	default:
		return childReason(e.Child, s.childName(r))
	}
}

func (s *State) childName(r int32) string {
	o, _ := optionsOf[childOptions](s, r)
	return o.Workflow
}
