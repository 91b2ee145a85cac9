// Runs that wait for others.

package chaos

import (
	"math/rand/v2"
	"slices"
)

// planAhead has the run be started that another one waits for: some starts before it, or some after.
func (p *plan) planAhead(s order, rng *rand.Rand) {
	first := planStart(others()[0], "ahead-"+s.key, rng, false)
	first.date = s.date
	at := max(0, len(p.starts)-rng.IntN(6))
	if rng.IntN(3) > 0 { // it is waited for
		at, first.late = len(p.starts), 1+rng.IntN(8)
	}
	p.starts = slices.Insert(p.starts, at, first)
	p.tasks++
}

// inOrder puts starts that are to come later behind so many others.
func inOrder(starts []order) []order {
	out := make([]order, 0, len(starts))
	due := map[int][]order{}
	for i, s := range starts {
		if s.late > 0 {
			due[i+s.late] = append(due[i+s.late], s)
		} else {
			out = append(out, s)
		}
		out = append(out, due[i]...)
		delete(due, i)
	}
	for i := range len(starts) + 10 {
		out = append(out, due[i]...)
	}
	return out
}

// checkFollowers: a task behind a dependent begins only when a run that the dependent waited for had written its end.
func (r *run) checkFollowers(pasts []past, byRow map[string][]entry) {
	ends := map[string][]entry{} // by data time
	for _, p := range pasts {
		if p.Workflow != ahead {
			continue
		}
		for _, t := range p.Tasks {
			for _, e := range byRow[t.ID] {
				if e.what == "end" && t.State == "succeeded" {
					ends[p.DataTime.UTC().String()] = append(ends[p.DataTime.UTC().String()], e)
				}
			}
		}
	}
	for _, p := range pasts {
		if p.Workflow != follower || p.passed() {
			continue
		}
		for _, t := range p.Tasks {
			for _, e := range byRow[t.ID] {
				if t.Name != "z" || e.what != "begin" {
					continue
				}
				r.looked(invFollow, 1)
				if !slices.ContainsFunc(ends[p.DataTime.UTC().String()], func(end entry) bool { return end.at.Before(e.at) }) {
					r.violate(invFollow, p.ID, "run %s, for %s: z began at %s, and no run of %s for that time had ended", p.ID, p.DataTime.UTC(), clock(e.at), ahead)
				}
			}
		}
	}
}

// passed tells whether a person had a task of the run count as done.
func (p past) passed() bool {
	return slices.ContainsFunc(p.outcomes, func(o outcome) bool {
		return o.Applied && (o.Verb == "skip" || o.Verb == "succeed" || o.Verb == "task.skip" || o.Verb == "task.succeed")
	})
}
