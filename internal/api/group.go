// Worker groups: those that were declared and those that workers serve.

package api

import (
	"context"
	"maps"
	"slices"

	"baton/internal/flow"
)

// Group is a worker group with what its workers have. A worker of several groups counts in each.
type Group struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Declared    bool   `json:"declared" doc:"A WorkerGroup document names it"`
	Workers     int    `json:"workers" doc:"That live; those that are drained included"`
	Slots       int    `json:"slots" doc:"Of workers that take new tasks"`
	Free        int    `json:"free" doc:"Of these"`
}

func (s *Server) listGroups(ctx context.Context, _ *struct{}) (*body[List[Group]], error) {
	groups, err := s.store.WorkerGroups(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := s.store.Nodes(ctx, flow.RoleWorker)
	if err != nil {
		return nil, err
	}
	known := map[string]*Group{}
	for _, g := range groups {
		known[g.Name] = &Group{Name: g.Name, Description: g.Description, Declared: true}
	}
	for _, n := range nodes {
		if n.State == flow.NodeLost {
			continue
		}
		for _, name := range n.Groups {
			if known[name] == nil {
				known[name] = &Group{Name: name}
			}
			g := known[name]
			g.Workers++
			if n.State != flow.NodeDraining {
				g.Slots += n.Slots
				g.Free += max(0, n.Slots-n.Running)
			}
		}
	}
	out := &body[List[Group]]{List[Group]{Items: []Group{}}}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		out.Body.Items = append(out.Body.Items, *known[name])
	}
	return out, nil
}
