// Reaching a node: judging its join, and the row that follows from it.

package engine

import (
	"encoding/json"
	"fmt"
	"slices"

	"baton/internal/flow"
	"baton/internal/param"
)

// judge tells what becomes of a node whose upstreams all have a verdict: succeeded stands for "its
// join holds, it runs".
func (s *State) judge(i int32) verdict {
	n := &s.Plan.nodes[i]
	total, leftOut, ok, bad := 0, 0, 0, 0
	for _, u := range n.up {
		if !s.chosen(u) {
			continue
		}
		total++
		switch v := s.verdict[u]; {
		case v == notTaken || s.armClosed(u, i):
			leftOut++
		case v == succeeded:
			ok++
		default:
			bad++
		}
	}
	if total == 0 {
		return succeeded
	}
	// Nothing led here: every upstream was left out, or the branches that name it all went
	// elsewhere.
	if leftOut == total || s.armsAllClosed(n, i) {
		return notTaken
	}
	holds := false
	switch n.join {
	case joinAllSucceeded:
		holds = bad == 0 && ok > 0
	case joinAllDone:
		holds = true
	case joinAnySucceeded:
		holds = ok > 0
	case joinNoneFailed:
		holds = bad == 0
	case joinExpression:
		holds = n.expr.Eval(s.upshot)
	}
	switch {
	case holds:
		return succeeded
	case bad == 0:
		return notTaken
	default:
		return unreached
	}
}

// armClosed tells whether u is a branch that ended and did not take the way to i.
func (s *State) armClosed(u, i int32) bool {
	if !slices.Contains(s.Plan.nodes[i].armOf, u) || s.row[u] < 0 {
		return false
	}
	row := &s.Rows[s.row[u]]
	if row.State != flow.TaskSucceeded {
		return false // failed counts as such; disabled and by hand open every arm
	}
	b, taken := branchTaken(&s.Plan.nodes[u], row.Reason)
	if row.Reason == reasonAllArms {
		return false
	}
	return !taken || !slices.Contains(s.Plan.nodes[u].arms[b], i)
}

func (s *State) armsAllClosed(n *node, i int32) bool {
	closed, arms := 0, 0
	for _, u := range n.armOf {
		if !s.chosen(u) {
			continue
		}
		arms++
		if s.verdict[u] == notTaken || s.armClosed(u, i) {
			closed++
		}
	}
	return arms > 0 && closed == arms
}

// The reason of a branch row that succeeded names the arm it took.
const (
	reasonThen    = "then"
	reasonElse    = "else"
	reasonDefault = "default"
	reasonAllArms = "all" // a dry run that could not decide
)

func caseReason(b int) string { return fmt.Sprintf("case_%d", b+1) }

func branchTaken(n *node, reason string) (int, bool) {
	for b, branch := range n.Branches {
		switch {
		case n.Type == flow.TypeConditions && branch.Name == reason,
			n.Type == flow.TypeSwitch && branch.Default && reason == reasonDefault,
			n.Type == flow.TypeSwitch && !branch.Default && reason == caseReason(b):
			return b, true
		}
	}
	return 0, false
}

// upshot answers expressions about an upstream.
func (s *State) upshot(name string) param.Upshot {
	i, ok := s.Plan.index[name]
	switch {
	case !ok:
		return 0
	case !s.chosen(i):
		// Who starts a run behind a task says that it is done.
		return param.Succeeded | param.Ended
	}
	var u param.Upshot
	switch s.verdict[i] {
	case pending:
		return 0
	case succeeded:
		u = param.Succeeded
	case failed:
		u = param.Failed
	case killed:
		u = param.Failed | param.Killed
	case unreached:
		u = param.Unreached
	case notTaken:
	}
	if r := s.row[i]; r >= 0 && s.Rows[r].State == flow.TaskSkipped {
		u |= param.Skipped
	}
	return u | param.Ended
}

// reach gives a node its row.
func (s *State) reach(i int32, judged verdict, env Env, fx *Effects) {
	if judged == notTaken {
		s.skip(i, flow.ReasonNotTaken, env)
		return
	}
	s.enter(i, env, fx)
}

