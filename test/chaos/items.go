// Items of maps.

package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// item is a row of an item.
type item struct {
	Task  string `json:"task"`
	Index int    `json:"index"`
	State string `json:"state"`
	Token int64  `json:"token"`
}

// checkItems: a map that succeeded has as many results as items, in their order, and each item has one attempt that succeeded,
// which wrote its end.
func (r *run) checkItems(p past, lines map[int64][]entry) {
	for _, t := range p.Tasks {
		n := definition(p.Workflow).tasks[t.Name].items
		if n == 0 || t.State != "succeeded" || !t.Valid {
			continue
		}
		r.looked(invItems, n)
		var results []struct{ Item string }
		if err := json.Unmarshal(t.Outputs["results"], &results); err != nil || len(results) != n {
			r.violate(invItems, p.ID, "map %s of run %s has %d items, its results are %s", t.Name, p.ID, n, t.Outputs["results"])
			continue
		}
		for i := range n {
			if results[i].Item != fmt.Sprint(i) {
				r.violate(invItems, p.ID, "map %s of run %s: result %d is of item %q", t.Name, p.ID, i, results[i].Item)
			}
			// Of a map that was done again, the newest row of an item is the one that counts.
			newest := item{}
			for _, x := range p.items {
				if x.Task == t.Name && x.Index == i && x.Token > newest.Token {
					newest = x
				}
			}
			wrote := slices.ContainsFunc(lines[newest.Token], func(e entry) bool { return e.what == "end" && e.instance == p.ID })
			if newest.State != "succeeded" || !wrote {
				r.violate(invItems, p.ID, "map %s of run %s succeeded; its item %d is %q, with token %d, and its end in the ledger: %t", t.Name, p.ID, i, newest.State, newest.Token, wrote)
			}
		}
	}
	succeeded := map[string]int{}
	for _, a := range p.attempts {
		if a.State == "succeeded" {
			succeeded[a.TaskInstance]++
		}
	}
	for row, n := range succeeded {
		if n > 1 {
			r.violate(invItems, p.ID, "row %s of run %s has %d attempts that succeeded", row, p.ID, n)
		}
	}
}

// steer has a run with maps be given several verbs while its items run, some of them for one item.
func steer(s order, rng *rand.Rand) order {
	s.params["nap"] = fmt.Sprintf("0.%d", 3+rng.IntN(6))
	all := []string{"pause", "resume", "stop", "recover", "rerun", "kill", "kill", "retry", "retry", "skip", "succeed", "hold", "release-task"}
	for range 2 + rng.IntN(4) {
		v := verbOrder{verb: all[rng.IntN(len(all))], after: time.Duration(rng.IntN(1500)) * time.Millisecond}
		v.task = []string{"m", "m", "n", "z"}[rng.IntN(4)]
		if v.verb == "kill" && rng.IntN(2) == 0 {
			v.task = fmt.Sprintf("m[%d]", rng.IntN(8))
		}
		s.verbs = append(s.verbs, v)
	}
	return s
}

// checkMaps: when a run has ended no item of a map waits or runs, also of those that were set aside, unless the map rests with
// it; and none has succeeded twice, unless it was ordered meanwhile to do everything, or its map, again.
func (r *run) checkMaps(p past, lines map[int64][]entry) {
	if !ended[p.State] {
		return
	}
	for _, x := range p.items {
		rests := x.State == "paused" && slices.ContainsFunc(p.Tasks, func(t task) bool { return t.Valid && t.Name == x.Task && t.State == "paused" })
		if !endedTask[x.State] && !rests {
			r.violate(invMaps, p.ID, "run %s has ended, item %d of its map %s is %s", p.ID, x.Index, x.Task, x.State)
		}
	}
	last := map[string]attempt{}
	for _, a := range p.attempts { // by token
		if !strings.HasSuffix(a.Task, "]") {
			continue
		}
		r.looked(invMaps, 1)
		r.checkKilled(p, task{Name: a.Task}, a, lines[a.Token])
		if a.EndedAt == nil {
			r.violate(invMaps, p.ID, "run %s has ended, %s is %s, with token %d", p.ID, a.Task, a.State, a.Token)
		}
		if a.State != "succeeded" {
			continue
		}
		if before, there := last[a.Task]; there && !p.ordered(before.GrantedAt, a.GrantedAt, "rerun", "retry", "task.retry") {
			r.violate(invMaps, p.ID, "%s of run %s succeeded with token %d, and again with token %d", a.Task, p.ID, before.Token, a.Token)
		}
		last[a.Task] = a
	}
}

// ordered tells whether one of some verbs was carried out between two moments, as far as clocks tell.
func (p past) ordered(from, to time.Time, verbs ...string) bool {
	return slices.ContainsFunc(p.outcomes, func(o outcome) bool {
		return o.Applied && slices.Contains(verbs, o.Verb) && !o.At.Before(from.Add(-time.Second)) && !o.At.After(to.Add(time.Second))
	})
}
