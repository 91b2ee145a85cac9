// What can be said of triggers when they are applied: whom they wait for in vain, and rings of them.

package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// doubtfulTriggers warns of workflows that triggers wait for and that are not there, and of workflows that start each
// other without an end.
func (s *Server) doubtfulTriggers(ctx context.Context, docs []flow.Document) []string {
	var warnings []string
	for _, d := range docs {
		if d.Workflow == nil {
			continue
		}
		for _, t := range d.Workflow.Triggers {
			if t.After == nil {
				continue
			}
			for _, source := range t.After.Sources() {
				_, err := s.store.Workflow(ctx, source.Project, source.Workflow, 0)
				switch {
				case err != nil && flow.CodeOf(err) == flow.CodeNotFound:
					warnings = append(warnings, fmt.Sprintf("there is no workflow %s/%s, which trigger %s of workflow %s waits for: its end does not come until there is one",
						source.Project, source.Workflow, t.Name, d.Workflow.Name))
				case err != nil:
					return warnings // it is applied, whatever can be said of it
				}
			}
		}
		if ring := s.ringOf(ctx, d.Workflow.Project, d.Workflow.Name); ring != nil {
			warnings = append(warnings, fmt.Sprintf("workflows start each other by their triggers, and nothing ends that: %s; unless one of them fails, or a trigger of them waits for another state",
				strings.Join(ring, " starts ")))
		}
	}
	return warnings
}

// ringSteps bounds the workflows that are looked at for a ring.
const ringSteps = 1000

// ringOf is a way by which a workflow starts itself, nil if none was found. It goes from a workflow to those whose ends
// start it.
func (s *Server) ringOf(ctx context.Context, project, name string) []string {
	own := flow.Source{Project: project, Workflow: name}
	before := map[flow.Source]flow.Source{} // who is started by each that was met
	queue := []flow.Source{own}
	for steps := 0; len(queue) > 0 && steps < ringSteps; steps++ {
		at := queue[0]
		queue = queue[1:]
		for _, up := range s.startedBy(ctx, at) {
			if up == own {
				return wayOf(own, at, before)
			}
			if _, met := before[up]; !met {
				before[up] = at
				queue = append(queue, up)
			}
		}
	}
	return nil
}

// wayOf names the ring that leads from a workflow to at and so on, back to it.
func wayOf(own, at flow.Source, before map[flow.Source]flow.Source) []string {
	way := []string{own.Workflow}
	for ; at != own; at = before[at] {
		way = append(way, at.Workflow)
	}
	return append(way, own.Workflow)
}

// startedBy lists the workflows whose ends start one, each once.
func (s *Server) startedBy(ctx context.Context, w flow.Source) []flow.Source {
	def, err := s.store.Workflow(ctx, w.Project, w.Workflow, 0)
	if err != nil {
		return nil
	}
	triggers, err := s.store.TriggersOf(ctx, def.ID)
	if err != nil {
		return nil
	}
	var out []flow.Source
	for _, t := range triggers {
		if t.After == nil {
			continue
		}
		for _, source := range t.After.Sources() {
			up := flow.Source{Project: source.Project, Workflow: source.Workflow}
			if !slices.Contains(out, up) {
				out = append(out, up)
			}
		}
	}
	return out
}
