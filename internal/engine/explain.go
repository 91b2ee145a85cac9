// Explain: why a run stands where it stands, task by task, and which values each task sees.

package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"baton/internal/flow"
)

// Unreached is the state that explanations give a task that never gets a row.
const Unreached = "unreached"

// Explain tells about every task of the workflow, in the order of the file, and about what undoes
// tasks after them; about one item of a map only if it is asked for. Secrets are no parameters: they cannot appear.
func Explain(s *State, item string, now flow.Time) flow.Explanation {
	out := flow.Explanation{State: s.Inst.State, Reason: s.Inst.Reason, NextCheck: s.Inst.WakeAt, Tasks: make([]flow.TaskExplanation, 0, len(s.Plan.nodes))}
	for i := range s.Plan.nodes {
		out.Tasks = append(out.Tasks, s.explainNode(int32(i), now))
	}
	for r := range s.Rows {
		if row := &s.Rows[r]; row.Valid && (row.Compensates != 0 || row.Item != 0 && row.Name == item) {
			out.Tasks = append(out.Tasks, s.explainRow(row, now))
		}
	}
	return out
}

// ExplainTask tells about one task, or about the compensation of one.
func ExplainTask(s *State, name string, now flow.Time) (flow.TaskExplanation, error) {
	if i, ok := s.Plan.index[name]; ok {
		return s.explainNode(i, now), nil
	}
	if r := s.RowOf(name); r >= 0 {
		return s.explainRow(&s.Rows[r], now), nil
	}
	return flow.TaskExplanation{}, flow.Errorf(flow.CodeNotFound, "task", "workflow %s has no task %q", s.Plan.Def.Name, name)
}

func (s *State) explainNode(i int32, now flow.Time) flow.TaskExplanation {
	if r := s.row[i]; r >= 0 {
		return s.explainRow(&s.Rows[r], now)
	}
	n := &s.Plan.nodes[i]
	out := flow.TaskExplanation{Name: n.Name}
	switch {
	case !s.chosen(i):
		out.Reason = flow.ReasonNotChosen + ": the run was started with chosen tasks, and this is none of them"
		return out
	case s.verdict[i] == unreached:
		out.State, out.Reason = Unreached, Unreached+": "+s.whyUnreached(i)
	default:
		out.Reason = s.whyPending(i, now)
	}
	out.Params = s.explainParams(i, nil)
	if n.work.process {
		out.Environment = s.Plan.Def.Workflow.EnvironmentOf(n.Task, s.start)
	}
	return out
}

func (s *State) explainRow(row *flow.TaskRow, now flow.Time) flow.TaskExplanation {
	n, undo := s.node(row)
	out := flow.TaskExplanation{
		Name: row.Name, State: row.State.String(), Reason: row.Reason, NextCheck: row.NextCheck,
		Params: s.explainParams(s.Plan.index[n.Name], row),
	}
	if undo || !n.decides() {
		out.Script, out.Environment = s.scriptOf(row), s.environment(row)
	}
	if row.State.Ended() {
		return out
	}
	if flow.Fans(row.Type) && row.Compensates == 0 && row.Item == 0 {
		out.Reason += s.items(s.Plan.index[row.Name]).standing()
	}
	out.Reason += s.since(row, now)
	if out.NextCheck == 0 && row.Kill == flow.KillNone {
		a, b, _ := s.limits(row)
		for _, l := range [2]limit{a, b} {
			if l.most > 0 {
				out.NextCheck = flow.Earliest(out.NextCheck, l.at())
			}
		}
	}
	return out
}

// since tells how long a row has been what it is.
func (s *State) since(row *flow.TaskRow, now flow.Time) string {
	var at flow.Time
	switch row.State {
	case flow.TaskQueued:
		at = row.EligibleAt
	case flow.TaskDispatched:
		at = row.Attempt.GrantedAt
	case flow.TaskRunning:
		at = row.Attempt.StartedAt
		if row.Hosted() {
			at = row.StartedAt
		}
	case flow.TaskPaused:
		at = s.Inst.PausedAt
	case flow.TaskUnknown:
		at = row.Attempt.EndedAt
	default:
	}
	return sinceText(at, now)
}

func sinceText(at, now flow.Time) string {
	if at == 0 || at > now {
		return ""
	}
	return fmt.Sprintf(", since %s (%s)", flow.At(at.Std().Truncate(time.Second)), flow.Duration(now.Sub(at).Truncate(time.Second)))
}

