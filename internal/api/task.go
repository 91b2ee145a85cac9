// Task instances, attempts and verbs of a run, read for people.

package api

import (
	"context"
	"slices"

	"baton/internal/flow"
)

type listOfTaskIn struct {
	InstancePath
	Task string `query:"task" doc:"Of this task only"`
}

func (s *Server) listTasks(ctx context.Context, in *listOfTaskIn) (*body[List[Task]], error) {
	id, err := flow.ParseID(in.Instance)
	if err != nil {
		return nil, err
	}
	run, rows, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	if in.Task != "" {
		rows = slices.DeleteFunc(rows, func(r flow.TaskRow) bool { return r.Name != in.Task })
		if len(rows) == 0 {
			err = s.knows(ctx, run, in.Task)
		}
	} else {
		rows = slices.DeleteFunc(rows, func(r flow.TaskRow) bool { return r.Item != 0 })
	}
	return listOf(flow.Page[flow.TaskRow]{Items: rows}, taskOf), err
}

func (s *Server) listShards(ctx context.Context, in *listOfTaskIn) (*body[List[Shard]], error) {
	id, err := flow.ParseID(in.Instance)
	if err != nil {
		return nil, err
	}
	run, rows, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	if in.Task != "" {
		if err := s.knows(ctx, run, in.Task); err != nil {
			return nil, err
		}
	}
	def, err := s.store.Workflow(ctx, run.ProjectName, run.WorkflowName, run.Version)
	if err != nil {
		return nil, err
	}
	items, err := s.engine.Items(def, flow.Loaded{Instance: run.Instance, Tasks: slices.Clone(rows)})
	if err != nil {
		return nil, err
	}
	if err := hasItems(def, in.Task); err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(r flow.TaskRow) bool {
		task, _, _ := flow.CutItem(r.Name)
		return r.Item == 0 || !r.Valid || in.Task != "" && task != in.Task && r.Name != in.Task
	})
	return listOf(flow.Page[flow.TaskRow]{Items: rows}, func(r flow.TaskRow) Shard {
		if item, known := items[r.ID]; known {
			return shardOf(r, &item)
		}
		return shardOf(r, nil)
	}), nil
}

// hasItems refuses a task that has neither items nor rounds.
func hasItems(def flow.Definition, task string) error {
	for _, t := range def.Workflow.AllTasks() {
		if t.Name == task && !flow.Fans(t.Type) {
			return flow.Errorf(flow.CodeBadRequest, "task", "task %q is of type %s; only a map has items, and a loop rounds", task, t.Type)
		}
	}
	return nil
}

func (s *Server) listAttempts(ctx context.Context, in *listOfTaskIn) (*body[List[Attempt]], error) {
	id, err := flow.ParseID(in.Instance)
	if err != nil {
		return nil, err
	}
	run, err := s.store.Instance(ctx, id)
	if err != nil {
		return nil, err
	}
	if in.Task != "" {
		if err := s.knows(ctx, run, in.Task); err != nil {
			return nil, err
		}
	}
	all, err := s.store.Attempts(ctx, id, in.Task)
	return listOf(flow.Page[flow.NamedAttempt]{Items: all}, attemptOf), err
}

// Outcome is what became of a verb.
type Outcome struct {
	ID      string    `json:"id"`
	Verb    string    `json:"verb"`
	Applied bool      `json:"applied"`
	Reason  *string   `json:"reason" doc:"Why it was refused"`
	By      *string   `json:"by" doc:"Name of the token it was given with"`
	At      flow.Time `json:"at" nullable:"false"`
}

func (s *Server) listOutcomes(ctx context.Context, in *InstancePath) (*body[List[Outcome]], error) {
	id, err := flow.ParseID(in.Instance)
	if err != nil {
		return nil, err
	}
	if _, err := s.store.Instance(ctx, id); err != nil {
		return nil, err
	}
	all, err := s.store.Outcomes(ctx, id)
	return listOf(flow.Page[flow.Outcome]{Items: all}, func(o flow.Outcome) Outcome {
		return Outcome{ID: o.Inbox.String(), Verb: o.Verb, Applied: o.Applied, Reason: text(o.Reason), By: text(o.By), At: o.At}
	}), err
}

func (s *Server) listCommands(ctx context.Context, in *Paging) (*body[List[Summary]], error) {
	cursor, err := in.after()
	if err != nil {
		return nil, err
	}
	p, err := s.store.Commands(ctx, in.Limit, cursor)
	for i := range p.Items {
		s.sayWhy(ctx, &p.Items[i])
	}
	return listOf(p, summaryOf), err
}