// enter makes the row of an eligible node.
func (s *State) enter(i int32, env Env, fx *Effects) {
	n := &s.Plan.nodes[i]
	if n.Disabled {
		s.skip(i, flow.ReasonDisabled, env)
		return
	}
	if n.when != nil {
		yes, err := n.when.EvalBool(s.scope(i, nil))
		if err != nil && !s.Inst.DryRun {
			r := s.newRow(i, env)
			s.endRow(r, flow.TaskFailed, flow.ReasonExpression, env)
			s.failed(r, err.Error(), env, fx)
			return
		}
		if err == nil && !yes {
			s.skip(i, flow.ReasonNotTaken, env)
			return
		}
	}
	r := s.newRow(i, env)
	row := &s.Rows[r]
	row.EligibleAt = env.Now.Add(n.Delay.Std())
	switch h := slices.Index(s.holds, n.Name); {
	case h >= 0:
		s.holds = slices.Delete(s.holds, h, h+1)
		s.keepHolds()
		row.Held = true
		if s.resting() {
			s.rest(r, env)
			return
		}
		s.wait(r, heldReason, 0)
		if n.Delay > 0 && !s.Inst.DryRun {
			row.NextCheck = row.EligibleAt
		}
	case s.resting():
		s.rest(r, env)
	case n.Delay > 0 && !s.Inst.DryRun:
		s.wait(r, delayReason(n.Delay), row.EligibleAt)
	default:
		s.ready(r, env, fx)
	}
}

const heldReason = flow.ReasonHeld + ": held by hand; `baton task release` lets it go on"

func delayReason(d flow.Duration) string {
	return flow.ReasonDelay + ": the task asks to wait " + d.String() + " after it became eligible"
}

func (s *State) keepHolds() {
	s.Inst.Holds = nil
	if len(s.holds) > 0 {
		s.Inst.Holds, _ = json.Marshal(s.holds) // a list of strings cannot fail
	}
	s.change.touched = true
}

// ready goes on with a row that waits for nothing any more but its pool and a worker.
func (s *State) ready(r int32, env Env, fx *Effects) {
	row := &s.Rows[r]
	row.NextCheck = 0
	if n, undo := s.node(row); !undo && n.decides() {
		s.decideBranch(s.Plan.index[n.Name], r, env, fx)
		return
	}
	if s.Inst.DryRun {
		row.StartedAt = env.Now
		s.endRow(r, flow.TaskSucceeded, "dry_run", env)
		return
	}
	if flow.Hosted(row.Type) {
		s.host(r, env, fx)
		return
	}
	s.lineUp(r, env, fx)
}

// enqueue has a row wait for a worker.
func (s *State) enqueue(r int32, fx *Effects) {
	row := &s.Rows[r]
	s.set(r, flow.TaskQueued)
	row.Reason = flow.ReasonQueued + ": waits for a place on a worker of group " + s.group(row)
	if row.Attempt.Number > 0 && row.Attempt.State == flow.AttemptLost {
		row.Reason = flow.ReasonQueued + ": its worker was lost; waits for a place on another of group " + s.group(row)
	}
	if s.granting() {
		fx.Queued = append(fx.Queued, r)
	}
}

// decideBranch runs a switch or conditions task: it needs no worker.
func (s *State) decideBranch(i, r int32, env Env, fx *Effects) {
	n := &s.Plan.nodes[i]
	row := &s.Rows[r]
	row.StartedAt = env.Now
	if n.Type == flow.TypeConditions {
		reason := reasonElse
		if n.decide.Eval(s.upshot) {
			reason = reasonThen
		}
		s.endRow(r, flow.TaskSucceeded, reason, env)
		return
	}
	for b, c := range n.cases {
		if c == nil {
			s.endRow(r, flow.TaskSucceeded, reasonDefault, env)
			return
		}
		yes, err := c.EvalBool(s.scope(i, nil))
		if err != nil {
			if s.Inst.DryRun {
				s.endRow(r, flow.TaskSucceeded, reasonAllArms, env)
				return
			}
			s.endRow(r, flow.TaskFailed, flow.ReasonExpression, env)
			s.failed(r, fmt.Sprintf("case %d: %v", b+1, err), env, fx)
			return
		}
		if yes {
			s.endRow(r, flow.TaskSucceeded, caseReason(b), env)
			return
		}
	}
	if s.Inst.DryRun {
		s.endRow(r, flow.TaskSucceeded, reasonAllArms, env)
		return
	}
	s.endRow(r, flow.TaskFailed, flow.ReasonNoCase, env)
	s.failed(r, "no case matches and there is no default", env, fx)
}

