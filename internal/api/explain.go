// Why a run stands where it stands.

package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
)

// Explanation says why, and since every waiting row has a next check, until when.
type Explanation struct {
	Instance    string            `json:"instance"`
	State       InstanceState     `json:"state"`
	Reason      *string           `json:"reason"`
	NextCheckAt flow.Time         `json:"next_check_at"`
	EndedBy     *string           `json:"ended_by,omitempty" doc:"Of one that was stopped or discarded: by whom, or why"`
	Given       []Given           `json:"given,omitempty" doc:"Verbs that were accepted and are not carried out yet"`
	Tasks       []TaskExplanation `json:"tasks" doc:"In order of the file; what was not reached included"`
}

// TaskExplanation says why a task stands where it stands and which values it sees.
type TaskExplanation struct {
	Name        string        `json:"name"`
	State       *string       `json:"state" doc:"A task state; unreached; null: its turn has not come"`
	Reason      *string       `json:"reason"`
	NextCheckAt flow.Time     `json:"next_check_at"`
	Lost        []string      `json:"lost,omitempty" doc:"Of one task: its tries that came to their end with their worker, and why"`
	Asks        *Asked        `json:"asks,omitempty" doc:"Of one task, an approval: what it asks"`
	Params      []ParamOrigin `json:"params"`
	Script      *string       `json:"script,omitempty" doc:"As it runs"`
	// Environment is what its process is prepared by.
	Environment *UsedEnvironment `json:"environment,omitempty"`
}

// ParamOrigin is a value and the level it comes from.
type ParamOrigin struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from" doc:"start, local, output, global, project or builtin"`
}

type explainIn struct {
	InstancePath
	Task string `query:"task" doc:"This task only"`
}

func (s *Server) explainInstance(ctx context.Context, in *explainIn) (*body[Explanation], error) {
	id, err := flow.ParseID(in.Instance)
	if err != nil {
		return nil, err
	}
	run, rows, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	def, err := s.store.Workflow(ctx, run.ProjectName, run.WorkflowName, run.Version)
	var e flow.Explanation
	if err == nil {
		e, err = s.explain(ctx, def, run, rows, in.Task)
	}
	if err != nil && run.State == flow.InstanceQuarantined {
		// It cannot be read, which is why it is quarantined: its reason says so.
		e, err = flow.Explanation{State: run.State, Reason: run.Reason}, nil
		in.Task = ""
	}
	if err != nil {
		return nil, err
	}
	out := explanationOf(run.ID, e, in.Task)
	if in.Task != "" && len(out.Tasks) == 0 {
		return nil, s.noItem(ctx, run, rows, in.Task)
	}
	if out.EndedBy, err = s.endedBy(ctx, run); err != nil {
		return nil, err
	}
	if !run.State.Ended() {
		if out.Given, err = s.givenTo(ctx, id); err != nil {
			return nil, err
		}
	}
	if in.Task != "" {
		if out.Tasks[0].Lost, err = s.lostTries(ctx, id, in.Task); err == nil {
			err = errors.Join(s.usedEnvironment(ctx, &out.Tasks[0], rows), s.asks(ctx, def, &out.Tasks[0]))
		}
	}
	return &body[Explanation]{out}, err
}

// noItem says why nothing is told of a task: its workflow has none of this name, or its map no such item.
func (s *Server) noItem(ctx context.Context, run flow.Run, rows []flow.TaskRow, task string) error {
	if err := s.knows(ctx, run, task); err != nil {
		return err
	}
	owner, index, isItem := flow.CutItem(task)
	if !isItem {
		return flow.Errorf(flow.CodeNotFound, "task", "task %q of run %s has not been reached", task, run.ID)
	}
	last := int32(0)
	for _, r := range rows {
		if name, _, _ := flow.CutItem(r.Name); r.Item > last && name == owner {
			last = r.Item
		}
	}
	switch last {
	case 0:
		return flow.Errorf(flow.CodeNotFound, "task", "task %q of run %s has begun no item yet", owner, run.ID)
	case 1:
		return flow.Errorf(flow.CodeNotFound, "task", "task %q of run %s has no item %d that has begun; %s has", owner, run.ID, index, flow.ItemName(owner, 0))
	default:
		return flow.Errorf(flow.CodeNotFound, "task", "task %q of run %s has no item %d that has begun; those from 0 to %d have", owner, run.ID, index, last-1)
	}
}

