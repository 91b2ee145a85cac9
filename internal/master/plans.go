// Compiled versions of workflows.

package master

import (
	"cmp"
	"fmt"
	"slices"

	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/task"
)

// plan is a compiled version, or the wish for one.
type plan struct {
	plan    *engine.Plan
	waiting []func(*engine.Plan, error)
	used    flow.Time
	size    int
}

// plansBytes bounds the compiled versions kept in memory.
const plansBytes = 64 << 20

// withPlan calls f with the plan, now or when its definition was read.
func (c *Core) withPlan(key PlanKey, f func(*engine.Plan, error)) {
	p := c.plans[key]
	if p == nil {
		p = &plan{}
		c.plans[key] = p
		c.emit(ReadDefinition{key})
	}
	p.used = c.now
	if p.plan == nil {
		p.waiting = append(p.waiting, f)
		return
	}
	f(p.plan, nil)
}

func (c *Core) definitionRead(e DefinitionRead) {
	p := c.plans[e.Key]
	if p == nil {
		return
	}
	waiting := p.waiting
	p.waiting = nil
	err := e.Err
	if code := flow.CodeOf(err); err != nil && (code == flow.CodeInternal || code == flow.CodeUnavailable) {
		// The store is away, not the definition: ask again with the next poll.
		p.waiting = waiting
		c.reread = append(c.reread, e.Key)
		return
	}
	if err == nil {
		p.plan, err = compile(e.Definition, c.types)
	}
	if err != nil {
		delete(c.plans, e.Key)
	} else {
		p.size = p.plan.Size()
		c.evictPlans()
	}
	for _, f := range waiting {
		f(p.plan, err)
	}
}

// compile makes a plan. A task type that panics over its options is the end of the runs that have
// them, not of this master.
func compile(def flow.Definition, types *task.Set) (p *engine.Plan, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("compile workflow %s: %v", def.Name, r)
		}
	}()
	return engine.Compile(def, types)
}

// evictPlans drops the plans that were not used for longest; running instances keep theirs alive.
func (c *Core) evictPlans() {
	total := 0
	keys := make([]PlanKey, 0, len(c.plans))
	for k, p := range c.plans {
		total += p.size
		if p.plan != nil {
			keys = append(keys, k)
		}
	}
	if total <= plansBytes {
		return
	}
	slices.SortFunc(keys, func(a, b PlanKey) int {
		return cmp.Or(cmp.Compare(c.plans[a].used, c.plans[b].used), cmp.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Version, b.Version))
	})
	for _, k := range keys {
		if total <= plansBytes/2 {
			return
		}
		total -= c.plans[k].size
		delete(c.plans, k)
	}
}

func sortIDs(ids []flow.ID) { slices.Sort(ids) }