func (s *State) newRow(i int32, env Env) int32 {
	n := &s.Plan.nodes[i]
	r := s.addRow(n.Name, n.Type, env)
	s.row[i] = r
	return r
}

func (s *State) addRow(name, typ string, env Env) int32 {
	s.Rows = append(s.Rows, flow.TaskRow{
		ID: env.NextID(), Instance: s.Inst.ID, Name: name, Type: typ,
		Valid: true, RunTimes: s.Inst.RunTimes,
		Attempt: flow.AttemptRow{ExitCode: flow.NoExit},
	})
	s.change.touched = true
	r := int32(len(s.Rows) - 1)
	s.Rows[r].Attempt.Task = s.Rows[r].ID
	return r
}

// skip makes a row that is over at once.
func (s *State) skip(i int32, reason string, env Env) {
	r := s.newRow(i, env)
	s.endRow(r, flow.TaskSkipped, reason, env)
}

// endRow ends a row and passes its verdict on to what follows.
func (s *State) endRow(r int32, to flow.TaskState, reason string, env Env) {
	row := &s.Rows[r]
	s.set(r, to)
	row.Reason, row.NextCheck, row.Held, row.Kill = flow.Text(reason, flow.MaxReason), 0, false, flow.KillNone
	if row.EndedAt == 0 { // a verb on an ended row changes what it counts as, not when it ended
		row.EndedAt = env.Now
	}
	if i, ok := s.Plan.index[row.Name]; ok && row.Valid && s.row[i] == r {
		s.conclude(i, rowVerdict(row))
	}
	if row.Item != 0 && row.Valid {
		s.toDrive(s.ownerOf(row))
	}
}

// wait puts a row to waiting with a reason and the time it is looked at next (0: only a verb helps).
func (s *State) wait(r int32, reason string, until flow.Time) {
	s.set(r, flow.TaskWaiting)
	row := &s.Rows[r]
	row.Reason, row.NextCheck = reason, until
}

// rest puts a row to paused. A time it waits for is kept for the resume; that of a queued row was
// the dispatcher's.
func (s *State) rest(r int32, env Env) {
	row := &s.Rows[r]
	switch {
	case row.Hosted():
		restHosted(row, env)
	case row.EligibleAt > env.Now && row.State != flow.TaskQueued:
		row.NextCheck = row.EligibleAt
	default:
		row.NextCheck = 0
	}
	s.set(r, flow.TaskPaused)
	row.Reason = flow.ReasonPaused + ": the run is paused; `baton resume` goes on"
}

func (s *State) group(row *flow.TaskRow) string {
	n, _ := s.node(row)
	return s.Plan.Def.Workflow.GroupOf(n.Task, s.start)
}

// environment is the one that a row's process is prepared by, "" for none, and for what has no process.
func (s *State) environment(row *flow.TaskRow) string {
	n, _ := s.node(row)
	if !s.work(row).process {
		return ""
	}
	return s.Plan.Def.Workflow.EnvironmentOf(n.Task, s.start)
}

// Group returns the worker group that a row is to run in.
func (s *State) Group(r int32) string { return s.group(&s.Rows[r]) }

// Priority returns how a row is ordered among what is eligible at the same moment.
func (s *State) Priority(r int32) flow.Priority {
	n, _ := s.node(&s.Rows[r])
	return n.Priority.Or(s.Inst.Priority)
}
