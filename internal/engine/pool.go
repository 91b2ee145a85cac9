// Pools: a task that shares a limit with others claims slots before it goes to a worker, and gives them back in the
// commit in which its attempt ends. Who gets slots is decided elsewhere, over all runs; a row knows its claim and
// whether the slots are its own.

package engine

import (
	"fmt"
	"math"
	"slices"

	"baton/internal/flow"
)

// lineUp has a row wait for slots of its pool, if it has one, otherwise for a worker. A try that follows another asks
// anew: the others that wait were there before.
func (s *State) lineUp(r int32, env Env, fx *Effects) {
	s.unclaim(r)
	n, undo := s.node(&s.Rows[r])
	if undo || n.pool == nil {
		s.enqueue(r, fx)
		return
	}
	key, err := s.poolKey(r)
	if err != nil {
		s.endRow(r, flow.TaskFailed, flow.ReasonParameter, env)
		s.failed(r, err.Error(), env, fx)
		return
	}
	s.set(r, flow.TaskQueued)
	c := flow.Claim{
		ID: env.NextID(), Instance: s.Inst.ID, Task: s.Rows[r].ID, PoolKey: key,
		Slots: n.Pool.Takes(), Priority: s.Priority(r), At: env.Now,
	}
	s.hold(r, c.ID, false)
	s.change.claims = append(s.change.claims, c)
	s.Rows[r].Reason = fmt.Sprintf("%s: waits for %s of %s", flow.ReasonPool, flow.CountSlots(c.Slots), key.Named())
}

// poolKey says which slots a row claims.
func (s *State) poolKey(r int32) (flow.PoolKey, error) {
	row := &s.Rows[r]
	n, _ := s.node(row)
	var key string
	scope, err := s.scopeOf(row)
	if err == nil {
		key, err = n.pool.Render(scope)
		key = flow.Text(key, math.MaxInt)
	}
	if err == nil && len(key) > flow.MaxPoolKey {
		err = fmt.Errorf("it has %d bytes; %d are allowed", len(key), flow.MaxPoolKey)
	}
	if err != nil {
		return flow.PoolKey{}, fmt.Errorf("pool.key: %w", err)
	}
	return flow.PoolKey{Project: s.Inst.Project, Pool: n.Pool.Name, Key: key}, nil
}

// hold notes what a row has claimed, and whether it has it.
func (s *State) hold(r int32, claim flow.ID, given bool) {
	row := &s.Rows[r]
	s.touch(r)
	if row.Valid {
		s.count(row, -1)
	}
	row.Claim, row.Given = claim, given
	if row.Valid {
		s.count(row, 1)
	}
}

// unclaim gives back what a row has claimed, or withdraws the claim.
func (s *State) unclaim(r int32) {
	row := &s.Rows[r]
	if row.Claim == 0 {
		return
	}
	is := func(c flow.Claim) bool { return c.ID == row.Claim }
	if slices.ContainsFunc(s.change.claims, is) {
		s.change.claims = slices.DeleteFunc(s.change.claims, is) // nobody has heard of it
	} else {
		key, _ := s.poolKey(r) // it says where to look who is next; a look at all finds them too
		s.change.unclaims = append(s.change.unclaims, flow.Claim{ID: row.Claim, Instance: s.Inst.ID, Task: row.ID, PoolKey: key})
	}
	s.hold(r, 0, false)
}

// slotsGiven has a row that waited for its pool wait for a worker.
func (s *State) slotsGiven(e SlotsGiven, fx *Effects) {
	r := s.RowByID(e.Task)
	if r < 0 || s.Rows[r].Claim != e.Claim || !s.Rows[r].Pooling() {
		return // it does not want them any more, and has said so
	}
	s.hold(r, e.Claim, true)
	s.enqueue(r, fx)
}

// pass has a row go past its pool, as a person wants.
func (s *State) pass(r int32, fx *Effects) {
	s.unclaim(r)
	s.enqueue(r, fx)
}

// claimAgain asks anew for what waited when the run was quarantined: what a run that only a person can move on was
// given and did not use was given to others.
func (s *State) claimAgain(env Env, fx *Effects) {
	for r := range s.Rows {
		if row := &s.Rows[r]; row.Valid && row.State == flow.TaskQueued && row.Claim != 0 {
			s.lineUp(int32(r), env, fx)
		}
	}
}
