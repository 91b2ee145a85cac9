// What Baton knows of the runs when all is over.

package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// past is all that Baton knows of a run.
type past struct {
	instance
	attempts []attempt
	outcomes []outcome
	items    []item
}

// pasts reads all of it.
func (r *run) pasts(ctx context.Context) ([]past, error) {
	list, err := all[instance](ctx, r.client, "/api/v1/instances")
	if err != nil {
		return nil, err
	}
	out := make([]past, len(list))
	errs := make(chan error, len(list))
	slots := make(chan struct{}, 6)
	var wg sync.WaitGroup
	for i, in := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			var err error
			if out[i], err = r.past(ctx, in.ID); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	return out, <-errs
}

func (r *run) past(ctx context.Context, id string) (past, error) {
	var p past
	err := r.client.get(ctx, "/api/v1/instances/"+id, &p.instance)
	if err != nil {
		return p, fmt.Errorf("run %s: %w", id, err)
	}
	var attempts list[attempt]
	if err := r.client.get(ctx, "/api/v1/instances/"+id+"/attempts", &attempts); err != nil {
		return p, fmt.Errorf("attempts of run %s: %w", id, err)
	}
	var outcomes list[outcome]
	if err := r.client.get(ctx, "/api/v1/instances/"+id+"/outcomes", &outcomes); err != nil {
		return p, fmt.Errorf("outcomes of run %s: %w", id, err)
	}
	p.attempts, p.outcomes = attempts.Items, outcomes.Items
	if slices.ContainsFunc(p.Tasks, func(t task) bool { return t.Type == "map" }) {
		var items list[item]
		if err := r.client.get(ctx, "/api/v1/instances/"+id+"/shards", &items); err != nil {
			return p, fmt.Errorf("items of run %s: %w", id, err)
		}
		p.items = items.Items
	}
	return p, nil
}