// whyUnreached names what before a task keeps it from running for good.
func (s *State) whyUnreached(i int32) string {
	n := &s.Plan.nodes[i]
	var bad []string
	for _, u := range n.up {
		if !s.chosen(u) {
			continue
		}
		switch name := s.Plan.nodes[u].Name; s.verdict[u] {
		case failed:
			bad = append(bad, name+", which failed")
		case killed:
			bad = append(bad, name+", which was killed")
		case unreached:
			bad = append(bad, name+", which is unreached itself")
		default:
		}
	}
	text := "needs " + few(bad)
	if n.join != joinAllSucceeded {
		text = fmt.Sprintf("its join %s does not hold: it %s", n.Join, text)
	}
	return text
}

// whyPending tells what a task without a row waits for.
func (s *State) whyPending(i int32, now flow.Time) string {
	var waits []string
	for _, u := range s.Plan.nodes[i].up {
		if s.chosen(u) && s.verdict[u] == pending {
			waits = append(waits, s.Plan.nodes[u].Name+" ("+s.standing(u, now)+")")
		}
	}
	held := ""
	for _, h := range s.holds {
		if h == s.Plan.nodes[i].Name {
			held = "; it will be held there, by hand"
		}
	}
	switch {
	case s.Inst.State.Ended():
		return fmt.Sprintf("%s: the run ended before it came to this task (%s, %s)", flow.ReasonNotStarted, s.Inst.State, s.Inst.Reason)
	case s.Inst.State == flow.InstanceSubmitted:
		return flow.ReasonNotStarted + ": the run waits for a master" + held
	case s.Plan.nodes[i].final && !s.ending:
		return finallyPending + held
	case len(waits) > 0:
		return flow.ReasonUpstream + ": waits for " + few(waits) + held
	default:
		return fmt.Sprintf("%s: the run is %s (%s)%s", flow.ReasonNotStarted, s.Inst.State, s.Inst.Reason, held)
	}
}

// standing tells in a few words where a task is that others wait for.
func (s *State) standing(u int32, now flow.Time) string {
	r := s.row[u]
	if r < 0 {
		return "not reached yet"
	}
	row := &s.Rows[r]
	code, _, _ := strings.Cut(row.Reason, ":")
	switch {
	case row.State == flow.TaskRunning && !row.Hosted() && row.Kill == flow.KillNone && code != flow.ReasonSuspect:
		code = "running on worker " + row.Attempt.Worker
	case code == "":
		code = row.State.String()
	}
	return code + strings.ReplaceAll(s.since(row, now), ", since", " since")
}

// few joins texts, at most three of them.
func few(texts []string) string {
	const most = 3
	if len(texts) > most {
		return strings.Join(texts[:most], "; ") + fmt.Sprintf("; and %d more", len(texts)-most)
	}
	return strings.Join(texts, "; ")
}

func (s *State) explainParams(i int32, row *flow.TaskRow) []flow.ParamOrigin {
	scope := s.scope(i, row)
	if row != nil && row.Item != 0 {
		_ = s.bind(scope, i, row) // what it lacks is told as a parameter without a value
	}
	resolved := scope.Explain()
	out := make([]flow.ParamOrigin, 0, len(resolved))
	for _, p := range resolved {
		value := p.Value
		if p.Err != nil {
			value = "(no value: " + p.Err.Error() + ")"
		}
		out = append(out, flow.ParamOrigin{Name: p.Name, Value: value, From: p.From.String()})
	}
	return out
}

// scriptOf returns the script of a row as it runs, "" when its type has none.
func (s *State) scriptOf(row *flow.TaskRow) string {
	w := s.work(row)
	if w.script == "" || w.options == nil {
		return ""
	}
	n, _ := s.node(row)
	scope := s.scope(s.Plan.index[n.Name], row)
	if row.Item != 0 && s.bind(scope, s.Plan.index[n.Name], row) != nil {
		return ""
	}
	raw, err := w.options.render(nil, scope)
	if err != nil {
		return "" // the row failed because of it, and says so
	}
	var options map[string]json.RawMessage
	if json.Unmarshal(raw, &options) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(options[w.script], &text) != nil {
		return string(options[w.script]) // a bare number or boolean
	}
	return text
}
