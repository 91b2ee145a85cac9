// Which attempt of a task is meant by who asks for its log, and why there is none.

package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// attempt finds the attempt whose log is wanted. Every row of a task counts its attempts from 1: without the id of
// one the newest row is meant.
func (s *Server) attempt(ctx context.Context, id flow.ID, in *logIn) (flow.NamedAttempt, error) {
	var none flow.NamedAttempt
	all, err := s.store.Attempts(ctx, id, in.Task)
	if err != nil {
		return none, err
	}
	var row flow.ID
	if in.Row != "" {
		if row, err = flow.ParseID(in.Row); err != nil {
			return none, err
		}
	} else if row, err = s.newestRow(ctx, id, in.Task); err != nil {
		return none, err
	}
	for _, a := range slices.Backward(all) {
		if a.Task == row && (in.Attempt == 0 || in.Attempt == a.Number) {
			return a, nil
		}
	}
	ofRow := slices.ContainsFunc(all, func(a flow.NamedAttempt) bool { return a.Task == row })
	switch {
	case in.Row != "" && !ofRow && len(all) > 0:
		return none, flow.Errorf(flow.CodeNotFound, "task_instance", "task %q of run %s has no attempt in a row %s; it has %s", in.Task, id, in.Row, triesOf(all))
	case in.Attempt != 0 && len(all) > 0:
		return none, flow.Errorf(flow.CodeNotFound, "attempt", "task %q of run %s has no attempt %d in row %s; it has %s", in.Task, id, in.Attempt, row, triesOf(all))
	default:
		return none, s.noAttempt(ctx, id, in.Task, all)
	}
}

// newestRow is the row of a task that stands for it, 0 while it has none.
func (s *Server) newestRow(ctx context.Context, id flow.ID, task string) (flow.ID, error) {
	rows, err := s.store.Tasks(ctx, id)
	if err != nil {
		return 0, err
	}
	if r := standing(rows, task); r != nil {
		return r.ID, nil
	}
	return 0, nil
}

// standing is the valid row of a task, nil while it has none.
func standing(rows []flow.TaskRow, task string) *flow.TaskRow {
	for i := range slices.Backward(rows) {
		if rows[i].Name == task && rows[i].Valid {
			return &rows[i]
		}
	}
	return nil
}

// triesOf lists the attempts that there are, by row, newest first.
func triesOf(all []flow.NamedAttempt) string {
	var said []string
	for _, a := range slices.Backward(all) {
		one := fmt.Sprintf("row %s: ", a.Task)
		if n := len(said); n > 0 && strings.HasPrefix(said[n-1], one) {
			said[n-1] = fmt.Sprintf("%s%d, %s", one, a.Number, strings.TrimPrefix(said[n-1], one))
			continue
		}
		said = append(said, fmt.Sprintf("%s%d", one, a.Number))
	}
	return "attempts " + strings.Join(said, "; ")
}

// noAttempt says why there is no log: the task is not known, has not begun, or has none of its own.
func (s *Server) noAttempt(ctx context.Context, id flow.ID, task string, earlier []flow.NamedAttempt) error {
	run, rows, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	before := ""
	if len(earlier) > 0 {
		before = fmt.Sprintf("; superseded rows have logs (--row): %s", triesOf(earlier))
	}
	row := standing(rows, task)
	if row == nil {
		if err := s.knows(ctx, run, task); err != nil {
			return err
		}
		return flow.Errorf(flow.CodeNotFound, "task", "task %q of run %s has not been reached%s", task, id, before)
	}
	if where := logElsewhere(run.ID, row); where != "" {
		return flow.Errorf(flow.CodeNotFound, "task", "task %q has no log of its own, it is %s: %s", task, article(row.Type), where)
	}
	said, err := s.failures(ctx, run.ID)
	if err != nil {
		return err
	}
	stands := row.State.String()
	if why := said.why(task, row.Reason); why != "" && why != stands {
		stands += " (" + why + ")"
	}
	return flow.Errorf(flow.CodeNotFound, "task", "task %q has no log, for it did not begin: it is %s%s", task, stands, before)
}

// logElsewhere says where to look at what a task did that has no process, "" for one that has.
func logElsewhere(run flow.ID, row *flow.TaskRow) string {
	switch child := row.Child(); {
	case flow.Fans(row.Type):
		return fmt.Sprintf("those of its items have them: `baton get shards %s %s` lists them, `baton logs %s '%s'` prints one", run, row.Name, run, flow.ItemName(row.Name, 0))
	case child != 0:
		return fmt.Sprintf("the tasks of the run that it began have them: `baton get instance %s`", child)
	case flow.Hosted(row.Type) || row.Type == flow.TypeSwitch || row.Type == flow.TypeConditions:
		return fmt.Sprintf("`baton explain %s %s` says how it stands", run, row.Name)
	default:
		return ""
	}
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// knows refuses a task that the run's version does not have.
func (s *Server) knows(ctx context.Context, run flow.Run, task string) error {
	def, err := s.store.Workflow(ctx, run.ProjectName, run.WorkflowName, run.Version)
	if err != nil {
		return err
	}
	owner, _, _ := flow.CutItem(task)
	for _, t := range def.Workflow.AllTasks() {
		if t.Name == task || t.Inner != nil && t.Name == owner || t.Compensate != nil && t.Name+":compensate" == task {
			return nil
		}
	}
	return flow.Errorf(flow.CodeNotFound, "task", "workflow %q version %d has no task %q", run.WorkflowName, run.Version, task)
}