// lostTries tells of the attempts of a task that were lost, oldest first.
func (s *Server) lostTries(ctx context.Context, id flow.ID, task string) ([]string, error) {
	tries, err := s.store.Attempts(ctx, id, task)
	var out []string
	for _, t := range tries {
		if why := whyLost(t); why != "" {
			out = append(out, fmt.Sprintf("try %d was %s: %s", t.Number, t.State, why))
		}
	}
	return out, err
}

// whyLost is a sentence for an attempt that came to its end with its worker, "" for any other.
func whyLost(a flow.NamedAttempt) string {
	switch {
	case a.State != flow.AttemptLost && a.State != flow.AttemptUnknown && a.State != flow.AttemptSuspect:
		return ""
	case a.SessionEnded != "":
		return fmt.Sprintf("worker %s, session %d: %s", a.Worker, a.Session, a.SessionEnded)
	case a.State == flow.AttemptSuspect:
		return fmt.Sprintf("worker %s, session %d, is not heard", a.Worker, a.Session)
	default:
		return fmt.Sprintf("worker %s, session %d, lives but does not have it", a.Worker, a.Session)
	}
}

func (s *Server) explain(ctx context.Context, def flow.Definition, run flow.Run, rows []flow.TaskRow, item string) (flow.Explanation, error) {
	e, err := s.engine.Explain(def, flow.Loaded{Instance: run.Instance, Tasks: rows}, item, flow.At(time.Now()))
	if err != nil {
		return e, err
	}
	failed := func(t flow.TaskExplanation) bool { return t.State == flow.TaskFailed.String() }
	itself := e.State == flow.InstanceFailed && e.Reason == flow.ReasonParameter // not a task of it
	if !itself && !slices.ContainsFunc(e.Tasks, failed) {
		return e, nil
	}
	said, err := s.failures(ctx, run.ID)
	if _, sentence, found := strings.Cut(said[""], " failed: "); itself && found {
		e.Reason += ": " + sentence
	}
	for i := range e.Tasks {
		if t := &e.Tasks[i]; failed(*t) {
			t.Reason = said.why(t.Name, t.Reason)
		}
	}
	return e, err
}

// failures is what the alerts of a run say of its failed tasks, by name, and of itself: the rows have codes only.
type failures map[string]string

func (s *Server) failures(ctx context.Context, run flow.ID) (failures, error) {
	alerts, err := s.store.Alerts(ctx, flow.AlertFilter{Instance: run, Limit: 500})
	said := failures{}
	for _, a := range alerts.Items { // newest first
		if _, newer := said[a.Task]; !newer && (a.Kind == flow.AlertTaskFailed || a.Kind == flow.AlertRunFailed) {
			said[a.Task] = a.Message
		}
	}
	return said, err
}

// why is the code of a failure, with its sentence when one was said.
func (f failures) why(task, code string) string {
	if _, sentence, found := strings.Cut(f[task], " failed: "+code); found {
		return code + sentence
	}
	return code
}

// explanationOf keeps one task when it is named.
func explanationOf(id flow.ID, e flow.Explanation, task string) Explanation {
	out := Explanation{Instance: id.String(), State: InstanceState(e.State.String()), Reason: text(e.Reason), NextCheckAt: e.NextCheck, Tasks: []TaskExplanation{}}
	for _, t := range e.Tasks {
		if task != "" && t.Name != task {
			continue
		}
		one := TaskExplanation{Name: t.Name, State: text(t.State), Reason: text(t.Reason), NextCheckAt: t.NextCheck, Params: []ParamOrigin{}, Script: text(t.Script)}
		if t.Environment != "" {
			one.Environment = &UsedEnvironment{Name: t.Environment}
		}
		for _, p := range t.Params {
			one.Params = append(one.Params, ParamOrigin(p))
		}
		out.Tasks = append(out.Tasks, one)
	}
	return out
}
