// Pools: the store's model of who has slots, and the checks that no more have some than there are, and that nobody
// keeps any.

package sim

import (
	"fmt"
	"slices"
	"time"

	"baton/internal/flow"
)

// claim is one of the model store.
type claim struct {
	flow.Claim
	given bool
}

// makePools makes the pools that tasks use. Some are changed while they are used, and are as before in the end.
func (w *World) makePools() {
	for i := range 2 {
		p := flow.Pool{Project: "sim", Name: fmt.Sprintf("p%d", i), Slots: 1 + w.rng.IntN(3)}
		w.store.pools[p.Name] = p
		if w.rng.IntN(2) == 0 {
			continue
		}
		set := func(to flow.Pool) func() {
			return func() {
				w.store.pools[p.Name] = to
				w.log("pool %s has %d slots, closed: %t", to.Name, to.Slots, to.Closed)
			}
		}
		other := p
		other.Slots, other.Closed = w.rng.IntN(4), w.rng.IntN(4) == 0
		w.after(time.Duration(w.rng.Int64N(int64(5*time.Second))), set(other))
		w.after(5*time.Second+time.Duration(w.rng.Int64N(int64(20*time.Second))), set(p))
	}
}

// pooled is what a random task takes of a pool, mostly nothing.
func (w *World) pooled() *flow.PoolUse {
	if w.rng.IntN(4) > 0 {
		return nil
	}
	p := w.store.pools[fmt.Sprintf("p%d", w.rng.IntN(2))]
	return &flow.PoolUse{Name: p.Name, Slots: w.rng.IntN(p.Slots + 1), Key: []string{"", "", "${system.task.definition.name}"}[w.rng.IntN(3)]}
}

// waitedFor are the keys that something waits for.
func (s *Store) waitedFor() []flow.PoolKey {
	var keys []flow.PoolKey
	for _, c := range s.claims {
		if !c.given {
			keys = append(keys, c.PoolKey)
		}
	}
	slices.SortFunc(keys, flow.PoolKey.Compare)
	return slices.Compact(keys)
}

// giveSlots gives slots, as the real store does: with no key named, of all that something waits for.
func (s *Store) giveSlots(keys []flow.PoolKey) (out flow.SlotsGiven) {
	if len(keys) == 0 {
		keys = s.waitedFor()
		s.sweepSlots()
	}
	for _, k := range keys {
		pool := s.pools[k.Pool]
		held := 0
		var waiting []flow.Claim
		for _, id := range sorted(s.claims) {
			switch c := s.claims[id]; {
			case c.PoolKey != k:
			case c.given:
				held += c.Slots
			case s.instances[c.Instance].Instance.State != flow.InstanceQuarantined:
				waiting = append(waiting, c.Claim)
			}
		}
		for _, c := range pool.Give(held, waiting, s.w.now) {
			if held += c.Slots; held > pool.Slots {
				s.violation("%s: %d slots are held, there are %d", k.Named(), held, pool.Slots)
			}
			s.claims[c.ID] = claim{c, true}
			s.order(c.Item(s.ids.Next(s.w.now), s.w.now))
			out.Runs = append(out.Runs, c.Instance)
		}
	}
	return out
}

// sweepSlots takes back what a quarantined run was given and has not used. That there is nothing else to take back is
// checked with every commit.
func (s *Store) sweepSlots() {
	for _, id := range sorted(s.claims) {
		c := s.claims[id]
		in := s.instances[c.Instance]
		i := slices.IndexFunc(in.Tasks, func(r flow.TaskRow) bool { return r.ID == c.Task })
		if c.given && in.Instance.State == flow.InstanceQuarantined && in.Tasks[i].State == flow.TaskQueued {
			s.swept[id] = true
			delete(s.claims, id)
		}
	}
}

// claimed writes what a change asks of pools and gives back, and holds the claims of the run against its rows.
func (s *Store) claimed(ch flow.Change, rows []flow.TaskRow) {
	for _, c := range ch.Claims {
		s.claims[c.ID] = claim{Claim: c}
	}
	for _, c := range ch.Unclaims {
		if _, there := s.claims[c.ID]; !there && !s.swept[c.ID] {
			s.violation("claim %d of run %d is given back twice", c.ID, c.Instance)
		}
		delete(s.claims, c.ID)
	}
	if slices.ContainsFunc(ch.Outcomes, func(o flow.Outcome) bool { return o.Verb == flow.VerbTaskStart && o.Applied }) {
		s.passed[ch.Instance.ID] = true // some task of it may go past its pool
	}
	said := map[flow.ID]bool{}
	uses := s.defs[ch.Instance.Workflow].Workflow.Tasks
	for _, row := range rows {
		i := slices.IndexFunc(uses, func(t flow.Task) bool { return t.Name == row.Name })
		c, there := s.claims[row.Claim]
		said[row.Claim] = true
		switch {
		case row.Claim == 0:
			if row.Placed() && i >= 0 && uses[i].Pool != nil && !s.passed[row.Instance] {
				s.violation("task %s of run %d is %s and has no slots of its pool", row.Name, row.Instance, row.State)
			}
		case !there && s.swept[row.Claim] && row.State == flow.TaskQueued:
		case !there || c.Task != row.ID || row.Given && !c.given || row.Placed() && !row.Given:
			s.violation("task %s of run %d is %s (slots given: %t); its claim %d is %+v", row.Name, row.Instance, row.State, row.Given, row.Claim, c)
		}
	}
	for _, id := range sorted(s.claims) {
		if c := s.claims[id]; c.Instance == ch.Instance.ID && !said[id] {
			s.violation("claim %d of run %d on %s is nobody's", id, c.Instance, c.Named())
		}
	}
}

// checkSlots: who has ended holds nothing and waits for nothing.
func (w *World) checkSlots(say func(string, ...any)) {
	for _, id := range sorted(w.store.claims) {
		if c := w.store.claims[id]; w.store.instances[c.Instance].Instance.State.Ended() {
			say("run %d has ended and has claim %d on %s", c.Instance, id, c.Named())
		}
	}
}

// pooledBehindPoison tells whether a run waits for slots that runs have which only a person can move on, or behind one
// that waits for those.
func (s *Store) pooledBehindPoison(in *flow.Loaded) bool {
	for _, row := range in.Tasks {
		mine, there := s.claims[row.Claim]
		if !there || mine.given {
			continue
		}
		free := s.pools[mine.Pool].Slots
		var line []flow.Claim
		for _, id := range sorted(s.claims) {
			switch c := s.claims[id]; {
			case c.PoolKey != mine.PoolKey:
			case c.given && s.poison[c.Instance] && s.instances[c.Instance].Instance.State == flow.InstanceQuarantined:
				free -= c.Slots
			case !c.given:
				line = append(line, c.Claim)
			}
		}
		flow.SortClaims(line, s.w.now)
		for _, c := range line {
			if c.Slots > free && free < s.pools[mine.Pool].Slots {
				return true
			}
			if c.ID == mine.ID {
				break
			}
		}
	}
	return false
}
