// Reruns, also of what depends on a run.

package api

import (
	"context"
	"time"

	"baton/internal/flow"
)

type rerunIn struct {
	InstancePath
	Downstream bool `query:"downstream" doc:"Also rerun the last runs for the same data time of the workflows that depend on it, over all steps; each waits for what comes before it anew. One that goes on is left alone, and named"`
}

func (s *Server) rerunInstance(ctx context.Context, in *rerunIn) (*orderedOut, error) {
	verb := flow.Verb{Name: flow.VerbRerun}
	if !in.Downstream {
		return s.order(ctx, in.Instance, verb)
	}
	id, err := flow.ParseID(in.Instance)
	if err != nil {
		return nil, err
	}
	below, err := s.below(ctx, id)
	if err != nil {
		return nil, err
	}
	ids := make([]flow.ID, len(below))
	named := map[flow.ID]flow.Definition{}
	for i, d := range below {
		ids[i], named[d.ID] = d.ID, d
	}
	var runs []flow.Downstream
	out, err := s.orderBy(ctx, in.Instance, verb, func(item flow.InboxItem) (flow.ID, error) {
		if runs, err = s.store.RerunDownstream(ctx, item, ids, s.nextID); err != nil {
			return 0, err
		}
		return runs[0].Order, nil
	})
	if err != nil {
		return nil, err
	}
	over := time.Now().Add(outcomeWait)
	for _, r := range runs[1:] {
		told, err := s.orderedToo(ctx, r, named[r.Workflow], over)
		if err != nil {
			return nil, err
		}
		out.Body.Downstream = append(out.Body.Downstream, told)
	}
	return out, nil
}

// below are the workflows that depend on that of a run.
func (s *Server) below(ctx context.Context, id flow.ID) ([]flow.Definition, error) {
	run, err := s.store.Instance(ctx, id)
	if err != nil {
		return nil, err
	}
	g, err := s.graph(ctx)
	if err != nil {
		return nil, err
	}
	return g.Below(flow.Definition{Project: run.ProjectName, Name: run.WorkflowName}), nil
}

// orderedToo tells what became of the order to a run, waiting for it until some time.
func (s *Server) orderedToo(ctx context.Context, r flow.Downstream, def flow.Definition, over time.Time) (OrderedToo, error) {
	out := OrderedToo{ID: r.ID.String(), Project: def.Project, Workflow: def.Name, Outcome: "refused", Reason: text(r.LeftAlone())}
	if r.Order == 0 {
		return out, nil
	}
	outcome, err := s.outcomeUntil(ctx, r.Order, over)
	if err != nil {
		return out, err
	}
	if out.Outcome = outcomeWord(outcome); outcome != nil && !outcome.Applied {
		out.Reason = text(outcome.Reason)
	}
	return out, nil
}
