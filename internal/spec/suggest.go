// The nearest valid name to a wrong one.

package spec

import (
	"strings"
	"unicode/utf8"
)

const suggestBudget = 50_000 // names compared in one Parse

// nearest returns the valid name with the least edit distance, "" when none is near: more than a
// third of the longer name would have to change.
func (p *problems) nearest(name string, valid []string) string {
	if len(name) > 256 || name == "" {
		return ""
	}
	a := []rune(strings.ToLower(name))
	best, least := "", len(a)+1
	for _, v := range valid {
		if p.budget <= 0 {
			break
		}
		p.budget--
		n := utf8.RuneCountInString(v)
		limit := max(len(a), n, 3) / 3
		if n-len(a) > limit || len(a)-n > limit {
			continue
		}
		if d := distance(a, []rune(strings.ToLower(v))); d <= limit && d < least {
			best, least = v, d
		}
	}
	return best
}

// distance counts insertions, deletions, replacements and swaps of neighbours.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
