// Items of maps.

package chaos

import (
	"encoding/json"
	"fmt"
	"slices"
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
